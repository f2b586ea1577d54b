"""Protocols: what one trial of an error measurement does. The model and the bounds describe the same protocols.

In: the name of a preset or an `Experiment`. Out: an `Experiment`. Refused: unknown names, impossible channel counts,
formats that do not contain each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from winograd.accuracy.arguments import checked_integer
from winograd.accuracy.formats import FloatFormat, float_format, stored_format
from winograd.codegen.interpret import Contraction


class FilterRounding(Enum):
    """Where the filter transform rounds."""

    EVERY_INSTRUCTION = "every instruction"
    """It is computed in the dtype of the experiment."""
    ONCE = "once"
    """It is computed in float64 and its result is rounded once, as for weights that are transformed beforehand."""


class ChannelSum(Enum):
    """In which order the products of a tile are added over the channels, or over those of one block."""

    SEQUENTIAL = "sequential"
    """One running sum, in order."""
    PAIRWISE = "pairwise"
    """The first half (n - n // 2 of n numbers) and the second half, each so. Products round on their own."""


class Inputs(Enum):
    """How data and filters are drawn where none are given."""

    UNIFORM = "uniform"
    """Uniform on (-1, 1), on the grid of C++'s ``uniform_real_distribution``."""
    NORMAL = "normal"
    """Standard normal, rounded once."""


MOST_CHANNELS: Final = 2**53
"""Up to which float64 counts."""

_KINDS: Final[dict[str, type[Enum]]] = {
    "contraction": Contraction,
    "filter_rounding": FilterRounding,
    "channel_sum": ChannelSum,
    "inputs": Inputs,
}
"""The fields of an experiment that are members of an enumeration."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """What one trial does: one output tile of one filter, all inputs independent.

    The dtype of a measurement is that of products and sums, and of everything that is not said to be otherwise here.

    Parameters
    ----------
    name : str
        For reports.
    channels : int
        Input channels that are summed.
    channel_block : int, optional
        Channels of one partial sum; the partial sums are added in order. None is a single sum.
    channel_sum : ChannelSum
        Order within a block.
    contraction : Contraction
        How fused instructions of the programs, and product and sum of the channels, round.
    filter_rounding : FilterRounding
        Where the filter transform rounds.
    storage : str, optional
        "float16", "bfloat16" or "tf32": U and V are rounded to it before the products. None keeps the dtype.
    transforms : str, optional
        Wider dtype of the data and inverse transforms, and of the filter's unless that rounds once. V and U are rounded
        from it to the dtype (or to ``storage``, once), and the outputs back to the dtype. None is the dtype itself.
    interface : str, optional
        Narrower dtype of inputs and outputs: inputs lie on its grid, outputs are rounded to it. None is the dtype.
    inputs : Inputs
        How they are drawn.

    Raises
    ------
    TypeError, ValueError
        If channels or channel_block is no integer or below 1, or there are more than 2^53 channels; for a storage,
        transforms or interface of another name.
        Members of the enumerations may be given by their values, as text.
    """

    name: str
    channels: int = 1
    channel_block: int | None = None
    contraction: Contraction = Contraction.SEPARATE
    filter_rounding: FilterRounding = FilterRounding.EVERY_INSTRUCTION
    channel_sum: ChannelSum = ChannelSum.SEQUENTIAL
    storage: str | None = None
    transforms: str | None = None
    interface: str | None = None
    inputs: Inputs = Inputs.UNIFORM

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", checked_integer("channels", self.channels, 1, MOST_CHANNELS))
        if self.channel_block is not None:
            object.__setattr__(self, "channel_block", checked_integer("channel_block", self.channel_block, 1))
        for name, kind in _KINDS.items():
            object.__setattr__(self, name, _checked_kind(name, kind, getattr(self, name)))
        if self.storage is not None:
            stored_format(self.storage)
        for name in ("transforms", "interface"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, float_format(getattr(self, name), name).name)

    @property
    def first_block(self) -> int:
        """Channels of the first partial sum, and of all but the last."""
        return min(self.channel_block or self.channels, self.channels)

    @property
    def block_count(self) -> int:
        """How many partial sums there are."""
        return -(-self.channels // self.first_block)

    @property
    def blocks(self) -> tuple[range, ...]:
        """The channels of each partial sum."""
        size = self.first_block
        starts = range(0, self.channels, size)
        return tuple(range(start, min(start + size, self.channels)) for start in starts)


def _checked_kind(name: str, kind: type[Enum], value: object) -> Enum:
    try:
        return kind(value)
    except ValueError:
        allowed = ", ".join(repr(member.value) for member in kind)
        raise ValueError(f"{name} is {value!r}, must be one of {allowed}") from None


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


def checked_formats(experiment: Experiment, fmt: FloatFormat) -> Experiment:
    """Return the experiment, if its formats and that of the measurement hold each other's numbers.

    Raises
    ------
    ValueError
        If the dtype lacks numbers of storage or interface, or the transforms lack some of the dtype.

    Examples
    --------
    >>> checked_formats(Experiment("x", storage="bfloat16"), float_format("float16"))
    Traceback (most recent call last):
    ...
    ValueError: storage of experiment x is bfloat16, must be numbers of dtype float16
    """
    narrower = {
        "interface": experiment.interface and float_format(experiment.interface),
        "storage": experiment.storage and stored_format(experiment.storage),
    }
    for field, inner in narrower.items():
        if inner and not fmt.contains(inner):
            raise ValueError(
                f"{field} of experiment {experiment.name} is {inner.name}, must be numbers of dtype {fmt.name}"
            )
    wider = experiment.transforms
    if wider and not float_format(wider).contains(fmt):
        raise ValueError(f"transforms of experiment {experiment.name} are {wider}, must hold dtype {fmt.name}")
    return experiment


def is_preset(experiment: Experiment) -> bool:
    """Whether it is one of the presets, whose number of channels may be replaced by that of given arrays."""
    return experiment in _PRESETS.values()
