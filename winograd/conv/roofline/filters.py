"""What transforming the filter takes where it is done in every call.

In: a `ConvShape`, an algorithm. Out: milliseconds or a `StageCost`.
"""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from winograd.conv.geometry.shape import ConvShape
from winograd.conv.machine import NOMINAL, Machine
from winograd.conv.roofline.counts import NOMINAL_THREADS, Algorithm, native_filter_bytes, reals_of, weight_bytes
from winograd.conv.roofline.stages import StageCost, Traffic, stage

Array = NDArray[np.float64]


def filter_ms(
    shape: ConvShape, algorithm: Algorithm, threads: int = NOMINAL_THREADS, machine: Machine = NOMINAL
) -> float:
    """Return the predicted milliseconds of transforming and packing the filter."""
    return float(filter_ms_of(shape, np.float64(reals_of(algorithm).filter), threads, machine))


def filter_ms_of(
    shape: ConvShape, ranks: Array | np.float64, threads: int = NOMINAL_THREADS, machine: Machine = NOMINAL
) -> Array:
    """Return what `filter_ms` does for algorithms of so many products of a tile, for many at once."""
    return np.asarray(shape.channels * shape.outputs / (threads * machine.filter_core_gops * 1e6) * ranks)


def filter_cost(
    shape: ConvShape, algorithm: Algorithm, threads: int = NOMINAL_THREADS, machine: Machine = NOMINAL
) -> StageCost:
    """Return the stage of transforming and packing the filter, its operations by an estimate: 2 a tap and number."""
    size = native_filter_bytes(shape, algorithm)
    filters = shape.channels * shape.outputs
    operations = 2.0 * reals_of(algorithm).filter * filters * prod(shape.taps) ** (1 / shape.ndim)
    moved = float(weight_bytes(shape) + size)
    traffic = Traffic(moved, moved, moved)
    taken = filter_ms(shape, algorithm, threads, machine)
    return stage("filter transform", operations, traffic, 0.0, taken, threads, machine)
