"""Where an experiment rounds: the formats of its stages, and how many roundings a product meets in the channel sum.

In: a format and an `Experiment`, or none for what holds in all of one dtype. Out: `RoundingStages`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from winograd.accuracy.arguments import checked_integer
from winograd.accuracy.bounding.transform_bounds import Bounded, rounded_to
from winograd.accuracy.formats import FloatFormat, float_format, stored_format
from winograd.accuracy.modelling.accumulation import rounded_products
from winograd.accuracy.protocol import ChannelSum, Experiment, FilterRounding, as_experiment, checked_formats


@dataclass(frozen=True, slots=True)
class RoundingStages:
    """The formats of the stages of an experiment.

    Parameters
    ----------
    sums : FloatFormat
        Of products and channel sums.
    data, filter : FloatFormat
        In which data and inverse transform run, and the filter transform.
    stored_data, stored_filter : FloatFormat, optional
        What transformed data and filter are rounded to before the products.
    outputs : tuple of FloatFormat
        What the outputs are rounded to, one after the other.
    channels : int
    depth : int
        Most roundings that a product meets, its own included.
    """

    sums: FloatFormat
    data: FloatFormat
    filter: FloatFormat
    stored_data: FloatFormat | None
    stored_filter: FloatFormat | None
    outputs: tuple[FloatFormat, ...]
    channels: int
    depth: int


def checked_stages(fmt: FloatFormat, channels: object, experiment: object) -> RoundingStages:
    """Return where an experiment rounds, or, if there is none, what covers all of one dtype with so many channels.

    Raises
    ------
    TypeError, ValueError
        For an unknown experiment, or one whose formats do not hold each other's numbers, channels that are no integer
        or below 1, or neither 1 nor those of the experiment.
    """
    count = checked_integer("channels", channels, 1)
    if experiment is None:
        return stages_of_any(fmt, count)
    protocol = checked_formats(as_experiment(experiment), fmt)
    if count not in (1, protocol.channels):
        raise ValueError(f"channels is {count}, must be the {protocol.channels} of experiment {protocol.name}")
    return stages_of(protocol, fmt)


def stages_of_any(fmt: FloatFormat, channels: int) -> RoundingStages:
    """Return what covers every experiment that stays in one dtype: its channel sum in any order and shape.

    A filter transform in the dtype covers that in float64 which is rounded once: what rounds there rounds here, too.
    """
    return RoundingStages(
        sums=fmt,
        data=fmt,
        filter=fmt,
        stored_data=None,
        stored_filter=None,
        outputs=(),
        channels=channels,
        depth=channels,
    )


def stages_of(experiment: Experiment, fmt: FloatFormat) -> RoundingStages:
    """Return where this experiment rounds.

    Examples
    --------
    >>> pairs = Experiment("pairwise", channels=64, channel_sum=ChannelSum.PAIRWISE)
    >>> stages_of(pairs, float_format("float32")).depth
    7
    """
    inside = float_format(experiment.transforms) if experiment.transforms else fmt
    once = experiment.filter_rounding is FilterRounding.ONCE
    stored = stored_format(experiment.storage) if experiment.storage else fmt
    again = not stored.contains(inside)
    outside = float_format(experiment.interface or fmt.name)
    outputs = [narrower for wider, narrower in ((inside, fmt), (fmt, outside)) if not narrower.contains(wider)]
    return RoundingStages(
        sums=fmt,
        data=inside,
        filter=float_format("float64") if once else inside,
        stored_data=stored if again else None,
        stored_filter=stored if again or once else None,
        outputs=tuple(outputs),
        channels=experiment.channels,
        depth=_depth(experiment, fmt),
    )


def _depth(experiment: Experiment, fmt: FloatFormat) -> int:
    """Return the most roundings of one product: its own, those within the first block, and one per further block."""
    size = experiment.first_block
    sums = size - 1 if experiment.channel_sum is ChannelSum.SEQUENTIAL else (size - 1).bit_length()
    return int(rounded_products(experiment, fmt) > 0) + sums + experiment.block_count - 1


def stored_bound(values: Bounded, fmt: FloatFormat | None) -> Bounded:
    """Follow sizes and errors through the rounding of what is stored, if there is one."""
    return values if fmt is None else rounded_to(values, fmt.roundoff, fmt.underflow)


def product_bound(u: Bounded, v: Bounded, stages: RoundingStages, *, underflow: bool = True) -> Bounded:
    """Follow sizes and errors through a product and what its channel sum adds to it.

    No sum of n products is further from the exact one than n u times the sum of their sizes, in any order and for any
    n, where every rounding is to nearest; with few roundings on the way of each, (1 + u)^depth - 1 is less.
    The proof for products that are rounded by themselves carries over to those that fused multiply-adds add exactly:
    a + b is rounded to something no further away than a, so that a sum is off by at most |b|, what b is like or not.

    References
    ----------
    C.-P. Jeannerod, S. M. Rump, Improved error bounds for inner products in floating-point arithmetic, SIAM J. Matrix
    Anal. Appl. 34 (2013).
    """
    u_sums = stages.sums.roundoff
    with np.errstate(over="ignore"):
        by_depth = float(np.expm1(stages.depth * np.log1p(u_sums)))
    growth = min(by_depth, stages.channels * u_sums)
    size = u[0] * v[0]
    error = u[1] * v[0] + (u[0] + u[1]) * v[1]
    lost = stages.sums.underflow if underflow else 0.0
    return size, error + growth * (size + error) + (1 + growth) * lost
