"""A model that is converted, frozen, trained, copied and turned back in any order, beside one that never is.

Parameters, buffers, flags and hooks are bit for bit the same at every time, outputs and gradients as near as the
tolerances of the layers promise.
"""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
import torch
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

import winograd
from tests.nn.conversion.bounds import exact_output
from tests.nn.conversion.citizens import C, conv
from tests.nn.conversion.forwards import Causal
from tests.nn.conversion.laws import bits, force, kinds, planned
from tests.nn.conversion.subclasses import Conv3DSimple
from tests.nn.conversion.watch import Watch
from tests.nn.conversion.weights import Symmetric
from winograd.conv.choosing.prediction import default_tolerance
from winograd.nn.modules import PlannedConvolution

LAYERS = ("0", "3", "5", "7")
"""Names of the convolutions; the first one is used twice."""

HOOKED = 1.5


def enlarge(_layer: nn.Module, _input: Any, output: Tensor) -> Tensor:
    """Be a hook."""
    return HOOKED * output


def pickled(model: nn.Module) -> Any:
    """Return a copy by way of bytes."""
    return pickle.loads(pickle.dumps(model))


def network() -> nn.Sequential:
    torch.manual_seed(0)
    layers = [conv(), nn.BatchNorm3d(C), nn.ReLU(inplace=True), Conv3DSimple(C, C), nn.BatchNorm3d(C)]
    layers += [Causal(C, C, 3, padding=(0, 1, 1)), nn.ReLU(), nn.Conv3d(C, C, 1, bias=False), layers[0]]
    return nn.Sequential(*layers).double().eval()


def image(dtype: torch.dtype, *sizes: int) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(*(sizes or (2, C, 3, 4, 5)), generator=generator, dtype=torch.float64).to(dtype)


COMPUTED: dict[str, Callable[[nn.Module], Any]] = {
    "weight norm": parametrizations.weight_norm,
    "its mirror image": lambda layer: parametrize.register_parametrization(layer, "weight", Symmetric()),
}


class Interrupted(BaseException):
    """What a user does in the middle."""


