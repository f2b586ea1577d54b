"""One piece of a reduction on one axis: a stride-1 algorithm on every so-manieth sample, tap and output.

In: an algorithm and three progressions. Out: where it reads and writes in an input of a given size, as integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.tiling import AxisTiling


@dataclass(frozen=True, slots=True)
class Progression:
    """The integers start, start + step, start + 2 step, ... without end.

    Raises
    ------
    ValueError
        If start is negative or step is below 1.

    Examples
    --------
    >>> odd = Progression(1, 2)
    >>> odd.term(3), odd.below(6), list(range(10))[odd.slice(3)]
    (7, 3, [1, 3, 5])
    """

    start: int
    step: int

    def __post_init__(self) -> None:
        if self.start < 0 or self.step < 1:
            raise ValueError(f"start {self.start} and step {self.step} must be at least 0 and 1")

    def term(self, index: int) -> int:
        """Return the term of the given index, counted from 0."""
        return self.start + self.step * index

    def below(self, bound: int) -> int:
        """Return the number of terms below the bound."""
        return len(range(self.start, bound, self.step))

    def slice(self, count: int) -> slice:
        """Return the first ``count`` terms as a slice of an array."""
        return slice(self.start, self.term(count), self.step)


@dataclass(frozen=True, slots=True)
class Placement:
    """A piece placed in an input of a given size: everything a backend of stride 1 with padding needs.

    Parameters
    ----------
    source : Progression
        The samples it reads, ``tiling.size`` of them, as indices of the input without padding.
    tiling : AxisTiling
        The convolution of stride 1 on those samples, with its own padding.
    target : Progression
        The outputs it adds to, ``tiling.output`` of them.
    """

    source: Progression
    tiling: AxisTiling
    target: Progression

    @property
    def input(self) -> slice:
        """The samples as a slice of the input without padding."""
        return self.source.slice(self.tiling.size)

    @property
    def output(self) -> slice:
        """The outputs as a slice."""
        return self.target.slice(self.tiling.output)

    @property
    def padding(self) -> tuple[int, int]:
        """Zeros before and after the samples."""
        return self.tiling.low, self.tiling.high

    def samples(self, tile: int) -> list[int | None]:
        """Return the indices of the input that a tile reads, None inside the padding."""
        start, size = self.tiling.start(tile), self.tiling.size
        places = range(start, start + self.tiling.tile)
        return [self.source.term(place) if 0 <= place < size else None for place in places]

    def outputs(self, tile: int) -> list[int]:
        """Return the indices of the output that a tile adds to; fewer than m at a ragged edge."""
        return [self.target.term(place) for place in range(*self.tiling.output_range(tile))]


@dataclass(frozen=True, slots=True)
class Piece:
    """A stride-1 algorithm F(m, r) that computes some taps of some outputs: y[q] += sum_t w[t] d[q + t].

    Parameters
    ----------
    algorithm : BilinearAlgorithm
        F(m, r).
    samples : Progression
        d, as indices of the padded input.
    taps : Progression
        w, its first r terms, as indices of the kernel.
    outputs : Progression
        y, as indices of the output.
    """

    algorithm: BilinearAlgorithm
    samples: Progression
    taps: Progression
    outputs: Progression

    @property
    def multiplications_per_output(self) -> Fraction:
        """Multiplications per output of the axis, those that the piece does not add to included."""
        return Fraction(self.algorithm.rank, self.algorithm.m * self.outputs.step)

    def place(self, size: int, low: int, output: int) -> Placement:
        """Return where the piece reads and writes.

        Parameters
        ----------
        size : int
            Samples of the axis, without padding.
        low : int
            Zeros before the first sample.
        output : int
            Outputs of the axis, of which the piece must have one.

        Examples
        --------
        >>> from winograd.algebra.toom_cook import toom_cook
        >>> odd = Piece(toom_cook(4, 3), samples=Progression(1, 2), taps=Progression(1, 2), outputs=Progression(0, 1))
        >>> placed = odd.place(size=12, low=3, output=6)
        >>> placed.input, placed.padding, placed.tiling.tiles
        (slice(0, 12, 2), (1, 1), 2)
        """
        outputs = self.outputs.below(output)
        needed = outputs + self.algorithm.r - 1
        before = min(self.samples.below(low), needed)
        real = min(self.samples.below(low + size), needed) - before
        return Placement(
            source=Progression(self.samples.term(before) - low if real else 0, self.samples.step),
            tiling=AxisTiling(
                size=real, m=self.algorithm.m, r=self.algorithm.r, low=before, high=needed - before - real
            ),
            target=self.outputs,
        )
