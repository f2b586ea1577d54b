"""Programs as Triton device functions, and groups of passes as kernels that call them.

A lane is a channel of a tile (of a filter, in the filter transform). Between kernels values are kept by position, every
position with all lanes, in the layout of the products; the first kernel reads a tensor, the last one may write one.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import Final

from winograd.codegen.literals import float64_literal
from winograd.codegen.nested import AxisPass
from winograd.codegen.program import Node, Op, Program
from winograd.codegen.targets.triton.groups import Group, Index, grouped

FUSED: Final = {
    Op.ZERO: "tl.full(x0.shape, 0.0, x0.dtype)",
    Op.NEG: "-{a}",
    Op.ADD: "{a} + {b}",
    Op.SUB: "{a} - {b}",
    Op.SCALE: "{c} * {a}",
    Op.FMA: "tl.fma({c}, {a}, {b})",
    Op.FMS: "tl.fma({c}, {a}, -{b})",
}
"""How an instruction is written in float32."""

SEPARATE: Final = FUSED | {Op.FMA: "{c} * {a} + {b}", Op.FMS: "{c} * {a} - {b}"}
"""How an instruction is written in float64: older versions of Triton round a constant of ``tl.fma`` to float32."""

_LANES: Final = """\
    program = tl.program_id(0).to(tl.int64)
    lanes = tl.cast(lanes, tl.int64)
    lane = program % blocks * BLOCK + tl.arange(0, BLOCK)
    inside = lane < lanes"""
"""What every kernel begins with; addresses are of 64 bits because lanes and their number are."""

Place = Sequence[str]
"""An index of the axes as expressions."""


@dataclass(frozen=True, slots=True)
class Transform:
    """One transform, and how its kernels reach memory.

    Parameters
    ----------
    name : str
    passes : tuple of AxisPass
    templates : dict
        How an instruction is written.
    strides : tuple of int
        Of the positions, in buffers between kernels.
    read : callable
        From a place in the tile to an expression, in the first kernel.
    write : callable
        From a place and a value to a statement, in the last kernel.
    parameters : tuple of str
        What its kernels take after source, target, lanes and blocks.
    before, after : tuple of str
        Lines of the first kernel that ``read`` needs, and of the last one that ``write`` needs.
    """

    name: str
    passes: tuple[AxisPass, ...]
    templates: dict[Op, str]
    strides: tuple[int, ...]
    read: Callable[[Place], str]
    write: Callable[[Place, str], str]
    parameters: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()

    def function(self, step: AxisPass) -> str:
        """Return the name of the device function of a pass; axes with equal programs share one."""
        return f"_{self.name}_{min(other.axis for other in self.passes if other.program == step.program)}"


def row_major(sizes: Sequence[int]) -> tuple[int, ...]:
    """Return the strides of an array of these sizes.

    Examples
    --------
    >>> row_major((4, 6, 6))
    (36, 6, 1)
    """
    return tuple(prod(sizes[axis + 1 :]) for axis in range(len(sizes)))


def position(buffer: str, place: Place, strides: Sequence[int], lanes: str = "lanes") -> str:
    """Return the address of a lane's value in a buffer that holds all lanes of a position after each other.

    Examples
    --------
    >>> position("source", ["1", "2"], (6, 1)), position("source", ["i0", "0"], (6, 1))
    ('source + 8 * lanes + lane', 'source + (i0 * 6) * lanes + lane')
    """
    index = offset(place, strides)
    if index == "0":
        return f"{buffer} + lane"
    return f"{buffer} + {index if index.isdecimal() else f'({index})'} * {lanes} + lane"


def offset(place: Place, strides: Sequence[int]) -> str:
    """Return a place as one number.

    Examples
    --------
    >>> offset(["i0", "1", "2"], (36, 6, 1))
    'i0 * 36 + 8'
    """
    pairs = list(zip(place, strides, strict=True))
    constant = sum(int(index) * stride for index, stride in pairs if index.isdecimal())
    terms = [index if stride == 1 else f"{index} * {stride}" for index, stride in pairs if not index.isdecimal()]
    return " + ".join([*terms, str(constant)] if constant or not terms else terms)


def print_transform(transform: Transform) -> Iterator[str]:
    """Yield the device functions of a transform, its kernels, and the table of them that ``convolve`` launches."""
    groups = grouped(transform.passes)
    steps = [step for group in groups for step in group.passes]
    for name, program in {transform.function(step): step.program for step in steps}.items():
        yield print_function(name, program, transform.templates)
    kernels = [f"NAME_{transform.name}_kernel_{number}" for number in range(len(groups))]
    for kernel, group in zip(kernels, groups, strict=True):
        yield "\n".join(_kernel(transform, kernel, group, first=group is groups[0], last=group is groups[-1])) + "\n"
    table = [f"({kernel}, {group.slices})" for kernel, group in zip(kernels, groups, strict=True)]
    comment = "# Kernels, and the slices of a tile that each of them works on."
    yield "\n".join([comment, *wrapped(f"{transform.name.upper()}_KERNELS = (", table, ",)")]) + "\n"


def print_function(name: str, program: Program, templates: dict[Op, str], decorator: str = "triton.jit") -> str:
    """Return a device function that computes the outputs of a program from its inputs."""
    return "\n".join(_function(name, program, templates, decorator)) + "\n"


def _function(name: str, program: Program, templates: dict[Op, str], decorator: str) -> Iterator[str]:
    yield f"@{decorator}"
    yield from wrapped(f"def {name}(", [f"x{number}" for number in range(program.inputs)], "):")
    for number, node in enumerate(program.nodes, start=program.inputs):
        yield f"    x{number} = {_expression(node, templates)}"
    results = [f"x{output}" for output in program.outputs]
    yield from [f"    return {results[0]}"] if len(results) == 1 else wrapped("    return (", results, ")")


def _expression(node: Node, templates: dict[Op, str]) -> str:
    names = dict(zip("ab", (f"x{argument}" for argument in node.args), strict=False))
    constant = Fraction(0) if node.constant is None else node.constant
    return templates[node.op].format(c=float64_literal(constant), **names)


def _kernel(transform: Transform, name: str, group: Group, *, first: bool, last: bool) -> Iterator[str]:
    yield "@triton.jit"
    yield from wrapped(
        f"def {name}(", ["source", "target", "lanes", "blocks", *transform.parameters, "BLOCK: tl.constexpr"], "):"
    )
    yield _LANES
    yield from _outer(group)
    yield from transform.before if first else ()
    for index in group.indices(0):
        place = _place(index, group)
        held = f"tl.load({position('source', place, transform.strides)}, mask=inside, other=0.0)"
        yield f"    {_variable(0, index, group)} = {transform.read(place) if first else held}"
    for done, step in enumerate(group.passes):
        yield from _calls(transform.function(step), step, group, done)
    yield from transform.after if last else ()
    for index in group.indices(len(group.passes)):
        place, value = _place(index, group), _variable(len(group.passes), index, group)
        held = f"tl.store({position('target', place, transform.strides)}, {value}, mask=inside)"
        yield f"    {transform.write(place, value) if last else held}"


def _outer(group: Group) -> Iterator[str]:
    """Yield the statements that find the slice that a program works on."""
    if len(group.outer) == 2:
        (first, _), (second, extent) = group.outer
        yield f"    i{first} = program // blocks // {extent}"
        yield f"    i{second} = program // blocks % {extent}"
    elif group.outer:
        yield f"    i{group.outer[0][0]} = program // blocks"


def _place(index: Index, group: Group) -> Place:
    outer = {axis for axis, _ in group.outer}
    return [f"i{axis}" if axis in outer else str(number) for axis, number in enumerate(index)]


def _variable(done: int, index: Index, group: Group) -> str:
    return "xyzv"[done] + "_".join(str(number) for axis, number in enumerate(index) if axis in group.axes)


def _calls(name: str, step: AxisPass, group: Group, done: int) -> Iterator[str]:
    """Yield one call per line of values along the axis of a pass."""
    for index in group.indices(done):
        if index[step.axis]:
            continue

        def along(number: int, letter: int, index: Index = index) -> str:
            moved = (*index[: step.axis], number, *index[step.axis + 1 :])
            return _variable(letter, moved, group)

        results = ", ".join(along(number, done + 1) for number in range(len(step.program.outputs)))
        yield from wrapped(f"    {results} = {name}(", [along(n, done) for n in range(step.program.inputs)], ")")


def wrapped(opening: str, items: Sequence[str], closing: str) -> list[str]:
    """Return ``opening item, item closing`` in one line, or with the items below where that is too long."""
    text = ", ".join(items)
    if len(opening) + len(text) + len(closing) <= 120:
        return [opening + text + closing]
    indent = " " * (len(opening) - len(opening.lstrip()))
    inner = indent + " " * (8 if opening.startswith("def") else 4)
    wrapper = textwrap.TextWrapper(
        120, initial_indent=inner, subsequent_indent=inner, break_long_words=False, break_on_hyphens=False
    )
    lines = wrapper.wrap(text.replace(": ", ":~") + ",")
    return [opening, *(line.replace(":~", ": ") for line in lines), indent + closing.lstrip(",")]
