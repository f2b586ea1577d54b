"""Outlines: whether a shape goes through, and the true reason where it does not."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from winograd.networks.outline import _is_too_small, outline, refusal


def network(**options: object) -> nn.Sequential:
    convolution = nn.Conv3d(3, 4, 3, **options)  # type: ignore[arg-type]
    return nn.Sequential(convolution, nn.MaxPool3d(2), nn.Flatten(), nn.Linear(4 * 3**3, 5))


@pytest.mark.parametrize(
    ("model", "input", "reason"),
    [
        (network(), (1, 3, 8, 8, 8), None),
        (network(), (1, 3, 8, 8, 10), "3 takes 108 values of a clip, these give 144"),
        (network(), (1, 3, 3, 8, 8), "1, with a window of 2 on every axis, gets only 1x6x6"),
        (network(padding=1), (1, 3, 1, 6, 6), "1, with a window of 2 on every axis, gets only 1x6x6"),
        (network(padding="valid", dilation=2), (1, 3, 8, 4, 8), "0, with a window of 3x3x3, gets only 8x4x8"),
        (network(padding="same", dilation=2), (1, 3, 6, 6, 1), "1, with a window of 2 on every axis, gets only 6x6x1"),
        (network().double(), (1, 3, 8, 8, 8), "Input type (float) and bias type (double) should be the same"),
    ],
)
def test_what_does_not_go_through_has_its_reason(model: nn.Module, input: tuple[int, ...], reason: str | None) -> None:
    assert refusal(model, input) == reason


def test_the_window_that_is_blamed_is_one_that_torch_refuses() -> None:
    for size in range(1, 6):
        for taps, padding, dilation in ((3, 0, 1), (3, 1, 1), (2, 0, 3), (1, 0, 1), (4, 1, 1), (3, "same", 2)):
            layer = nn.Conv1d(1, 1, taps, padding=padding, dilation=dilation)
            try:
                layer(torch.ones(1, 1, size))
            except RuntimeError:
                assert _is_too_small((size,), layer)
            else:
                assert not _is_too_small((size,), layer)


def test_tensors_that_torch_cannot_count_are_refused_in_our_words() -> None:
    words = "a tensor of these sizes has 2^63 bytes or more, which torch cannot count"
    for size in (10**18, 10**20):
        with pytest.raises(ValueError, match=f"^{words.replace('^', '.')}$"):
            outline("c3d", num_classes=size)
        assert refusal(network(), (size, 3, 8, 8, 8)) == words
    assert refusal(network(), (10**9, 3, 8, 8, 8)) is None
