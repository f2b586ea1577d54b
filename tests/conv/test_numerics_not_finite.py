"""Values that are not finite, through the compiled kernels: they reach what they reach directly, and no other tile.

One NaN or Inf, or two infinities, in the input, the weight, the bias or the residual; each dtype in both layouts and
both schedules, in one to three axes. Outputs of tiles that read none of them have the same bits as without them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from math import inf, nan

import pytest
import torch

from tests.conv.native_cases import direct_f64
from winograd import nest, toom_cook
from winograd.algebra.tiling import Tiling, tile_axes
from winograd.conv.native.kernel import DTYPES, native_convolution
from winograd.conv.native.schedule import Schedule, ScheduleKind
from winograd.conv.tensors.layout import Layout, in_layout

Tensor = torch.Tensor

SIZE, CHANNELS, OUTPUTS = 11, 5, 20
PLACES = {"centre": (5, 5, 5), "corner": (0, 0, 0), "edge": (0, 0, 6), "last": (10, 10, 10)}
VALUES = {"nan": (nan,), "inf": (inf,), "-inf": (-inf,), "inf and -inf": (inf, -inf)}
F43 = toom_cook(4, 3)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny convolutions, and results do not depend on it: see test_native.py."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@dataclass(frozen=True)
class Case:
    """A kernel and how it is run."""

    ndim: int
    dtype: str
    layout: Layout
    kind: ScheduleKind

    @property
    def padding(self) -> tuple[tuple[int, int], ...]:
        return ((1, 1),) * self.ndim

    @property
    def tiling(self) -> Tiling:
        return tile_axes((SIZE,) * self.ndim, (4,) * self.ndim, (3,) * self.ndim, self.padding)

    def place(self, name: str) -> tuple[int, ...]:
        return PLACES[name][-self.ndim :]

    def draw(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Draw an input, a weight, a bias and a residual that are finite."""
        generator = torch.Generator().manual_seed(self.ndim)
        sizes = (SIZE,) * self.ndim
        shapes = ((2, CHANNELS, *sizes), (OUTPUTS, CHANNELS, *(3,) * self.ndim), (OUTPUTS,), (2, OUTPUTS, *sizes))
        input, weight, bias, residual = (torch.rand(shape, generator=generator) * 2 - 1 for shape in shapes)
        stored = DTYPES[self.dtype]
        bias = bias.double() if self.dtype == "float64" else bias  # as the kernel computes
        return input.to(stored), weight.to(stored), bias, residual.to(stored)

    def run(self, input: Tensor, weight: Tensor, bias: Tensor, residual: Tensor) -> Tensor:
        convolution = native_convolution(nest(*[F43] * self.ndim), self.dtype)
        return convolution.convolve(
            in_layout(input, self.layout), convolution.pack(weight), bias, self.padding,
            residual=residual, schedule=Schedule(self.kind, 3), layout=self.layout,
        )  # fmt: skip

    def directly(self, input: Tensor, weight: Tensor, bias: Tensor, residual: Tensor) -> Tensor:
        return direct_f64(input, weight, bias, self.padding) + residual.double()


CASES = [
    Case(ndim, dtype, layout, kind) for ndim, dtype, layout, kind in product((1, 2, 3), DTYPES, Layout, ScheduleKind)
]
LABELS = [f"{case.ndim}D {case.dtype} {case.layout.value} {case.kind.name.lower()}" for case in CASES]


def assert_policy(ours: Tensor, clean: Tensor, directly: Tensor, touched: Tensor) -> None:
    """Hold the law: not finite where direct convolution is not, and the bits of ``clean`` outside of ``touched``."""
    assert not ours[~directly.isfinite()].isfinite().any()
    assert torch.equal(ours[~touched], clean[~touched])
    assert clean.isfinite().all()


