"""Bytes of living tensors: views, changes in place, what is dropped, what does not count."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from winograd.networks import create, describe
from winograd.networks.description.living import Living
from winograd.networks.description.recording import record
from winograd.networks.video_network import VideoNetwork

NUMBERS = 1024


def some(count: int = NUMBERS) -> Tensor:
    return torch.empty(count, device="meta")


def test_what_is_dropped_makes_room() -> None:
    with Living() as living:
        for _ in range(3):
            kept = some()
            kept = some(2 * NUMBERS)
            del kept
    assert living.made_bytes == 3 * 3 * 4 * NUMBERS
    assert living.peak_bytes == 3 * 4 * NUMBERS


def test_views_and_changes_in_place_take_nothing() -> None:
    with Living() as living:
        x = some().reshape(32, 32)
        x.relu_().t()[1:].add_(1)
    assert living.made_bytes == living.peak_bytes == 4 * NUMBERS


def test_parameters_and_their_views_do_not_count() -> None:
    weight = some().reshape(32, 32)
    with Living([weight]) as living:
        weight.t()
    assert living.peak_bytes == 0
    with Living() as living:
        weight.t()
    assert living.peak_bytes == 4 * NUMBERS


class Chain(VideoNetwork):
    """Two convolutions; the shortcut keeps the input of the second one alive."""

    input_shape = (2, 4, 4, 4)

    def __init__(self, *, shortcut: bool, inplace: bool) -> None:
        super().__init__()
        self.first, self.second = nn.Conv3d(2, 8, 1), nn.Conv3d(8, 8, 1)
        self.relu, self.shortcut = nn.ReLU(inplace=inplace), shortcut

    def forward(self, clips: Tensor) -> Tensor:
        x = self.first(clips)
        y = self.second(x)
        if not self.shortcut:
            del x
            return self.relu(y)
        return self.relu(y) + x


@pytest.mark.parametrize(
    ("shortcut", "inplace", "peak", "made"),
    [(False, True, 2, 2), (False, False, 2, 3), (True, True, 3, 3), (True, False, 4, 4)],
)
def test_a_network_takes_what_it_holds_at_a_time(shortcut: bool, inplace: bool, peak: int, made: int) -> None:
    with torch.device("meta"):
        model = Chain(shortcut=shortcut, inplace=inplace)
    recorded = record(model, (3, 2, 4, 4, 4))
    clip, features = 3 * 2 * 64 * 4, 3 * 8 * 64 * 4
    assert recorded.output == (3, 8, 4, 4, 4)
    assert recorded.peak_bytes == clip + peak * features
    assert recorded.made_bytes == clip + made * features


@pytest.mark.parametrize("name", ["r3d_10", "p3d_63"])
def test_a_forward_with_numbers_takes_the_same(name: str) -> None:
    """Where nothing is allocated, a normalisation gives a mean and a factor per channel, which the CPU leaves out."""
    model, clips = create(name, num_classes=3).eval(), torch.zeros(1, 3, 16, 32, 32)
    with torch.no_grad(), Living([*model.parameters(), *model.buffers()]) as living:
        model(clips)
    norms = [8 * module.num_features for module in model.modules() if isinstance(module, _BatchNorm)]
    counted = describe(model, input_shape=clips.shape[1:])
    assert 0 <= counted.peak_bytes - living.peak_bytes - 4 * clips.numel() <= max(norms)
    assert 0 <= counted.made_bytes - living.made_bytes - 4 * clips.numel() <= sum(norms)
