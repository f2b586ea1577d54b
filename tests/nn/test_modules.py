from __future__ import annotations

import copy
import io
import pickle
import warnings

import pytest
import torch
from torch import Tensor, nn

import winograd
from winograd.algebra.nesting import NestedAlgorithm, nest
from winograd.algebra.toom_cook import toom_cook
from winograd.codegen.compiler import BuildError
from winograd.conv.choosing.prediction import default_tolerance
from winograd.conv.choosing.selection import Filters
from winograd.conv.library.kept import Stamp
from winograd.conv.native import kernel
from winograd.conv.plan.record import Backend
from winograd.conv.running import obstacles, runnable
from winograd.nn import convolving, plans_in_use
from winograd.nn.compare import relative_l2
from winograd.nn.plans_in_use import MAX_PLANS

CLASSES = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def algorithm(ndim: int = 3) -> NestedAlgorithm:
    return nest(*[toom_cook(2, 3)] * ndim)


def pair(ndim: int = 3, **options: object) -> tuple[nn.Module, winograd.nn.Conv3d]:
    """Return torch's convolution and a planned one, by F(2,3) on each axis, with the same parameters."""
    torch.manual_seed(0)
    options = {"kernel_size": 3, "padding": 1, **options}
    plain = CLASSES[ndim](8, 16, **options)
    forced = options.get("stride", 1) == 1 and options.get("groups", 1) == 1 and options["kernel_size"] == 3
    planned = getattr(winograd.nn, f"Conv{ndim}d")(8, 16, algorithm=algorithm(ndim) if forced else None, **options)
    planned.load_state_dict(plain.state_dict())
    return plain, planned


def image(ndim: int = 3, *, batch: int | None = 2, size: int = 9) -> Tensor:
    lead = () if batch is None else (batch,)
    return torch.randn(*lead, 8, *range(size, size + ndim), generator=torch.Generator().manual_seed(1))


def assert_close(planned: nn.Module, plain: nn.Module, x: Tensor) -> None:
    """Compare with float64; F(2,3) on three axes is predicted below 5e-7, and a factor of four is allowed."""
    exact = copy.deepcopy(plain).double()(x.double())
    output = planned(x)
    assert output.shape == exact.shape
    assert relative_l2(output, exact) < 2e-6


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


def test_frozen_weights_are_transformed_once_for_all_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    packings = []
    pack = plans_in_use.pack_for_plan
    monkeypatch.setattr(plans_in_use, "pack_for_plan", lambda plan, weight: packings.append(plan) or pack(plan, weight))
    plain, planned = pair()
    winograd.freeze(planned)
    with torch.inference_mode():
        for size in (9, 9, 10, 9):
            assert_close(planned, plain, image(size=size))
    assert len(packings) == 1
    assert planned._winograd.packed_bytes >= 4 * 64 * 8 * 16
    winograd.thaw(planned)
    assert planned._winograd.packed_bytes == 0
    with torch.inference_mode():
        assert_close(planned, plain, image())
    assert len(packings) == 1
    assert planned._winograd.packed_bytes == 0


def test_frozen_weights_follow_changes_that_torch_counts_and_no_others() -> None:
    plain, planned = pair()
    winograd.freeze(planned)
    with torch.no_grad():
        planned(image())
        nn.init.normal_(plain.weight)
        planned.load_state_dict(plain.state_dict())
        assert_close(planned, plain, image())
        before = planned(image())
        planned.weight.data.zero_()  # unseen, as documented: this is what the promise of freeze is about
        assert torch.equal(planned(image()), before)
        winograd.thaw(planned)
        assert not torch.equal(planned(image()), before)


def test_a_weight_that_is_computed_for_each_call_is_never_kept() -> None:
    _, planned = pair()
    winograd.freeze(planned)
    with torch.inference_mode():
        doubled = planned._conv_forward(image(), planned.weight * 2, planned.bias)
        single = planned._conv_forward(image(), planned.weight * 1, planned.bias)
    assert planned._winograd.packed_bytes == 0
    assert not torch.allclose(doubled, single)


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


def frozen_pair() -> tuple[nn.Conv3d, nn.Conv3d]:
    """Return a layer and its frozen conversion after a first forward; both have the same weights."""
    plain = nn.Conv3d(4, 6, 3, padding=1)
    layer = copy.deepcopy(plain)
    winograd.convert_(layer)
    layer._winograd.change(algorithm=F2_3D)
    winograd.freeze(layer)
    with torch.no_grad():
        layer(volume())
    return plain, layer


def volume() -> torch.Tensor:
    return torch.randn(1, 4, 6, 6, 6, generator=torch.Generator().manual_seed(0))


