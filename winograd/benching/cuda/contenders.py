"""Contenders: the ways in which one layer is computed on a GPU, by name.

In: a layer, its plan, tensors. Out: callables that compute with one of several buffers each. The library's direct
convolution runs in both memory formats, with TF32 and without, eagerly and compiled; cuDNN may try out its algorithms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

from winograd.conv.direct import convolve_direct
from winograd.conv.layout import as_channels_last
from winograd.conv.operator import pack_for_plan, run_plan
from winograd.conv.plan import Plan
from winograd.conv.shape import ConvShape

if TYPE_CHECKING:
    from winograd.conv.operator import Packed

OURS: Final = "ours"
LIBRARY: Final = "cudnn"
COMPILED: Final = "compiled"

ROTATED: Final = 3
"""As many times the level-2 cache the inputs that take turns are together, at least."""

MOST_BUFFERS: Final = 16


@dataclass(frozen=True, slots=True)
class Contender:
    """One way of computing a layer.

    Parameters
    ----------
    name : str
    call : callable
        Computes with the buffers of a number, and returns the output.
    tf32 : bool
        Whether cuDNN is allowed TF32 meanwhile.
    """

    name: str
    call: Callable[[int], Tensor]
    tf32: bool

    @property
    def is_ours(self) -> bool:
        """Whether the plan computes."""
        return self.name.startswith(OURS)

    @property
    def is_exact(self) -> bool:
        """Whether it is the library in float32."""
        return not self.is_ours and not self.tf32

    def run(self, number: int) -> Tensor:
        """Compute once, with the library set as this contender needs it."""
        with library_set(tf32=self.tf32):
            return self.call(number)


@dataclass(frozen=True, slots=True)
class Operands:
    """Tensors of a layer: inputs that take turns, in both memory formats.

    Parameters
    ----------
    inputs : tuple of Tensor
        Contiguous.
    inputs_last : tuple of Tensor
        The same values in channels last.
    weight : Tensor
    bias : Tensor or None
    """

    inputs: tuple[Tensor, ...]
    inputs_last: tuple[Tensor, ...]
    weight: Tensor
    bias: Tensor | None


@contextmanager
def library_set(*, tf32: bool) -> Iterator[None]:
    """Let cuDNN try out its algorithms, and take TF32 or not, as long as this lasts."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = tf32, True
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = before


def buffers_of(shape: ConvShape, l2_bytes: int) -> int:
    """Return how many inputs take turns: more than the level-2 cache holds, two at least.

    Examples
    --------
    >>> from winograd.conv.arguments import ConvArguments
    >>> shape = ConvArguments(padding=1).shape((32, 64, 4, 14, 14), (64, 64, 3, 3, 3), dtype="float32")
    >>> buffers_of(shape, 50 << 20)
    16
    """
    one = shape.batch * shape.channels * prod(shape.sizes) * 4
    return max(2, min(MOST_BUFFERS, -(-ROTATED * l2_bytes // max(one, 1))))


def draw_operands(shape: ConvShape, has_bias: bool, *, seed: int, device: torch.device, buffers: int) -> Operands:
    """Return independent normal tensors, weights with the variance of He's initialisation.

    They are drawn on the CPU, so that a seed gives the same numbers everywhere.
    """
    generator = torch.Generator().manual_seed(seed)
    dtype, sizes = getattr(torch, shape.dtype), (shape.batch, shape.channels, *shape.sizes)
    scale = (2 / prod(shape.weight_sizes[1:])) ** 0.5
    weight = torch.randn(shape.weight_sizes, generator=generator).mul_(scale).to(device, dtype)
    bias = torch.randn(shape.outputs, generator=generator).mul_(0.1).to(device, dtype) if has_bias else None
    first = torch.randn(sizes, generator=generator).to(device, dtype)
    inputs = (first, *(first.roll(number, 0) if shape.batch > 1 else first.neg() for number in range(1, buffers)))
    return Operands(inputs, tuple(map(as_channels_last, inputs)), weight, bias)


def contenders_of(shape: ConvShape, plan: Plan, operands: Operands, *, compiled: bool) -> tuple[Contender, ...]:
    """Return all ways of computing a layer.

    Parameters
    ----------
    shape : ConvShape
    plan : Plan
    operands : Operands
    compiled : bool
        Whether torch.compile's, in the last memory format, is among them: it takes a while to be made.
    """
    packed = pack_for_plan(plan, operands.weight)
    weight, bias = operands.weight, operands.bias
    formats: Mapping[str, tuple[tuple[Tensor, ...], Tensor]] = {"contiguous": (operands.inputs, weight)}
    if shape.ndim > 1:
        formats = {**formats, "channels_last": (operands.inputs_last, as_channels_last(weight))}
    found = []
    for layout, (inputs, taps) in formats.items():
        ours = partial(_ours, plan, inputs, weight, bias, packed)
        found.append(Contender(f"{OURS} {layout}", ours, tf32=False))
        for precision, tf32 in (("float32", False), ("tf32", True)):
            direct = partial(_direct, inputs, taps, bias, shape)
            found.append(Contender(f"{LIBRARY} {precision} {layout}", direct, tf32=tf32))
    if compiled:
        torch._dynamo.reset()  # it gives up after some recompilations of one function
        for precision, tf32 in (("float32", False), ("tf32", True)):
            made = _compiled(*formats[layout], bias, shape)
            found.append(Contender(f"{COMPILED} {precision} {layout}", made, tf32=tf32))
    return tuple(found)


def _ours(
    plan: Plan, inputs: tuple[Tensor, ...], weight: Tensor, bias: Tensor | None, packed: Packed | None, number: int
) -> Tensor:
    return run_plan(plan, inputs[number], weight, bias, packed=packed)


def _direct(inputs: tuple[Tensor, ...], weight: Tensor, bias: Tensor | None, shape: ConvShape, number: int) -> Tensor:
    return convolve_direct(inputs[number], weight, bias, shape)


def _compiled(
    inputs: tuple[Tensor, ...], weight: Tensor, bias: Tensor | None, shape: ConvShape
) -> Callable[[int], Tensor]:
    made = torch.compile(lambda input: convolve_direct(input, weight, bias, shape), dynamic=False)

    def call(number: int) -> Tensor:
        output: Tensor = made(inputs[number])
        return output

    return call
