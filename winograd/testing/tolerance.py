"""How far the outputs of a convolution may be from the exact ones: the worst case, and the model's quantile.

In: a `Convolution`, the format of its arithmetic and that of its outputs. Out: arrays (N, K, outputs...).
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from winograd.accuracy.bounds import error_bound
from winograd.accuracy.formats import FloatFormat
from winograd.accuracy.model import predict_error
from winograd.accuracy.modelling.rounding import DEVIATIONS
from winograd.accuracy.protocol import LAYER, Experiment, as_experiment, checked_formats
from winograd.testing.convolution import Array, Convolution

MODEL_ERROR = 0.08
"""What `winograd.accuracy.model.predict_error` states that it may be off."""

_SAME_DATA, _SAME_FILTER = 1 / 6, 1 / 9
"""Correlations of the verdicts over two tiles that share their data, or their filter, at most, with one channel.

They fall as 1 / channels, and with the share. Measured at a share of 0.9: 0.14 and 0.06 for F(8,3), 0.08 and 0.05 for
F(4,3).
"""


def worst_case(
    convolution: Convolution,
    working: FloatFormat,
    order: str,
    final: FloatFormat,
    experiment: str | Experiment | None,
) -> Array:
    """Return what the error of a right kernel never exceeds, output by output; nan in tiles that are not finite."""
    if experiment is not None:
        protocol = _protocol(convolution, working, final, experiment)
        return convolution.bound(error_bound(convolution.algorithm, working.name, order=order, experiment=protocol))
    bound = convolution.bound(error_bound(convolution.algorithm, working.name, convolution.channels, order))
    if final.digits >= working.digits:
        return bound
    largest = np.abs(convolution.float64()) + convolution.float64_error() + bound
    return bound + final.roundoff * largest + final.underflow


def tile_quantile(
    convolution: Convolution,
    working: FloatFormat,
    order: str,
    final: FloatFormat,
    share: float,
    experiment: str | Experiment | None,
) -> Array:
    """Return what the largest error of a tile stays under in this share of tiles, for data and weights of this size.

    That is the model's quantile and `MODEL_ERROR` more.
    """
    protocol = _protocol(convolution, working, final, LAYER if experiment is None else experiment)
    quantile = predict_error(convolution.algorithm, working.name, protocol, order).quantile(share)
    scale = _rms(convolution.data) * _rms(convolution.weights) / DEVIATIONS[protocol.inputs] ** 2
    return np.where(convolution.finite(), (1 + MODEL_ERROR) * quantile * scale, np.nan)


def _rms(values: Array) -> float:
    """Return the root mean square of the finite ones, 0 where there is none; large ones do not overflow."""
    finite = np.abs(values[np.isfinite(values)])
    exponent = int(np.frexp(finite.max(initial=0.0))[1])
    return float(np.ldexp(np.linalg.norm(np.ldexp(finite, -exponent)), exponent)) / math.sqrt(max(finite.size, 1))


def _protocol(
    convolution: Convolution, working: FloatFormat, final: FloatFormat, experiment: str | Experiment
) -> Experiment:
    """Return the experiment with the channels of the data, and the rounding to the dtype of the outputs."""
    protocol = replace(as_experiment(experiment), channels=convolution.channels)
    narrower = final.digits < working.digits and protocol.interface is None
    return checked_formats(replace(protocol, interface=final.name) if narrower else protocol, working)


def independent_tiles(convolution: Convolution) -> int:
    """Return how many independent tiles say as much as those of a convolution, which share data and filters.

    The sum of n verdicts, the correlations of each with all others adding up to c, scatters as n / (1 + c) independent
    ones.

    Examples
    --------
    >>> data, weights = np.ones((1, 1, 4)), np.ones((1024, 1, 3))
    >>> from winograd import nest, toom_cook
    >>> independent_tiles(Convolution(data, weights, nest(toom_cook(2, 3)), [(0, 0)]))
    6
    """
    outputs, count = len(convolution.weights), convolution.tile_count
    correlated = (outputs - 1) * _SAME_DATA + (count // outputs - 1) * _SAME_FILTER
    return math.ceil(count / (1 + correlated / convolution.channels))


def allowed_beyond(convolution: Convolution, share: float) -> int:
    """Return how many tiles of a right kernel may be beyond their quantile, more with a probability of 1 - share."""
    independent = independent_tiles(convolution)
    return tiles_beyond(independent, share) * convolution.tile_count // independent


def tiles_beyond(tiles: int, share: float) -> int:
    """Return the smallest count that independent tiles, beyond with a probability of 1 - share, exceed as rarely.

    Examples
    --------
    >>> tiles_beyond(1, 0.999), tiles_beyond(10_000, 0.999)
    (0, 21)
    """
    chance, reached, count = 1 - share, 0.0, -1
    rounding = 1e-12  # of the sum below: without it a single tile's own share is missed by the last digit
    while reached < share - rounding and count < tiles:
        count += 1
        ways = math.lgamma(tiles + 1) - math.lgamma(count + 1) - math.lgamma(tiles - count + 1)
        reached += math.exp(ways + count * math.log(chance) + (tiles - count) * math.log1p(-chance))
    return count
