"""The machine of `machine.py` runs, and notices what is wrong."""

from __future__ import annotations

import pytest
import torch
from hypothesis import settings
from torch import nn

from tests.nn.conversion.bounds import spread
from tests.nn.conversion.machine import LAYERS, Conversion
from winograd.conv.library.kept import Stamp

TestConversion = Conversion.TestCase
TestConversion.settings = settings(max_examples=8, stateful_step_count=12, deadline=None)


def test_a_weight_that_is_not_transformed_anew_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Conversion()
    machine.convert(None, set(LAYERS), forces=True, shown=False)
    machine.set_flags(0, flag=False)
    machine.freeze("all", records=False)
    machine.outputs_are_right()
    monkeypatch.setattr(Stamp, "is_of", lambda *_: True)
    machine.write(2.0, "3")
    with pytest.raises(AssertionError):
        machine.outputs_are_right()


def test_a_wrong_gradient_is_noticed() -> None:
    machine = Conversion()
    machine.convert(None, set(LAYERS), forces=True, shown=True)
    machine.train_a_step()
    machine.model[3].weight.register_hook(lambda gradient: gradient * (1 + 1e-9))
    with pytest.raises(AssertionError):
        machine.train_a_step()


def test_a_spread_is_what_random_outputs_have() -> None:
    layer, given = (
        nn.Conv3d(64, 64, 3, dtype=torch.float64, bias=False),
        torch.randn(1, 64, 8, 8, 8, dtype=torch.float64),
    )
    with torch.no_grad():
        assert float(layer(given).norm()) == pytest.approx(spread(layer, given), rel=0.05)
