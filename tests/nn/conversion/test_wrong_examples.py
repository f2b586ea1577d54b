"""Errors of the forward of an example stay what they are, and say what the example was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import winograd

FLOAT64 = torch.zeros(1, 4, 4, 4, 4, dtype=torch.float64)


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv3d(4, 4, 3)).eval()


@pytest.mark.parametrize(
    ("example", "said"),
    [
        (
            np.zeros((1, 4, 4, 4, 4)),
            "it is of numpy.ndarray, parameters of the model are float32; torch.from_numpy makes",
        ),
        (FLOAT64, "it is a float64 tensor of 1x4x4x4x4, parameters of the model are float32"),
        ({"input": FLOAT64}, "it is input: a float64 tensor of 1x4x4x4x4"),
        ((1, 4, 4, 4, 4), "or shapes={name: (1, 4, 4, 4, 4)} in its place"),
        ((FLOAT64, "fast"), "its arguments are a float64 tensor of 1x4x4x4x4, of str"),
    ],
)
def test_a_wrong_example_is_described(example: Any, said: str) -> None:
    model = network()
    with pytest.raises((TypeError, RuntimeError)) as raised:
        winograd.convert_(model, example=example)
    (note,) = raised.value.__notes__
    assert note.startswith("in the forward of the example: ")
    assert said in note
    assert "\n" not in note
    assert type(model[0]) is nn.Conv3d


def test_a_wrong_example_for_measuring_is_described() -> None:
    model = network()
    report = winograd.convert_(model)
    with pytest.raises(RuntimeError) as raised:
        report.measure(FLOAT64, repeats=0)
    assert "a float64 tensor of 1x4x4x4x4" in raised.value.__notes__[0]


def test_channels_last_refuses_what_is_no_module() -> None:
    with pytest.raises(TypeError, match=r"^model is a int, must be a torch.nn.Module$"):
        winograd.nn.channels_last_(3)  # type: ignore[type-var]


@pytest.mark.parametrize("change", [winograd.freeze, winograd.thaw, winograd.revert_, winograd.convert_])
def test_what_is_no_module_is_refused_in_one_line(change: Callable[[Any], object]) -> None:
    with pytest.raises(TypeError, match=r"^model is a NoneType, must be a torch.nn.Module$"):
        change(None)


def test_shapes_that_are_no_mapping_change_nothing() -> None:
    model = network()
    with pytest.raises(TypeError, match=r"^shapes is a list, must be a mapping from the names of layers$"):
        winograd.convert_(model, shapes=[(1, 4, 8, 8, 8)])  # type: ignore[arg-type]
    assert type(model[0]) is nn.Conv3d
