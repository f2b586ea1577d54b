"""The three transforms of a tile in C: one block of straight-line code per axis, in loops over the other axes.

Passes work in place on a buffer of the tile's positions; the first reads from memory, the last data pass writes there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from winograd.codegen.nested import AxisPass, NestedPrograms
from winograd.codegen.program import Node, Op, Program

_INDICES = ("i", "j", "k")


@dataclass(frozen=True, slots=True)
class Access:
    """How a pass reads and writes: functions from an offset into the buffer to a C expression and a C statement."""

    read: Callable[[str], str]
    write: Callable[[str, str], str]


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """How one instruction is written: the type of a value, a literal, and fused multiply-add and -subtract."""

    type_name: str
    literal: Callable[[Fraction], str]
    fma: str
    fms: str


def _literal_f32(constant: Fraction) -> str:
    # C rounds the decimal literal of a double, which repr round-trips, once more to float; so does the interpreter.
    return f"(float){float(constant)!r}" if constant.denominator != 1 else f"{float(constant)!r}f"


VECTOR = Arithmetic("NAME_vector", _literal_f32, "NAME_fma({c}, {a}, {b})", "NAME_fms({c}, {a}, {b})")
DOUBLE = Arithmetic("double", lambda constant: repr(float(constant)), "{c} * {a} + {b}", "{c} * {a} - {b}")


def print_transforms(programs: NestedPrograms, ranks: Sequence[int]) -> str:
    """Return the C functions ``NAME_data_tile``, ``NAME_inverse_tile`` and ``NAME_filter_panel``.

    Parameters
    ----------
    programs : NestedPrograms
        Three axes.
    ranks : sequence of int
        Products per axis: the extents of the buffer.
    """
    strides = (ranks[1] * ranks[2], ranks[2], 1)
    taps = [step.program.inputs for step in sorted(programs.filter, key=lambda step: step.axis)]
    inputs = [step.program.inputs for step in sorted(programs.data, key=lambda step: step.axis)]
    return "\n".join(
        [
            *_data(programs.data, strides, inputs),
            *_inverse(programs.inverse, strides),
            *_filter(programs.filter, strides, taps),
        ]
    )


def _data(passes: Sequence[AxisPass], strides: Sequence[int], inputs: Sequence[int]) -> Iterator[str]:
    yield "/* Data transform of `lanes` channels from c on: reads by the tile's addresses, writes V by position. */"
    yield "NAME_INLINE void NAME_data_tile(const float *const *source, int64_t c, int64_t lanes, float *v,"
    yield "                                int64_t v_stride, NAME_vector *buffer)"
    yield "{"
    gather = (inputs[1] * inputs[2], inputs[2], 1)
    for step, first, last in _marked(passes):
        yield from _pass(
            step,
            strides,
            VECTOR,
            read_strides=gather if first else strides,
            access=Access(
                read=(lambda at: f"NAME_load(source[{at}] + c, lanes)") if first else (lambda at: f"buffer[{at}]"),
                write=(lambda at, value: f"NAME_store(v + ({at}) * v_stride, lanes, {value});")
                if last
                else (lambda at, value: f"buffer[{at}] = {value};"),
            ),
        )
    yield "    (void)buffer;"
    yield "}\n"


def _inverse(passes: Sequence[AxisPass], strides: Sequence[int]) -> Iterator[str]:
    yield "/* Inverse transform of NAME_WIDTH outputs: reads M by position, leaves the tile's outputs in the buffer. */"
    yield "NAME_INLINE void NAME_inverse_tile(const float *m, int64_t m_stride, NAME_vector *buffer)"
    yield "{"
    for step, first, _ in _marked(passes):
        read = (lambda at: f"NAME_load(m + ({at}) * m_stride, NAME_WIDTH)") if first else (lambda at: f"buffer[{at}]")
        access = Access(read=read, write=lambda at, value: f"buffer[{at}] = {value};")
        yield from _pass(step, strides, VECTOR, read_strides=strides, access=access)
    yield "}\n"


def _filter(passes: Sequence[AxisPass], strides: Sequence[int], taps: Sequence[int]) -> Iterator[str]:
    yield "/* Filter transform of one channel for the first `lanes` outputs of a panel, in double; the rest is zero. */"
    yield "static void NAME_filter_panel(const float *w, int64_t w_stride, int64_t lanes, float *u, int64_t u_stride,"
    yield "                              double *buffer)"
    yield "{"
    gather = (taps[1] * taps[2], taps[2], 1)
    for step, first, last in _marked(passes):
        access = Access(
            read=(lambda at: f"lane < lanes ? (double)w[lane * w_stride + {at}] : 0.0")
            if first
            else (lambda at: f"buffer[({at}) * NAME_PANEL + lane]"),
            write=(lambda at, value: f"u[({at}) * u_stride + lane] = (float)({value});")
            if last
            else (lambda at, value: f"buffer[({at}) * NAME_PANEL + lane] = {value};"),
        )
        yield from _pass(step, strides, DOUBLE, read_strides=gather if first else strides, access=access, lanes=True)
    yield "    (void)buffer;"
    yield "}\n"


def _marked(passes: Sequence[AxisPass]) -> list[tuple[AxisPass, bool, bool]]:
    """Return the passes that do something (one at least), each with whether it is the first and the last."""
    kept = [step for step in passes if not _is_identity(step.program)] or [passes[0]]
    return [(step, step is kept[0], step is kept[-1]) for step in kept]


def _is_identity(program: Program) -> bool:
    return program.outputs == tuple(range(program.inputs))


def _pass(
    step: AxisPass,
    strides: Sequence[int],
    arithmetic: Arithmetic,
    *,
    read_strides: Sequence[int],
    access: Access,
    lanes: bool = False,
) -> Iterator[str]:
    loops = [(axis, extent) for axis, extent in enumerate(step.extents) if axis != step.axis and extent > 1]
    depth = 1
    for axis, extent in loops:
        index = _INDICES[axis]
        yield f"{'    ' * depth}for (int {index} = 0; {index} < {extent}; ++{index})"
        depth += 1
    if lanes:
        yield f"{'    ' * depth}for (int64_t lane = 0; lane < NAME_PANEL; ++lane)"
        depth += 1
    yield f"{'    ' * (depth - 1)}{{"
    outer = [axis for axis, _ in loops]

    def offset(number: int, by: Sequence[int]) -> str:
        terms = [f"{_INDICES[axis]} * {by[axis]}" if by[axis] > 1 else _INDICES[axis] for axis in outer]
        if number or not terms:
            terms.append(str(number * by[step.axis]))
        return " + ".join(terms)

    for line in print_program(
        step.program,
        arithmetic,
        read=lambda number: access.read(offset(number, read_strides)),
        write=lambda number, value: access.write(offset(number, strides), value),
    ):
        yield f"{'    ' * depth}{line}"
    yield f"{'    ' * (depth - 1)}}}"


def print_program(
    program: Program, arithmetic: Arithmetic, read: Callable[[int], str], write: Callable[[int, str], str]
) -> Iterator[str]:
    """Yield one C statement per input that is used, per instruction and per output of a program."""
    used = {argument for node in program.nodes for argument in node.args} | set(program.outputs)
    names = [f"x{number}" for number in range(program.inputs)] + [f"t{number}" for number in range(len(program.nodes))]
    for number in range(program.inputs):
        if number in used:
            yield f"const {arithmetic.type_name} {names[number]} = {read(number)};"
    for number, node in enumerate(program.nodes):
        value = _expression(node, names, arithmetic)
        yield f"const {arithmetic.type_name} {names[program.inputs + number]} = {value};"
    for number, output in enumerate(program.outputs):
        yield write(number, names[output])


def _expression(node: Node, names: Sequence[str], arithmetic: Arithmetic) -> str:
    a, b = (*(names[argument] for argument in node.args), "", "")[:2]
    match node.op:
        case Op.ZERO:
            return f"({arithmetic.type_name}){{0}}"
        case Op.NEG:
            return f"-{a}"
        case Op.ADD:
            return f"{a} + {b}"
        case Op.SUB:
            return f"{a} - {b}"
    assert node.constant is not None
    c = arithmetic.literal(node.constant)
    if node.op is Op.SCALE:
        return f"{c} * {a}"
    form = arithmetic.fma if node.op is Op.FMA else arithmetic.fms
    return form.format(c=c, a=a, b=b)
