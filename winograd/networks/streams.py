"""What the networks look at, made of the frames of a video: colours, optical flow, both, or moments with both.

In: video files, and the shape of a network's input. Out: float32 clips of that shape.
Refused: numbers of channels that stand for none of these, and what `winograd.networks.clip` refuses.

The number of channels says what they hold. 3: colours. 2: the flow from each frame to the next, right and down. 5:
colours, then flow. 23: moments ten frames apart, each with the colours of its frame and the flow of the ten frames from
there on, right and down of the first, of the second, and so on. Flow is in pixels of the clip over 20, cut off at -1
and 1, as the public networks of flow want it; colours are normalised as `winograd.networks.clip.normalised` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from winograd.networks.clip import normalised, read_stretch, read_stretches
from winograd.networks.flow import optical_flow

_COLOURS: Final = 3
_FLOW: Final = 2
_BOTH: Final = _COLOURS + _FLOW

_STEP: Final = 10
"""Frames from one moment to the next, each of which gives the moment its flow."""

_MOMENTS: Final = _COLOURS + _FLOW * _STEP

_FASTEST: Final = 20
"""Pixels per frame that stand for 1."""

_GREY: Final = (0.299, 0.587, 0.114)
"""Share of red, green and blue in the grey level, by ITU-R BT.601."""


def read_inputs(
    path: str | Path, input_shape: Sequence[int], *, count: int = 2, other: str | Path | None = None
) -> Tensor:
    """Decode clips for a network whose input has this shape.

    Parameters
    ----------
    path : str or Path
        A video file.
    input_shape : sequence of int
        Channels, frames (or moments), height and width; the last two are equal.
    count : int
        Clips, at least 2: at equal distances from the first to the last frames.
    other : str or Path, optional
        A second file: there are two clips then, the first frames of each.

    Returns
    -------
    Tensor of shape (count, *input_shape)

    Raises
    ------
    ClipError, OSError, ImportError
        As `winograd.networks.clip.read_clips`.
    ValueError
        If nothing is known that has this number of channels, height and width differ, or count is not 2 for two files.
    """
    channels, frames, height, width = input_shape
    needed = frames_needed(channels, frames)
    if height != width:
        raise ValueError(f"input_shape is {tuple(input_shape)}, height and width must be equal")
    if other is None:
        stretches = read_stretches(path, frames=needed, size=width, count=count)
    elif count == 2:
        stretches = [read_stretch(file, frames=needed, size=width) for file in (path, other)]
    else:
        raise ValueError(f"count is {count}, two files give 2 clips")
    return torch.stack([as_input(stretch, channels) for stretch in stretches])


def frames_needed(channels: int, frames: int) -> int:
    """Return the frames of a video that an input of so many channels and frames is made of.

    Examples
    --------
    >>> [frames_needed(channels, 5) for channels in (3, 2, 5, 23)]
    [5, 6, 6, 51]
    """
    if channels not in (_COLOURS, _FLOW, _BOTH, _MOMENTS):
        raise ValueError(f"input has {channels} channels, clips are made of {_FLOW}, {_COLOURS}, {_BOTH} or {_MOMENTS}")
    if channels == _COLOURS:
        return frames
    return frames * (_STEP if channels == _MOMENTS else 1) + 1  # the last flow needs the frame behind it


def as_input(pixels: Tensor, channels: int) -> Tensor:
    """Return pixels of shape (3, frames, height, width) in 0..1 as an input of so many channels.

    Examples
    --------
    >>> as_input(torch.rand(3, 51, 20, 20), 23).shape
    torch.Size([23, 5, 20, 20])
    """
    if channels == _COLOURS:
        return normalised(pixels)
    flow = scaled_flow(pixels)
    if channels == _FLOW:
        return flow
    colours = normalised(pixels[:, :-1])
    if channels == _BOTH:
        return torch.cat((colours, flow))
    stacks = flow.reshape(_FLOW, -1, _STEP, *flow.shape[2:])  # direction, moment, frame of the moment
    return torch.cat((colours[:, ::_STEP], stacks.permute(2, 0, 1, 3, 4).flatten(0, 1)))


def scaled_flow(pixels: Tensor) -> Tensor:
    """Return the flow of pixels of shape (3, T + 1, height, width), shape (2, T, height, width), in -1..1."""
    grey = torch.tensordot(torch.tensor(_GREY, dtype=pixels.dtype), pixels, dims=1)
    return (optical_flow(grey) / _FASTEST).clamp(-1, 1)
