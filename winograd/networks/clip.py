"""Clips for the networks: frames of a real video, decoded, resized, cropped and normalised.

In: a video file. Out: float32 tensors of shape (3, frames, size, size). Refused: files that are no video or too short.
Needs PyAV, which the extra ``video`` installs.
"""

from __future__ import annotations

from collections import deque
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


def read_clips(path: str | Path, *, frames: int = 16, size: int = 112) -> tuple[Tensor, Tensor]:
    """Decode two clips from different moments of a video: its first frames and its last ones (of at most `MAX_FRAMES`).

    Parameters
    ----------
    path : str or Path
        A video file in any format that PyAV reads.
    frames : int
        Consecutive frames per clip.
    size : int
        Height and width in pixels: the short side is resized to 8/7 of it, and the centre is cropped.

    Returns
    -------
    tuple of two Tensors
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
    first: list[Any] = []
    last: deque[Any] = deque(maxlen=frames)
    for frame in _decoded(path):
        if len(first) < frames:
            first.append(frame)
        else:
            last.append(frame)
    if len(last) < frames:
        raise ClipError(
            f"clip {str(path)!r} has {len(first) + len(last)} frames; "
            f"two clips of {frames} need {2 * frames}, or one each from two files"
        )
    return _as_clip(first, size), _as_clip(list(last), size)


def read_clip(path: str | Path, *, frames: int = 16, size: int = 112) -> Tensor:
    """Decode the first frames of a video into one clip; see `read_clips`, which needs twice the frames."""
    first = list(islice(_decoded(path), frames))
    if len(first) < frames:
        raise ClipError(f"clip {str(path)!r} has {len(first)} frames; a clip needs {frames}")
    return _as_clip(first, size)


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


def _as_clip(frames: list[Any], size: int) -> Tensor:
    """Turn decoded frames into one normalised clip of shape (3, frames, size, size)."""
    pixels = torch.stack(
        [_resized(torch.from_numpy(frame.to_ndarray(format="rgb24")), size) for frame in frames], dim=1
    )
    mean = torch.tensor(_MEAN).view(3, 1, 1, 1)
    std = torch.tensor(_STD).view(3, 1, 1, 1)
    return (pixels - mean) / std


def _resized(picture: Tensor, size: int) -> Tensor:
    """Resize (H, W, 3) bytes so that the short side is 8/7 of size, and crop the centre: (3, size, size) in 0..1."""
    planes = picture.permute(2, 0, 1).float()[None] / 255
    scale = round(size * _RESIZE_MARGIN) / min(planes.shape[-2:])
    height, width = (max(size, round(side * scale)) for side in planes.shape[-2:])
    small = torch.nn.functional.interpolate(planes, (height, width), mode="bilinear", antialias=True)
    top, left = (height - size) // 2, (width - size) // 2
    return small[0, :, top : top + size, left : left + size]
