"""Lines of a tile: which codelets run along an axis, how often, and where each reads and writes.

In: the lengths of a tile per axis. Out: columns of its lines, places in a buffer that has the tile's own size, planes.
The transform of a real tile has every number twice, conjugated; as many real numbers are kept as the tile has, so that
all passes work in place. Along the last axis all lines are real. Along the others a column of numbers that are real is
a real line; a complex one has its real parts in a column of the buffer, and its imaginary parts in the column where the
conjugated numbers would be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from winograd.codegen.fourier.codelets import complex_count, real_count
from winograd.codegen.program import Program

Triple = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Place:
    """Where an element of the first line is, and what a step of each loop over the lines adds to it."""

    start: int
    steps: tuple[int, ...] = ()

    def moved(self, by: int) -> Place:
        """Return the place so much further."""
        return Place(self.start + by, self.steps)

    def at(self, index: Sequence[int]) -> int:
        """Return where the element of the line of an index is."""
        return self.start + sum(step * number for step, number in zip(self.steps, index, strict=True))


@dataclass(frozen=True, slots=True)
class Lines:
    """A family of lines that one program transforms.

    Parameters
    ----------
    program : Program
    lengths : tuple of int
        Of the loops over the lines, outermost first.
    reads, writes : tuple of Place
        One per input and per output of the program.

    Raises
    ------
    ValueError
        If their numbers differ from those of the program.
    """

    program: Program
    lengths: tuple[int, ...]
    reads: tuple[Place, ...]
    writes: tuple[Place, ...]

    def __post_init__(self) -> None:
        if (len(self.reads), len(self.writes)) != (self.program.inputs, len(self.program.outputs)):
            raise ValueError(f"{len(self.reads)} reads and {len(self.writes)} writes for {self.program!r}")

    @property
    def runs(self) -> int:
        """How often the program runs."""
        return prod(self.lengths)


Pass = tuple[Lines, ...]
"""All lines along one axis."""


@dataclass(frozen=True, slots=True)
class Column:
    """Lines along an axis by where their real parts begin, and their imaginary ones where the numbers are complex."""

    lengths: tuple[int, ...]
    real: Place
    imaginary: Place | None


def strides_of(tile: Sequence[int]) -> Triple:
    """Return how far neighbours along each of three axes are in the buffer."""
    return (tile[1] * tile[2], tile[2], 1)


def columns(
    tile: Sequence[int], axis: int, extents: Sequence[int], outside: Sequence[int] | None = None
) -> list[Column]:
    """Return the lines along an axis, when later axes are transformed and earlier ones have the given extents.

    Strides of the earlier axes are those of the buffer if no others are given.

    Examples
    --------
    >>> [(column.lengths, column.imaginary is None) for column in columns((4, 4, 4), 0, (4, 4, 4))]
    [((2, 2), True), ((4, 1), False), ((1, 2), False)]
    """
    outside, strides = outside or strides_of(tile), strides_of(tile)
    before = [(extents[other], outside[other]) for other in range(axis)]
    later = range(axis + 1, 3)
    found = [_column(before + [_real_places(tile, other) for other in later], 0, None)]
    for changing in reversed(later):
        if complex_count(tile[changing]) == 0:
            continue
        stride = strides[changing]
        between = [(tile[other], strides[other]) for other in range(axis + 1, changing)]
        own = (complex_count(tile[changing]), stride)
        after = [_real_places(tile, other) for other in range(changing + 1, 3)]
        found.append(_column([*before, *between, own, *after], stride, (tile[changing] - 1) * stride, len(after)))
    return found


def _real_places(tile: Sequence[int], axis: int) -> tuple[int, int]:
    """Return how many numbers along an axis are real, and how far they are from each other."""
    return real_count(tile[axis]), tile[axis] // 2 * strides_of(tile)[axis]


def _column(loops: Sequence[tuple[int, int]], real: int, imaginary: int | None, after: int = 0) -> Column:
    lengths = tuple(length for length, _ in loops)
    steps = [step for _, step in loops]
    if imaginary is None:
        return Column(lengths, Place(real, tuple(steps)), None)
    back = [-step if place == len(steps) - 1 - after else step for place, step in enumerate(steps)]
    return Column(lengths, Place(real, tuple(steps)), Place(imaginary, tuple(back)))


def along(column: Column, count: int, stride: int) -> tuple[Place, ...]:
    """Return the places of the first elements of the lines of a column, real parts first."""
    parts = (column.real,) if column.imaginary is None else (column.real, column.imaginary)
    return tuple(part.moved(number * stride) for part in parts for number in range(count))


def planes(tile: Sequence[int], axis: int, width: int) -> list[tuple[Place, ...]]:
    """Return where the last pass writes the numbers of each family of `columns`: planes, one per number.

    Planes of real numbers come first; ``width`` planes follow for every complex one.
    """
    found = []
    first = prod(map(real_count, tile))
    for column in columns(tile, axis, (1, 1, 1)):
        real, number = real_count(tile[axis]), complex_count(tile[axis])
        if column.imaginary is not None:
            real, number = 0, tile[axis]
        order = _row_major(column.lengths)
        places = [Place(place, tuple(step * real for step in order)) for place in range(real)]
        steps = tuple(step * number * width for step in order)
        places += [Place(first + place, steps) for place in range(number * width)]
        found.append(tuple(places))
        first += prod(column.lengths) * number * width
    return found


def _row_major(lengths: Sequence[int]) -> list[int]:
    return [prod(lengths[place + 1 :]) for place in range(len(lengths))]
