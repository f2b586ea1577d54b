"""Convolutions of NumPy arrays: by an algorithm, by phases of it, or tap by tap, as the plan says.

In: arrays of any dtype, the arguments of a convolution. Out: the convolution, of the same dtype. Refused, with
ValueError or TypeError: arrays and arguments that do not fit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from winograd.conv.arguments import Algorithm, ConvArguments
from winograd.conv.reference.convolve import convolve_reference
from winograd.conv.reference.phases import convolve_reference_phases
from winograd.conv.reference.plan import plan_reference
from winograd.conv.reference.taps import convolve_taps

Array = np.ndarray[Any, np.dtype[Any]]


def convolve_arrays(
    input: Array,
    weight: Array,
    bias: Array | None,
    arguments: ConvArguments,
    *,
    ndim: int,
    tolerance: float | None,
    algorithm: Algorithm | None,
) -> Array:
    """Convolve arrays over ``ndim`` axes; see `winograd.conv.convolve.conv3d`."""
    check_arrays(input, weight, bias, ndim)
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"bias has shape {bias.shape}, must be {weight.shape[:1]}")
    shape = arguments.shape(input.shape, weight.shape, dtype=input.dtype.name)
    plan = plan_reference(shape, tolerance=tolerance, algorithm=algorithm)
    batched = input if input.ndim == ndim + 2 else input[np.newaxis]
    if plan.algorithm is None:
        output = convolve_taps(batched, weight, bias, shape)
    elif plan.phases is not None:
        output = convolve_reference_phases(batched, weight, bias, algorithm=plan.algorithm, phases=plan.phases)
    else:
        output = convolve_reference(batched, weight, bias, algorithm=plan.algorithm, padding=shape.padding)
    return output if input.ndim == ndim + 2 else output[0]


def check_arrays(input: Array, weight: Array, bias: Array | None, ndim: int) -> None:
    """Refuse what are no arrays of one dtype, and weights of other axes."""
    for name, array in (("weight", weight), ("bias", bias)):
        if array is not None and not isinstance(array, np.ndarray):
            raise TypeError(f"{name} is a {type(array).__name__}, must be a NumPy array as the input is")
        if array is not None and array.dtype != input.dtype:
            raise ValueError(f"{name} has dtype {array.dtype}, must be that of the input, {input.dtype}")
    if weight.ndim != ndim + 2:
        raise ValueError(f"weight has {weight.ndim} axes, must have {ndim + 2}")
