"""What a layer takes by an algorithm, counted and not predicted: tiles, multiplications, instructions and bytes.

In: a `ConvShape`, an algorithm. Out: integers, ragged tiles counted whole. Refused: nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Final, Protocol

from winograd.algebra.nesting import NestedAlgorithm
from winograd.algebra.tiling import Tiling, tile_axes
from winograd.codegen.nested import count_passes, lower_nested
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.native.footprint import Footprint
from winograd.conv.native.schedule import NOMINAL_PANEL, Schedule, choose_schedule

FLOAT_BYTES: Final = 4
_VECTOR_BYTES: Final = FLOAT_BYTES * NOMINAL_PANEL // 2

NOMINAL_THREADS: Final = 2
"""Threads that a plan is made for where nobody says how many there are."""

_STORED_BYTES: Final = {"float16": 2, "bfloat16": 2}


class Counted(Protocol):
    """An algorithm that says its instructions: `winograd.conv.choosing.candidates.Candidate` and others."""

    @property
    def m(self) -> tuple[int, ...]:
        """Outputs of a tile."""

    @property
    def r(self) -> tuple[int, ...]:
        """Taps."""

    @property
    def tile(self) -> tuple[int, ...]:
        """Inputs of a tile."""

    @property
    def rank(self) -> int:
        """Multiplications of real numbers of a tile and pair of channels."""

    @property
    def label(self) -> str:
        """Short name, such as F(2x4x4,3x3x3)."""

    @property
    def data_instructions(self) -> int:
        """Instructions of the data transform of one tile of one channel."""

    @property
    def inverse_instructions(self) -> int:
        """Instructions of the inverse transform of one tile of one output channel."""


Algorithm = Counted | NestedAlgorithm


@dataclass(frozen=True, slots=True)
class Reals:
    """Numbers of a tile and channel in transformed filter, data and products: the rank, but for complex ones."""

    filter: int
    data: int
    products: int


def reals_of(algorithm: Algorithm) -> Reals:
    """Return the numbers of a tile; complex products say theirs by an attribute ``reals``."""
    found = getattr(algorithm, "reals", None)
    return Reals(*(algorithm.rank,) * 3) if found is None else Reals(found.filter, found.data, found.products)


def multiplications(shape: ConvShape, algorithm: Algorithm) -> int:
    """Return the multiplications of transformed data with transformed filters, ragged tiles counted whole."""
    return algorithm.rank * tile_count(shape, algorithm) * shape.channels * shape.outputs


def filter_bytes(shape: ConvShape, algorithm: Algorithm) -> int:
    """Return the bytes of the transformed filter U."""
    return value_bytes(shape) * reals_of(algorithm).filter * shape.channels * shape.outputs


def native_filter_bytes(shape: ConvShape, algorithm: Algorithm) -> int:
    """Return the bytes of the transformed filter as the native backend packs it, outputs filled up to whole panels."""
    return filter_bytes_of(shape, reals_of(algorithm).filter)


def filter_bytes_of(shape: ConvShape, rank: int) -> int:
    """Return what `native_filter_bytes` does for an algorithm of so many products of a tile."""
    return value_bytes(shape) * rank * shape.channels * padded_outputs(shape)


def footprint(shape: ConvShape, algorithm: Algorithm) -> Footprint:
    """Return what the native backend takes in memory for a layer."""
    each = value_bytes(shape)
    panel = NOMINAL_PANEL * FLOAT_BYTES // each
    return Footprint(shape.channels, shape.outputs, algorithm.rank, algorithm.m, algorithm.tile, panel, each)


def transformed_bytes(shape: ConvShape, algorithm: Algorithm) -> int:
    """Return the bytes of the transformed data V and the products M of all tiles."""
    reals = reals_of(algorithm)
    each = reals.data * shape.channels + reals.products * shape.outputs
    return value_bytes(shape) * tile_count(shape, algorithm) * each


def data_instructions(algorithm: Algorithm) -> int:
    """Return the instructions of the data transform of one tile of one channel.

    Examples
    --------
    >>> from winograd.algebra.nesting import nest
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> data_instructions(nest(toom_cook(2, 3), toom_cook(2, 3)))
    32
    """
    return _instructions(algorithm)[0] if isinstance(algorithm, NestedAlgorithm) else algorithm.data_instructions


def inverse_instructions(algorithm: Algorithm) -> int:
    """Return the instructions of the inverse transform of one tile of one output channel."""
    return _instructions(algorithm)[1] if isinstance(algorithm, NestedAlgorithm) else algorithm.inverse_instructions


@lru_cache(maxsize=256)
def _instructions(algorithm: NestedAlgorithm) -> tuple[int, int]:
    programs = lower_nested(algorithm)
    return count_passes(programs.data).instructions, count_passes(programs.inverse).instructions


def tiling_of(shape: ConvShape, algorithm: Algorithm) -> Tiling:
    """Return the tiles of a shape."""
    return tile_axes(shape.sizes, algorithm.m, algorithm.r, shape.padding)


def tile_count(shape: ConvShape, algorithm: Algorithm) -> int:
    """Return the number of tiles of a shape, all images together."""
    return shape.batch * prod(-(-size // m) for size, m in zip(shape.output, algorithm.m, strict=True))


def default_schedule(shape: ConvShape, algorithm: Algorithm, threads: int = NOMINAL_THREADS) -> Schedule:
    """Return the schedule that a kernel takes by itself."""
    return choose_schedule(
        tiling_of(shape, algorithm),
        batch=shape.batch,
        channels=shape.channels,
        outputs=shape.outputs,
        rank=algorithm.rank,
        threads=threads,
    )


def value_bytes(shape: ConvShape) -> int:
    """Return the bytes of a number inside the kernel: 8 for float64, else 4."""
    return 8 if shape.dtype == "float64" else FLOAT_BYTES


def lanes(shape: ConvShape) -> int:
    """Return the channels of a vector."""
    return _VECTOR_BYTES // value_bytes(shape)


def vectors(channels: int, shape: ConvShape) -> int:
    """Return the vectors that hold so many channels of one number."""
    return -(-channels // lanes(shape))


def panels(shape: ConvShape) -> int:
    """Return the panels of output channels, two vectors each, that are summed at a time."""
    return -(-shape.outputs // (2 * lanes(shape)))


def padded_outputs(shape: ConvShape) -> int:
    """Return the output channels, filled up to whole panels."""
    return panels(shape) * 2 * lanes(shape)


def input_bytes(shape: ConvShape) -> int:
    """Return the bytes of the input as it is stored."""
    return _number_bytes(shape) * shape.batch * shape.channels * prod(shape.sizes)


def output_bytes(shape: ConvShape) -> int:
    """Return the bytes of the output as it is stored."""
    return _number_bytes(shape) * shape.batch * shape.outputs * prod(shape.output)


def weight_bytes(shape: ConvShape) -> int:
    """Return the bytes of the weight as it is stored."""
    return _number_bytes(shape) * prod(shape.weight_sizes)


def _number_bytes(shape: ConvShape) -> int:
    return _STORED_BYTES.get(shape.dtype, value_bytes(shape))


def unpadded(shape: ConvShape) -> float:
    """Return the fraction of taps that meet no padding along all axes but the last."""
    fraction = 1.0
    for axis in range(shape.ndim - 1):
        real = sum(_outputs_of_tap(shape, axis, tap) for tap in range(shape.taps[axis]))
        fraction *= real / (shape.output[axis] * shape.taps[axis])
    return fraction


def _outputs_of_tap(shape: ConvShape, axis: int, tap: int) -> int:
    """Return for how many outputs a tap meets an input."""
    stride, offset = shape.stride[axis], shape.padding[axis][0] - tap * shape.dilation[axis]
    first, end = -(-offset // stride), (shape.sizes[axis] - 1 + offset) // stride + 1
    return max(min(end, shape.output[axis]) - max(first, 0), 0)
