"""The reduction of one axis: pieces of stride 1 whose sum is proved to be the convolution.

In: sizes and pieces. Out: the count of multiplications and the placements. Refused: pieces whose sum is another thing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

from winograd.algebra.bilinear import ProofError
from winograd.algebra.reduction.piece import Piece, Placement
from winograd.algebra.reduction.sizes import whole_number


@dataclass(frozen=True, slots=True)
class AxisReduction:
    r"""y[o] = sum_k w[k] x[stride o + dilation k] as a sum of pieces of stride 1.

    The law, proved on construction: a piece that takes taps a + b t and adds to outputs c + e q reads the samples
    (stride c + dilation a) + (stride e)(q + t), with stride e = dilation b; and every tap of every output is taken by
    exactly one piece.

    Parameters
    ----------
    taps, stride, dilation : int
        Of the axis, at least 1.
    pieces : tuple of Piece

    Raises
    ------
    TypeError, ValueError
        If a size is not an integer of at least 1.
    ProofError
        If the law fails; names the first piece or the first tap that is wrong.

    Examples
    --------
    >>> from winograd.algebra.reduction import reduce_axis
    >>> stem = reduce_axis(7, stride=2)
    >>> stem
    <7 taps, stride 2 = F(4,4) + F(4,3), 13/4 multiplications per output>
    >>> AxisReduction(taps=7, stride=2, dilation=1, pieces=stem.pieces[:1])
    Traceback (most recent call last):
    ...
    winograd.algebra.bilinear.ProofError: tap 1 of output 0 is taken by 0 pieces, must be by 1
    """

    taps: int
    stride: int
    dilation: int
    pieces: tuple[Piece, ...]

    def __post_init__(self) -> None:
        for name in ("taps", "stride", "dilation"):
            object.__setattr__(self, name, whole_number(name, getattr(self, name)))
        # The algorithms were proved when they were made.
        self._verify_pieces()

    @property
    def multiplications_per_output(self) -> Fraction:
        """Multiplications per output, ragged edges not counted; direct convolution has ``taps``."""
        return sum((piece.multiplications_per_output for piece in self.pieces), start=Fraction(0))

    @property
    def span(self) -> int:
        """Number of samples from the first to the last that an output reads."""
        return self.dilation * (self.taps - 1) + 1

    def output(self, size: int, low: int = 0, high: int = 0) -> int:
        """Return the number of outputs.

        Parameters
        ----------
        size : int
            Samples without padding, at least 0.
        low, high : int
            Zeros before the first and after the last sample, at least 0.

        Raises
        ------
        TypeError, ValueError
            If one is no integer or is negative, or the padded input is smaller than the filter.
        """
        padded = sum(whole_number(name, value, 0) for name, value in (("size", size), ("low", low), ("high", high)))
        if padded < self.span:
            raise ValueError(f"padded input of {padded} is smaller than the filter, which spans {self.span}")
        return (padded - self.span) // self.stride + 1

    def placements(self, size: int, low: int = 0, high: int = 0) -> tuple[tuple[Piece, Placement], ...]:
        """Return every piece that has an output, with where it reads and writes; sizes and errors as in `output`."""
        output = self.output(size, low, high)
        return tuple(
            (piece, piece.place(size, low, output)) for piece in self.pieces if piece.outputs.below(output) > 0
        )

    def multiplications(self, size: int, low: int = 0, high: int = 0) -> int:
        """Return the number of multiplications of an axis of that size, ragged tiles counted whole."""
        placed = self.placements(size, low, high)
        return sum(piece.algorithm.rank * place.tiling.tiles for piece, place in placed)

    def verify(self) -> None:
        """Prove the law again, the laws of the algorithms included. Raises `ProofError`."""
        for algorithm in {piece.algorithm for piece in self.pieces}:
            algorithm.verify()
        self._verify_pieces()

    def _verify_pieces(self) -> None:
        for number, piece in enumerate(self.pieces):
            self._verify_geometry(number, piece)
        self._verify_cover()

    def _verify_geometry(self, number: int, piece: Piece) -> None:
        start = self.stride * piece.outputs.start + self.dilation * piece.taps.start
        step = self.stride * piece.outputs.step
        claims = [
            ("reads its first sample at", piece.samples.start, start),
            ("reads samples in steps of", piece.samples.step, step),
            ("takes taps so that samples step by", self.dilation * piece.taps.step, step),
            ("adds to its first output at", piece.outputs.start, piece.outputs.start % piece.outputs.step),
        ]
        for claim, given, needed in claims:
            if given != needed:
                raise ProofError(f"piece {number} {claim} {given}, must be {needed}")
        if (last := piece.taps.term(piece.algorithm.r - 1)) >= self.taps:
            raise ProofError(f"piece {number} takes tap {last}, there are {self.taps}")

    def _verify_cover(self) -> None:
        period = lcm(*(piece.outputs.step for piece in self.pieces))
        taken = Counter(
            (output, piece.taps.term(tap))
            for piece in self.pieces
            for tap in range(piece.algorithm.r)
            for output in range(piece.outputs.start, period, piece.outputs.step)
        )
        for output in range(period):
            for tap in range(self.taps):
                if (times := taken[output, tap]) != 1:
                    raise ProofError(f"tap {tap} of output {output} is taken by {times} pieces, must be by 1")

    def __repr__(self) -> str:
        labels = Counter(f"F({piece.algorithm.m},{piece.algorithm.r})" for piece in self.pieces)
        total = " + ".join(label if times == 1 else f"{times} {label}" for label, times in labels.items())
        sizes = [f"{self.taps} tap{'s' * (self.taps > 1)}"]
        sizes += [f"{name} {getattr(self, name)}" for name in ("stride", "dilation") if getattr(self, name) > 1]
        return f"<{', '.join(sizes)} = {total}, {self.multiplications_per_output} multiplications per output>"
