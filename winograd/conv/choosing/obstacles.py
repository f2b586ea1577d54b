"""Obstacles: why an algorithm cannot compute a shape, and why the native backend cannot be chosen for it.

In: a `ConvShape`, perhaps an algorithm. Out: one line, or None. Refused: forced algorithms that cannot do it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from winograd.accuracy.catalogue import TAPS
from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import NestedAlgorithm, as_nested
from winograd.conv.choosing.candidates import has_choices
from winograd.conv.choosing.prediction import WORKING
from winograd.conv.geometry.phases import Phases, phases_of
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.wording import counted

NATIVE_DTYPES: Final = ("float32", "float16", "bfloat16", "float64")
"""What the native backend reads and writes; inside it computes in float32, or float64 for that."""

TRANSFORMED_DTYPES: Final = (*WORKING, "complex64", "complex128")
"""Of tensors that an algorithm can be forced on."""


FEWEST_GROUP_CHANNELS: Final = 8
"""Input and output channels of a dense convolution of one group: with fewer, vectors are mostly empty."""


def checked_algorithm(shape: ConvShape, algorithm: BilinearAlgorithm | NestedAlgorithm) -> NestedAlgorithm:
    """Return the algorithm as a nested one that can compute this shape; see `make_plan` for what is raised."""
    nested = as_nested(algorithm)
    if nested.ndim != shape.ndim:
        raise ValueError(f"algorithm {nested.label} has {nested.ndim} axes, must have {shape.ndim}; see winograd.nest")
    lack, phases = stride_obstacle(shape), phases_of(_filled(shape))
    if lack is None or phases is None:
        if nested.r != shape.taps:
            raise ValueError(f"algorithm {nested.label} is for taps {nested.r}, the weight has {shape.taps}")
    elif nested.r != phases.core.taps:
        raise NotImplementedError(
            f"{lack}, {nested.label} is for taps {nested.r}, must be for {phases.core.taps}: {phases.label}; "
            "leave algorithm out for direct convolution"
        )
    return nested


def _filled(shape: ConvShape) -> ConvShape:
    """Return the shape with an image and a channel where it has none: what fits a layer fits its empty batch."""
    return replace(shape, batch=max(shape.batch, 1), channels=max(shape.channels, shape.groups))


def stride_obstacle(shape: ConvShape) -> str | None:
    """Return which of stride, dilation and groups is not 1, or None."""
    for name, value in (("stride", shape.stride), ("dilation", shape.dilation), ("groups", (shape.groups,))):
        if set(value) != {1}:
            return f"{name} {value if name != 'groups' else shape.groups}"
    return None


def shape_obstacle(shape: ConvShape) -> str | None:
    """Return why the native backend cannot be chosen for this shape, or None."""
    if shape.card is not None:
        return f"device {shape.card.name}, the native backend has cpu"
    if shape.dtype not in NATIVE_DTYPES:
        return f"dtype {shape.dtype}, the native backend has {', '.join(NATIVE_DTYPES)}"
    phases = phases_of(shape)
    core = shape if phases is None else phases.core
    by = "" if phases is None else f" of {phases.label}"
    if not has_choices(core.taps):
        return f"taps {core.taps}{by}, algorithms are known for 2 to {TAPS[-1]} (and 1 on some axes)"
    if max(core.output) == 1:
        return f"output {core.output}{by}, one on every axis"
    return None if phases is None else _group_obstacle(phases)


def _group_obstacle(phases: Phases) -> str | None:
    """Return that a group is too small for vectors, or None."""
    core = phases.core
    if phases.groups == 1 or min(core.channels, core.outputs) >= FEWEST_GROUP_CHANNELS:
        return None
    what = ("channel", core.channels) if core.channels < FEWEST_GROUP_CHANNELS else ("output", core.outputs)
    return f"{counted(what[1], what[0])} per group, the native backend needs {FEWEST_GROUP_CHANNELS}"