class Conversion(RuleBasedStateMachine):
    """The model and its shadow."""

    def __init__(self) -> None:
        super().__init__()
        self.model, self.shadow = network(), network()
        self.converted: dict[str, float | None] = {}
        self.begin_optimizers()

    def begin_optimizers(self) -> None:
        self.optimizers = [
            torch.optim.SGD(one.parameters(), lr=0.01, momentum=0.9) for one in (self.model, self.shadow)
        ]

    @property
    def dtype(self) -> torch.dtype:
        return next(self.shadow.parameters()).dtype

    def both(self) -> tuple[nn.Sequential, nn.Sequential]:
        return self.model, self.shadow

    # Ours.

    @rule(
        tolerance=st.sampled_from([None, 1e-6, 1e-12]),
        chosen=st.sets(st.sampled_from(LAYERS), min_size=1),
        forces=st.booleans(),
        shown=st.booleans(),
    )
    def convert(self, tolerance: float | None, chosen: set[str], forces: bool, shown: bool) -> None:
        example = image(self.dtype) if shown else None
        report = winograd.convert_(self.model, tolerance, lambda _, name: name in chosen, example=example)
        assert [layer.name for layer in report.layers] == list(LAYERS)
        self.converted.update(dict.fromkeys(chosen, tolerance))
        if forces:
            force(self.model)

    @rule(tolerances=st.dictionaries(st.sampled_from(LAYERS), st.sampled_from([1e-5, 1e-7])))
    def convert_all_by_name(self, tolerances: dict[str, float]) -> None:
        winograd.convert_(self.model, tolerances)
        self.converted = {name: tolerances.get(name) for name in LAYERS}

    @rule(name=st.sampled_from(LAYERS), error=st.sampled_from([Interrupted, ValueError]), shown=st.booleans())
    def fail_to_convert(self, name: str, error: type[BaseException], shown: bool) -> None:
        def fail(*_: Any) -> bool:
            raise error

        hook = self.model.get_submodule(name).register_forward_pre_hook(fail) if shown else None
        before = [(type(module), vars(module).get("_winograd")) for module in self.model.modules()]
        settings_ = [(state.tolerance, state.filters, state.plans) for _, state in before if state is not None]
        asked = {"example": image(self.dtype)} if shown else {"filter_fn": lambda _, one: one != name or fail()}
        with pytest.raises(error):
            winograd.convert_(self.model, 1e-3, **asked)
        if hook is not None:
            hook.remove()
        assert [(type(module), vars(module).get("_winograd")) for module in self.model.modules()] == before
        assert [(one.tolerance, one.filters, one.plans) for _, one in before if one is not None] == settings_

    @rule(name=st.sampled_from(("", *LAYERS)))
    def revert(self, name: str) -> None:
        winograd.revert_(self.model.get_submodule(name) if name else self.model)
        self.converted = {one: tolerance for one, tolerance in self.converted.items() if name not in ("", one)}

    @precondition(lambda self: self.converted)
    @rule(fold=st.sampled_from([None, "norms", "all"]), records=st.booleans())
    def freeze(self, fold: Any, records: bool) -> None:
        example = image(self.dtype) if records else None
        with warnings.catch_warnings(action="ignore"):  # gradients that are still there, nothing that can be folded
            if fold is not None and self.model.training:
                with pytest.raises(ValueError, match="is in training mode"):
                    winograd.freeze(self.model, fold=fold, example=example)
            else:
                winograd.freeze(self.model, fold=fold, example=example)

    @rule()
    def thaw(self) -> None:
        winograd.thaw(self.model)

    # What people do.

    @rule(factor=st.sampled_from([0.5, 1.25]), assigns=st.booleans())
    def load(self, factor: float, assigns: bool) -> None:
        state = {
            name: one * factor if one.is_floating_point() else one for name, one in self.model.state_dict().items()
        }
        for one in self.both():
            one.load_state_dict(copy.deepcopy(state), strict=True, assign=assigns)
        if assigns:
            self.begin_optimizers()

    @rule(factor=st.sampled_from([0.5, 2.0]), name=st.sampled_from(LAYERS))
    def write(self, factor: float, name: str) -> None:
        for one in self.both():
            with torch.no_grad():
                next(one.get_submodule(name).parameters()).mul_(factor)

    @rule(dtype=st.sampled_from([torch.float32, torch.float64]))
    def change_the_dtype(self, dtype: torch.dtype) -> None:
        for one in self.both():
            one.to(dtype)
        self.begin_optimizers()

    @rule(way=st.sampled_from([copy.deepcopy, pickled, winograd.convert]))
    def copy_it(self, way: Callable[[nn.Module], Any]) -> None:
        if any(parametrize.is_parametrized(layer) for layer in self.model) and way is pickled:
            with pytest.raises(RuntimeError, match="only supported through state_dict"):
                way(self.model)
            return
        if way is winograd.convert:
            self.converted = dict.fromkeys(LAYERS)
        former, self.model = self.model, way(self.model)
        winograd.revert_(former)
        with torch.no_grad():
            for parameter in former.parameters():
                parameter.zero_()
        self.begin_optimizers()

    @rule(number=st.integers(0, 8))
    def hook(self, number: int) -> None:
        for one in self.both():
            one[number].register_forward_hook(enlarge)

    @rule()
    def remove_hooks(self) -> None:
        for one in self.both():
            for module in one:
                module._forward_hooks.clear()

    @rule(number=st.integers(0, 8), flag=st.booleans())
    def set_flags(self, number: int, flag: bool) -> None:
        for one in self.both():
            one[number].requires_grad_(flag)

    @rule(name=st.sampled_from(LAYERS), way=st.sampled_from(list(COMPUTED)))
    def compute_a_weight(self, name: str, way: str) -> None:
        for one in self.both():
            layer = one.get_submodule(name)
            if parametrize.is_parametrized(layer, "weight"):
                parametrize.remove_parametrizations(layer, "weight")
            else:
                COMPUTED[way](layer)
        self.begin_optimizers()

    @rule(training=st.booleans())
    def switch(self, training: bool) -> None:
        for one in self.both():
            one.train(training)

    @precondition(lambda self: any(one.requires_grad for one in self.shadow.parameters()))
    @rule()
    def train_a_step(self) -> None:
        """Train the model; the shadow gets its gradients, when they are found to be right."""
        training, watch = self.model.training, Watch(self.model)
        self.model.train()
        self.model(image(self.dtype)).square().mean().backward()
        watch.end()
        watch.check_gradients(dict(zip(self.model, self.shadow, strict=True)), self.kept)
        twins = dict(zip(self.model.modules(), self.shadow.modules(), strict=True))
        for module, given in watch.inputs:
            if isinstance(module, nn.BatchNorm3d):
                twins[module].train()(given)
        self.shadow.train(training)
        self.model.train(training)
        for ours, torchs in zip(self.model.parameters(), self.shadow.parameters(), strict=True):
            assert (ours.grad is not None) == ours.requires_grad
            torchs.grad = None if ours.grad is None else ours.grad.clone()
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()

    @rule(batch=st.integers(1, 3), depth=st.integers(1, 5), height=st.integers(3, 7), width=st.integers(1, 6))
    def run_another_shape(self, batch: int, depth: int, height: int, width: int) -> None:
        self.check_output(image(self.dtype, batch, C, depth, height, width), torch.no_grad())

    @rule()
    def run_with_gradients(self) -> None:
        self.check_output(image(self.dtype), torch.enable_grad())

    def kept(self, layer: nn.Module) -> float:
        """Return the tolerance that a layer of the model keeps; F(2, 3) keeps that of the dtype."""
        default = default_tolerance(str(self.dtype).removeprefix("torch."))
        return max(default, layer.tolerance) if isinstance(layer, PlannedConvolution) else default

    def check_output(self, input: Tensor, mode: AbstractContextManager[Any]) -> None:
        flags = {module: module.training for module in self.model.modules()}
        self.model.eval()
        with mode:
            got = self.model(input)
        for module, flag in flags.items():
            module.training = flag
        twins = dict(zip(self.shadow, self.model, strict=True))
        plain = copy.deepcopy(self.shadow).eval()
        tolerances = {one: self.kept(twins[shadow]) for one, shadow in zip(plain, self.shadow, strict=True)}
        exact, allowed = exact_output(plain, input, tolerances.__getitem__, HOOKED)
        assert float((got.detach().double() - exact).norm()) <= allowed

    @invariant()
    def outputs_are_right(self) -> None:
        self.check_output(image(self.dtype), torch.inference_mode())

    @invariant()
    def all_else_is_the_same(self) -> None:
        for facts in (nn.Module.named_parameters, nn.Module.named_buffers):
            ours, torchs = (list(facts(one)) for one in self.both())
            assert [name for name, _ in ours] == [name for name, _ in torchs]
            for (name, mine), (_, theirs) in zip(ours, torchs, strict=True):
                assert (mine.requires_grad, type(mine), mine.dtype) == (
                    theirs.requires_grad,
                    type(theirs),
                    theirs.dtype,
                )
                assert bits(mine) == bits(theirs), name
        assert list(self.model.state_dict()) == list(self.shadow.state_dict())
        assert self.model[8] is self.model[0]
        for ours, torchs in zip(self.model.modules(), self.shadow.modules(), strict=True):
            assert ours.training == torchs.training
            assert list(ours._forward_hooks.values()) == list(torchs._forward_hooks.values())

    @invariant()
    def what_was_asked_for_is_converted(self) -> None:
        assert planned(self.model) == [name for name in LAYERS if name in self.converted]
        default = default_tolerance(str(self.dtype).removeprefix("torch."))
        for name, tolerance in self.converted.items():
            layer = self.model.get_submodule(name)
            assert layer.tolerance == (default if tolerance is None else tolerance)
            forced = layer.algorithm is not None
            assert forced or all((plan.predicted_error or 0) <= layer.tolerance for plan in layer.plans)
        report = winograd.nn.conversion_report(self.model)
        assert report.converted == len(self.converted)

    def teardown(self) -> None:
        winograd.revert_(self.model)
        assert kinds(self.model) == kinds(self.shadow)
        assert [list(vars(one)) for one in self.model.modules()] == [list(vars(one)) for one in self.shadow.modules()]
        self.all_else_is_the_same()
        with torch.no_grad():
            assert torch.equal(self.model.eval()(image(self.dtype)), self.shadow.eval()(image(self.dtype)))
