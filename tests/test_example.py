"""The example that trains: its networks stay near each other, and without Winograd they are equal."""

from __future__ import annotations

import copy
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch

import winograd

SCRIPT = Path(__file__).parent.parent / "examples" / "train.py"
LINE = re.compile(r"^ *(\d+) +([\d.]+) +([\d.]+) +([\d.]+) +(\S+) +(\S+)$", re.MULTILINE)


ALLOWED = (4 * 0.64 * 3e-5) ** 0.5
"""Relative change of gradients by outputs that are off by 3e-5: three layers of a tolerance of 1e-5.

Normalised inputs of ReLU have the density 0.4 at 0, and errors the mean size 0.8 of their deviation: 0.32 * 3e-5 of the
inputs change their sign. Elements of the gradient come or go there, of which one in two is there at all: 0.64 * 3e-5 of
its square, at three ReLUs and the choice of maxima.
"""


@pytest.fixture(scope="module")
def example() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


def moved(example: dict[str, Any], snippets: torch.Tensor) -> tuple[float, float]:
    """Return how far one step moves the weights, and how far it takes the converted ones from them, by one of SGD.

    SGD moves weights in proportion to their gradients, so that errors of gradients can be read off the weights.
    """
    labels = torch.tensor([0, 1] * (len(snippets) // 2))
    models = [example["build"](0), example["build"](0)]
    winograd.convert_(models[1], tolerance=1e-5)
    before = copy.deepcopy(models[0])
    for model in models:
        learner = example["Learner"](model)
        learner.optimiser = torch.optim.SGD(model.parameters(), lr=1.0)
        learner.learn(snippets, labels)
    return example["apart"](models[0], before), example["apart"](models[1], models[0])


@pytest.fixture(scope="module")
def snippets(example: dict[str, Any]) -> torch.Tensor:
    return torch.randn(16, 3, example["FRAMES"], 32, 32, generator=torch.Generator().manual_seed(0))


def test_it_prints_losses_and_distances_and_what_ran(example: dict[str, Any], capsys: pytest.CaptureFixture) -> None:
    pytest.importorskip("av")
    assert example["main"](["--steps", "2"]) == 0
    text = capsys.readouterr().out
    ((step, first, second, third, last_apart, ours_apart),) = LINE.findall(text)
    assert step == "1"
    assert abs(float(first) - float(third)) <= 1e-5
    assert abs(float(first) - float(second)) <= 1e-5
    assert 0 < float(last_apart) < 0.1
    assert 0 <= float(ours_apart) < 0.1
    assert "3 converted, 0 left as they were" in text
    assert len(re.findall(r"of 64 snippets right, [\d.]+ ms a step", text)) == 3


def test_gradients_of_one_step_are_those_of_torch_within_the_tolerances(
    example: dict[str, Any], snippets: torch.Tensor
) -> None:
    step, difference = moved(example, snippets)
    assert difference <= ALLOWED * step


def test_a_wrong_gradient_is_noticed(
    example: dict[str, Any], snippets: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = winograd.nn.Conv3d._conv_forward
    monkeypatch.setattr(
        winograd.nn.Conv3d,
        "_conv_forward",
        lambda self, input, weight, bias: forward(self, input, weight * 1.05 - weight.detach() * 0.05, bias),
    )
    step, difference = moved(example, snippets)
    assert difference > ALLOWED * step


def test_without_winograd_both_are_equal_to_the_bit(example: dict[str, Any], snippets: torch.Tensor) -> None:
    with winograd.set_enabled(False):
        step, difference = moved(example, snippets)
    assert step > 0
    assert difference == 0


def test_snippets_are_every_frame_or_every_fourth(example: dict[str, Any]) -> None:
    clip = torch.arange(128.0).expand(3, 128).unsqueeze(-1).unsqueeze(-1)
    snippets, labels = next(example["batches"](clip, 1, seed=0, count=32))
    assert set(labels.tolist()) == {0, 1}
    for snippet, label in zip(snippets, labels.tolist(), strict=True):
        frames = snippet[0].flatten()
        assert set((frames[1:] - frames[:-1]).tolist()) == {4.0 if label else 1.0}
