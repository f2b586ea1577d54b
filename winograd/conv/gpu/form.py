"""`Form`: what a GPU computes of a convolution and by which kernels, and how many tiles, rows and bytes that are.

In: a candidate, or an algorithm, precision and kind of kernels. Out: counts, as the emitted files lay U, V and M out.
Refused: nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from types import MappingProxyType
from typing import Any, Final

from winograd.algebra.nesting import NestedAlgorithm
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.gpu.schedule import FUSED, STAGED, Products

SUM_BYTES: Final = 4
"""Of a number of M."""

STORED_BYTES: Final[Mapping[str, int]] = MappingProxyType(
    {"ieee": 4, "tf32x3": 4, "tf32": 4, "float16": 2, "bfloat16": 2}
)
"""Bytes of a number of V by products."""

ALIGNED: Final = 256
"""Bytes between V and M at most, so that both begin where wide loads may."""

_PADDED: Final = 16
"""Channels are filled up to a multiple of this where there are more than half as many."""


CHANNEL_BLOCK: Final = 32
"""Channels of one product of blocks in staged kernels that are not set otherwise."""

_FEW: Final = 64
"""Channels, at most, whose filters may stay in shared memory."""

_FEW_RUN: Final = 8
"""Blocks of rows that follow each other where filters stay in shared memory."""

_FUSED_BLOCKS: Final = ((1, (64, 128)), (4, (32, 128)), (6, (32, 64)), (16, (16, 64)))
"""Up to so many positions: rows and outputs of a block of fused kernels."""


@dataclass(frozen=True, slots=True)
class Form:
    """What is computed, and by which kernels.

    Parameters
    ----------
    m, r, ranks : tuple of int
        Outputs, taps and products per axis; axes of one output or one tap are direct: their taps are summed with the
        products.
    products : str
    kind : str
        "staged" or "fused".
    batch_bytes : int
        V and M that a batch of tiles takes at most; fused kernels have neither.
    """

    m: tuple[int, ...]
    r: tuple[int, ...]
    ranks: tuple[int, ...]
    products: Products
    kind: str = STAGED
    batch_bytes: int = 1 << 30

    @classmethod
    def of(cls, algorithm: NestedAlgorithm, products: Products, kind: str = STAGED, batch_bytes: int = 1 << 30) -> Form:
        """Return the form of an algorithm.

        Examples
        --------
        >>> from winograd import nest, toom_cook
        >>> form = Form.of(nest(toom_cook(1, 3), toom_cook(2, 3), toom_cook(2, 3)), "tf32x3")
        >>> form.transformed, form.positions, form.taps
        ((False, True, True), 16, 3)
        """
        return cls(algorithm.m, algorithm.r, algorithm.ranks, products, kind, batch_bytes)

    @property
    def transformed(self) -> tuple[bool, ...]:
        """Which axes are transformed."""
        return tuple(m > 1 and r > 1 for m, r in zip(self.m, self.r, strict=True))

    @property
    def positions(self) -> int:
        """Products of a tile and a channel over the transformed axes."""
        return prod(rank for rank, is_so in zip(self.ranks, self.transformed, strict=True) if is_so)

    @property
    def taps(self) -> int:
        """Taps of the direct axes."""
        return prod(taps for taps, is_so in zip(self.r, self.transformed, strict=True) if not is_so)

    @property
    def unordered(self) -> tuple[Any, ...]:
        """What forms have in common whose axes are the same in another order."""
        return tuple(sorted(zip(self.m, self.r, self.ranks, strict=True))), self.kind, self.products

    @property
    def stored_bytes(self) -> int:
        """Bytes of a number of V."""
        return STORED_BYTES[self.products]

    @property
    def filter_number_bytes(self) -> int:
        """Bytes of a number of U: staged kernels keep it in two parts for "tf32x3"."""
        return self.stored_bytes * (2 if (self.kind, self.products) == (STAGED, "tf32x3") else 1)

    def block(self, shape: ConvShape) -> tuple[int, int, int]:
        """Return rows and outputs of a block of products, and for how many rows U is read once.

        Fused kernels keep the sums of all positions in registers; staged ones keep U of few channels in shared memory.
        """
        if self.kind == FUSED:
            rows, outputs = next(block for most, block in _FUSED_BLOCKS if self.positions <= most)
            return rows, outputs, rows
        return (64, 128, 64 * _FEW_RUN) if self.keeps_filters(shape) else (128, 128, 128)

    def keeps_filters(self, shape: ConvShape, block_c: int = CHANNEL_BLOCK) -> bool:
        """Return whether kernels keep U in shared memory: staged ones, of few channels and one tap, on Hopper.

        Tensor cores of other generations take it from registers, which do not suffice. Rows of V are those of M: direct
        axes are not padded.
        """
        if shape.card is None or shape.card.capability[0] != 9 or self.kind != STAGED or self.products == "ieee":
            return False
        axes = zip(self.r, shape.sizes, shape.output, self.transformed, strict=True)
        is_plain = all(is_so or (taps == 1 and size == output) for taps, size, output, is_so in axes)
        return is_plain and shape.channels <= min(_FEW, 2 * block_c)


@dataclass(frozen=True, slots=True)
class Extent:
    """How much there is of everything for one shape.

    Parameters
    ----------
    columns : int
        Tiles of the transformed axes of all images.
    read_rows, written_rows : int
        Rows of V and of M in a column: inputs and outputs of the direct axes.
    column_bytes : int
        V and M of a column; 0 with fused kernels.
    filter_bytes : int
        U.
    """

    columns: int
    read_rows: int
    written_rows: int
    column_bytes: int
    filter_bytes: int

    def batches(self, batch_bytes: int) -> int:
        """Return in how many batches the columns are taken."""
        return -(-self.columns // self.held(batch_bytes)) if self.columns else 1

    def held(self, batch_bytes: int) -> int:
        """Return the columns of a batch: as many as fit, at least one."""
        if not self.column_bytes:
            return max(self.columns, 1)
        return max(min((batch_bytes - ALIGNED) // self.column_bytes, self.columns), 1)

    def workspace_bytes(self, batch_bytes: int) -> int:
        """Return the bytes of V and M of a batch."""
        return self.held(batch_bytes) * self.column_bytes + ALIGNED if self.column_bytes else 0


def extent_of(shape: ConvShape, form: Form) -> Extent:
    """Return tiles, rows and bytes of a shape in a form.

    Examples
    --------
    >>> from winograd import nest, toom_cook
    >>> from winograd.conv.arguments import ConvArguments
    >>> shape = ConvArguments(padding=1).shape((32, 64, 16, 56, 56), (128, 64, 3, 3, 3), dtype="float32")
    >>> extent = extent_of(shape, Form.of(nest(*[toom_cook(4, 3)] * 3), "tf32x3"))
    >>> extent.columns, extent.column_bytes, extent.batches(1 << 30)
    (25088, 165888, 4)
    """
    axes = list(zip(shape.sizes, shape.output, form.m, form.transformed, strict=True))
    columns = shape.batch * prod(-(-output // m) for _, output, m, is_so in axes if is_so)
    read = prod(size for size, _, _, is_so in axes if not is_so)
    written = prod(output for _, output, _, is_so in axes if not is_so)
    channels, outputs = padded(shape.channels), padded(shape.outputs)
    each = form.positions * (read * channels * form.stored_bytes + written * outputs * SUM_BYTES)
    filters = form.positions * form.taps * shape.outputs * channels * form.filter_number_bytes
    return Extent(columns, read, written, 0 if form.kind == FUSED else each, filters)


def padded(channels: int) -> int:
    """Return how many channels are kept of so many.

    Examples
    --------
    >>> padded(3), padded(8), padded(35)
    (3, 8, 48)
    """
    return channels if channels <= _PADDED // 2 else -(-channels // _PADDED) * _PADDED
