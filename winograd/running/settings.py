"""What a run of a network is asked for. In: values as a user gives them. Out: `RunSettings`. Refused: wrong values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from winograd.quoting import quote

DTYPES: Final = ("float32", "float64", "float16", "bfloat16")
"""Names of the dtypes in which a network runs."""

_LEAST: Final = {"batch": 1, "frames": 1, "size": 1, "seed": 0, "repeats": 0}


@dataclass(frozen=True, slots=True)
class RunSettings:
    """One run of one network.

    Parameters
    ----------
    network : str
        Its name in the registry.
    clip : str
        A video file: clips are taken at equal distances from its first to its last frames.
    other_clip : str, optional
        A second file: the clips are then the first frames of each.
    weights : str, optional
        A checkpoint. None initialises by the seed, and normalisations from the first clip.
    seed : int
        Of the initial values.
    undamped : bool
        Whether initial values leave residual branches as they are, see `winograd.networks.norms.damp_residuals`.
    batch : int
        Clips that run at once. There are two clips at least, so that outputs can differ.
    frames, size : int, optional
        Frames (moments, for a network that looks at those), height and width; None takes those of the network.
    dtype : str
        One of `DTYPES`.
    tolerance : float, optional
        Predicted error allowed; None takes that of the dtype.
    repeats : int
        Rounds of timing; 0 times nothing.
    options : tuple of pairs
        Name and value of options of the network, such as ("form", "port").

    Examples
    --------
    >>> RunSettings("c3d", "clip.mp4", batch=3).clips
    3
    >>> RunSettings("c3d", "clip.mp4", batch=0)
    Traceback (most recent call last):
    ...
    ValueError: batch is 0, must be at least 1
    """

    network: str
    clip: str
    other_clip: str | None = None
    weights: str | None = None
    seed: int = 0
    undamped: bool = False
    batch: int = 1
    frames: int | None = None
    size: int | None = None
    dtype: str = "float32"
    tolerance: float | None = None
    repeats: int = 15
    options: tuple[tuple[str, int | float | str], ...] = ()

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name} is {value}, must be at least {least}")
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype is {quote(self.dtype)}, must be one of {', '.join(DTYPES)}")
        if self.undamped and self.weights is not None:
            raise ValueError("undamped is for initial values, weights are from a file")
        if self.other_clip is not None and self.batch > 2:
            raise ValueError(f"batch is {self.batch}, must be 1 or 2 where clips are from two files")

    @property
    def clips(self) -> int:
        """How many clips are read: two, or as many as run at once."""
        return max(2, self.batch)
