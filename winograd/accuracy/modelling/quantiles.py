"""The distribution of one tile's errors: normal given the tile's data, with a variance that differs from tile to tile.

In: the parts of the variance, and what is computed. Out: mean absolute errors, and the largest errors of many tiles.
A sample of tiles, of a seed of its own, is transformed in float64; no rounding is carried out. The covariance between
the outputs follows from the same second moments as the root mean square error.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from winograd.accuracy.formats import FloatFormat
from winograd.accuracy.linear import Matrix
from winograd.accuracy.modelling.accumulation import squared_partial_sums
from winograd.accuracy.modelling.moments import DEVIATIONS
from winograd.accuracy.modelling.rounding import PHI
from winograd.accuracy.modelling.variance import Variances, contracted, outer
from winograd.accuracy.protocol import Experiment, Inputs
from winograd.algebra.bilinear import fraction_rows
from winograd.algebra.nesting import NestedAlgorithm

_SEED = 1803_10986
_CHUNK_VALUES = 2**20
"""Products that are held at once."""


@dataclass(frozen=True, slots=True, eq=False)
class TileSample:
    """Variances of some tiles given their data: ``products`` of shape (*ranks, tiles), the others (*m, tiles).

    ``before`` and ``after`` are what the parts from the transforms before and after the products are multiplied by.
    """

    products: Matrix
    before: Matrix
    after: Matrix


def mean_to_rms(nested: NestedAlgorithm, parts: Variances, fmt: FloatFormat, experiment: Experiment) -> Matrix:
    """Return E |error| / sqrt(E error^2) of every output, of shape (*m,): sqrt(2 / pi) were all tiles alike."""
    tiles = _tile_count(nested, experiment, least=32, most=8192, values=2**20)
    before, after = (part[..., None] for part in (parts.before, parts.after))
    roots, squares = np.zeros(nested.m), np.zeros(nested.m)
    for sample in samples(nested, parts, fmt, experiment, tiles):
        given = parts.through_inverse(sample.products) + before * sample.before + after * sample.after
        roots += np.sqrt(given).sum(axis=-1)
        squares += given.sum(axis=-1)
    return np.asarray(math.sqrt(2 / math.pi) * roots / np.sqrt(tiles * squares))


def largest_errors(nested: NestedAlgorithm, parts: Variances, fmt: FloatFormat, experiment: Experiment) -> Matrix:
    """Return the largest |error| of many random tiles, in ascending order."""
    tiles = _tile_count(nested, experiment, least=512, most=16384, values=2**24)
    draws = max(4, min(2**17, 2**25 // nested.rank) // tiles)
    factors = [_square_root(part) for part in (parts.before_covariance, parts.after_covariance)]
    inverse = [axis.at for axis in parts.axes]
    rng = np.random.default_rng(_SEED + 1)
    found = []
    for sample in samples(nested, parts, fmt, experiment, tiles):
        count = sample.products.shape[-1]
        for _ in range(draws):
            error = contracted(inverse, np.sqrt(sample.products) * rng.standard_normal(sample.products.shape))
            for factor, scale in zip(factors, (sample.before, sample.after), strict=True):
                noise = factor @ rng.standard_normal((len(factor), count))
                error += np.sqrt(scale) * noise.reshape(scale.shape)
            found.append(np.abs(error).reshape(-1, count).max(axis=0))
    return np.sort(np.concatenate(found))


def samples(
    nested: NestedAlgorithm, parts: Variances, fmt: FloatFormat, experiment: Experiment, tiles: int
) -> Iterator[TileSample]:
    """Yield the variances of random tiles, absolute, in chunks."""
    rng = np.random.default_rng(_SEED)
    deviation = DEVIATIONS[experiment.inputs]
    chunk = max(1, _CHUNK_VALUES // (nested.rank * experiment.channels))
    g, bt = ([_as_float(getattr(axis, name)) for axis in nested.axes] for name in ("g", "bt"))
    # Relative variances of what is stored: absolute ones are known on average only.
    stored = [
        part / np.maximum(outer([getattr(axis, name) for axis in parts.axes]), 5e-324)
        for part, name in ((parts.filter_storage, "filter_squares"), (parts.data_storage, "data_squares"))
    ]
    relative = (stored[0] + stored[1])[..., None]
    mean_square = outer([axis.filter_squares * axis.data_squares for axis in parts.axes])
    expected = parts.through_inverse(mean_square)[..., None] * experiment.channels * deviation**4
    for start in range(0, tiles, chunk):
        count = min(chunk, tiles - start)
        u = contracted(g, _draw(rng, (*nested.r, experiment.channels, count), experiment.inputs))
        v = contracted(bt, _draw(rng, (*nested.tile, experiment.channels, count), experiment.inputs))
        products = np.moveaxis(u * v, nested.ndim, 0)
        squares = (products**2).sum(axis=0)
        sums = PHI * fmt.roundoff**2 / 3 * squared_partial_sums(products, experiment, fmt)
        total_power = experiment.channels * deviation**4
        yield TileSample(
            products=sums + relative * squares,
            before=total_power * parts.through_inverse(squares) / expected,
            after=total_power * parts.through_inverse(products.sum(axis=0) ** 2) / expected,
        )


def _tile_count(nested: NestedAlgorithm, experiment: Experiment, *, least: int, most: int, values: int) -> int:
    return min(max(values // (nested.rank * experiment.channels), least), most)


def _draw(rng: np.random.Generator, shape: tuple[int, ...], inputs: Inputs) -> Matrix:
    return rng.uniform(-1, 1, shape) if inputs is Inputs.UNIFORM else rng.standard_normal(shape)


def _square_root(covariance: Matrix) -> Matrix:
    """Return a matrix whose product with its transpose is the covariance, which may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0)))


def _as_float(matrix: object) -> Matrix:
    return np.array(fraction_rows(matrix), dtype=np.float64)
