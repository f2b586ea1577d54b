"""`FftTile`: a tile whose convolution is a product of Fourier transforms, as passes over lines, with its counts.

In: outputs and taps per axis, how complex numbers are multiplied. Out: passes of the three transforms, their
instructions, real multiplications, and real numbers per channel. Refused: sizes out of range.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache, partial
from math import prod

from winograd.codegen.fourier import codelets
from winograd.codegen.fourier.forms import FftForm, of_data, of_filter, of_inverse
from winograd.codegen.fourier.lines import Column, Lines, Pass, Triple, along, columns, planes, strides_of
from winograd.codegen.program import Program
from winograd.quoting import quote

_MOST_AXES = 3


@dataclass(frozen=True, slots=True)
class Reals:
    """Real numbers of a tile, in U per channel and output, in V per channel, in M per output."""

    filter: int
    data: int
    products: int


@dataclass(frozen=True, slots=True)
class FftTile:
    """m outputs of r taps per axis by Fourier transforms of the whole tile, of length m + r - 1 per axis.

    The tiles are those of `winograd.algebra.tiling`: inputs overlap, and of a cyclic correlation those outputs are kept
    that are not wrapped around (overlap-save).

    Parameters
    ----------
    m, r : tuple of int
        Outputs and taps per axis, one to three axes.
    form : FftForm or str

    Raises
    ------
    ValueError
        If a size is out of range.

    Examples
    --------
    >>> tile = FftTile((6, 6), (3, 3), "gauss")
    >>> tile.label, tile.rank, tile.planes, tile.data_instructions
    ('FFT(8x8,3x3) gauss', 94, 94, 390)
    >>> regular = FftTile((6, 6), (3, 3), "regular")
    >>> regular.rank, regular.planes
    (124, 64)
    """

    m: tuple[int, ...]
    r: tuple[int, ...]
    form: FftForm = FftForm.GAUSS

    def __post_init__(self) -> None:
        if len(self.m) != len(self.r) or not 1 <= len(self.m) <= _MOST_AXES:
            raise ValueError(f"m is {self.m} and r is {self.r}, must be for the same 1 to {_MOST_AXES} axes")
        if min(*self.m, *self.r) < 1 or max(self.tile) > codelets.MAX_LENGTH:
            longest = codelets.MAX_LENGTH
            raise ValueError(f"m is {self.m} and r is {self.r}, must be at least 1 with tiles of at most {longest}")
        if self.form not in list(FftForm):
            raise ValueError(f"form is {quote(self.form)}, must be one of {', '.join(FftForm)}")
        object.__setattr__(self, "form", FftForm(self.form))

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.m)

    @property
    def tile(self) -> tuple[int, ...]:
        """Length of the transform per axis."""
        return tuple(m + r - 1 for m, r in zip(self.m, self.r, strict=True))

    @property
    def real_numbers(self) -> int:
        """Numbers of a transformed tile that are real."""
        return prod(map(codelets.real_count, self.tile))

    @property
    def complex_numbers(self) -> int:
        """Complex numbers of a transformed tile that decide the others."""
        return (prod(self.tile) - self.real_numbers) // 2

    @property
    def rank(self) -> int:
        """Real multiplications of a tile, a channel and an output."""
        return self.real_numbers + self.form.multiplications * self.complex_numbers

    @property
    def planes(self) -> int:
        """Real numbers that stand for a transformed tile, in V, in U and in M."""
        return self.real_numbers + self.form.width * self.complex_numbers

    @property
    def reals(self) -> Reals:
        """Real numbers of a tile in U, V and M."""
        return Reals(filter=self.planes, data=self.planes, products=self.planes)

    @property
    def label(self) -> str:
        """Short name, such as FFT(12x12x12,3x3x3) gauss: length of the transforms, and taps."""
        return f"FFT({'x'.join(map(str, self.tile))},{'x'.join(map(str, self.r))}) {self.form}"

    @property
    def digest(self) -> str:
        """SHA-256 as hexadecimal text, the same in every process."""
        return hashlib.sha256(f"{self.label}{self.m}".encode()).hexdigest()

    @property
    def data_instructions(self) -> int:
        """Instructions of the data transform of a tile and a channel."""
        return count_lines(data_passes(self))

    @property
    def filter_instructions(self) -> int:
        """Instructions of the filter transform of a channel and an output."""
        return count_lines(filter_passes(self))

    @property
    def inverse_instructions(self) -> int:
        """Instructions of the inverse transform of a tile and an output."""
        return count_lines(inverse_passes(self))

    def __repr__(self) -> str:
        return f"<{self.label}, {self.rank} multiplications>"


def count_lines(passes: Sequence[Pass]) -> int:
    """Return the instructions of all runs of all lines."""
    return sum(lines.runs * lines.program.counts.instructions for step in passes for lines in step)


def in_three(sizes: Sequence[int]) -> Triple:
    """Return sizes of three axes; missing ones lead with size 1."""
    first, second, third = (*(1,) * (_MOST_AXES - len(sizes)), *sizes)
    return first, second, third


@lru_cache(maxsize=256)
def data_passes(tile: FftTile) -> tuple[Pass, ...]:
    """Return the passes from a tile, in the order of its elements, to planes of V."""
    lengths = in_three(tile.tile)
    return _forward(tile, lengths, partial(of_data, tile.form))


@lru_cache(maxsize=256)
def filter_passes(tile: FftTile) -> tuple[Pass, ...]:
    """Return the passes from taps to planes of U, conjugated and scaled."""
    factor = Fraction(1, prod(tile.tile))
    return _forward(tile, in_three(tile.r), partial(of_filter, tile.form, factor))


@lru_cache(maxsize=256)
def inverse_passes(tile: FftTile) -> tuple[Pass, ...]:
    """Return the passes from planes of M to the outputs of a tile, which stay in the buffer."""
    first, *others = reversed(_axes(in_three(tile.tile)))
    return (_first_inverse_pass(tile, first), *(_inverse_pass(tile, axis) for axis in others))


def _axes(lengths: Triple) -> list[int]:
    """Return the axes that are transformed, the first one first: the last axis of the tile."""
    return [axis for axis in (2, 1, 0) if lengths[axis] > 1] or [2]


GoingOn = Callable[[Program, int, bool], Program]
"""Goes on from a codelet, of a length, to the numbers that are multiplied; a line is real or not."""


def _forward(tile: FftTile, given: Triple, going_on: GoingOn) -> tuple[Pass, ...]:
    first, *others = _axes(in_three(tile.tile))
    passes = [_forward_pass(tile, given, first, strides_of(given), None if others else going_on)]
    for axis in others:
        last = axis == others[-1]
        passes.append(_forward_pass(tile, given, axis, strides_of(in_three(tile.tile)), going_on if last else None))
    return tuple(passes)


def _forward_pass(tile: FftTile, given: Triple, axis: int, outside: Triple, going_on: GoingOn | None) -> Pass:
    lengths = in_three(tile.tile)
    length, count = lengths[axis], given[axis]
    sources = columns(lengths, axis, given, outside)
    written = [along(column, length, strides_of(lengths)[axis]) for column in columns(lengths, axis, given)]
    programs = [_codelet(column, length, count) for column in sources]
    if going_on:
        written = planes(lengths, axis, tile.form.width)
        programs = [
            going_on(program, length, column.imaginary is None)
            for program, column in zip(programs, sources, strict=True)
        ]
    return tuple(
        Lines(program, column.lengths, along(column, count, outside[axis]), places)
        for program, column, places in zip(programs, sources, written, strict=True)
    )


def _codelet(column: Column, length: int, count: int) -> Program:
    make = codelets.real_codelet if column.imaginary is None else codelets.complex_codelet
    return make(length, count)


def _first_inverse_pass(tile: FftTile, axis: int) -> Pass:
    """Return the pass that reads planes of products."""
    lengths = in_three(tile.tile)
    inner, outside = _inverse_pass(tile, axis), planes(lengths, axis, tile.form.width)
    return tuple(  # real lines are the first family
        Lines(of_inverse(tile.form, lines.program, lengths[axis], number == 0), lines.lengths, places, lines.writes)
        for number, (lines, places) in enumerate(zip(inner, outside, strict=True))
    )


def _inverse_pass(tile: FftTile, axis: int) -> Pass:
    lengths, outputs = in_three(tile.tile), in_three(tile.m)
    stride, found = strides_of(lengths)[axis], []
    for column in columns(lengths, axis, outputs):
        make = codelets.real_inverse_codelet if column.imaginary is None else codelets.complex_inverse_codelet
        program = make(lengths[axis], outputs[axis])
        reads, writes = along(column, lengths[axis], stride), along(column, outputs[axis], stride)
        found.append(Lines(program, column.lengths, reads, writes))
    return tuple(found)