def assert_up_to_date(layer: nn.Conv3d) -> None:
    """Check a frozen layer against torch's own convolution with its present weight."""
    with torch.no_grad():
        expected = torch.conv3d(volume().double(), layer.weight.double(), layer.bias.double(), padding=1)
        error = (layer(volume()) - expected).norm() / expected.norm()
    assert error < 2e-6


F2_3D = nest(*[toom_cook(2, 3)] * 3)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("optimiser", [torch.optim.SGD, torch.optim.AdamW])
def test_a_training_step_is_followed_by_a_frozen_layer(optimiser: type[torch.optim.Optimizer], fused: bool) -> None:
    _, layer = frozen_pair()
    step = optimiser(layer.parameters(), lr=0.5, fused=fused)
    layer(volume()).square().sum().backward()
    with torch.no_grad():
        layer(volume())  # between the gradient and the step
    step.step()
    assert_up_to_date(layer)
    step.zero_grad()
    assert_up_to_date(layer)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_round_trip_through_another_dtype_is_followed(dtype: torch.dtype) -> None:
    _, layer = frozen_pair()
    layer.to(dtype).float()
    assert_up_to_date(layer)


def test_weights_of_functional_calls_are_followed() -> None:
    plain, layer = frozen_pair()
    with torch.no_grad():
        for scale in (1, 2, 3, 4):
            weights = {"weight": plain.weight * scale}
            output = torch.func.functional_call(layer, weights, (volume(),))
            expected = torch.conv3d(volume(), weights["weight"], plain.bias, padding=1)
            assert (output - expected).norm() / expected.norm() < 2e-6
            del weights, output


def test_weights_made_under_inference_mode_are_followed() -> None:
    with torch.inference_mode():
        layer = winograd.nn.Conv3d(4, 6, 3, padding=1, algorithm=F2_3D)
        with pytest.warns(UserWarning, match="1 layers .* transform their weight in every call"):
            winograd.freeze(layer)
        layer(volume())
        layer.weight.mul_(3)
    assert_up_to_date(layer)
    with torch.inference_mode():
        layer.load_state_dict(nn.Conv3d(4, 6, 3).state_dict())
    assert_up_to_date(layer)


def test_another_parameter_in_the_same_memory_is_followed() -> None:
    _, layer = frozen_pair()
    with torch.no_grad():
        layer.weight.mul_(1)  # one write, as to the tensor below
        layer(volume())
    former = layer.weight._version
    layer.weight = nn.Parameter(layer.weight.data.mul_(3))
    assert layer.weight._version == former
    assert_up_to_date(layer)


def test_another_part_of_the_same_memory_is_another_weight() -> None:
    both = torch.zeros(2, 4, 4, 3)
    layer = winograd.nn.Conv1d(4, 4, 3)
    layer.weight = nn.Parameter(both[0], requires_grad=False)
    stamp = Stamp(layer.weight)
    layer.weight.data = both[1]
    assert not stamp.is_of(layer.weight)


def test_the_same_memory_read_as_another_dtype_is_followed() -> None:
    layer = winograd.nn.Conv3d(4, 6, 3, padding=1, algorithm=F2_3D).half().requires_grad_(False)
    winograd.freeze(layer)
    with torch.inference_mode():
        layer(volume().half())
        stamp = Stamp(layer.weight)
        layer.weight.data, layer.bias = layer.weight.data.view(torch.bfloat16), None
        assert not stamp.is_of(layer.weight)
        x = volume().bfloat16()
        assert relative_l2(layer(x), torch.conv3d(x, layer.weight, padding=1).double()) < 2**-6
        stamp = Stamp(layer.weight)
        layer.weight.data = torch._neg_view(layer.weight.data)
        assert not stamp.is_of(layer.weight)


def test_slices_of_the_same_memory_are_told_apart() -> None:
    flat = torch.randn(2, 6, 4, 3, 3, 3)
    layer = winograd.nn.Conv3d(4, 6, 3, padding=1, algorithm=F2_3D).requires_grad_(False)
    winograd.freeze(layer)
    for half in flat:
        layer.weight.data = half
        assert relative_l2(layer(volume()), torch.conv3d(volume(), half, layer.bias, padding=1).double()) < 2e-6


def test_a_transformed_weight_is_not_shared_between_unlike_phases() -> None:
    layer = winograd.nn.Conv1d(8, 8, 7, stride=4, algorithm=nest(toom_cook(2, 2)))
    winograd.freeze(layer)
    x = torch.randn(2, 8, 61)
    with torch.inference_mode():
        for stride in (4, 5):
            layer.stride = (stride,)
            expected = torch.conv1d(x.double(), layer.weight.double(), layer.bias.double(), stride)
            assert relative_l2(layer(x), expected) < 2e-6
    assert [plan.backend for plan in layer.plans] == [Backend.NATIVE] * 2


