"""The cost model: operations, bytes at each level of memory and milliseconds of a convolution, stage by stage.

In: a `ConvShape`, an algorithm and a schedule, or direct convolution, threads and a `Machine`. Out: a `StageCost` for
each stage, predicted times, and bounds by the measured peaks.
"""

from __future__ import annotations

from winograd.conv.roofline import gradient
from winograd.conv.roofline.bound import Work, least_winograd_ms
from winograd.conv.roofline.counts import (
    NOMINAL_THREADS,
    Algorithm,
    Reals,
    data_instructions,
    default_schedule,
    filter_bytes,
    filter_bytes_of,
    footprint,
    inverse_instructions,
    multiplications,
    native_filter_bytes,
    tile_count,
    tiling_of,
    transformed_bytes,
)
from winograd.conv.roofline.direct import direct_cost, direct_ms
from winograd.conv.roofline.filters import filter_cost, filter_ms, filter_ms_of
from winograd.conv.roofline.stages import LIMITS, StageCost, bound_ms, copies_cost, copies_ms, total_ms
from winograd.conv.roofline.table import HEADER, stage_rows
from winograd.conv.roofline.winograd import stage_costs, winograd_ms

__all__ = [
    "HEADER",
    "LIMITS",
    "NOMINAL_THREADS",
    "Algorithm",
    "Reals",
    "StageCost",
    "Work",
    "bound_ms",
    "copies_cost",
    "copies_ms",
    "data_instructions",
    "default_schedule",
    "direct_cost",
    "direct_ms",
    "filter_bytes",
    "filter_bytes_of",
    "filter_cost",
    "filter_ms",
    "filter_ms_of",
    "footprint",
    "gradient",
    "inverse_instructions",
    "least_winograd_ms",
    "multiplications",
    "native_filter_bytes",
    "stage_costs",
    "stage_rows",
    "tile_count",
    "tiling_of",
    "total_ms",
    "transformed_bytes",
    "winograd_ms",
]
