"""Messages quote what was given on one short line, whatever it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import winograd
from winograd.quoting import MOST, quote


class Nameless:
    def __repr__(self) -> str:
        raise RuntimeError("has no text")


LONG: dict[str, Any] = {
    "array": np.arange(6000).reshape(2, 3000),
    "tensor": torch.zeros(40, 40),
    "text": "a\nb" * 1000,
    "list": list(range(1000)),
    "integer": 10**5000,
    "model": nn.Sequential(*(nn.ReLU() for _ in range(50))),
}

IMAGE, WEIGHT = torch.zeros(1, 2, 8), torch.zeros(2, 2, 3)

TAKERS: dict[str, Callable[[Any], object]] = {
    "m": lambda value: winograd.toom_cook(value, 3),
    "trials": lambda value: winograd.measure_error(winograd.toom_cook(2, 3), trials=value),
    "taps": lambda value: winograd.reduce_convolution(taps=(value,), stride=(1,), m=(2,)),
    "stride": lambda value: winograd.conv1d(IMAGE.numpy(), WEIGHT.numpy(), stride=value),
    "padding": lambda value: winograd.conv1d(IMAGE.numpy(), WEIGHT.numpy(), padding=value),
    "tolerance": lambda value: nn.Module() if winograd.nn.Conv1d(2, 2, 3, tolerance=value) else None,
    "tuning": lambda value: winograd.nn.Conv1d(2, 2, 3, tuning=value),
    "dtype": lambda value: winograd.plan_conv((1, 2, 8), (2, 2, 3), dtype=value),
    "enabled": winograd.set_enabled,
    "target": lambda value: winograd.emit(winograd.toom_cook(2, 3), target=value),
    "fold": lambda value: winograd.freeze(nn.Sequential(winograd.nn.Conv1d(2, 2, 3)).eval(), fold=value),
    "num_classes": lambda value: winograd.networks.create("c3d", num_classes=value),
    "progress": lambda value: winograd.convert_(nn.Sequential(nn.Conv1d(2, 2, 3)), progress=value),
    "shapes": lambda value: winograd.convert_(nn.Sequential(nn.Conv1d(2, 2, 3)), shapes={"0": [value, value]}),
}


NOT_OURS = {("progress", "model"), ("tolerance", "integer"), ("num_classes", "integer")}


@pytest.mark.parametrize("what", LONG)
def test_a_quotation_is_one_short_line(what: str) -> None:
    assert len(quote(LONG[what])) <= MOST
    assert "\n" not in quote(LONG[what])


def test_what_has_no_text_is_quoted_by_its_type() -> None:
    assert quote(Nameless()) == "<Nameless>"


def test_a_tolerance_beyond_all_floats_tolerates_all() -> None:
    assert winograd.nn.Conv1d(2, 2, 3, tolerance=10**5000).tolerance == float("inf")


@pytest.mark.parametrize("what", LONG)
@pytest.mark.parametrize("argument", TAKERS)
def test_what_is_refused_is_refused_on_one_short_line(argument: str, what: str) -> None:
    if (argument, what) in NOT_OURS:
        pytest.skip("is taken, or refused by others")
    with pytest.raises((TypeError, ValueError, NotImplementedError)) as caught:
        TAKERS[argument](LONG[what])
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) <= 4 * MOST
