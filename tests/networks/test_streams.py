"""Inputs of colours, flow, both and moments, made of the frames of a video."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.videos import greys, waves, write_video
from winograd.networks import list_networks
from winograd.networks.clip import ClipError, normalised, read_clips
from winograd.networks.flow import optical_flow
from winograd.networks.outline import check_shape, outline
from winograd.networks.streams import as_input, frames_needed, read_inputs, scaled_flow
from winograd.running.execute import input_shape


def pixels(frames: int, side: int = 40) -> Tensor:
    return torch.rand(3, frames, side, side, generator=torch.Generator().manual_seed(0))


def test_colours_are_normalised_and_flow_is_that_of_grey_levels() -> None:
    stretch = pixels(5)
    assert torch.equal(as_input(stretch, 3), normalised(stretch))
    flow = optical_flow((stretch * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1, 1)).sum(dim=0))
    torch.testing.assert_close(as_input(stretch, 2), (flow / 20).clamp(-1, 1), atol=1e-3, rtol=1e-3)
    both = as_input(stretch, 5)
    assert both.shape == (5, 4, 40, 40)
    assert torch.equal(both[:3], normalised(stretch[:, :4]))
    assert torch.equal(both[3:], as_input(stretch, 2))


def test_a_moment_has_the_flow_of_the_ten_frames_from_there_on() -> None:
    stretch = pixels(21, 24)
    moments, flow = as_input(stretch, 23), scaled_flow(stretch)
    assert moments.shape == (23, 2, 24, 24)
    for moment in range(2):
        assert torch.equal(moments[:3, moment], normalised(stretch)[:, 10 * moment])
        for frame in range(10):
            assert torch.equal(moments[3 + 2 * frame : 5 + 2 * frame, moment], flow[:, 10 * moment + frame])


def test_flow_is_in_twentieths_of_a_pixel_and_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    found = torch.tensor([5.0, -30.0]).view(2, 1, 1, 1)
    monkeypatch.setattr("winograd.networks.streams.optical_flow", lambda _: found)
    assert scaled_flow(pixels(2)).flatten().tolist() == [0.25, -1.0]


def test_clips_are_at_equal_distances(tmp_path: Path) -> None:
    levels = [20 + 20 * index for index in range(10)]
    video = write_video(tmp_path / "grey.mp4", greys(levels))
    two = read_inputs(video, (3, 4, 16, 16))
    assert torch.equal(two, torch.stack(read_clips(video, frames=4, size=16)))
    four = read_inputs(video, (3, 4, 16, 16), count=4)
    assert torch.equal(four[[0, 3]], two)
    # Frames 0, 2, 4 and 6 are the first ones; neighbours are 20 levels apart, and the codec keeps them within a few.
    steps = (four[1:, 1, 0] - four[:-1, 1, 0]).mean(dim=(1, 2)) * 0.22145 * 255
    torch.testing.assert_close(steps, torch.full((3,), 40.0), atol=12, rtol=0)


def test_two_files_give_the_first_frames_of_each(tmp_path: Path) -> None:
    one = write_video(tmp_path / "one.mp4", greys([50] * 6))
    other = write_video(tmp_path / "other.mp4", greys([90] * 6))
    clips = read_inputs(one, (3, 5, 16, 16), other=other)
    assert float(clips[1].mean()) > float(clips[0].mean())
    with pytest.raises(ValueError, match="count is 3, two files give 2 clips"):
        read_inputs(one, (3, 5, 16, 16), other=other, count=3)


def test_flow_needs_one_frame_more(tmp_path: Path) -> None:
    video = write_video(tmp_path / "short.mp4", greys([50] * 8))
    assert read_inputs(video, (3, 4, 16, 16)).shape == (2, 3, 4, 16, 16)
    with pytest.raises(ClipError, match="has 8 frames; two clips of 5 need 10"):
        read_inputs(video, (2, 4, 16, 16))


def test_a_moving_video_has_flow(tmp_path: Path) -> None:
    video = write_video(tmp_path / "waves.mp4", waves(4))
    right, down = read_inputs(video, (2, 1, 42, 42))[0, :, 0, 8:-8, 8:-8]
    # 48 pixels become 48 and are cropped to 42: movement stays 2 pixels to the right; the codec blurs a little.
    assert float(right.mean()) == pytest.approx(2 / 20, rel=0.1)
    assert abs(float(down.mean())) < 0.1 * 2 / 20


def test_what_no_input_is_made_of_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="input has 4 channels, clips are made of 2, 3, 5 or 23"):
        frames_needed(4, 16)
    with pytest.raises(ValueError, match="height and width must be equal"):
        read_inputs(tmp_path / "none.mp4", (3, 16, 16, 20))


@pytest.mark.parametrize("name", list_networks())
def test_every_network_of_the_registry_has_a_clip_that_is_made_for_it(name: str) -> None:
    network = outline(name)
    shape = input_shape(network, None, None)
    assert shape == network.input_shape
    check_shape(network, name, shape)
    assert frames_needed(*shape[:2]) <= 66  # two clips of the example video, which has 132 frames