def tiles_that_read(case: Case, place: tuple[int, ...]) -> Tensor:
    """Return which outputs of an image lie in tiles that read an input."""
    touched = torch.zeros(case.tiling.output, dtype=torch.bool)
    for index in case.tiling.indices():
        ranges = [axis.input_range(i) for axis, i in zip(case.tiling.axes, index, strict=True)]
        if all(low <= at < high for (low, high), at in zip(ranges, place, strict=True)):
            touched[tuple(slice(*axis.output_range(i)) for axis, i in zip(case.tiling.axes, index, strict=True))] = True
    return touched


@pytest.mark.parametrize("case", CASES, ids=LABELS)
def test_in_the_input_they_stay_in_the_tiles_that_read_them(case: Case) -> None:
    operands = case.draw()
    clean = case.run(*operands)
    everything = product(map(case.place, PLACES), VALUES.values())
    for place, values in (
        everything if case.dtype == "float32" else zip(map(case.place, PLACES), VALUES.values(), strict=True)
    ):
        input = operands[0].clone()
        for channel, value in enumerate(values, start=1):
            input[(0, channel, *place)] = value
        touched = torch.zeros(clean.shape, dtype=torch.bool)
        touched[0] = tiles_that_read(case, place)
        poisoned = (input, *operands[1:])
        assert_policy(case.run(*poisoned), clean, case.directly(*poisoned), touched)


@pytest.mark.parametrize("case", CASES, ids=LABELS)
def test_in_the_weight_they_stay_in_their_output_channel(case: Case) -> None:
    operands = case.draw()
    clean = case.run(*operands)
    for tap, values in zip(((1, 1, 1), (0, 0, 0), (2, 2, 2), (0, 1, 2)), VALUES.values(), strict=True):
        weight = operands[1].clone()
        for channel, value in enumerate(values, start=1):
            weight[(7, channel, *tap[: case.ndim])] = value
        touched = torch.zeros(clean.shape, dtype=torch.bool)
        touched[:, 7] = True
        poisoned = (operands[0], weight, *operands[2:])
        assert_policy(case.run(*poisoned), clean, case.directly(*poisoned), touched)


@pytest.mark.parametrize("case", CASES, ids=LABELS)
def test_in_the_bias_and_the_residual_they_are_added_and_reach_nothing_else(case: Case) -> None:
    operands = case.draw()
    clean = case.run(*operands)
    for value in (nan, inf, -inf):
        bias, residual = operands[2].clone(), operands[3].clone()
        bias[7] = residual[(0, 8, *case.place("edge"))] = value
        touched = torch.zeros(clean.shape, dtype=torch.bool)
        touched[:, 7] = touched[(0, 8, *case.place("edge"))] = True
        poisoned = (*operands[:2], bias, residual)
        ours = case.run(*poisoned)
        assert_policy(ours, clean, case.directly(*poisoned), touched)
        expected = torch.full_like(ours, value)
        assert torch.equal(ours[touched].nan_to_num(nan=0), expected[touched].nan_to_num(nan=0))


WRONGS: dict[str, Callable[[Tensor], Tensor]] = {
    "swallowed": torch.nan_to_num,
    "spilt": lambda output: output.index_fill(-1, torch.tensor([SIZE - 1]), nan),
    "another rounding": lambda output: torch.where(output.isfinite(), output * (1 + 2**-20), output),
}


@pytest.mark.parametrize("wrong", WRONGS)
def test_what_breaks_the_policy_is_noticed(wrong: str) -> None:
    case = Case(2, "float32", Layout.CHANNELS_LAST, ScheduleKind.FUSED)
    operands = case.draw()
    clean = case.run(*operands)
    operands[0][0, 1, 0, 0] = nan
    touched = torch.zeros(clean.shape, dtype=torch.bool)
    touched[0] = tiles_that_read(case, (0, 0))
    ours, directly = case.run(*operands), case.directly(*operands)
    assert_policy(ours, clean, directly, touched)
    with pytest.raises(AssertionError):
        assert_policy(WRONGS[wrong](ours), clean, directly, touched)
