from __future__ import annotations

import copy
import io
import pickle
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import winograd
from tests.torch_citizen.pairs import allowed, distance
from winograd.conv.choosing.prediction import default_tolerance
from winograd.conv.choosing.selection import Filters
from winograd.conv.gradient import run as gradients
from winograd.conv.limits import set_memory_limits
from winograd.conv.plan.record import Backend
from winograd.nn import converting
from winograd.nn.compare import relative_l2
from winograd.nn.conversion import change
from winograd.nn.folding import pairs
from winograd.nn.modules import PlannedConvolution


class Conv3DSimple(nn.Conv3d):
    """As in torchvision's video networks: another constructor, the same convolution."""

    def __init__(self, in_planes: int, out_planes: int, midplanes: int | None = None, stride: int = 1) -> None:
        super().__init__(in_planes, out_planes, kernel_size=3, stride=stride, padding=1, bias=False)
        self.midplanes = midplanes


class Scaled(nn.Conv3d):
    """Overrides forward around torch's."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


class Shifted(nn.Conv3d):
    """Changes the weight on its way to torch's narrow method."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return 2 * super()._conv_forward(input, weight + 1, bias)


class Causal(nn.Conv3d):
    """Sees the present and the past: pads in front, then convolves as torch does."""

    def forward(self, x: Tensor) -> Tensor:
        front = (self.kernel_size[0] - 1) * self.dilation[0]
        return self.narrow(nn.functional.pad(x, (0, 0, 0, 0, front, 0)))

    def narrow(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.weight, self.bias)


class Added(nn.ConvTranspose3d):
    """Overrides the forward that a planned transposed convolution has, too."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        return super().forward(input, output_size) + 1


class Own(nn.Conv3d):
    """Computes the convolution itself."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.conv3d(x, self.weight.tanh(), self.bias, padding=self.padding)


