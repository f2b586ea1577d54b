from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import torch

from tests.videos import greys, write_video
from winograd.networks import clip as clip_module
from winograd.networks.clip import ClipError, read_clip, read_clips


def levels_of(clip: torch.Tensor) -> torch.Tensor:
    """Undo the normalisation: mean level of each frame in 0..255."""
    mean, std = (torch.tensor(values).view(3, 1, 1, 1) for values in (clip_module._MEAN, clip_module._STD))
    return ((clip * std + mean) * 255).mean(dim=(0, 2, 3))


def test_the_two_clips_are_the_first_and_the_last_frames(tmp_path: Path) -> None:
    levels = [20 + 20 * index for index in range(10)]
    video = write_video(tmp_path / "grey.mp4", greys(levels))
    first, last = read_clips(video, frames=4, size=16)
    assert first.shape == last.shape == (3, 4, 16, 16)
    assert first.dtype == torch.float32
    # The codec keeps flat grey within a few levels of 255; neighbouring frames are 20 levels apart.
    torch.testing.assert_close(levels_of(first), torch.tensor(levels[:4], dtype=torch.float32), atol=6, rtol=0)
    torch.testing.assert_close(levels_of(last), torch.tensor(levels[-4:], dtype=torch.float32), atol=6, rtol=0)
    torch.testing.assert_close(read_clip(video, frames=4, size=16), first)


@pytest.mark.parametrize(("height", "width"), [(48, 96), (96, 48)])
def test_the_centre_is_cropped_whatever_side_is_longer(tmp_path: Path, height: int, width: int) -> None:
    picture = np.zeros((height, width, 3), np.uint8)
    picture[height // 2 - 24 : height // 2 + 24, width // 2 - 24 : width // 2 + 24] = 255
    clip = read_clip(write_video(tmp_path / "centre.mp4", [picture] * 2), frames=2, size=42)
    assert float(levels_of(clip).min()) > 240  # the black sides would pull the mean to a half


def test_no_more_frames_are_decoded_than_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    levels = [20 + 20 * index for index in range(10)]
    video = write_video(tmp_path / "long.mp4", greys(levels))
    monkeypatch.setattr(clip_module, "MAX_FRAMES", 6)
    _, last = read_clips(video, frames=2, size=16)
    torch.testing.assert_close(levels_of(last), torch.tensor([100.0, 120.0]), atol=6, rtol=0)


def test_a_short_video_is_refused_naming_both_numbers(tmp_path: Path) -> None:
    video = write_video(tmp_path / "short.mp4", greys([50] * 7))
    with pytest.raises(ClipError, match="has 7 frames; two clips of 4 need 8"):
        read_clips(video, frames=4, size=16)
    assert read_clip(video, frames=4, size=16).shape == (3, 4, 16, 16)
    with pytest.raises(ClipError, match="has 7 frames; a clip needs 8"):
        read_clip(video, frames=8, size=16)


def test_a_file_that_is_no_video_is_refused_in_one_line(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("not a video")
    with pytest.raises(ClipError, match="cannot be decoded") as caught:
        read_clips(text)
    assert "\n" not in str(caught.value)
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(ClipError, match="cannot be decoded"):
        read_clips(tmp_path / "empty.mp4")


def test_sound_without_pictures_is_refused(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(ClipError, match="has no video stream"):
        read_clips(tmp_path / "sound.wav")


def test_a_cut_off_video_gives_its_whole_frames_or_a_clip_error(tmp_path: Path) -> None:
    video = write_video(tmp_path / "whole.mp4", greys([50] * 10))
    (tmp_path / "cut.mp4").write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    with pytest.raises(ClipError):
        read_clips(tmp_path / "cut.mp4", frames=4, size=16)


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_clips(tmp_path / "missing.mp4")
    with pytest.raises(IsADirectoryError):
        read_clips(tmp_path)
