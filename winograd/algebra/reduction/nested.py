"""The reduction of one to three axes: every piece is one piece of each axis, nested.

In: reductions of axes. Out: counts, placements, and the convolution itself, executed exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import prod
from typing import Any

from winograd.algebra.nesting import NestedAlgorithm
from winograd.algebra.reduction.axis import AxisReduction
from winograd.algebra.reduction.execute import add_piece, filled, sizes_of
from winograd.algebra.reduction.piece import Piece, Placement
from winograd.algebra.reduction.sizes import check_pieces

Padding = Sequence[tuple[int, int]]
"""Zeros before and after, one pair per axis."""


@dataclass(frozen=True, slots=True)
class NestedPiece:
    """One piece per axis; ``algorithm`` is their nest."""

    axes: tuple[Piece, ...]

    @property
    def algorithm(self) -> NestedAlgorithm:
        """The nest of the algorithms of the axes."""
        return NestedAlgorithm(tuple(piece.algorithm for piece in self.axes))

    @property
    def taps(self) -> tuple[slice, ...]:
        """The taps that the piece takes, as slices of the kernel."""
        return tuple(piece.taps.slice(piece.algorithm.r) for piece in self.axes)


@dataclass(frozen=True, slots=True)
class Reduction:
    """A convolution on one to three axes, in (d, h, w) order, as a sum of nested pieces of stride 1.

    Its law follows from the laws of the axes.

    Parameters
    ----------
    axes : tuple of AxisReduction

    Raises
    ------
    TypeError, ValueError
        If an axis is no AxisReduction, there are none or more than three, or more than `MAX_PIECES` pieces.

    Examples
    --------
    >>> from winograd.algebra.reduction import reduce_axis
    >>> odd_and_even = Reduction((reduce_axis(2, stride=2),))
    >>> odd_and_even.apply([1, 2, 3, 4], [10, 1], padding=[(0, 0)])
    [Fraction(12, 1), Fraction(34, 1)]
    """

    axes: tuple[AxisReduction, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.axes) <= 3:
            raise ValueError(f"{len(self.axes)} axes given, 1 to 3 are allowed")
        for position, axis in enumerate(self.axes):
            if not isinstance(axis, AxisReduction):
                raise TypeError(f"axis {position} is a {type(axis).__name__}, must be an AxisReduction")
        check_pieces(prod(len(axis.pieces) for axis in self.axes))

    @property
    def taps(self) -> tuple[int, ...]:
        """Taps per axis."""
        return tuple(axis.taps for axis in self.axes)

    @property
    def pieces(self) -> tuple[NestedPiece, ...]:
        """Every combination of one piece per axis, the last axis fastest."""
        return tuple(NestedPiece(pieces) for pieces in product(*(axis.pieces for axis in self.axes)))

    @property
    def multiplications_per_output(self) -> Fraction:
        """Multiplications per output, input and output channel; ragged edges not counted. Direct has prod(taps)."""
        return prod((axis.multiplications_per_output for axis in self.axes), start=Fraction(1))

    def output(self, sizes: Sequence[int], padding: Padding) -> tuple[int, ...]:
        """Return the outputs per axis; raises what `AxisReduction.output` does."""
        return tuple(axis.output(size, *margin) for axis, size, margin in self._per_axis(sizes, padding))

    def multiplications(self, sizes: Sequence[int], padding: Padding) -> int:
        """Return the number of multiplications for an input of the sizes, ragged tiles counted whole."""
        return prod(axis.multiplications(size, *margin) for axis, size, margin in self._per_axis(sizes, padding))

    def placements(self, sizes: Sequence[int], padding: Padding) -> Iterator[tuple[NestedPiece, tuple[Placement, ...]]]:
        """Yield every piece that has an output, with where it reads and writes on each axis.

        A backend of stride 1 is all it takes: convolve ``input[placement.input, ...]``, padded by
        ``placement.padding``, with ``weight[piece.taps]`` and add the result to ``output[placement.output, ...]``.
        """
        axes = (axis.placements(size, *margin) for axis, size, margin in self._per_axis(sizes, padding))
        for combination in product(*axes):
            pieces, placements = zip(*combination, strict=True)
            yield NestedPiece(pieces), placements

    def apply(self, input: Sequence[Any], weight: Sequence[Any], padding: Padding) -> list[Any]:
        """Return the convolution of one channel, computed piece by piece and tile by tile, exactly.

        Parameters
        ----------
        input, weight : nested sequences of exact numbers
            One level per axis; ``weight`` has the taps. Fraction, int, or anything that adds and multiplies with them.
        padding : sequence of (low, high)
            Zeros before and after, one pair per axis.

        Returns
        -------
        nested lists of exact numbers

        Raises
        ------
        TypeError
            If a number is a float.
        ValueError
            If the shapes do not fit the reduction.
        NotImplementedError
            If an algorithm is not rational.
        """
        sizes, taps = sizes_of("input", input, len(self.axes)), sizes_of("weight", weight, len(self.axes))
        if taps != self.taps:
            raise ValueError(f"weight has {taps} taps, must have {self.taps}")
        output: list[Any] = filled(0, self.output(sizes, padding))
        for piece, placements in self.placements(sizes, padding):
            add_piece(output, input, weight, piece.axes, placements)
        return output

    def _per_axis(self, sizes: Sequence[int], padding: Padding) -> Iterator[tuple[AxisReduction, int, tuple[int, int]]]:
        if not len(sizes) == len(padding) == len(self.axes):
            given = f"sizes and padding are for {len(sizes)} and {len(padding)} axes"
            raise ValueError(f"{given}, must be for the {len(self.axes)} axes of the reduction")
        return zip(self.axes, sizes, padding, strict=True)

    def __repr__(self) -> str:
        def joined(name: str) -> str:
            return "x".join(str(getattr(axis, name)) for axis in self.axes)

        words = [f"{joined('taps')} taps"]
        words += [
            f"{name} {joined(name)}" for name in ("stride", "dilation") if any(getattr(a, name) > 1 for a in self.axes)
        ]
        count = prod(len(axis.pieces) for axis in self.axes)
        per_output = f"{self.multiplications_per_output} multiplications per output, {prod(self.taps)} direct"
        return f"<{', '.join(words)}: {count} piece{'s' * (count > 1)}, {per_output}>"
