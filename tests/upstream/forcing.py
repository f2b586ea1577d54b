"""Forced algorithms: the convolutions of PyTorch's samples by Winograd, wherever it can be forced.

In: one of our convolutions, what a sample calls it with. Out: its result, and a note whether Winograd ran for it.
Refused: nothing; what no algorithm fits is called as it is, and noted as that.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor

import winograd
from tests.upstream.engagement import CALLS, note, runs
from winograd.algebra.nesting import NestedAlgorithm
from winograd.conv.arguments import ConvArguments
from winograd.conv.geometry.phases import phases_of
from winograd.conv.geometry.shape import ConvShape


@lru_cache(maxsize=256)
def fitted(taps: tuple[int, ...]) -> NestedAlgorithm:
    """Return an algorithm for so many taps: two outputs at a time where an axis has more than one."""
    return winograd.nest(*(winograd.toom_cook(2 if count > 1 else 1, count) for count in taps))


def read(input: torch.Tensor, weight: torch.Tensor, arguments: dict[str, Any]) -> ConvShape | None:
    """Return the shape of a call, None if it makes no convolution."""
    try:
        dtype = str(input.dtype).removeprefix("torch.")
        return ConvArguments(**arguments).shape(tuple(input.shape), tuple(weight.shape), dtype=dtype)
    except (TypeError, ValueError):
        return None


def algorithm_for(shape: ConvShape) -> NestedAlgorithm | None:
    """Return the algorithm to force: for the taps of the phases, where there are any; None if all have one tap."""
    phases = phases_of(shape)
    taps = shape.taps if phases is None else phases.core.taps
    return fitted(taps) if max(taps) > 1 else None


class Forced:
    """One of our convolutions with an algorithm forced that fits what it is called with.

    Parameters
    ----------
    convolution : callable
        `winograd.conv1d`, `winograd.conv2d` or `winograd.conv3d`.
    """

    def __init__(self, convolution: Callable[..., torch.Tensor]) -> None:
        self.convolution = convolution
        self.__name__ = f"forced_{convolution.__name__}"

    def __call__(self, input: torch.Tensor, weight: torch.Tensor, bias: Any = None, **arguments: Any) -> torch.Tensor:
        """Convolve, and note what ran."""
        geometry = {name: arguments[name] for name in arguments if name != "out"}
        shape = read(input, weight, geometry)
        algorithm = None if shape is None else algorithm_for(shape)
        if shape is None or algorithm is None:
            CALLS["that no algorithm fits" if shape is not None else "that make no convolution"] += 1
            return self.convolution(input, weight, bias, **arguments)
        before = runs()
        output = self.convolution(input, weight, bias, **arguments, algorithm=algorithm)
        if isinstance(output, FakeTensor):
            CALLS["forced, on fake tensors"] += 1
        else:
            note(str(shape), ran=runs() > before, by_phases=phases_of(shape) is not None)
        return output