def test_a_weight_dropped_by_another_thread_meanwhile_is_transformed_anew() -> None:
    _, layer = frozen_pair()
    state = layer._winograd
    (use,) = (use for use in state._uses if use.packed is not None)
    kept = use.kept
    state._uses.drop_packed()
    assert (use.kept, use.packed) == (None, None)  # at once: no stamp is left that vouches for nothing
    use.kept = kept
    assert state._uses.pack(use, layer.weight) is kept.packed
    layer.weight.data = layer.weight.data.clone()
    assert state._uses.pack(use, layer.weight) is not kept.packed


def test_other_memory_at_the_same_address_is_noticed() -> None:
    _, layer = frozen_pair()
    buffer = layer.weight.detach().numpy().copy()
    layer.weight.data = torch.from_numpy(buffer)
    former = layer.weight.data_ptr()
    assert_up_to_date(layer)
    buffer *= 3  # freed and taken again by another tensor, as the allocator may do
    layer.weight.data = torch.from_numpy(buffer)
    assert layer.weight.data_ptr() == former
    assert_up_to_date(layer)


def test_a_forward_in_training_forgets_the_transformed_weight() -> None:
    _, layer = frozen_pair()
    assert layer._winograd.packed_bytes
    layer(volume()).square().sum().backward()
    assert layer._winograd.packed_bytes == 0
    layer.weight.data -= 0.1 * layer.weight.grad  # a step by hand, which torch does not count
    layer.zero_grad()
    assert_up_to_date(layer)
    assert layer._winograd.packed_bytes


def test_a_frozen_weight_that_needs_no_gradient_stays_transformed_in_training() -> None:
    _, layer = frozen_pair()
    layer.requires_grad_(False)
    with torch.no_grad():
        layer(volume())
    kept = layer._winograd._uses
    packed = [use.packed for use in kept if use.packed is not None]
    layer(volume().requires_grad_()).sum().backward()
    assert [use.packed for use in kept if use.packed is not None] == packed != []


def test_an_input_that_is_no_tensor_is_refused_by_torch() -> None:
    plain, planned = pair()
    for layer in (plain, planned):
        with pytest.raises(TypeError, match=r"conv3d\(\) received an invalid combination"):
            layer([1.0])


def test_freezing_with_gradients_left_says_that_they_are_in_the_way() -> None:
    _, layer = frozen_pair()
    layer(volume()).sum().backward()
    with pytest.warns(UserWarning, match="it has a gradient"):
        winograd.freeze(layer)
    layer.zero_grad()
    with warnings.catch_warnings(action="error"):
        winograd.freeze(layer)


def test_a_frozen_direct_layer_leaves_onednn_where_it_is_disabled() -> None:
    plain = nn.Conv3d(3, 16, 3, padding=1)
    layer = copy.deepcopy(plain)
    winograd.convert_(layer, tolerance=1e-9)
    winograd.freeze(layer)
    x = torch.randn(1, 3, 8, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        packed = layer(x)
        with torch.backends.mkldnn.flags(enabled=False):
            assert torch.equal(layer(x), plain(x))
    assert layer._winograd.packed_bytes
    torch.testing.assert_close(packed, plain(x).detach())


def test_obstacles_are_looked_for_once_per_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    _, layer = pair()
    seen = []
    look = convolving.operator_obstacle
    monkeypatch.setattr(convolving, "operator_obstacle", lambda *tensors: seen.append(tensors) or look(*tensors))
    monkeypatch.setattr(obstacles, "operator_obstacle", convolving.operator_obstacle)
    with torch.no_grad():
        layer(image())
    assert len(seen) == 1


def test_tracing_sees_torchs_own_convolution() -> None:
    _, layer = frozen_pair()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("error", torch.jit.TracerWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        traced = torch.jit.trace(layer, volume())
        function = torch.jit.trace(lambda x, w: winograd.conv3d(x, w, padding=1), (volume(), layer.weight))
    assert "aten::_convolution" in str(traced.inlined_graph)
    assert "aten::_convolution" in str(function.inlined_graph)


@pytest.mark.parametrize("name", ["Conv1d", "Conv3d", "ConvTranspose2d"])
def test_parameters_can_be_left_uninitialised(name: str) -> None:
    layer = nn.utils.skip_init(getattr(winograd.nn, name), 4, 6, 3, tolerance=1e-6)
    assert (type(layer), layer.tolerance) == (getattr(winograd.nn, name), 1e-6)
    assert layer.weight.device.type == "cpu"
