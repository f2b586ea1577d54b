"""Stride, dilation and groups through the compiled kernels: values that are not finite, magnitudes, bounds, zeros.

The laws are those of dense convolutions. A tile of a dense phase is read by outputs that lie apart, so which outputs a
value may reach is worked out here from the definition, without `winograd.conv.geometry.phases`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from math import gcd, inf, nan
from typing import Any

import pytest
import torch

from winograd import conv1d, conv2d, conv3d, error_bound, nest, toom_cook
from winograd.algebra.nesting import NestedAlgorithm
from winograd.conv.direct.convolve import FUNCTIONS
from winograd.conv.tensors.layout import Layout, in_layout

Tensor = torch.Tensor

OURS: dict[int, Callable[..., Any]] = {1: conv1d, 2: conv2d, 3: conv3d}
UNIT = {"float32": 2.0**-24, "float64": 2.0**-53, "float16": 2.0**-11, "bfloat16": 2.0**-8}
OUTPUTS_OF_TAPS = {1: 4, 2: 4, 3: 4, 4: 2}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny convolutions, and results do not depend on it: see test_native.py."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@dataclass(frozen=True)
class Case:
    """A convolution with stride, dilation or groups; channels and outputs are those of a group."""

    taps: tuple[int, ...]
    stride: int = 1
    dilation: int = 1
    groups: int = 1
    padding: int = 1
    size: int = 13
    channels: int = 3
    outputs: int = 9

    @property
    def ndim(self) -> int:
        return len(self.taps)

    @property
    def algorithm(self) -> NestedAlgorithm:
        """An algorithm for the taps of a dense phase."""
        cores = [-(-taps // (self.stride // gcd(self.stride, self.dilation))) for taps in self.taps]
        return nest(*(toom_cook(OUTPUTS_OF_TAPS[taps], taps) for taps in cores))

    def draw(self, dtype: str) -> tuple[Tensor, Tensor, Tensor]:
        generator = torch.Generator().manual_seed(sum(self.taps))
        shapes = (
            (2, self.groups * self.channels, *(self.size,) * self.ndim),
            (self.groups * self.outputs, self.channels, *self.taps),
            (self.groups * self.outputs,),
        )
        input, weight, bias = ((torch.rand(one, generator=generator) * 2 - 1) for one in shapes)
        narrow = getattr(torch, dtype)
        return input.to(narrow), weight.to(narrow), bias.to(narrow)

    def run(self, input: Tensor, weight: Tensor, bias: Tensor | None, layout: Layout) -> Tensor:
        steps = (self.stride, self.padding, self.dilation, self.groups)
        with torch.no_grad():
            found: Tensor = OURS[self.ndim](in_layout(input, layout), weight, bias, *steps, algorithm=self.algorithm)
        return found

    def directly(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return the convolution in float64, zeros around the input as numbers."""
        padded = torch.nn.functional.pad(input.double(), (self.padding,) * (2 * self.ndim))
        wide = None if bias is None else bias.double()
        return FUNCTIONS[self.ndim](padded, weight.double(), wide, self.stride, 0, self.dilation, self.groups)

    def reached(self, axis: int, place: int, outputs: int) -> list[int]:
        """Return the outputs of an axis whose tile reads the input at a place, or a tap that fills up a phase does."""
        both = gcd(self.stride, self.dilation)
        step, apart, period = self.stride // both, self.dilation // both, self.stride * self.dilation // both
        taps = -(-self.taps[axis] // step)
        m = OUTPUTS_OF_TAPS[taps]
        low = place + self.padding
        return [
            output
            for output in range(outputs)
            if any(
                period * (output // apart // m * m + read) + self.stride * (output % apart) + self.dilation * tap == low
                for read in range(m + taps - 1)
                for tap in range(step)
            )
        ]


CASES = {
    "stride 2": Case((3, 3), stride=2),
    "stride 2, 1D": Case((5,), stride=2, size=30),
    "stride 2, 3D": Case((3, 3, 3), stride=2, size=9),
    "stride 2, 7 taps": Case((7, 7), stride=2, padding=3),
    "stride 3, 3 taps": Case((3, 3), stride=3, padding=0),
    "dilation 2": Case((3, 3), dilation=2, padding=2),
    "dilation 3, 1D": Case((3,), dilation=3, size=30),
    "dilation 2, 3D": Case((3, 3, 3), dilation=2, size=9),
    "stride 2 and dilation 3": Case((3, 3), stride=2, dilation=3, size=17),
    "stride 2 and dilation 4": Case((3, 3), stride=2, dilation=4, size=17, padding=2),
    "groups": Case((3, 3), groups=3),
    "groups, 3D": Case((3, 3, 3), groups=2, size=9),
    "depthwise": Case((3, 3), groups=5, channels=1, outputs=1),
    "stride 2 and groups": Case((3, 3), stride=2, groups=2),
}
DTYPES = ["float32", "float16", "bfloat16", "float64"]


@pytest.mark.parametrize(
    ("dtype", "layout"), [*product(DTYPES, [Layout.CHANNELS_LAST]), ("float32", Layout.CHANNELS_FIRST)]
)
@pytest.mark.parametrize("name", CASES)
def test_values_that_are_not_finite_reach_what_they_reach_directly_and_stay_in_their_tiles(
    name: str, dtype: str, layout: Layout
) -> None:
    case = CASES[name]
    input, weight, bias = case.draw(dtype)
    clean = case.run(input, weight, bias, layout)
    last = case.size - 1
    values = deque((nan, inf, -inf))
    values.rotate(DTYPES.index(dtype))  # so that every value is at every place in some dtype
    for place, value in zip((0, case.size // 2, last), values, strict=True):
        poisoned, spot = input.clone(), (0, *(place,) * (case.ndim - 1), last)
        poisoned[(0, 1 % input.shape[1], *(place,) * (case.ndim - 1), last)] = value
        ours, directly = case.run(poisoned, weight, bias, layout), case.directly(poisoned, weight, bias)
        touched = torch.zeros(ours.shape, dtype=torch.bool)
        group = slice(0, case.outputs) if case.channels > 1 else slice(case.outputs, 2 * case.outputs)
        reached = [case.reached(axis, spot[axis + 1], ours.shape[axis + 2]) for axis in range(case.ndim)]
        for index in product(*reached):
            touched[(0, group, *index)] = True
        assert_policy(ours, clean, directly, touched)


def assert_policy(ours: Tensor, clean: Tensor, directly: Tensor, touched: Tensor) -> None:
    """Hold the law: not finite where direct convolution is not, and the bits of ``clean`` outside of ``touched``."""
    assert clean.isfinite().all()
    assert not ours[~directly.isfinite()].isfinite().any()
    assert torch.equal(ours[~touched], clean[~touched])


@pytest.mark.parametrize("name", CASES)
def test_in_weight_and_bias_they_stay_in_their_output_channel(name: str) -> None:
    case = CASES[name]
    input, weight, bias = case.draw("float32")
    clean = case.run(input, weight, bias, Layout.CHANNELS_LAST)
    touched = torch.zeros(clean.shape, dtype=torch.bool)
    touched[:, 1] = True
    for value in (nan, inf, -inf):
        taps, shift = weight.clone(), bias.clone()
        taps[(1, 0, *(1,) * case.ndim)] = shift[1] = value
        for operands in ((input, taps, bias), (input, weight, shift)):
            ours = case.run(*operands, Layout.CHANNELS_LAST)
            assert_policy(ours, clean, case.directly(*operands), touched)


def test_a_value_that_spills_into_another_phase_is_noticed() -> None:
    case = CASES["dilation 2"]
    input, weight, bias = case.draw("float32")
    clean = case.run(input, weight, bias, Layout.CHANNELS_LAST)
    input[0, 0, 0, 0] = nan
    ours, directly = case.run(input, weight, bias, Layout.CHANNELS_LAST), case.directly(input, weight, bias)
    touched = torch.zeros(ours.shape, dtype=torch.bool)
    touched[0][:, *torch.meshgrid(*(torch.tensor(case.reached(axis, 0, 13)) for axis in (0, 1)), indexing="ij")] = True
    assert_policy(ours, clean, directly, touched)
    ours[0, 0, 1, 1] = nan  # of the other phases, which do not read the corner
    with pytest.raises(AssertionError):
        assert_policy(ours, clean, directly, touched)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_errors_stay_within_the_bound_of_the_dense_phases(name: str, dtype: str) -> None:
    case = CASES[name]
    input, weight, _ = case.draw(dtype)
    ours, exact = case.run(input, weight, None, Layout.CHANNELS_FIRST), case.directly(input, weight, None)
    phases = 1
    for _ in case.taps:
        phases *= case.stride // gcd(case.stride, case.dilation)
    working = "float64" if dtype == "float64" else "float32"
    allowed = error_bound(case.algorithm, working, channels=case.channels * phases).max_abs
    narrow = UNIT[dtype] * exact.abs() if dtype in {"float16", "bfloat16"} else 0
    # Direct convolution in float64 is off as well: by its number of terms times u of what they sum to at most.
    terms = weight[0].numel()
    reference = terms**2 * UNIT["float64"]
    assert ((ours.double() - exact).abs() <= allowed + narrow + reference).all()


@pytest.mark.parametrize("name", CASES)
def test_large_float16_comes_out_as_it_went_in(name: str) -> None:
    case = CASES[name]
    input, weight, _ = case.draw("float16")
    magnitude = torch.where(input < 0, -1, 1).half() * 65504
    passing = torch.zeros_like(weight)
    passing[(slice(None), 0, *(1,) * case.ndim)] = 1
    ours = case.run(magnitude, passing, None, Layout.CHANNELS_LAST)
    exact = case.directly(magnitude, passing, None)
    assert torch.equal(ours[exact != 0], exact[exact != 0].half())
    assert (ours[exact == 0].abs() <= 65504 * error_bound(case.algorithm, channels=weight[0].numel()).max_abs).all()
    assert ours.abs().max() == 65504


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_total_cancellation_keeps_the_absolute_bound(name: str, dtype: str) -> None:
    case = CASES[name]
    input, weight, _ = case.draw(dtype)
    constant, signs = torch.full_like(input, 0.7), torch.zeros_like(weight)
    signs[(slice(None), slice(None), *(0,) * case.ndim)] = 1
    signs[(slice(None), slice(None), *(-1,) * case.ndim)] = -1
    ours, exact = case.run(constant, signs, None, Layout.CHANNELS_LAST), case.directly(constant, signs, None)
    working = "float64" if dtype == "float64" else "float32"
    channels = case.channels * case.stride**case.ndim
    allowed = error_bound(case.algorithm, working, channels=channels).max_abs + UNIT[dtype] * exact.abs()
    assert ((ours.double() - exact).abs() <= allowed).all()
    assert (exact == 0).any()
