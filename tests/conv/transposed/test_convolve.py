"""conv_transpose1d, 2d and 3d: torch's arguments, results and errors; arrays exactly; Winograd where it is forced."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import winograd
from winograd import conv_transpose1d, conv_transpose2d, conv_transpose3d
from winograd.algebra.nesting import NestedAlgorithm
from winograd.conv.choosing.prediction import default_tolerance
from winograd.conv.choosing.selection import Filters
from winograd.conv.limits import set_memory_limits
from winograd.conv.plan.record import Backend, Plan
from winograd.conv.running.run import run_plan
from winograd.conv.transposed import run as transposed
from winograd.conv.transposed.arguments import TransposedArguments
from winograd.conv.transposed.run import TRANSPOSED_FUNCTIONS, read_transposed, transposed_plan

OURS: dict[int, Callable[..., Any]] = {1: conv_transpose1d, 2: conv_transpose2d, 3: conv_transpose3d}


class Case(NamedTuple):
    """Integers as float64 numbers, so that sums of products are exact in every order."""

    input: Tensor
    weight: Tensor
    bias: Tensor | None
    arguments: TransposedArguments

    @property
    def ndim(self) -> int:
        return self.weight.ndim - 2

    @property
    def core_taps(self) -> tuple[int, ...]:
        return read_transposed(*self[:3], self.arguments, ndim=self.ndim).core.taps

    def torchs(self) -> Tensor:
        return TRANSPOSED_FUNCTIONS[self.ndim](*self[:3], *self.arguments.given)

    def ours(self, **options: object) -> Tensor:
        return OURS[self.ndim](*self[:3], *self.arguments.given, **options)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Any geometry that torch takes; shrinks to one axis, one channel and one tap."""
    ndim, groups = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    most = (6, 4, 3)[ndim - 1]
    along = [
        draw(st.tuples(*[st.integers(1, most)] * 2, *[st.integers(1, 3)] * 2, st.integers(0, 3), st.integers(0, 2)))
        for _ in range(ndim)
    ]
    taps, sizes, stride, dilation = zip(*(axis[:4] for axis in along), strict=True)
    extents = [
        (size - 1) * s + d * (count - 1) + 1 for count, size, s, d in zip(taps, sizes, stride, dilation, strict=True)
    ]
    padding = [min(axis[4], (extent - 1) // 2) for axis, extent in zip(along, extents, strict=True)]
    more = [min(axis[5], max(axis[2], axis[3]) - 1) for axis in along]
    batch, channels, outputs = (draw(st.integers(1, 2)) for _ in range(3))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    numbers = [
        torch.randint(-4, 5, shape, generator=generator).double()
        for shape in ((batch, groups * channels, *sizes), (groups * channels, outputs, *taps), (groups * outputs,))
    ]
    arguments = TransposedArguments(stride, tuple(padding), tuple(more), groups, dilation)
    return Case(numbers[0], numbers[1], draw(st.sampled_from([None, numbers[2]])), arguments)


def forced(taps: tuple[int, ...]) -> NestedAlgorithm:
    return winograd.nest(*[winograd.toom_cook(2, count) for count in taps])


def close(output: Tensor, exact: Tensor, factor: float = 1.0) -> bool:
    """Whether the error is within the default tolerance of float64, for outputs that do not cancel entirely."""
    scale = max(float(exact.norm()), 1.0)
    return bool((output - exact).norm() <= factor * default_tolerance("float64") * scale)


@given(cases())
@settings(max_examples=60, deadline=None)
def test_arrays_of_any_geometry_are_convolved_exactly(case: Case) -> None:
    arrays = [None if tensor is None else tensor.long().numpy() for tensor in case[:3]]
    for algorithm in ("direct", None):
        output = OURS[case.ndim](*arrays, *case.arguments.given, algorithm=algorithm)
        assert np.array_equal(output, case.torchs().numpy())


@given(cases())
@settings(max_examples=60, deadline=None)
def test_tensors_of_any_geometry_get_torchs_output_in_float64(case: Case) -> None:
    assert case.ours().dtype == torch.float64
    assert close(case.ours(), case.torchs())
    # With gradients plain torch operations run, which need no compiler for every geometry.
    # Integers up to 4 are no independent zero-mean inputs, and few are summed: hence the factor.
    output = case._replace(input=case.input.requires_grad_()).ours(algorithm=forced(case.core_taps))
    assert close(output.detach(), case.torchs().detach(), factor=10)


def test_fractions_are_convolved_exactly_by_a_forced_algorithm() -> None:
    image = np.array([[[Fraction(1, 3), Fraction(2), Fraction(0), Fraction(1, 7)]]])
    weight = np.array([[[Fraction(1), Fraction(0), Fraction(-1, 2), Fraction(5)]]])
    outputs = [
        conv_transpose1d(image, weight, stride=2, padding=1, algorithm=algorithm)
        for algorithm in (winograd.toom_cook(3, 2), "direct")
    ]
    assert outputs[0].tolist() == outputs[1].tolist()


LAYERS = {
    "stride 1": ((2, 32, 6, 14, 14), (32, 24, 3, 3, 3), {"padding": 1}),
    "stride 2": ((2, 32, 6, 14, 14), (32, 24, 4, 4, 4), {"stride": 2, "padding": 1}),
    "stride 2, odd": ((2, 32, 6, 14, 14), (32, 24, 3, 3, 3), {"stride": 2, "padding": 1, "output_padding": 1}),
    "stride 3": ((1, 32, 20, 20), (32, 24, 7, 7), {"stride": 3, "padding": 2}),
    "dilation": ((2, 32, 20, 20), (32, 24, 3, 3), {"dilation": 2, "padding": 2}),
    "groups": ((2, 32, 20, 20), (32, 12, 4, 4), {"groups": 2, "stride": (1, 2)}),
    "cropped": ((2, 32, 20, 20), (32, 12, 3, 3), {"padding": 4}),
}


def layer(name: str, dtype: torch.dtype = torch.float32) -> Case:
    sizes, weights, options = LAYERS[name]
    generator = torch.Generator().manual_seed(1)
    arguments = TransposedArguments(**options)
    tensors = [torch.randn(shape, generator=generator).to(dtype) for shape in (sizes, weights)]
    return Case(*tensors, torch.randn(weights[1] * arguments.groups, generator=generator).to(dtype), arguments)


def plan_of(case: Case, filters: Filters = Filters.FROZEN, **options: Any) -> Plan:
    shape = read_transposed(*case[:3], case.arguments, ndim=case.ndim)
    options = {"tolerance": None, "algorithm": None, "obstacle": None, **options}
    return transposed_plan(shape, filters=filters, **options)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("channels_last", [False, True])
def test_a_forced_algorithm_stays_within_the_predicted_error(name: str, channels_last: bool) -> None:
    case = layer(name)
    if channels_last:
        formats = {4: torch.channels_last, 5: torch.channels_last_3d}
        case = case._replace(input=case.input.contiguous(memory_format=formats[case.input.ndim]))
    algorithm = forced(case.core_taps)
    plan = plan_of(case, algorithm=algorithm)
    assert plan.backend is Backend.NATIVE
    exact = Case(*[tensor.double() for tensor in case[:3]], case.arguments).torchs()
    output = case.ours(algorithm=algorithm)
    assert output.stride() == case.torchs().stride()
    # Phases with fewer taps than the core have are filled up with zeros: their output is smaller, their error less so.
    assert (output - exact).norm() <= 2 * plan.predicted_error * exact.norm()


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("input_last", [False, True])
@pytest.mark.parametrize("weight_last", [False, True])
def test_an_output_lies_channels_last_where_input_or_weight_do(
    ndim: int, batch: int, input_last: bool, weight_last: bool
) -> None:
    lasts = {2: torch.channels_last, 3: torch.channels_last_3d}
    tensors = [torch.ones(batch, 4, *[6] * ndim), torch.ones(4, 4, *[3] * ndim)]
    for at, last in enumerate((input_last, weight_last)):
        tensors[at] = tensors[at].contiguous(memory_format=lasts[ndim]) if last and ndim > 1 else tensors[at]
    output = OURS[ndim](*tensors, algorithm=forced((3,) * ndim))
    is_last = ndim > 1 and (input_last or weight_last)
    assert output.is_contiguous(memory_format=lasts[ndim] if is_last else torch.contiguous_format)
    if ndim == 2 or batch > 1:
        assert output.stride() == TRANSPOSED_FUNCTIONS[ndim](*tensors).stride()


def test_a_phase_in_the_wrong_place_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transposed, "core_weight", lambda shape, weight: wrong(shape, weight).roll(24, 0))
    wrong = transposed_weight
    with pytest.raises(AssertionError):
        test_a_forced_algorithm_stays_within_the_predicted_error("stride 2", False)


transposed_weight = transposed.core_weight


@pytest.mark.parametrize("name", ["stride 1", "stride 2", "groups"])
def test_one_image_at_a_time_gives_the_same(name: str) -> None:
    case = layer(name)
    algorithm = forced(case.core_taps)
    whole, plan = case.ours(algorithm=algorithm), plan_of(case, algorithm=algorithm)
    with set_memory_limits(workspace=max(plan.workspace_bytes * 2 // 3, 1)):
        assert plan_of(case, algorithm=algorithm).workspace_bytes <= plan.workspace_bytes
        torch.testing.assert_close(case.ours(algorithm=algorithm), whole)


def test_outputs_that_do_not_fit_the_workspace_leave_it_to_torch() -> None:
    case = layer("stride 2")
    plan = plan_of(case, workspace_cap=1 << 20)
    assert plan.backend is Backend.DIRECT
    assert "by 8 phases take 1.2 MiB" in plan.reason
    assert "the workspace is capped at 1.0 MiB" in plan.reason


@pytest.mark.parametrize("name", LAYERS)
def test_a_forced_algorithm_can_be_differentiated(name: str) -> None:
    case = layer(name, torch.float64)
    tensors = [tensor.requires_grad_() for tensor in case[:3]]
    algorithm = forced(case.core_taps)
    plan = plan_of(case, Filters.LIVE, algorithm=algorithm, obstacle="a gradient is required")
    assert plan.backend is (Backend.DIRECT if name in ("dilation", "groups") else Backend.COMPOSED)
    ours = torch.autograd.grad(case.ours(algorithm=algorithm).square().sum(), tensors)
    torchs = torch.autograd.grad(case.torchs().square().sum(), tensors)
    for a, b in zip(ours, torchs, strict=True):
        assert (a - b).norm() <= 1e-13 * b.norm()  # 1e-13: a tenfold of what the model predicts for one such layer


def test_gradients_are_torchs_own_unless_forced() -> None:
    case = layer("stride 2")
    case.weight.requires_grad_()
    gradients = [torch.autograd.grad(run().sum(), case.weight)[0] for run in (case.ours, case.torchs)]
    assert torch.equal(*gradients)


def test_vmap_and_forward_mode_are_torchs() -> None:
    case = layer("stride 2")
    stacked = torch.stack([case.weight, 2 * case.weight])
    ours = torch.func.vmap(lambda weight: case._replace(weight=weight).ours())(stacked)
    torch.testing.assert_close(
        ours, torch.stack([case.torchs(), case._replace(weight=stacked[1]).torchs()]), rtol=1e-4, atol=1e-3
    )
    _, tangent = torch.func.jvp(lambda x: case._replace(input=x).ours(), (case.input,), (case.input,))
    torch.testing.assert_close(tangent, case._replace(bias=None).torchs(), rtol=1e-4, atol=1e-3)


def test_autocast_gives_torchs_dtype() -> None:
    case = layer("stride 1")
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(case.ours(), case.torchs())


IMAGE, WEIGHT, BIAS = torch.ones(1, 4, 5, 6, 7), torch.ones(4, 6, 3, 3, 3), torch.ones(6)


@pytest.mark.parametrize(
    ("tensors", "options"),
    [
        ((IMAGE[:, :3], WEIGHT), {}),
        ((IMAGE[0, 0], WEIGHT), {}),
        ((IMAGE, WEIGHT[0]), {}),
        ((IMAGE, WEIGHT, BIAS[:5]), {}),
        ((IMAGE, WEIGHT.double()), {}),
        ((IMAGE, WEIGHT), {"stride": 0}),
        ((IMAGE, WEIGHT), {"padding": -1}),
        ((IMAGE, WEIGHT), {"padding": 9}),
        ((IMAGE, WEIGHT), {"output_padding": 1}),
        ((IMAGE, WEIGHT), {"groups": 3}),
        ((IMAGE, WEIGHT), {"dilation": (1, 2)}),
        ((IMAGE, WEIGHT), {"padding": "same"}),
        ((None, WEIGHT), {}),
    ],
)
def test_errors_are_torchs_in_its_words(tensors: tuple[Any, ...], options: dict[str, Any]) -> None:
    with pytest.raises((RuntimeError, TypeError)) as caught:
        torch.conv_transpose3d(*tensors, **options)
    with pytest.raises(caught.type) as ours:
        conv_transpose3d(*tensors, **options)
    assert str(ours.value).replace(" (position 5)", "") == str(caught.value)


@pytest.mark.parametrize("shape", [(0, 4, 5, 6, 7), (4, 5, 6, 7)])
def test_no_image_and_a_single_one_are_as_in_torch(shape: tuple[int, ...]) -> None:
    image = torch.ones(shape)
    assert torch.equal(conv_transpose3d(image, WEIGHT, BIAS), torch.conv_transpose3d(image, WEIGHT, BIAS))


def test_an_algorithm_for_other_taps_is_refused_with_those_it_must_have() -> None:
    algorithm = forced((4, 4, 4))
    with pytest.raises(NotImplementedError, match=re.escape("is for taps (4, 4, 4), must be for (2, 2, 2)")):
        layer("stride 2").ours(algorithm=algorithm)


def test_arrays_that_do_not_fit_are_refused() -> None:
    image, weight, bias = np.ones((1, 2, 5)), np.ones((2, 3, 3)), np.ones(3)
    for wrong, message in (
        ((image, weight.astype(int)), "weight has dtype int64, must be that of the input, float64"),
        ((image, weight[0]), "weight has 2 axes, must have 3"),
        ((image, weight, bias[:2]), "bias has shape (2,), must be (3,)"),
        ((image[:, :1], weight), "input has 1 channel, must have 2, a multiple of groups 1"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            conv_transpose1d(*wrong)
    with pytest.raises(TypeError, match="weight is a list, must be a NumPy array"):
        conv_transpose1d(image, [1.0])


def test_a_small_input_that_torch_would_unfold_is_convolved_densely(monkeypatch: pytest.MonkeyPatch) -> None:
    run: list[Plan] = []
    monkeypatch.setattr(
        transposed, "run_plan", lambda plan, *rest, **more: run.append(plan) or run_plan(plan, *rest, **more)
    )
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(1, 24, 8, 16, 16, generator=generator)
    for taps, unfolded in ((3, True), (4, False)):
        weight = torch.randn(24, 16, *[taps] * 3, generator=generator)
        run.clear()
        with torch.inference_mode():
            output = conv_transpose3d(image, weight, stride=2, padding=1, algorithm="direct")
        exact = torch.conv_transpose3d(image.double(), weight.double(), stride=2, padding=1)
        assert [plan.backend for plan in run] == [Backend.DIRECT] * unfolded
        # Sums of 24 * 27 products in any order: half a unit in the last place each, far from adding up.
        assert (output - exact).norm() < 24 * 64 * 2**-24 * exact.norm()


def test_plans_compare_with_torchs_own_copies_counted() -> None:
    wide = Case(torch.empty(1, 128, 8, 28, 28), torch.empty(128, 64, 4, 4, 4), None, TransposedArguments(2, 1))
    plan = plan_of(wide)
    assert plan.backend is Backend.NATIVE
    assert plan.workspace_bytes > 4 * 8 * 64 * 9 * 29 * 29  # outputs of all phases wait to be put in place
    assert "ms predicted, direct" in plan.reason
    assert plan.reason.endswith("transposed with stride (2, 2, 2) by 8 phases")
    assert plan.direct_ms >= 1.2 * plan.predicted_ms
    assert plan_of(wide, tolerance=1e-9).backend is Backend.DIRECT
    odd = wide._replace(weight=torch.empty(128, 64, 3, 3, 3))
    assert "not faster by a factor of 1.2" in plan_of(odd).reason  # 27 of 64 taps of the phases are no zeros
    with winograd.set_enabled(False):
        assert "switched off" in plan_of(wide).reason
