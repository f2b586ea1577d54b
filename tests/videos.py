"""Small videos for tests, written with PyAV."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def write_video(path: Path, pictures: list[np.ndarray]) -> Path:
    height, width, _ = pictures[0].shape
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = width, height, "yuv420p", 4_000_000
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def greys(levels: list[int], height: int = 48, width: int = 64) -> list[np.ndarray]:
    return [np.full((height, width, 3), level, np.uint8) for level in levels]


def waves(frames: int, step: float = 2.0, side: int = 48) -> list[np.ndarray]:
    """Return pictures of a pattern that moves to the right by so many pixels each, and changes its contrast slowly."""
    rows, columns = np.mgrid[0:side, 0:side]
    pictures = []
    for frame in range(frames):
        wave = (60 - frame) * np.sin(0.35 * (columns - step * frame)) + 50 * np.sin(0.3 * rows)
        pictures.append(np.repeat((127 + wave)[..., None], 3, axis=2).astype(np.uint8))
    return pictures
