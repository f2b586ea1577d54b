from __future__ import annotations

import pytest
import torch
from torch import nn

from winograd.nn import speed
from winograd.nn.speed import computes_as_torch


def test_a_card_is_waited_for_within_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    monkeypatch.setattr(torch.cuda, "synchronize", calls.append)
    run = lambda: calls.append("run")  # noqa: E731
    speed._awaited(run, [torch.device("cpu")])()
    speed._awaited(run, [torch.device("cuda", 1), torch.device("cpu")])()
    assert calls == ["run", "run", torch.device("cuda", 1)]


class Own(nn.Conv3d):
    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(input * 2)


@pytest.mark.parametrize(
    ("layer", "axes", "alike"),
    [
        (nn.Conv3d(2, 2, 3), 5, True),
        (nn.Conv3d(2, 2, 3), 4, False),  # without a batch
        (nn.Conv3d(2, 2, 3, padding=1, padding_mode="reflect"), 5, False),
        (nn.ConvTranspose3d(2, 2, 3), 5, False),
        (Own(2, 2, 3), 5, False),
        (nn.utils.parametrizations.weight_norm(nn.Conv3d(2, 2, 3)), 5, True),
    ],
)
def test_direct_variants_stand_for_layers_that_compute_as_torchs(layer: nn.Module, axes: int, alike: bool) -> None:
    assert computes_as_torch(layer, torch.zeros((2,) * axes)) == alike
    layer.forward = lambda input: input
    assert not computes_as_torch(layer, torch.zeros((2,) * axes))
