"""Trials on a GPU: random data of a shape, what direct convolution of them is, and how a plan does on them.

In: a `ConvShape` with a card, plans for it, a clock. Out: milliseconds, infinite for kernels that do not run there and
for those whose output is further from float64 than the tolerance: a fast wrong answer never wins. Refused: nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from math import inf, prod
from statistics import median
from time import perf_counter
from typing import Any, Final

import torch

from winograd.conv.direct.convolve import convolve_direct
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.gpu.device import is_here, numbers_like, pretended_card
from winograd.conv.gpu.failures import is_out_of_memory, is_passed_over
from winograd.conv.gpu.planning import tolerates_tf32
from winograd.conv.gpu.roofline import card_of
from winograd.conv.gpu.run import try_on_card, try_pack_on_card
from winograd.conv.plan.record import Plan
from winograd.conv.tensors.layout import as_channels_last

Tensor = torch.Tensor

ROUNDS: Final = 5
"""Times of each form or setting; the median counts."""

Timer = Callable[[Callable[[], object]], float]
"""Returns the milliseconds of a call that was warmed up."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What plans are tried on.

    Parameters
    ----------
    shape : ConvShape
    tolerance : float
        Relative L2 error that outputs may have, before they are rounded to 16 bits.
    timer : callable
    input, weight : Tensor
    exact : Tensor of shape (1, K, sizes...)
        The convolution of the last image in float64.
    """

    shape: ConvShape
    tolerance: float
    timer: Timer
    input: Tensor
    weight: Tensor
    exact: Tensor

    @classmethod
    def of(cls, shape: ConvShape, tolerance: float, timer: Timer | None = None) -> Trial:
        """Return a trial of normal data, on a card like that of the shape; None takes events as timer."""
        input, weight = drawn(shape)
        exact = convolve_direct(input[-1:].double(), weight.double(), None, replace(shape, batch=1))
        return cls(shape, tolerance, timer or event_ms, input, weight, exact)

    def plan_ms(self, plan: Plan) -> float:
        """Return the time of a plan, infinite where its kernels do not run or are wrong by more than the tolerance.

        Raises
        ------
        torch.OutOfMemoryError
            Where memory does not suffice now: it may another time, so that this is no answer to keep.
        """
        try:
            packed = try_pack_on_card(plan, self.weight)
            call = partial(try_on_card, plan, self.input, self.weight, packed=packed)
            return self.timer(call) if self._is_right(call()) else inf
        except Exception as error:
            if is_passed_over(error) and not is_out_of_memory(error):
                return inf
            raise

    def _is_right(self, output: Tensor) -> bool:
        error = (output[-1:].double() - self.exact).norm() / self.exact.norm()
        rounding = 0.0 if output.dtype == torch.float32 else torch.finfo(output.dtype).eps / 2  # of any output
        return bool(error <= self.tolerance + rounding)  # False for what is not a number

    def direct_ms(self) -> float:
        """Return the time of torch's own convolution in the better memory format, with TF32 where it is tolerated."""
        operands = [(self.input, self.weight), (self.input.contiguous(), self.weight.contiguous())]
        with _library_set(tf32=tolerates_tf32(self.shape, self.tolerance)):
            return min(self.timer(partial(convolve_direct, *pair, None, self.shape)) for pair in operands)


@contextmanager
def _library_set(*, tf32: bool) -> Iterator[None]:
    """Let cuDNN try out its algorithms, and take TF32 or not, as long as this lasts.

    Where torch has a precision for convolutions, that is set: who sets it cannot ask for ``allow_tf32`` any more.
    """
    cudnn: Any = torch.backends.cudnn
    has_precision = hasattr(cudnn, "conv")
    holder, name = (cudnn.conv, "fp32_precision") if has_precision else (cudnn, "allow_tf32")
    wanted = ("tf32" if tf32 else "ieee") if has_precision else tf32
    before = getattr(holder, name), cudnn.benchmark
    setattr(holder, name, wanted)
    cudnn.benchmark = True
    try:
        yield
    finally:
        setattr(holder, name, before[0])
        cudnn.benchmark = before[1]


def event_ms(call: Callable[[], object]) -> float:
    """Return the milliseconds of a call on the current GPU, by events: the median of some rounds."""
    for _ in range(2):
        call()
    if not torch.cuda.is_available():  # kernels are interpreted, in tests
        start = perf_counter()
        call()
        return (perf_counter() - start) * 1e3
    times = []
    for _ in range(ROUNDS):
        before, behind = events()
        before.record()
        for _ in range(3):
            call()
        behind.record()
        behind.synchronize()
        times.append(before.elapsed_time(behind) / 3)
    return float(median(times))


def events() -> tuple[torch.cuda.Event, torch.cuda.Event]:
    """Return two events that know their times."""
    make: Callable[..., torch.cuda.Event] = torch.cuda.Event
    return make(enable_timing=True), make(enable_timing=True)


def device_like(shape: ConvShape) -> torch.device:
    """Return the current GPU if it is such a card as the shape's, else the first that is; the CPU if it is pretended.

    Raises
    ------
    ValueError
        If no GPU here is such a card: times of another one would be kept as its own.
    """
    card = card_of(shape)
    if not is_here(card):
        raise ValueError(f"tuning is 'measure', there is no {card.name} here to measure on; leave device or tuning out")
    return torch.device("cpu") if pretended_card() is not None else torch.device("cuda", numbers_like(card)[0])


def drawn(shape: ConvShape) -> tuple[Tensor, Tensor]:
    """Return random tensors of a shape, channels last in memory, as fast networks have them."""
    device = device_like(shape)
    generator = torch.Generator(device).manual_seed(0)
    dtype, sizes = getattr(torch, shape.dtype), (shape.batch, shape.channels, *shape.sizes)
    input = torch.randn(sizes, generator=generator, device=device).to(dtype)
    scale = prod(shape.weight_sizes[1:]) ** -0.5
    weight = (torch.randn(shape.weight_sizes, generator=generator, device=device) * scale).to(dtype)
    return as_channels_last(input), as_channels_last(weight)
