"""Planned layers compute what torch's do, by the plan of each shape, and refuse what torch refuses."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch
from torch import nn

import winograd
from tests.nn.planned_pairs import algorithm, assert_close, image, pair
from winograd.algebra.nesting import NestedAlgorithm
from winograd.codegen.compiler import BuildError
from winograd.conv.choosing.prediction import default_tolerance
from winograd.conv.choosing.selection import Filters
from winograd.conv.native import kernel
from winograd.conv.plan.record import Backend
from winograd.conv.running import obstacles, runnable
from winograd.nn import convolving
from winograd.nn.compare import relative_l2
from winograd.nn.plans_in_use import MAX_PLANS


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("batch", [2, None])
def test_a_forced_algorithm_computes_the_convolution(ndim: int, batch: int | None) -> None:
    plain, planned = pair(ndim)
    with torch.inference_mode():
        assert_close(planned, plain, image(ndim, batch=batch))
    assert [plan.backend for plan in planned.plans] == [Backend.NATIVE]


def test_a_wrong_weight_is_noticed_by_the_comparison() -> None:
    plain, planned = pair()
    with torch.no_grad():
        planned.weight[0, 0, 0, 0, 0] += 1e-2
        with pytest.raises(AssertionError):
            assert_close(planned, plain, image())


@pytest.mark.parametrize(
    "options",
    [
        {"stride": 2},
        {"dilation": 2, "padding": 2, "kernel_size": 2},
        {"groups": 4},
        {"kernel_size": 1, "padding": 0},
        {"kernel_size": (2, 4, 1), "padding": "same"},
        {"kernel_size": 3, "padding": "same", "bias": False},
        {"padding": "valid"},
        {"padding": (5, 0, 2)},
        {"padding_mode": "reflect"},
        {"padding_mode": "replicate", "padding": (1, 2, 0)},
        {"padding_mode": "circular", "padding": "same"},
    ],
)
def test_every_geometry_gives_torchs_output(options: dict[str, object]) -> None:
    plain, planned = pair(**options)
    with torch.inference_mode():
        assert_close(planned, plain, image())


def test_gradients_of_a_small_layer_are_torchs_own() -> None:
    plain = nn.Conv3d(4, 6, 3, padding=1).double()
    planned = winograd.nn.Conv3d(4, 6, 3, padding=1).double()
    planned.load_state_dict(plain.state_dict())
    x = torch.randn(1, 4, 5, 5, 5, dtype=torch.float64, requires_grad=True)
    gradients = [torch.autograd.grad(layer(x).square().sum(), [x, *layer.parameters()]) for layer in (plain, planned)]
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))
    assert planned.plans[-1].backend is Backend.DIRECT
    assert not planned.gradient_plans


def test_a_forced_algorithm_is_differentiable() -> None:
    _, planned = pair()
    planned.double()
    x = image(batch=1, size=3).double().requires_grad_()
    assert torch.autograd.gradcheck(planned, (x,), fast_mode=True)
    assert planned.plans[-1].backend is Backend.NATIVE
    assert [plan.algorithm for plan in planned.gradient_plans] == [algorithm()] * 2


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((2, 7, 5, 5, 5), torch.float32), ((2, 8, 5, 5), torch.float64), ((8, 5, 5), torch.float32)],
)
def test_what_torch_refuses_is_refused_in_its_words(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    plain, planned = pair()
    x = torch.zeros(shape, dtype=dtype)
    messages = []
    for layer in (plain, planned):
        with pytest.raises(RuntimeError) as caught:
            layer(x)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_an_algorithm_for_other_taps_is_refused() -> None:
    layer = winograd.nn.Conv3d(8, 8, 5, algorithm=algorithm())
    with pytest.raises(ValueError, match="the weight has"), torch.inference_mode():
        layer(image())


@pytest.mark.parametrize("tolerance", [0, -1.0, float("nan")])
def test_a_tolerance_that_is_not_positive_is_refused(tolerance: float) -> None:
    with pytest.raises(ValueError, match="tolerance is"):
        winograd.nn.Conv3d(8, 8, 3, tolerance=tolerance)


@pytest.mark.parametrize("tolerance", ["x", True, [1e-5]])
def test_a_tolerance_that_is_no_number_is_refused(tolerance: object) -> None:
    for refuses in (
        lambda: winograd.nn.Conv3d(8, 8, 3, tolerance=tolerance),
        lambda: winograd.convert_(nn.Sequential(nn.Conv3d(8, 8, 3)), tolerance),
        lambda: winograd.plan_conv((1, 8, 9), (8, 8, 3), tolerance=tolerance),
    ):
        with pytest.raises(TypeError, match=r"tolerance is .*, must be a number above 0 or None"):
            refuses()


def test_autocast_and_other_dtypes_follow_torch() -> None:
    plain, _ = pair()
    layer = copy.deepcopy(plain)
    winograd.convert_(layer)
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(layer(image()), plain(image()))
        assert torch.equal(layer(image().bfloat16()), plain(image().bfloat16()))
    with torch.inference_mode():
        ours, torchs = (module.double()(image().double()) for module in (layer, plain))
    assert ours.dtype == torch.float64
    assert (ours - torchs).norm() <= 2 * default_tolerance("float64") * torchs.norm()


def test_the_default_tolerance_is_that_of_the_dtype() -> None:
    model = nn.Sequential(nn.Conv3d(32, 32, 3, padding=1))
    winograd.convert_(model)
    winograd.freeze(model)
    built = winograd.nn.Conv3d(32, 32, 3, padding=1)
    built.load_state_dict(model[0].state_dict())
    x = torch.randn(1, 32, 8, 20, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for layer in (model[0], built, copy.deepcopy(built)):
        assert layer.tolerance == default_tolerance("float32")
        layer.double()
        assert layer.tolerance == default_tolerance("float64")
        assert "tolerance=1.86265e-14)" in repr(layer)
        with torch.inference_mode():
            expected = torch.conv3d(x, layer.weight, layer.bias, padding=1)
            assert relative_l2(layer(x), expected) <= 2 * default_tolerance("float64")
        assert layer.plans[0].terms.tolerance == default_tolerance("float64")
        layer.tolerance = 1e-3
        assert (layer.tolerance, layer.plans) == (1e-3, ())
        layer.tolerance = None
        assert layer.tolerance == default_tolerance("float64")


def test_memory_format_is_torchs() -> None:
    plain, planned = pair()
    with torch.inference_mode():
        for x in (image(), image().contiguous(memory_format=torch.channels_last_3d)):
            assert planned(x).stride() == plain(x).stride()


def test_plans_are_made_once_per_shape_and_bounded() -> None:
    _, planned = pair(1)
    with torch.inference_mode():
        for size in (9, 9, 10):
            planned(image(1, size=size))
        assert len(planned.plans) == 2
        kept = planned.plans
        planned(image(1, size=9))
        assert all(a is b for a, b in zip(planned.plans, kept, strict=True))
        for size in range(3, 3 + MAX_PLANS + 5):
            planned(image(1, size=size))
    assert len(planned.plans) == MAX_PLANS
    assert planned.plans[-1].shape.sizes == (2 + MAX_PLANS + 5,)


def test_another_tolerance_makes_new_plans() -> None:
    layer = winograd.nn.Conv3d(64, 64, 3, padding=1)
    x = torch.zeros(1, 64, 8, 32, 32)
    winograd.freeze(layer)
    with torch.inference_mode():
        layer(x)
        assert layer.plans[0].backend is Backend.NATIVE
        layer.tolerance = 1e-9
        assert layer.plans == ()
        layer(x)
    assert layer.plans[0].backend is Backend.DIRECT
    assert "above the tolerance 1e-09" in layer.plans[0].reason


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
def test_copies_carry_the_settings_and_no_cache(copied: object) -> None:
    plain, planned = pair()
    planned.tolerance = 1e-6
    winograd.freeze(planned)
    with torch.inference_mode():
        planned(image())
        assert planned._winograd.packed_bytes
        twin = copied(planned)  # type: ignore[operator]
        assert type(twin) is winograd.nn.Conv3d
        assert (twin.tolerance, twin.algorithm) == (1e-6, planned.algorithm)
        assert twin.plans == ()
        assert twin._winograd.packed_bytes == 0
        assert twin._winograd.filters is Filters.FROZEN
        twin.weight.zero_()
        assert_close(planned, plain, image())


def test_the_state_dict_is_torchs_after_use() -> None:
    plain, planned = pair()
    winograd.freeze(planned)
    with torch.inference_mode():
        planned(image())
    assert list(planned.state_dict()) == list(plain.state_dict())
    plain.load_state_dict(planned.state_dict(), strict=True)
    stream = io.BytesIO()
    torch.save(planned.state_dict(), stream)
    stream.seek(0)
    planned.load_state_dict(torch.load(stream, weights_only=True), strict=True)


def test_without_a_compiler_torch_computes_and_the_plan_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_compiler(_algorithm: NestedAlgorithm, _dtype: str) -> None:
        raise BuildError("no C compiler was found\nmore")

    monkeypatch.setattr(kernel, "native_convolution", no_compiler)
    monkeypatch.setattr(runnable, "_warned", [])
    runnable.try_compiling.cache_clear()
    plain = nn.Conv3d(64, 64, 3, padding=1)
    layer = copy.deepcopy(plain)
    winograd.convert_(layer)
    winograd.freeze(layer)
    with torch.inference_mode():
        x = torch.randn(1, 64, 8, 32, 32)
        with pytest.warns(RuntimeWarning, match="no native kernel: no C compiler was found; torch's own"):
            assert_close(layer, plain, x)
    runnable.try_compiling.cache_clear()
    assert layer.plans[0].backend is Backend.DIRECT
    assert layer.plans[0].reason == "no native kernel: no C compiler was found"


def test_repr_names_tolerance_and_newest_plan() -> None:
    _, planned = pair()
    assert "tolerance=1e-05)" in repr(planned)
    with torch.inference_mode():
        planned(image())
    assert "native F(2x2x2,3x3x3)" in repr(planned)
    assert "\n" not in repr(planned)


def test_compiling_and_exporting_see_the_operator() -> None:
    layer = nn.Conv3d(4, 4, 3, padding=1).eval()
    winograd.convert_(layer)
    x = torch.randn(1, 4, 5, 5, 5)
    with torch.no_grad():
        compiled = torch.compile(layer, backend="eager", fullgraph=True)
        torch.testing.assert_close(compiled(x), layer(x))
        exported = torch.export.export(layer, (x,))
        torch.testing.assert_close(exported.module()(x), layer(x))
    assert torch.ops.winograd.convolution.default in [node.target for node in exported.graph.nodes]


def test_an_input_that_is_no_tensor_is_refused_by_torch() -> None:
    plain, planned = pair()
    for layer in (plain, planned):
        with pytest.raises(TypeError, match=r"conv3d\(\) received an invalid combination"):
            layer([1.0])


def test_obstacles_are_looked_for_once_per_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    _, layer = pair()
    seen = []
    look = convolving.operator_obstacle
    monkeypatch.setattr(convolving, "operator_obstacle", lambda *tensors: seen.append(tensors) or look(*tensors))
    monkeypatch.setattr(obstacles, "operator_obstacle", convolving.operator_obstacle)
    with torch.no_grad():
        layer(image())
    assert len(seen) == 1


@pytest.mark.parametrize("name", ["Conv1d", "Conv3d", "ConvTranspose2d"])
def test_parameters_can_be_left_uninitialised(name: str) -> None:
    layer = nn.utils.skip_init(getattr(winograd.nn, name), 4, 6, 3, tolerance=1e-6)
    assert (type(layer), layer.tolerance) == (getattr(winograd.nn, name), 1e-6)
    assert layer.weight.device.type == "cpu"
