"""A transform of a tile in C: one block of straight-line code per axis, in loops over the other axes.

In: the passes, and how the tile's elements are read and written. Out: the body of a C function. Passes work in place on
a buffer of the tile's positions; the first reads from outside it, the last one writes there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from winograd.codegen.nested import AxisPass
from winograd.codegen.program import Program
from winograd.codegen.targets.c.printing import DOUBLE, VECTOR, Notation, print_program

_INDICES = ("i", "j", "k")


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
    """

    notation: Notation
    buffer: str
    lanes: bool


VECTORS: Final = Style(VECTOR, "buffer[{at}]", lanes=False)
"""A vector per position: data and inverse transforms."""

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
    kept = [step for step in passes if not _is_identity(step.program)] or [passes[0]]
    for step in kept:
        read, read_strides = (outside.read, before) if step is kept[0] else (style.buffer, inside)
        leaves = step is kept[-1] and outside.write is not None
        write, write_strides = (outside.write, after) if leaves else (f"{style.buffer} = {{value}};", inside)
        assert write is not None
        yield from _print_pass(step, style, (read, read_strides), (write, write_strides))
    yield "    (void)buffer;"


def _strides(extents: Sequence[int]) -> tuple[int, int, int]:
    return (extents[1] * extents[2], extents[2], 1)


def _is_identity(program: Program) -> bool:
    return program.outputs == tuple(range(program.inputs))


def _print_pass(
    step: AxisPass, style: Style, read: tuple[str, Sequence[int]], write: tuple[str, Sequence[int]]
) -> Iterator[str]:
    """Yield the loops over the other axes, and over lanes, around the program."""
    loops = [axis for axis, extent in enumerate(step.extents) if axis != step.axis and extent > 1]
    heads = [_loop(_INDICES[axis], step.extents[axis]) for axis in loops]
    if style.lanes:
        heads.append("for (int64_t lane = 0; lane < NAME_PANEL; ++lane)")
    for depth, head in enumerate(heads, start=1):
        yield f"{'    ' * depth}{head}"
    indent = "    " * max(len(heads), 1)

    def offset(number: int, strides: Sequence[int]) -> str:
        terms = [f"{_INDICES[axis]} * {strides[axis]}" if strides[axis] > 1 else _INDICES[axis] for axis in loops]
        if number or not terms:
            terms.append(str(number * strides[step.axis]))
        return " + ".join(terms)

    yield f"{indent}{{"
    for line in print_program(
        step.program,
        style.notation,
        read=lambda number: read[0].format(at=offset(number, read[1])),
        write=lambda number, value: write[0].format(at=offset(number, write[1]), value=value),
    ):
        yield f"{indent}    {line}"
    yield f"{indent}}}"


def _loop(index: str, extent: int) -> str:
    return f"for (int {index} = 0; {index} < {extent}; ++{index})"
