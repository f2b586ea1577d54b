"""Selection for the gradient of a filter: the fastest candidate whose predicted error and memory are allowed.

In: a shape, an algorithm or none, a tolerance, limits on memory, threads. Out: a `GradientSelection`, or None. The
times of all candidates are predicted at once; errors in the order of time until one is tolerated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

import numpy as np

from winograd.accuracy.gradients import predict_weight_gradient_relative_l2
from winograd.algebra.nesting import NestedAlgorithm
from winograd.codegen.lower import DEFAULT_LOWERING, Lowering
from winograd.codegen.nested import count_passes, lower_nested
from winograd.conv.choosing.candidates import error_ratios
from winograd.conv.choosing.edges import edge_factor
from winograd.conv.choosing.nests import Nests, nests_of
from winograd.conv.choosing.prediction import FLOAT64_SHARE, WORKING, float32_tolerance
from winograd.conv.choosing.selection import MAX_RANK
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.limits import MemoryLimits
from winograd.conv.roofline import tile_count
from winograd.conv.roofline.gradient import (
    TILE_BLOCK,
    Array,
    GradientWork,
    held_bytes,
    sums_bytes,
    weight_gradient_ms,
)

_SHARED_BYTES: Final = 16 << 20
"""V and M of a block that stay in the cache which all threads share."""

_HELD_BYTES: Final = 64 << 20
"""The same where the sums, read and written for every block, stay in no cache anyway."""


@dataclass(frozen=True, slots=True)
class GradientSelection:
    """An algorithm for the gradient of a filter, and how it is to run.

    Parameters
    ----------
    algorithm : NestedAlgorithm
    block : int
        Tiles that are held at a time.
    milliseconds : float
        Predicted.
    error : float
        Predicted in float32, as a `winograd.conv.choosing.prediction.float32_error`.
    """

    algorithm: NestedAlgorithm
    block: int
    milliseconds: float
    error: float


def select_gradient(shape: ConvShape, tolerance: float, limits: MemoryLimits, threads: int) -> GradientSelection | None:
    """Return the fastest candidate that is tolerated and fits into the limits, or None where there is none.

    Examples
    --------
    >>> from winograd.conv.arguments import ConvArguments
    >>> shape = ConvArguments(padding=1).shape((4, 64, 16, 56, 56), (128, 64, 3, 3, 3), dtype="float32")
    >>> found = select_gradient(shape, 1e-5, MemoryLimits(), 2)
    >>> min(found.algorithm.m) > 1, found.error < 1e-5
    (True, True)
    """
    nests = nests_of(shape)
    work = _work(nests, shape)
    block = _blocks(shape, work.tiles, work.rank, limits)
    most = float32_tolerance(replace(shape, channels=int(work.tiles.max())), tolerance)
    least, _ = error_ratios(TILE_BLOCK)
    kept = nests.is_useful & (work.rank <= MAX_RANK) & (block >= 1) & _fits(shape, work.rank, limits)
    kept &= nests.log_errors <= math.log(max(most / least, 1e-300))
    times = weight_gradient_ms(shape, work, np.maximum(block, 1), threads)
    places = np.flatnonzero(kept)
    for place in places[np.argsort(times[places], kind="stable")]:
        algorithm = nests.candidate(int(place)).algorithm
        error = weight_gradient_error(shape, algorithm, int(block[place]))
        if error <= allowed_error(shape, algorithm, tolerance):
            return GradientSelection(algorithm, int(block[place]), float(times[place]), error)
    return None


def selection_of(
    shape: ConvShape, algorithm: NestedAlgorithm, limits: MemoryLimits, threads: int
) -> GradientSelection | None:
    """Return how a given algorithm is to run, or None where not one of its tiles fits into the limits."""
    work = _work_of(shape, algorithm)
    block = int(_blocks(shape, work.tiles, work.rank, limits)[0])
    if block < 1 or not _fits(shape, work.rank, limits)[0]:
        return None
    milliseconds = float(weight_gradient_ms(shape, work, np.array([float(block)]), threads)[0])
    return GradientSelection(algorithm, block, milliseconds, weight_gradient_error(shape, algorithm, block))


def allowed_error(shape: ConvShape, algorithm: NestedAlgorithm, tolerance: float) -> float:
    """Return how large `weight_gradient_error` may be: the model is off most where few tiles are summed."""
    return float32_tolerance(replace(shape, channels=tile_count(shape, algorithm)), tolerance)


def weight_gradient_error(shape: ConvShape, algorithm: NestedAlgorithm, block: int) -> float:
    """Return the predicted error of the gradient of the filter in blocks of so many tiles.

    As `winograd.conv.choosing.prediction.float32_error`: that of float64 is a multiple of `FLOAT64_SHARE`. Padding and
    ragged edges take the same share of errors and of gradients as in the convolution.
    """
    tiles, working = tile_count(shape, algorithm), WORKING[shape.dtype]
    error = _whole_tiles(algorithm, tiles, min(block, TILE_BLOCK), working) * edge_factor(shape, algorithm)
    return error / FLOAT64_SHARE if working == "float64" else error


@lru_cache(maxsize=4096)
def _whole_tiles(algorithm: NestedAlgorithm, tiles: int, part: int, working: str) -> float:
    return predict_weight_gradient_relative_l2(algorithm, dtype=working, tiles=tiles, tile_block=part)


def _work(nests: Nests, shape: ConvShape) -> GradientWork:
    """Return what all nests take; a transposed transform takes an addition less for every output less than products."""
    each = zip(nests.along("inverse"), nests.along("rank"), nests.along("m"), strict=True)
    return GradientWork(
        tiles=nests.tiles(shape),
        rank=nests.total("rank"),
        data=nests.instructions("tile", "rank", nests.along("data")),
        gradient=nests.instructions("m", "rank", [inverse - (rank - m) for inverse, rank, m in each]),
    )


def _work_of(shape: ConvShape, algorithm: NestedAlgorithm) -> GradientWork:
    data = count_passes(lower_nested(algorithm).data).instructions
    turned = lower_nested(algorithm, Lowering(DEFAULT_LOWERING.order, transposed=True), ("filter",)).inverse
    counts = (tile_count(shape, algorithm), algorithm.rank, data, count_passes(turned).instructions)
    return GradientWork(*(np.array([float(count)]) for count in counts))


def _blocks(shape: ConvShape, tiles: Array, rank: Array, limits: MemoryLimits) -> Array:
    """Return the tiles that are held at a time: what stays in the cache, a partial sum at least, what is allowed."""
    each = held_bytes(shape, rank, 1)
    held = np.where(sums_bytes(shape, rank) > _SHARED_BYTES, _HELD_BYTES, _SHARED_BYTES)
    wanted = np.maximum(held // each, TILE_BLOCK)
    most = wanted if limits.workspace is None else np.minimum(wanted, limits.workspace // each)
    parts = np.ceil(tiles / np.maximum(np.minimum(most, tiles), 1))
    return np.asarray(np.where(most < 1, 0, np.ceil(tiles / parts)))


def _fits(shape: ConvShape, rank: Array, limits: MemoryLimits) -> Any:
    """Return where the sums, which are as large as a transformed filter, are not above the limit on those."""
    return np.ones(len(rank), bool) if limits.filters is None else sums_bytes(shape, rank) <= limits.filters
