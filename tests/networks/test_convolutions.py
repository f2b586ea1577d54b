from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from winograd.networks import VideoNetwork
from winograd.networks.convolutions import NetworkConvolution, convolutions, convolutions_of
from winograd.networks.registry import UnknownNetworkError


class Padded(VideoNetwork):
    """A network that calls one convolution twice, the first time on zeros of its own."""

    input_shape = (4, 8, 8, 9)
    classifier = "conv"

    def __init__(self, pad: tuple[int, ...], **mode: object) -> None:
        super().__init__()
        self.pad, self.mode = pad, mode
        self.conv = nn.Conv3d(4, 4, (3, 3, 1), stride=(2, 1, 1), padding=(0, 1, 0), bias=False)

    def forward(self, clips: Tensor) -> Tensor:
        padded = nn.functional.pad(clips, self.pad, **self.mode)  # type: ignore[arg-type]
        return self.conv(self.conv(padded).relu())


def recorded(pad: tuple[int, ...], **mode: object) -> tuple[NetworkConvolution, ...]:
    with torch.device("meta"):
        return convolutions_of(Padded(pad, **mode))


def test_every_call_is_recorded_in_the_order_of_execution() -> None:
    calls = convolutions("c3d", 3)
    assert [call.name for call in calls] == [f"conv{name}" for name in ("1", "2", "3a", "3b", "4a", "4b", "5a", "5b")]
    assert {(call.shape.batch, call.has_bias, call.shape.dtype) for call in calls} == {(3, True, "float32")}
    assert [call.name for call in recorded((0, 0))] == ["conv", "conv"]
    assert not recorded((0, 0))[0].has_bias


def test_zeros_of_the_network_count_as_padding_of_the_convolution() -> None:
    first, second = recorded((1, 0, 2, 3, 4, 5))
    assert first.shape.sizes == (8, 8, 9)
    assert first.shape.padding == ((4, 5), (3, 4), (1, 0))
    assert first.shape.output == second.shape.sizes == (8, 13, 10)
    assert second.shape.padding == ((0, 0), (1, 1), (0, 0))


def test_a_pad_of_the_last_axis_only_is_put_there() -> None:
    assert recorded((1, 2))[0].shape.padding == ((0, 0), (1, 1), (1, 2))


@pytest.mark.parametrize("mode", [{"mode": "replicate"}, {"value": 1.0}])
def test_what_is_put_around_and_is_not_zero_stays_part_of_the_input(mode: dict[str, object]) -> None:
    first = recorded((1, 0, 2, 3, 4, 5), **mode)[0]
    assert first.shape.sizes == (17, 13, 10)
    assert first.shape.padding == ((0, 0), (1, 1), (0, 0))


def test_hooks_are_gone_afterwards() -> None:
    with torch.device("meta"):
        model = Padded((0, 1))
    convolutions_of(model)
    assert not model.conv._forward_pre_hooks


def test_other_sizes_of_the_clip() -> None:
    with torch.device("meta"):
        model = Padded((0, 0))
    assert convolutions_of(model, 2, (4, 7, 5, 3))[0].shape.sizes == (7, 5, 3)


def test_unknown_names_and_batches_are_refused() -> None:
    with pytest.raises(UnknownNetworkError, match="network 'c3' is unknown"):
        convolutions("c3")
    with pytest.raises(ValueError, match="batch is 0, must be at least 1"):
        convolutions("c3d", 0)
