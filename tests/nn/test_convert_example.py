"""Plans at once: from an example, which leaves the model as it was, and from recorded shapes."""

from __future__ import annotations

import copy
import json
import random
from collections import deque
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import winograd
from tests.nn.conversion.laws import planned, snapshot
from winograd.conv.choosing.selection import Filters
from winograd.conv.planning.tuning_mode import Tuning
from winograd.nn.conversion import example as example_module
from winograd.nn.conversion import kept
from winograd.nn.conversion.example import call, undisturbed
from winograd.nn.freezing import REPLANNED


def clip(channels: int = 4) -> Tensor:
    return torch.randn(2, channels, 4, 6, 6, generator=torch.Generator().manual_seed(1))


class Restless(nn.Module):
    """A model that changes at every forward, in every way that it can."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(4, 4, 3, padding=1)
        self.norm = nn.BatchNorm3d(4)
        self.drop = nn.Dropout(0.5)
        self.calls = 0
        self.seen: list[int] = []
        self.table: dict[str, int] = {}
        self.recent: deque[int] = deque([1], maxlen=2)
        self.deep = {"a": [1, {"b": {2}}]}
        self.plain = torch.zeros(2)
        self.draws = torch.Generator().manual_seed(3), random.Random(4)
        self.register_buffer("total", torch.zeros(1))
        self.register_buffer("nothing", torch.full((2,), float("nan")))

    def forward(self, x: Tensor, *, scale: float = 1.0) -> Tensor:
        self.calls += 1
        self.seen.append(self.calls)
        self.table[str(self.calls)] = 1
        self.recent.append(self.calls)
        self.total += 1
        self.extra = x
        self.deep["a"][1]["b"].add(self.calls)
        self.plain += torch.rand(2, generator=self.draws[0]) + self.draws[1].random()
        self.late = nn.Linear(2, 2)
        self.register_buffer("also", x)
        self.conv.weight.data = self.conv.weight.data.renorm(2, 0, 0.1)
        with torch.no_grad():
            self.conv.bias.add_(1)
        self.register_forward_hook(print)
        self.norm.train()
        random.random()
        np.random.rand()  # noqa: NPY002
        return scale * self.drop(self.norm(self.conv(x))) + torch.rand(1)


def states() -> tuple[Any, ...]:
    return random.getstate(), np.random.get_state()[1].tobytes(), torch.get_rng_state().numpy().tobytes()  # noqa: NPY002


def insides(model: Restless) -> str:
    generators = model.draws[0].get_state().sum(), model.draws[1].getstate()
    return repr((model.seen, model.table, model.recent, model.deep, model.plain, generators))


@pytest.mark.parametrize("fails", [False, True])
def test_an_example_leaves_no_trace(fails: bool) -> None:
    model = nn.Sequential(Restless())
    model[0].drop.eval()
    handle = model[0].conv.register_forward_hook(lambda *_: None)
    frozen = copy.deepcopy(model[0].state_dict())
    expected = snapshot(model)
    drawn, inner = states(), insides(model[0])
    if fails:
        failing = model[0].norm.register_forward_hook(lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            winograd.convert_(model, example=clip())
        failing.remove()
    else:
        report = winograd.convert_(model, example=clip())
        assert report.shapes == {"0.conv": [(2, 4, 4, 6, 6)]}
        winograd.revert_(model)
    assert snapshot(model) == expected
    assert states() == drawn
    assert insides(model[0]) == inner
    torch.testing.assert_close(model[0].state_dict(), frozen, rtol=0, atol=0, equal_nan=True)
    handle.remove()  # finds the table of hooks that it is in
    assert not model[0].conv._forward_hooks


@pytest.mark.parametrize("missing", ["_keep_tensor", "_keep_container", "_keep"])
def test_a_trace_that_is_left_is_noticed(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, missing, lambda _: lambda: None)
    model = nn.Sequential(Restless())
    before = snapshot(model), insides(model[0])
    with undisturbed(model):
        call(model, clip())
    assert (snapshot(model), insides(model[0])) != before


@pytest.mark.parametrize("missing", ["_keep_class", "_make_lazy"])
def test_a_lazy_layer_that_is_not_put_back_is_noticed(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, missing, lambda *_: lambda: None)
    model = nn.LazyConv3d(4, 3)
    with undisturbed(model):
        call(model, clip())
    assert type(model) is not nn.LazyConv3d or not model.has_uninitialized_params()


def test_random_states_are_those_of_the_end_where_they_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(example_module, "kept_random_states", nullcontext)
    before = states()
    winograd.convert_(Restless(), example=clip())
    assert all(now != then for now, then in zip(states(), before, strict=True))


def test_the_example_is_a_tensor_arguments_or_named_ones() -> None:
    for example in (clip(), (clip(),), [clip()], {"x": clip()}, {"x": clip(), "scale": 2.0}):
        model = Restless()
        assert winograd.convert_(model, example=example).shapes == {"conv": [(2, 4, 4, 6, 6)]}
    with pytest.raises(TypeError, match="unexpected keyword argument 'y'"):
        winograd.convert_(Restless(), example={"y": clip()})


def test_plans_of_the_example_are_those_that_the_next_forward_takes() -> None:
    model = nn.Sequential(nn.Conv3d(4, 8, 3, padding=1), nn.ReLU(), nn.ConvTranspose3d(8, 4, 3))
    report = winograd.convert_(model, example=clip())
    plans = [layer.plans for layer in (model[0], model[2])]
    with torch.inference_mode():
        model.eval()(clip())
    assert [layer.plans for layer in (model[0], model[2])] == plans
    assert repr(report) == "<ConversionReport: 2 of 2 convolutions converted, 2 plans made>"


def test_freezing_and_thawing_keep_the_newest_plan_in_the_report() -> None:
    model = nn.Sequential(nn.Conv3d(64, 64, 3, padding=1), nn.ConvTranspose3d(64, 64, 3))
    clips = torch.zeros(1, 64, 8, 32, 32)
    report = winograd.convert_(model, example=clips)
    live = [layer.plans for layer in model]
    winograd.freeze(model)
    frozen = [layer.plans for layer in model]
    assert report.shapes == {"0": [(1, 64, 8, 32, 32)], "1": [(1, 64, 8, 32, 32)]}
    assert live[0][0].filters is Filters.LIVE
    assert frozen[0][0].filters is Filters.FROZEN
    with torch.inference_mode():
        model(clips)
    assert [layer.plans for layer in model] == frozen  # those that the forward takes
    winograd.thaw(model)
    assert [layer.plans for layer in model] == live
    model[0].weight = nn.Parameter(torch.zeros(8, 8, 3, 3, 3))
    winograd.freeze(model)  # no such input for this weight: no plan, no error
    assert model[0].plans == ()


def test_freezing_makes_a_few_plans_at_once_and_the_others_later() -> None:
    model = nn.Conv1d(4, 4, 3)
    report = winograd.convert_(model, shapes={"": [(1, 4, size) for size in range(8, 16)]})
    winograd.freeze(model)
    assert report.shapes[""] == [(1, 4, size) for size in range(16 - REPLANNED, 16)]
    model._winograd.tuning = Tuning.MEASURE
    winograd.thaw(model)  # measuring takes seconds, so that it waits for a forward
    assert report.shapes == {}


def test_shapes_may_be_of_numpys_integers() -> None:
    report = winograd.convert_(nn.Sequential(nn.Conv1d(4, 4, 3)), shapes={"0": tuple(np.array([1, 4, 8]))})
    assert [type(size) for size in report.shapes["0"][0]] == [int] * 3
    assert json.loads(report.to_json())["rows"][0]["input"] == [1, 4, 8]


def test_layers_that_the_example_does_not_come_to_are_named() -> None:
    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.Conv3d(4, 4, 3), nn.Conv3d(4, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.used(x)

    report = winograd.convert_(Half(), example=clip())
    assert [(entry.name, entry.reason) for entry in report.layers] == [
        ("used", ""),
        ("unused", "the example did not come to it"),
    ]


def test_layers_that_the_example_comes_to_without_a_plan_say_so() -> None:
    model = nn.Sequential(nn.Conv3d(4, 4, 3), nn.Conv3d(4, 4, 1))
    with torch.autocast("cpu", torch.bfloat16):
        first, second = winograd.convert_(model, example=clip()).layers
    assert (first.reason, len(first.plans), second.plans) == ("", 1, ())
    assert second.reason.startswith("the example came to it and led to no plan: its input may have another dtype")
    assert not any(layer._forward_pre_hooks for layer in model)
    assert [layer.reason for layer in winograd.convert_(model, example=clip()).layers] == ["", ""]


def test_lazy_layers_are_lazy_again_and_keep_their_plans() -> None:
    model = nn.Sequential(nn.LazyConv3d(4, 3, padding=1), nn.LazyBatchNorm3d(), nn.Conv3d(4, 4, 1))
    drawn = states()
    report = winograd.convert_(model, example=clip())
    assert report.shapes["0"] == [(2, 4, 4, 6, 6)]
    assert states() == drawn
    assert model[0].has_uninitialized_params()
    assert model[1].has_uninitialized_params()
    assert type(winograd.revert_(model)[0]) is nn.LazyConv3d
    winograd.convert_(model)
    assert model(clip()).shape == (2, 4, 4, 6, 6)
    assert type(winograd.revert_(model)[0]) is nn.Conv3d


def test_recorded_shapes_make_the_same_plans() -> None:
    def make() -> nn.Sequential:
        torch.manual_seed(0)
        layers = (nn.Conv3d(4, 8, 3, padding=1, padding_mode="circular"), nn.ConvTranspose3d(8, 4, 4, stride=2))
        return nn.Sequential(*layers, nn.Conv3d(4, 4, 3, padding="same"), nn.LazyConv3d(2, 1))

    model, other = make(), make()
    report = winograd.convert_(model, example=clip())
    text = json.loads(json.dumps(report.shapes))
    again = winograd.convert_(other, shapes=text)
    for index in (0, 1, 2):
        assert other[index].plans == model[index].plans != ()
        before = other[index].plans
        with torch.no_grad():
            other[: index + 1](clip())
        assert other[index].plans == before
    assert again.shapes == {name: found for name, found in report.shapes.items() if name != "3"}


def test_one_shape_or_several_and_unbatched_ones() -> None:
    model = nn.Sequential(nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3))
    report = winograd.convert_(model, shapes={"0": (4, 9, 9), "1": [(1, 4, 8, 8), [2, 4, 7, 7]]})
    assert report.shapes == {"0": [(1, 4, 9, 9)], "1": [(1, 4, 8, 8), (2, 4, 7, 7)]}
    assert winograd.convert_(model, shapes={"0": []}).converted == 2


@pytest.mark.parametrize(
    ("shapes", "error", "words"),
    [
        (
            {"conv9": (1, 4, 8, 8)},
            ValueError,
            "names 'conv9', which is no convolution of the model; near it: 'conv1'",
        ),
        ({"conv1": (1, 3, 8, 8)}, ValueError, r"shapes of 'conv1': \(1, 3, 8, 8\) is no input of it"),
        ({"conv1": (1, 4, 2, 2)}, ValueError, "is no input of it"),
        ({"conv1": (4, 8)}, ValueError, r"must be \(N, C, height, width\) or \(C, height, width\)"),
        ({"conv1": (1, 4, 8, -8)}, ValueError, "none below 0"),
        ({"conv1": (1, 4, 8, 8.0)}, TypeError, "must be integers"),
        ({"conv1": (1, 4, 8, True)}, TypeError, "must be integers"),
        ({"conv1": 8}, TypeError, "must be a shape or a list of shapes"),
        ({"conv1": "8"}, TypeError, "must be a shape or a list of shapes"),
    ],
)
def test_wrong_shapes_change_nothing(shapes: Any, error: type[Exception], words: str) -> None:
    model = nn.ModuleDict({"conv1": nn.Conv2d(4, 4, 3), "other": nn.Linear(2, 2)})
    before = snapshot(model)
    with pytest.raises(error, match=words):
        winograd.convert_(model, shapes=shapes)
    assert snapshot(model) == before


def test_sharded_models_take_no_example(tmp_path: Any) -> None:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    try:
        model = nn.Sequential(nn.Conv3d(4, 4, 3))
        fully_shard(model, mesh=init_device_mesh("cpu", (1,)))
        with pytest.raises(ValueError, match="example cannot run a model that is sharded"):
            winograd.convert_(model, example=clip())
        assert planned(model) == []
    finally:
        torch.distributed.destroy_process_group()
