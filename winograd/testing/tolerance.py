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
from winograd.accuracy.modelling.moments import DEVIATIONS
from winograd.accuracy.protocol import LAYER, Experiment, as_experiment
from winograd.testing.convolution import Array, Convolution

MODEL_ERROR = 0.08
"""What `winograd.accuracy.model.predict_error` states that it may be off."""


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
    sizes = [np.mean(values[np.isfinite(values)] ** 2) for values in (convolution.data, convolution.weights)]
    scale = math.sqrt(sizes[0] * sizes[1]) / DEVIATIONS[protocol.inputs] ** 2
    return np.where(convolution.finite(), (1 + MODEL_ERROR) * quantile * scale, np.nan)


def _protocol(
    convolution: Convolution, working: FloatFormat, final: FloatFormat, experiment: str | Experiment
) -> Experiment:
    """Return the experiment with the channels of the data, and the rounding to the dtype of the outputs."""
    protocol = replace(as_experiment(experiment), channels=convolution.channels)
    narrower = final.digits < working.digits and protocol.interface is None
    return replace(protocol, interface=final.name) if narrower else protocol


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
