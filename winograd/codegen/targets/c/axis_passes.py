"""A transform of a tile in C: one block of straight-line code per axis, in loops over the other axes.

In: the passes, and how the tile's elements are read and written. Out: the body of a C function. Passes work in place on
a buffer of the tile's positions; the first reads from outside it, the last one writes there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from winograd.codegen.nested import AxisPass
from winograd.codegen.targets.axes import without_identities
from winograd.codegen.targets.c.printing import DOUBLE, VECTOR, Notation, print_program

_INDICES = ("i", "j", "k")
_MOST_INSTRUCTIONS: Final = 256


@dataclass(frozen=True, slots=True)
class Style:
    """What a transform computes with: one kind of value, and where the buffer keeps the value of a position ``at``.

    Parameters
    ----------
    notation : Notation
    buffer : str
        A C expression with the field ``at``.
    lanes : bool
        Whether the code treats one of `NAME_PANEL` lanes, in a loop over them.
    turns : int
        Turns of the innermost loop over positions that are written out, at most.
    """

    notation: Notation
    buffer: str
    lanes: bool = False
    turns: int = 1


VECTORS: Final = Style(VECTOR, "buffer[{at}]")
"""A vector per position: data and inverse transforms."""

WRITTEN_OUT: Final = Style(VECTOR, "buffer[{at}]", turns=8)
"""The same with fewer instructions and more code; in a convolution, beside the products, that is slower."""

DOUBLES: Final = Style(DOUBLE, "buffer[({at}) * NAME_PANEL + lane]", lanes=True)
"""`NAME_PANEL` doubles per position: filter transforms, which round once at the end."""


@dataclass(frozen=True, slots=True)
class Outside:
    """How elements of the tile are read and written, in C with the fields ``at``, an offset, and ``value``.

    Parameters
    ----------
    read : str
        An expression.
    write : str or None
        A statement; None leaves outputs in the buffer.
    """

    read: str
    write: str | None


def print_transform(passes: Sequence[AxisPass], ranks: Sequence[int], style: Style, outside: Outside) -> Iterator[str]:
    """Yield the body of the C function of one transform.

    Parameters
    ----------
    passes : sequence of AxisPass
        One per axis, three axes.
    ranks : sequence of int
        Extents of the buffer: products per axis.
    style : Style
    outside : Outside
        Offsets count elements of the tile before and after, the last axis fastest.
    """
    inside = _strides(ranks)
    before = _strides([step.program.inputs for step in sorted(passes, key=lambda step: step.axis)])
    after = _strides([len(step.program.outputs) for step in sorted(passes, key=lambda step: step.axis)])
    kept = without_identities(passes)
    for step in kept:
        read, read_strides = (outside.read, before) if step is kept[0] else (style.buffer, inside)
        leaves = step is kept[-1] and outside.write is not None
        write, write_strides = (outside.write, after) if leaves else (f"{style.buffer} = {{value}};", inside)
        assert write is not None
        yield from _print_pass(step, style, (read, read_strides), (write, write_strides))
    yield "    (void)buffer;"


def _strides(extents: Sequence[int]) -> tuple[int, int, int]:
    return (extents[1] * extents[2], extents[2], 1)


@dataclass(frozen=True, slots=True)
class _Loop:
    """A loop over an axis, or over neighbouring ones: its index, its length, and what a step adds to both offsets."""

    index: str
    length: int
    strides: tuple[int, int]


def _print_pass(
    step: AxisPass, style: Style, read: tuple[str, Sequence[int]], write: tuple[str, Sequence[int]]
) -> Iterator[str]:
    """Yield the loops over the other axes, and over lanes, around the program."""
    loops = _loops(step, read[1], write[1])
    heads = [f"for (int {loop.index} = 0; {loop.index} < {loop.length}; ++{loop.index})" for loop in loops]
    if style.lanes:
        heads.append("for (int64_t lane = 0; lane < NAME_PANEL; ++lane)")
    elif loops and style.turns > 1:
        turns = _unrolling(loops[-1].length, min(style.turns, _MOST_INSTRUCTIONS // max(len(step.program.nodes), 1)))
        heads.insert(-1, f"NAME_UNROLL({turns})")
    for depth, head in enumerate(heads, start=1):
        yield f"{'    ' * depth}{head}"
    indent = "    " * max(len(heads), 1)

    def offset(number: int, which: int) -> str:
        terms = [f"{loop.index} * {loop.strides[which]}".removesuffix(" * 1") for loop in loops]
        if number or not terms:
            terms.append(str(number * (read, write)[which][1][step.axis]))
        return " + ".join(terms)

    yield f"{indent}{{"
    for line in print_program(
        step.program,
        style.notation,
        read=lambda number: read[0].format(at=offset(number, 0)),
        write=lambda number, value: write[0].format(at=offset(number, 1), value=value),
    ):
        yield f"{indent}    {line}"
    yield f"{indent}}}"


def _loops(step: AxisPass, read: Sequence[int], write: Sequence[int]) -> list[_Loop]:
    """Return the loops over the other axes, outermost first; one for two axes that follow each other in memory."""
    loops: list[_Loop] = []
    for axis, length in enumerate(step.extents):
        if axis == step.axis or length == 1:
            continue
        inner = _Loop(_INDICES[axis], length, (read[axis], write[axis]))
        if loops and loops[-1].strides == (length * read[axis], length * write[axis]):
            outer = loops.pop()
            inner = _Loop(outer.index, outer.length * length, inner.strides)
        loops.append(inner)
    return loops


def _unrolling(length: int, most: int) -> int:
    """Return how many turns of a loop are written out: a divisor of its length."""
    return max((turns for turns in range(1, most + 1) if length % turns == 0), default=1)
