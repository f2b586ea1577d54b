"""Clips for the networks: frames of a real video, decoded, resized, cropped and normalised.

In: a video file. Out: float32 tensors of shape (3, frames, size, size); `winograd.networks.streams` makes
others of them. Refused: files that are no video or too short.
Needs PyAV, which the extra ``video`` installs.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_FRAMES: Final = 300
"""Frames decoded at most: about ten seconds, so that a film costs no more than a clip."""

# Mean and standard deviation of Kinetics-400, per RGB channel in 0..1, as torchvision's video models use them.
_MEAN = (0.43216, 0.394666, 0.37645)
_STD = (0.22803, 0.22145, 0.216989)

_RESIZE_MARGIN = 128 / 112
"""The short side is resized to this multiple of the crop, as the video models' published evaluations do."""


class ClipError(ValueError):
    """The file gives no clip: it cannot be decoded, has no video, or is too short."""


def read_clips(path: str | Path, *, frames: int = 16, size: int = 112, count: int = 2) -> tuple[Tensor, ...]:
    """Decode clips from different moments of a video: its first frames, its last ones of at most `MAX_FRAMES`, others.

    Parameters
    ----------
    path : str or Path
        A video file in any format that PyAV reads.
    frames : int
        Consecutive frames per clip.
    size : int
        Height and width in pixels: the short side is resized to 8/7 of it, and the centre is cropped.
    count : int
        Clips, at least 2. They begin at equal distances; of more than two, neighbours may share frames.

    Returns
    -------
    tuple of Tensors
        float32, shape (3, frames, size, size), RGB, normalised by the mean and deviation of Kinetics-400.

    Raises
    ------
    ClipError
        If the file is no video, or has fewer than 2 * frames frames; naming the file.
    OSError
        If the file cannot be read.
    ImportError
        If PyAV is not installed.
    """
    return tuple(normalised(stretch) for stretch in read_stretches(path, frames=frames, size=size, count=count))


def read_clip(path: str | Path, *, frames: int = 16, size: int = 112) -> Tensor:
    """Decode the first frames of a video into one clip; see `read_clips`, which needs twice the frames."""
    return normalised(read_stretch(path, frames=frames, size=size))


def read_stretches(path: str | Path, *, frames: int, size: int, count: int = 2) -> list[Tensor]:
    """Decode clips as `read_clips` does, and leave the pixels as they are: 0..1."""
    pictures = _pictures(path, MAX_FRAMES, size)
    if len(pictures) < 2 * frames:
        raise ClipError(
            f"clip {str(path)!r} has {len(pictures)} frames; "
            f"two clips of {frames} need {2 * frames}, or one each from two files"
        )
    last = len(pictures) - frames
    starts = [round(last * number / (count - 1)) for number in range(count)]
    return [torch.stack(pictures[start : start + frames], dim=1) for start in starts]


def read_stretch(path: str | Path, *, frames: int, size: int) -> Tensor:
    """Decode the first frames of a video as `read_clip` does, and leave the pixels as they are: 0..1."""
    pictures = _pictures(path, frames, size)
    if len(pictures) < frames:
        raise ClipError(f"clip {str(path)!r} has {len(pictures)} frames; a clip needs {frames}")
    return torch.stack(pictures, dim=1)


def normalised(pixels: Tensor) -> Tensor:
    """Return pixels of shape (3, frames, height, width) in 0..1 less the mean, over the deviation, of Kinetics-400."""
    mean = torch.tensor(_MEAN).view(3, 1, 1, 1)
    std = torch.tensor(_STD).view(3, 1, 1, 1)
    return (pixels - mean) / std


def _pictures(path: str | Path, most: int, size: int) -> list[Tensor]:
    """Decode and resize the first frames, one by one: only what is resized is kept."""
    return [
        _resized(torch.from_numpy(frame.to_ndarray(format="rgb24")), size) for frame in islice(_decoded(path), most)
    ]


def _decoded(path: str | Path) -> Iterator[Any]:
    import av

    with Path(path).open("rb"):
        pass  # a file that cannot be read is the usual OSError, not a matter of decoding
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise ClipError(f"clip {str(path)!r} has no video stream")
            yield from islice(container.decode(video=0), MAX_FRAMES)
    except av.FFmpegError as error:
        raise ClipError(f"clip {str(path)!r} cannot be decoded: {error.strerror}") from None


def _resized(picture: Tensor, size: int) -> Tensor:
    """Resize (H, W, 3) bytes so that the short side is 8/7 of size, and crop the centre: (3, size, size) in 0..1."""
    planes = picture.permute(2, 0, 1).float()[None] / 255
    scale = round(size * _RESIZE_MARGIN) / min(planes.shape[-2:])
    height, width = (max(size, round(side * scale)) for side in planes.shape[-2:])
    small = torch.nn.functional.interpolate(planes, (height, width), mode="bilinear", antialias=True)
    top, left = (height - size) // 2, (width - size) // 2
    return small[0, :, top : top + size, left : left + size]
