"""Contenders: the ways in which one layer is computed on a GPU, by name.

In: a layer, its plan, tensors. Out: callables that compute with one of several buffers each. The library's direct
convolution runs in both memory formats, with TF32 and without, eagerly and compiled; cuDNN may try out its algorithms.
Ours and the library's are captured in CUDA graphs, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

from winograd.benching.cuda.graphs import Graphed
from winograd.conv.direct.convolve import convolve_direct
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.gpu.run import FilterOnCard, try_on_card
from winograd.conv.plan.record import Backend, Plan
from winograd.conv.running.packing import pack_for_plan
from winograd.conv.running.run import run_plan
from winograd.conv.tensors.layout import as_channels_last

if TYPE_CHECKING:
    from winograd.conv.running.packing import Packed

OURS: Final = "ours"
LIBRARY: Final = "cudnn"
COMPILED: Final = "compiled"
GRAPH: Final = "graph"

NO_LIMIT: Final = 0
"""Of the algorithms that cuDNN tries out; torch's own limit is ten of them."""

ROTATED: Final = 3
"""As many times the level-2 cache the inputs that take turns are together, unless that were too many."""

MOST_BUFFERS: Final = 64
"""That take turns: only inputs of less than a twentieth of the cache would need more."""

_MOST_ERROR: Final = {False: 1e-5, True: 3e-3}
"""Relative L2 error of the library, above which what it computed is no float32, or no TF32, respectively.

Float32 sums of ten thousand terms are good to some 1e-6, rounding to TF32 costs some 3e-4: the limits are ten times
these.
"""

_OUTPUT_ROUNDOFF: Final = {"float16": 2.0**-11, "bfloat16": 2.0**-8}


@dataclass(frozen=True, slots=True)
class Contender:
    """One way of computing a layer.

    Parameters
    ----------
    name : str
    call : callable
        Computes with the buffers of a number, and returns the output; of others than the first it may be None.
    tf32 : bool
        Whether cuDNN is allowed TF32 meanwhile.
    most_error : float
        Above it the output is not what the name says; infinite for ours, which the tolerance judges.
    """

    name: str
    call: Callable[[int], Tensor | None]
    tf32: bool
    most_error: float = float("inf")

    def run(self, number: int) -> Tensor | None:
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
    """Let cuDNN try out all of its algorithms, and take TF32 or not, as long as this lasts."""
    cudnn = torch.backends.cudnn
    before = cudnn.allow_tf32, cudnn.benchmark, cudnn.benchmark_limit
    cudnn.allow_tf32, cudnn.benchmark = tf32, True
    if before[2] is not None:  # without cuDNN there is no limit that could be set
        cudnn.benchmark_limit = NO_LIMIT
    try:
        yield
    finally:
        cudnn.allow_tf32, cudnn.benchmark = before[:2]
        if before[2] is not None:
            cudnn.benchmark_limit = before[2]


def buffers_of(shape: ConvShape, l2_bytes: int) -> int:
    """Return how many inputs take turns, by their bytes: more than the level-2 cache holds, two at least.

    Examples
    --------
    >>> from winograd.conv.arguments import ConvArguments
    >>> shape = ConvArguments(padding=1).shape((32, 64, 4, 14, 14), (64, 64, 3, 3, 3), dtype="float32")
    >>> buffers_of(shape, 50 << 20)
    25
    """
    return max(2, min(MOST_BUFFERS, -(-ROTATED * l2_bytes // max(bytes_of_input(shape), 1))))


def bytes_of_input(shape: ConvShape) -> int:
    """Return the bytes of one input."""
    dtype: torch.dtype = getattr(torch, shape.dtype)
    return shape.batch * shape.channels * prod(shape.sizes) * dtype.itemsize


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
        Whether torch.compile's, in the last memory format, is among them: it takes a while to be made. CUDA graphs of
        ours and of the library's, in that format too, are on a GPU.
    """
    packed = _packed(plan, operands.weight)
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
            name = f"{LIBRARY} {precision} {layout}"
            found.append(Contender(name, direct, tf32, _most_error(shape, tf32)))
    if compiled:
        torch._dynamo.reset()  # it gives up after some recompilations of one function
        for precision, tf32 in (("float32", False), ("tf32", True)):
            made = _compiled(*formats[layout], bias, shape)
            name = f"{COMPILED} {precision} {layout}"
            found.append(Contender(name, made, tf32, _most_error(shape, tf32)))
    if operands.weight.is_cuda:
        found += [graphed(one) for one in found if one.name.endswith(layout) and not one.name.startswith(COMPILED)]
    return tuple(found)


def graphed(contender: Contender) -> Contender:
    """Return the same way of computing from CUDA graphs: without what Python takes for launches."""
    return replace(contender, name=f"{GRAPH} {contender.name}", call=Graphed(contender.call))


def _most_error(shape: ConvShape, tf32: bool) -> float:
    return _MOST_ERROR[tf32] + _OUTPUT_ROUNDOFF.get(shape.dtype, 0.0)


def _packed(plan: Plan, weight: Tensor) -> Packed | None:
    """Return the transformed filter, or None where that fails: running the plan fails for the same reason then."""
    try:
        return pack_for_plan(plan, weight)
    except Exception:
        return None


def _ours(
    plan: Plan, inputs: tuple[Tensor, ...], weight: Tensor, bias: Tensor | None, packed: Packed | None, number: int
) -> Tensor:
    """Return what the plan computes; an error where its kernels do not run, and never the library's instead."""
    if plan.backend is not Backend.GPU:
        return run_plan(plan, inputs[number], weight, bias, packed=packed)
    filters = packed if isinstance(packed, FilterOnCard) else None
    return try_on_card(plan, inputs[number], weight, bias, packed=filters)


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
