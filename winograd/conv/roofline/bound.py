"""A bound on the time of many algorithms at once, before any schedule is looked at.

In: a `ConvShape` and what tiles of many algorithms take. Out: times that `winograd_ms` does not undercut.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from winograd.conv.geometry.shape import ConvShape
from winograd.conv.machine import NOMINAL, Machine
from winograd.conv.roofline.counts import (
    NOMINAL_THREADS,
    input_bytes,
    output_bytes,
    padded_outputs,
    value_bytes,
    vectors,
)
from winograd.conv.roofline.stages import milliseconds_of
from winograd.conv.roofline.winograd import ROWS, summed_channels

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Work:
    """What tiles of many algorithms take, one array entry an algorithm: a `Candidate` of `winograd.conv.choosing`.

    Parameters
    ----------
    tiles, rank : ndarray
        Tiles of a shape, and products of one.
    data, inverse : ndarray
        Instructions of the transforms of one tile.
    """

    tiles: Array
    rank: Array
    data: Array
    inverse: Array


def least_winograd_ms(
    shape: ConvShape, work: Work, threads: int = NOMINAL_THREADS, machine: Machine = NOMINAL
) -> Array:
    """Return times that `winograd_ms` does not undercut, for many algorithms at once: all that needs no schedule."""
    size, width = value_bytes(shape), padded_outputs(shape)
    weights = summed_channels(shape.channels, machine) * width
    rows = work.tiles * (1 + machine.lost_rows / ROWS)
    products = 2 * weights / (threads * machine.core_gflops * 4 / size * 1e6) * work.rank * rows
    filters = size * shape.channels * width * work.rank
    rest = np.maximum(filters - machine.cache_bytes, 0)
    streamed = (filters - rest) / (threads * machine.core_cache_gbs * 1e6) + rest / (machine.stream_gbs * 1e6)
    together = (products**machine.overlap + streamed**machine.overlap) ** (1 / machine.overlap)
    data = work.data * machine.instruction_ns + work.rank * machine.own_data_ns
    inverse = work.inverse * machine.instruction_ns + work.rank * machine.own_inverse_ns
    transforms = vectors(shape.channels, shape) * data + vectors(shape.outputs, shape) * inverse
    plain = milliseconds_of(input_bytes(shape), machine.plain_gbs)
    plain += milliseconds_of(output_bytes(shape), machine.output_gbs) + machine.winograd_call_ms
    return together + work.tiles * transforms / (threads * 1e6) + plain
