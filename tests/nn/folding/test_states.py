"""A model that is converted, folded, trained, copied and turned back in any order, beside one that never is."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

import winograd
from winograd.conv.library.kept import Stamp
from winograd.conv.switch import set_enabled
from winograd.nn.compare import relative_l2

ERROR = {torch.float64: 2.0**-37, torch.float32: 2.0**-8}
"""Relative L2 error: 2^16 roundings. Sums have 55 products at most; halved statistics stretch them."""


def block() -> nn.Sequential:
    torch.manual_seed(0)
    relu = nn.ReLU(inplace=True)
    layers = (nn.Conv3d(2, 4, 3, padding=1), nn.BatchNorm3d(4), relu, nn.Conv3d(4, 4, 1, bias=False), nn.BatchNorm3d(4))
    return nn.Sequential(*layers, relu, nn.Conv3d(4, 3, 1), nn.ReLU()).double().eval()


def image(dtype: torch.dtype) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(2, 2, 3, 4, 4, generator=generator, dtype=torch.float64).to(dtype)


class Folding(RuleBasedStateMachine):
    """The model and its shadow."""

    def __init__(self) -> None:
        super().__init__()
        self.model, self.shadow = block(), block()

    @property
    def dtype(self) -> torch.dtype:
        return self.shadow[0].weight.dtype

    @rule(fold=st.sampled_from([None, "norms", "all"]), records=st.booleans())
    def convert_and_freeze(self, fold: str | None, records: bool) -> None:
        winograd.convert_(self.model)
        winograd.freeze(self.model, fold=fold, example=image(self.dtype) if records else None)

    @rule(undo=st.sampled_from([winograd.thaw, winograd.revert_]))
    def undo(self, undo: object) -> None:
        undo(self.model)

    @rule(factor=st.sampled_from([0.5, 2.0]))
    def load(self, factor: float) -> None:
        floating = {name: one for name, one in self.shadow.state_dict().items() if one.is_floating_point()}
        state = {name: tensor * factor for name, tensor in floating.items()}
        for one in (self.model, self.shadow):
            one.load_state_dict(state, strict=False)

    @rule()
    def train_a_step(self) -> None:
        for one in (self.model, self.shadow):
            one.train()
            one(image(self.dtype)).square().mean().backward()
            with torch.no_grad():
                for parameter in one.parameters():
                    parameter.sub_(parameter.grad, alpha=0.01)
            one.zero_grad()
            one.eval()

    @rule(dtype=st.sampled_from(list(ERROR)))
    def change_the_dtype(self, dtype: torch.dtype) -> None:
        for one in (self.model, self.shadow):
            one.to(dtype)

    @rule(way=st.sampled_from([copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))]))
    def copy_it(self, way: object) -> None:
        self.model = way(self.model)

    @rule(number=st.integers(0, 7))
    def look_at_a_layer(self, number: int) -> None:
        hook = self.model[number].register_forward_hook(lambda *_: None)
        self.outputs_agree()
        hook.remove()

    @invariant()
    def outputs_agree(self) -> None:
        with torch.inference_mode(), set_enabled(False):
            got, expected = self.model(image(self.dtype)), self.shadow(image(self.dtype))
        assert relative_l2(got, expected) <= ERROR[self.dtype]
        assert vars(got) == {}

    @invariant()
    def states_agree(self) -> None:
        assert list(self.model.state_dict()) == list(self.shadow.state_dict())

    def teardown(self) -> None:
        winograd.revert_(self.model)
        assert [type(module) for module in self.model.modules()] == [type(module) for module in self.shadow.modules()]
        assert not any(isinstance(module, _BatchNorm) and module.training for module in self.model.modules())


TestFolding = Folding.TestCase
TestFolding.settings = settings(max_examples=10, stateful_step_count=8, deadline=None)


def test_a_weight_that_is_not_folded_anew_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Folding()
    machine.convert_and_freeze("all", records=False)
    machine.outputs_agree()
    monkeypatch.setattr(Stamp, "is_of", lambda *_: True)
    for one in (machine.model, machine.shadow):
        with torch.no_grad():
            one[0].weight.mul_(2.0)  # loading a state lets go of what was folded, whatever stamps say
    with pytest.raises(AssertionError):
        machine.outputs_agree()
