"""`plan_conv`: the plan for a convolution, from its sizes or its tensors, before anything is computed.

In: input and weight, or their sizes, the arguments of a convolution, a tolerance, how to tune. Out: a `Plan`, which can
explain itself. Refused: what makes no convolution. Needs torch only where it measures.
"""

from __future__ import annotations

import operator
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any, Final

from winograd.conv.arguments import Algorithm, ConvArguments, IntOrSequence, Padding
from winograd.conv.choosing.selection import Filters
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.gpu.card import Card
from winograd.conv.gpu.device import card_asked_for, card_of_tensor
from winograd.conv.plan.record import Plan
from winograd.conv.planning.make import make_plan
from winograd.conv.planning.tuning_mode import Tuning, TuningName, checked_tuning
from winograd.quoting import quote

MOST_ELEMENTS: Final = 2**62
"""Elements of an input, a weight or an output, at most: more have no address."""

DTYPES: Final = (
    "float32", "float16", "bfloat16", "float64", "complex64", "complex128",
    "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "object",
)  # fmt: skip
"""Names of dtypes that there are plans for; those without an algorithm are computed directly."""


def plan_conv(
    input: Any,
    weight: Any,
    *,
    stride: IntOrSequence = 1,
    padding: Padding = 0,
    dilation: IntOrSequence = 1,
    groups: int = 1,
    dtype: Any = None,
    tolerance: float | None = None,
    algorithm: Algorithm | None = None,
    tuning: TuningName = "model",
    frozen: bool = True,
    threads: int | None = None,
    workspace_cap: int | None = None,
    filter_cap: int | None = None,
    device: Any = None,
) -> Plan:
    """Return what `winograd.conv3d` or a converted layer would do, and why: see ``.explain()`` of the result.

    Parameters
    ----------
    input, weight : Tensor, array or sequence of int
        Or their sizes: (N, C, sizes...) or (C, sizes...), and (K, C / groups, taps...), of one to three axes.
    stride, padding, dilation, groups
        As in ``torch.conv3d``.
    dtype : str or dtype, optional
        None takes that of the input, or float32 where only sizes are given.
    tolerance : float, optional
        Allowed relative L2 error, as predicted for independent zero-mean inputs; if None 1e-5, and 1.9e-14
        for float64.
    algorithm : BilinearAlgorithm, NestedAlgorithm or "direct", optional
        Forces this one.
    tuning : "model" or "measure"
        "model" takes the candidate with the least predicted time. "measure" compiles and times those that are predicted
        to be fastest, and direct convolution, on random data of this shape, and keeps what it found on
        disk; see `winograd.conv.tuning`.
    frozen : bool
        Whether the transformed weight is kept from call to call, as in a frozen model; otherwise every call pays for
        the transform, as `winograd.conv3d` does.
    threads : int, optional
        None takes what torch uses if it is loaded, else the cores that this process may use.
    workspace_cap, filter_cap : int, optional
        Limits on memory in bytes, see `winograd.conv.limits`; None takes those of the process.
    device : str, torch.device or Card, optional
        None takes that of the input, "cpu" where only sizes are given; "cuda", "cuda:1" for a GPU that is here; "h100",
        "h200", "a100" and others of `winograd.conv.gpu.card.CARDS` for one that need not be.

    Raises
    ------
    TypeError
        If sizes, threads or a cap are no integers, the tolerance is no number, or the algorithm is none.
    ValueError
        If input, weight and arguments make no convolution, or another argument is out of range, or there is no such
        device.
    NotImplementedError
        If an algorithm is forced on what no algorithm computes.

    Examples
    --------
    >>> plan = plan_conv((1, 64, 16, 56, 56), (128, 64, 3, 3, 3), padding=1, tolerance=2e-6, threads=2)
    >>> plan.backend.value, plan.predicted_error < 2e-6
    ('native', True)
    >>> plan_conv((1, 64, 16, 56, 56), (128, 64, 1, 1, 1), threads=2)
    <Plan direct: taps (1, 1, 1), algorithms are known for 2 to 7 (and 1 on some axes)>
    >>> plan_conv((32, 64, 16, 56, 56), (128, 64, 3, 3, 3), padding=1, device="h200").gpu.products
    'tf32x3'
    """
    shape = _shape(input, weight, ConvArguments(stride, padding, dilation, groups), dtype)
    card = _card(input, device)
    shape = shape if card is None else replace(shape, card=card)
    filters = Filters.FROZEN if frozen else Filters.LIVE
    used = usable_threads() if threads is None else threads
    if checked_tuning(tuning) is Tuning.MEASURE and algorithm is None:
        from winograd.conv.tuning import tuned_plan  # compiles and runs: needs torch

        return tuned_plan(
            shape,
            tolerance=tolerance,
            filters=filters,
            threads=used,
            workspace_cap=workspace_cap,
            filter_cap=filter_cap,
        )
    return make_plan(
        shape,
        tolerance=tolerance,
        algorithm=algorithm,
        filters=filters,
        threads=used,
        workspace_cap=workspace_cap,
        filter_cap=filter_cap,
    )


def usable_threads() -> int:
    """Return how many threads torch uses if it is loaded, else how many cores this process may use."""
    torch = sys.modules.get("torch")
    if torch is not None:
        return int(torch.get_num_threads())
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _shape(input: Any, weight: Any, arguments: ConvArguments, dtype: Any) -> ConvShape:
    input_sizes, weight_sizes = _sizes("input", input), _sizes("weight", weight)
    if not 3 <= len(weight_sizes) <= 5:
        raise ValueError(f"weight has {len(weight_sizes)} axes, must have 3 to 5: (K, C / groups, taps...)")
    name = _dtype_name(getattr(input, "dtype", "float32") if dtype is None else dtype)
    shape = arguments.shape(input_sizes, weight_sizes, dtype=name)
    outputs = (shape.batch, shape.outputs, *shape.output)
    for what, sizes in (("input", input_sizes), ("weight", weight_sizes), ("output", outputs)):
        if prod(sizes) > MOST_ELEMENTS:
            raise ValueError(f"{what} of sizes {sizes} has more than 2**62 elements")
    return shape


def _card(input: Any, device: Any) -> Card | None:
    if device is not None:
        return card_asked_for(device)
    kind = getattr(getattr(input, "device", None), "type", None)
    return card_of_tensor(input) if kind == "cuda" else None


def _sizes(name: str, given: Any) -> tuple[int, ...]:
    sizes = getattr(given, "shape", given)
    if isinstance(sizes, str) or not isinstance(sizes, Sequence):
        raise TypeError(f"{name} is a {type(given).__name__}, must be a tensor, an array or a sequence of sizes")
    try:
        return tuple(map(operator.index, sizes))
    except TypeError:
        raise TypeError(f"{name} has sizes {quote(tuple(sizes))}, must be integers") from None


def _dtype_name(dtype: Any) -> str:
    name = getattr(dtype, "name", None) or str(dtype).removeprefix("torch.")
    if name not in DTYPES:
        raise ValueError(f"dtype is {quote(name)}, must be one of {', '.join(DTYPES)}")
    return str(name)
