"""Protocols: what one trial of an error measurement does. The model and the bounds describe the same protocols.

In: the name of a preset or an `Experiment`. Out: an `Experiment`. Refused: unknown names, impossible channel counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from winograd.accuracy.arguments import checked_integer
from winograd.codegen.interpret import Contraction


class FilterRounding(Enum):
    """Where the filter transform rounds."""

    EVERY_INSTRUCTION = "every instruction"
    """It is computed in the dtype of the experiment."""
    ONCE = "once"
    """It is computed in float64 and its result is rounded once, as for weights that are transformed beforehand."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """What one trial does: one output tile of one filter, all inputs independent and uniform on (-1, 1).

    Parameters
    ----------
    name : str
        For reports.
    channels : int
        Input channels that are summed.
    channel_block : int, optional
        Channels of one partial sum; the partial sums are added in order. None is one running sum.
    contraction : Contraction
        How fused instructions of the programs, and product and sum of the channels, round.
    filter_rounding : FilterRounding
        Where the filter transform rounds.

    Raises
    ------
    TypeError, ValueError
        If channels or channel_block is no integer or below 1.
    """

    name: str
    channels: int = 1
    channel_block: int | None = None
    contraction: Contraction = Contraction.SEPARATE
    filter_rounding: FilterRounding = FilterRounding.EVERY_INSTRUCTION

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", checked_integer("channels", self.channels, 1))
        if self.channel_block is not None:
            object.__setattr__(self, "channel_block", checked_integer("channel_block", self.channel_block, 1))

    @property
    def blocks(self) -> tuple[range, ...]:
        """The channels of each partial sum."""
        size = self.channel_block or self.channels
        starts = range(0, self.channels, size)
        return tuple(range(start, min(start + size, self.channels)) for start in starts)


STANDARD: Final = Experiment("standard")
"""One tile, one channel, every step in the dtype without fused instructions: Barabasz et al., arXiv 1803.10986."""

LAYER: Final = Experiment(
    "layer", channels=64, channel_block=64, contraction=Contraction.FUSED, filter_rounding=FilterRounding.ONCE
)
"""One tile of a layer of 64 channels as the generated kernels compute it; meant for order "lowered"."""

_PRESETS: Final = {preset.name: preset for preset in (STANDARD, LAYER)}


def as_experiment(value: object) -> Experiment:
    """Return an `Experiment` from the name of a preset or itself.

    Raises
    ------
    ValueError
        If there is no such preset.
    """
    if isinstance(value, Experiment):
        return value
    if isinstance(value, str) and value in _PRESETS:
        return _PRESETS[value]
    raise ValueError(f"experiment is {value!r}, must be one of {', '.join(_PRESETS)}, or an Experiment")