class Narrow(nn.Conv3d):
    """Computes the convolution itself, in the narrow method."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return nn.functional.conv3d(input, weight, bias) + self.forward.__name__.count("x")


class Demanding(nn.Conv3d):
    """Has an attribute that a planned convolution has, too."""

    def __init__(self) -> None:
        super().__init__(3, 4, 3)
        self.tolerance = "none"


class Final(nn.Conv3d):
    """Lets no subclass be made."""

    def __init_subclass__(cls) -> None:
        raise TypeError("final")


class Sealed(type):
    """A metaclass whose classes stay without subclasses."""

    def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, object]) -> type:
        if any(isinstance(base, Sealed) for base in bases):
            raise TypeError("sealed\nfor good")
        return super().__new__(cls, name, bases, body)


class SealedConv(nn.Conv3d, metaclass=Sealed):
    """Lets no subclass be made."""


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv3d(3, 8, 3, padding=1),
        nn.BatchNorm3d(8),
        nn.Sequential(Conv3DSimple(8, 8), nn.ReLU()),
        nn.Conv3d(8, 4, 1),
    ).eval()


def clip(size: int = 6) -> Tensor:
    return torch.randn(2, 3, size - 2, size, size, generator=torch.Generator().manual_seed(1))


def planned(model: nn.Module) -> list[str]:
    return [name for name, module in model.named_modules() if isinstance(module, PlannedConvolution)]


def snapshot(model: nn.Module) -> Iterator[tuple[object, ...]]:
    """Yield what conversion must not change, and the class, which reverting restores."""
    for name, module in model.named_modules():
        yield name, id(module), type(module), list(vars(module))
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        yield name, id(tensor), tensor.requires_grad, tensor.detach().clone().numpy().tobytes()


def test_only_classes_change_and_reverting_restores_them_bit_for_bit() -> None:
    model = network()
    before = list(snapshot(model))
    expected = model(clip())
    report = winograd.convert_(model)
    assert planned(model) == ["0", "2.0", "3"]
    assert (report.converted, report.skipped) == (3, 0)
    assert list(snapshot(model)) != before
    torch.testing.assert_close(model(clip()), expected)
    assert winograd.revert_(model) is model
    assert list(snapshot(model)) == before
    assert torch.equal(model(clip()), expected)


def test_converting_twice_is_converting_once() -> None:
    model = network()
    winograd.convert_(model, tolerance=1e-5)
    with torch.inference_mode():
        model(clip())
    once, plans = list(snapshot(model)), model[0].plans
    report = winograd.convert_(model, tolerance=1e-5)
    assert list(snapshot(model)) == once
    assert model[0].plans == plans
    assert len(plans) == 1
    assert report.converted == 3
    winograd.convert_(model, tolerance=1e-4)
    assert model[0].tolerance == 1e-4
    winograd.revert_(winograd.revert_(model))
    assert planned(model) == []


def test_a_layer_built_as_planned_keeps_its_tolerance_and_class() -> None:
    model = nn.Sequential(winograd.nn.Conv3d(3, 4, 3, tolerance=1e-7))
    assert winograd.convert_(model).converted == 1
    assert model[0].tolerance == 1e-7
    winograd.revert_(model)
    assert type(model[0]) is winograd.nn.Conv3d


def test_checkpoints_pass_both_ways() -> None:
    plain, model = network(), network()
    keys = list(plain.state_dict())
    winograd.convert_(model)
    winograd.freeze(model)
    with torch.inference_mode():
        model(clip())
    assert list(model.state_dict()) == keys
    model.load_state_dict(plain.state_dict(), strict=True)
    plain.load_state_dict(model.state_dict(), strict=True)


def test_subclasses_keep_name_attributes_and_own_methods() -> None:
    model = nn.Sequential(
        Conv3DSimple(3, 4, midplanes=7), Scaled(4, 4, 3), Causal(4, 4, 3), Shifted(4, 4, 3, padding=1), Added(4, 4, 3)
    )
    expected = model(clip(size=9))
    classes = [type(layer) for layer in model]
    winograd.convert_(model)
    assert planned(model) == ["0", "1", "2", "3", "4"]
    assert [type(layer).__qualname__ for layer in model] == [cls.__qualname__ for cls in classes]
    assert all(isinstance(layer, cls) for layer, cls in zip(model, classes, strict=True))
    assert model[0].midplanes == 7
    assert distance(model(clip(size=9)), expected) <= 5 * allowed(torch.float32)  # of five layers
    assert all(len(layer.plans) == 1 for layer in model)  # each comes to the planned convolution
    winograd.revert_(model)
    assert [type(layer) for layer in model] == classes
    assert torch.equal(model(clip(size=9)), expected)


@pytest.mark.parametrize("noticed", [True, False])
def test_what_a_narrow_method_of_its_own_makes_of_the_output_is_not_folded(
    noticed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = nn.Sequential(Shifted(3, 4, 3), nn.BatchNorm3d(4), nn.ReLU()).eval()
    model[1].running_var.fill_(3.0)
    expected = model(clip(size=9))
    report = winograd.convert_(model)
    if not noticed:
        monkeypatch.setattr(pairs, "_convolves_as_torch", lambda _: True)
    with warnings.catch_warnings(action="ignore"):
        winograd.freeze(model, fold="all")
    with torch.no_grad():
        right = distance(model(clip(size=9)), expected) <= 4 * allowed(torch.float32)
    assert right is noticed
    assert report.layers[0].folds.startswith("nothing: ") is noticed


def test_a_subclass_that_makes_another_of_its_kind_gets_a_planned_one() -> None:
    model = nn.Sequential(Conv3DSimple(3, 4))
    winograd.convert_(model, tolerance=1e-6)
    twin = type(model[0])(3, 4, midplanes=2)
    twin.load_state_dict(model[0].state_dict())
    torch.testing.assert_close(twin(clip()), model(clip()))
    assert len(twin.plans) == 1
    assert type(winograd.revert_(twin)) is Conv3DSimple


def test_layers_that_cannot_be_converted_stay_and_the_report_says_why() -> None:
    model = nn.ModuleDict(
        {
            "own": Own(3, 4, 3),
            "narrow": Narrow(3, 4, 3),
            "linear": nn.Linear(3, 4),
            "patched": nn.Conv3d(3, 4, 3),
            "demanding": Demanding(),
            "sealed": SealedConv(3, 4, 3),
            "excluded": nn.Conv3d(3, 4, 3),
            "plain": nn.Conv3d(3, 4, 3),
            "final": Final(3, 4, 3),
        }
    )
    model["patched"]._conv_forward = lambda *tensors: tensors[0]
    classes = {name: type(module) for name, module in model.items()}
    report = winograd.convert_(model, filter_fn=lambda _module, name: name != "excluded")
    assert planned(model) == ["plain", "final"]
    reasons = {layer.name: layer.reason for layer in report.layers}
    assert "overrides forward and never calls torch's" in reasons["own"]
    assert "overrides _conv_forward and never calls torch's" in reasons["narrow"]
    assert "overrides _conv_forward, in this one layer" in reasons["patched"]
    assert "its attribute 'tolerance' would be hidden" in reasons["demanding"]
    assert "no subclass can be made of its class: TypeError: sealed" in reasons["sealed"]
    assert "good" not in reasons["sealed"]  # one line
    assert reasons["excluded"] == "excluded by filter_fn"
    assert "linear" not in reasons
    assert all(type(model[name]) is cls for name, cls in classes.items() if name not in ("plain", "final"))
    assert model["demanding"].tolerance == "none"


def test_a_model_without_convolutions_is_left_alone_with_a_warning() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    before = list(snapshot(model))
    with pytest.warns(UserWarning, match="no convolution was converted"):
        report = winograd.convert_(model)
    assert report.converted == 0
    assert list(snapshot(model)) == before
    with pytest.warns(UserWarning, match="no layer to freeze"):
        winograd.freeze(model)


def test_shared_modules_are_converted_once_and_ties_stay() -> None:
    layer, other = nn.Conv3d(4, 4, 3, padding=1), nn.Conv3d(4, 4, 3, padding=1)
    other.weight = layer.weight
    model = nn.Sequential(layer, layer, other)
    report = winograd.convert_(model)
    assert [entry.name for entry in report.layers] == ["0", "2"]
    assert model[0] is model[1] is layer
    assert model[2].weight is layer.weight


def test_hooks_buffers_attributes_and_flags_stay_in_force() -> None:
    model = network()
    calls = []
    model[0].register_forward_hook(lambda *_: calls.append("forward"))
    model[0].register_forward_pre_hook(lambda *_: calls.append("pre"))
    model[0].register_full_backward_hook(lambda *_: calls.append("backward"))
    model[0].register_buffer("extra", torch.ones(1))
    model[0].note = "mine"
    model[0].bias.requires_grad_(False)
    winograd.convert_(model)
    model(clip()).sum().backward()
    assert calls == ["pre", "forward", "backward"]
    assert model[0].note == "mine"
    assert "0.extra" in model.state_dict()
    assert model[0].bias.grad is None
    assert model[0].weight.grad is not None


@pytest.mark.parametrize(
    "copied",
    [
        copy.deepcopy,
        lambda model: pickle.loads(pickle.dumps(model)),
        lambda model: torch.load(saved(model), weights_only=False),
    ],
)
def test_converted_models_are_copied_and_pickled_without_caches(copied: object) -> None:
    model = network()
    winograd.convert_(model, tolerance=1e-6)
    winograd.freeze(model)
    with torch.inference_mode():
        expected = model(clip())
        twin = copied(model)  # type: ignore[operator]
        assert planned(twin) == planned(model)
        assert all(twin.get_submodule(name).plans == () for name in planned(twin))
        assert twin[0].tolerance == 1e-6
        torch.testing.assert_close(twin(clip()), expected)
    winograd.revert_(twin)
    assert [type(twin.get_submodule(name)) for name in ("0", "2.0")] == [nn.Conv3d, Conv3DSimple]
    assert planned(model) == ["0", "2.0", "3"]


def saved(model: nn.Module) -> io.BytesIO:
    stream = io.BytesIO()
    torch.save(model, stream)
    stream.seek(0)
    return stream


def test_moves_to_another_dtype_are_followed() -> None:
    plain, model = network(), network()
    winograd.convert_(model)
    winograd.freeze(model)
    with torch.inference_mode():
        model(clip())
        ours, torchs = (module.double()(clip().double()) for module in (model, plain))
        assert relative_l2(ours, torchs) <= 4 * default_tolerance("float64")  # of three layers and of torch's own
        assert model.bfloat16()(clip().bfloat16()).dtype == torch.bfloat16
        torch.testing.assert_close(model.float()(clip()), plain.bfloat16().float()(clip()))


def test_an_impossible_tolerance_leaves_layers_direct_and_says_so() -> None:
    model = network()
    report = winograd.convert_(model, tolerance=1e-12)
    with torch.inference_mode():
        assert torch.equal(model(clip()), network()(clip()))
    assert {row.algorithm for row in report.rows} == {"direct"}
    assert "above the tolerance 1e-12" in report.rows[0].reason


@pytest.mark.parametrize("tolerance", [0, -1e-5, float("nan")])
def test_a_wrong_tolerance_changes_nothing(tolerance: float) -> None:
    model = network()
    before = list(snapshot(model))
    with pytest.raises(ValueError, match="tolerance is"):
        winograd.convert_(model, tolerance=tolerance)
    assert list(snapshot(model)) == before


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_scripted_models_are_refused_before_anything_changes_and_scripted_parts_are_left_alone() -> None:
    scripted = torch.jit.script(nn.Sequential(nn.Conv3d(3, 4, 3)))
    with pytest.raises(TypeError, match="scripted"):
        winograd.convert_(scripted)
    with pytest.raises(TypeError, match=r"must be a torch\.nn\.Module"):
        winograd.convert_("c3d")  # type: ignore[arg-type]
    model = nn.Sequential(scripted, nn.Conv3d(4, 4, 3))
    expected = model(clip(size=9))
    report = winograd.convert_(model)
    assert [(entry.name, entry.kind) for entry in report.layers] == [("0.0", "Conv3d"), ("1", "Conv3d")]
    assert "scripted" in report.layers[0].reason
    assert planned(model) == ["1"]
    torch.testing.assert_close(model(clip(size=9)), expected)


@pytest.mark.parametrize("stage", ["class", "plan", "example"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_failure_on_the_way_undoes_what_was_done(
    monkeypatch: pytest.MonkeyPatch, stage: str, error: type[BaseException]
) -> None:
    model = nn.Sequential(network(), winograd.nn.Conv3d(4, 4, 3, padding=1))
    winograd.convert_(model[0][2], tolerance=1e-4)
    winograd.freeze(model[0][2])
    with torch.inference_mode():
        model(clip())
    before, plans = list(snapshot(model)), model[0][2][0].plans
    settings = [vars(model.get_submodule(name)._winograd).copy() for name in planned(model)]

    def fail(*_: object) -> None:
        raise error("stop")

    if stage == "class":
        make = change._plan
        monkeypatch.setattr(change, "_plan", lambda layer: fail() if layer is model[0][3] else make(layer))
    elif stage == "plan":
        monkeypatch.setattr(converting, "plan_ahead", fail)
    else:
        model[0][3].register_forward_hook(fail)
        before = list(snapshot(model))
    with pytest.raises(error, match="stop"):
        winograd.convert_(model, tolerance=1e-6, workspace_cap=1 << 20, example=clip())
    assert list(snapshot(model)) == before
    assert model[0][2][0].plans == plans != ()
    assert [vars(model.get_submodule(name)._winograd) for name in planned(model)] == settings


def test_reverting_refuses_a_class_that_changed_since() -> None:
    model = network()
    winograd.convert_(model)
    former = type(model[3])
    model[3].__class__ = type("Odd", (former,), {})
    with pytest.raises(RuntimeError, match="layer '3' became a Odd"):
        winograd.revert_(model)
    assert planned(model) == ["0", "2.0", "3"]
    model[3].__class__ = former
    winograd.revert_(model)
    assert planned(model) == []


def test_weight_norm_is_followed_after_freezing() -> None:
    model = nn.Sequential(nn.Conv3d(3, 4, 3))
    winograd.convert_(model)
    winograd.freeze(model)
    nn.utils.parametrizations.weight_norm(model[0])
    with torch.inference_mode():
        before = model(clip())
        model[0].parametrizations.weight.original0.mul_(2)
        after = model(clip())
    bias = model[0].bias.detach().view(-1, 1, 1, 1)
    torch.testing.assert_close(after - bias, 2 * (before - bias))


@pytest.fixture
def process_group(tmp_path: Path) -> Iterator[None]:
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("process_group")
@pytest.mark.parametrize("wrapper", [nn.DataParallel, nn.parallel.DistributedDataParallel])
def test_data_parallel_wrappers_are_looked_into(wrapper: type[nn.Module]) -> None:
    model = wrapper(network())
    expected = model(clip())
    winograd.convert_(model)
    assert planned(model) == ["module.0", "module.2.0", "module.3"]
    torch.testing.assert_close(model(clip()), expected)


def test_caps_reach_the_plans_of_every_layer_and_the_report() -> None:
    model = nn.Sequential(nn.Conv3d(64, 64, 3, padding=1), nn.Conv3d(64, 64, 3, padding=1))
    report = winograd.convert_(model, workspace_cap=1 << 20, filter_cap=1 << 20)
    winograd.freeze(model)
    with torch.inference_mode():
        model(torch.zeros(1, 64, 8, 32, 32))
    for layer, row in zip(model, report.rows, strict=True):
        plan = layer.plans[0]
        assert plan.backend is Backend.NATIVE
        assert plan.workspace_bytes == row.workspace_bytes <= 1 << 20
        assert row.schedule == plan.schedule_label != ""
        assert (layer._winograd.packed_bytes > 0) == (plan.filters is Filters.FROZEN)
        assert layer._winograd.packed_bytes <= 1 << 20
        assert "above the cap" in plan.reason


def test_caps_reach_the_plans_of_gradients_when_planned_and_when_run(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = torch.nn.Sequential(torch.nn.Conv3d(64, 64, 3, padding=1))
    winograd.convert_(layer, workspace_cap=4 << 20, filter_cap=8 << 20)
    made = []
    plan = gradients.runnable_gradient_plan
    monkeypatch.setattr(gradients, "runnable_gradient_plan", lambda *a, **k: made.append(plan(*a, **k)) or made[-1])
    layer(torch.randn(2, 64, 8, 28, 28, requires_grad=True)).sum().backward()
    assert [one.wanted.value for one in made] == ["input", "weight"]
    assert tuple(made) == layer[0].gradient_plans
    assert all(one.workspace_bytes <= 4 << 20 and one.filter_bytes <= 8 << 20 for one in made)
    unlimited = torch.nn.Sequential(torch.nn.Conv3d(64, 64, 3, padding=1))
    winograd.convert_(unlimited)
    unlimited(torch.randn(2, 64, 8, 28, 28, requires_grad=True))
    assert max(one.workspace_bytes for one in unlimited[0].gradient_plans) > 4 << 20


def test_caps_survive_copies_and_change_with_the_next_conversion() -> None:
    layer = nn.Conv3d(64, 64, 3, padding=1)
    winograd.convert_(layer, workspace_cap=1 << 20)
    for copied in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert (copied._winograd.workspace_cap, copied._winograd.filter_cap) == (1 << 20, None)
    winograd.convert_(layer, filter_cap=5)
    assert (layer._winograd.workspace_cap, layer._winograd.filter_cap) == (None, 5)


def test_caps_that_are_none_are_refused_before_anything_changes() -> None:
    layer = nn.Conv3d(4, 4, 3)
    for caps in ({"workspace_cap": 0}, {"filter_cap": -1}):
        with pytest.raises(ValueError, match="must be at least 1"):
            winograd.convert_(layer, **caps)
    assert type(layer) is nn.Conv3d


def test_limits_of_the_process_make_layers_plan_anew() -> None:
    layer = nn.Conv3d(64, 64, 3, padding=1)
    winograd.convert_(layer)
    winograd.freeze(layer)
    x = torch.zeros(1, 64, 8, 32, 32)
    with torch.inference_mode():
        layer(x)
        with set_memory_limits(workspace=1 << 20):
            layer(x)
        layer(x)
    free, limited = layer.plans
    assert limited.workspace_bytes <= 1 << 20
    assert free.workspace_bytes >= limited.workspace_bytes
