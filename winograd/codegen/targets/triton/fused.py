"""A tiled convolution in one kernel: data are transformed, multiplied and transformed back without touching memory.

In: programs, and which axes are direct. Out: the kernel, and its meta-parameters. Refused: algorithms of too many
positions, whose sums do not fit the registers.
A program has the sums of all positions for a block of outputs and tiles in registers. It walks through the taps of the
direct axes and blocks of channels: of each it loads the tiles, transforms them, and adds the products with U.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Final

from winograd.codegen.nested import NestedPrograms
from winograd.codegen.targets.triton.direct_axes import DirectAxes
from winograd.codegen.targets.triton.printing import FUSED, row_major, wrapped
from winograd.codegen.targets.triton.tile_kernel import Index, TileKernel

MOST_POSITIONS: Final = 16
"""Of a tile: with more, the sums of the smallest block that tensor cores take fill the registers."""

_DECORATOR: Final = "triton.jit"

_STRIDES: Final = ("n", "c", "0", "1", "2")

_PARAMETERS: Final = (
    *("source", "u", "target", "bias", "residual", "rows", "channels", "outputs", "held"),
    *(f"{tensor}_{name}" for tensor in ("source", "target", "residual") for name in _STRIDES),
    *(f"{what}{axis}" for what in ("size", "shape", "tiles", "before") for axis in range(3)),
    *("WHOLE", "RELU", "PRECISION", "INDEX", "BLOCK_T", "BLOCK_K", "BLOCK_C"),
)

_BEGIN: Final = """\
    program = tl.program_id(0)
    blocks_k = (outputs + BLOCK_K - 1) // BLOCK_K
    k = program % blocks_k * BLOCK_K + tl.arange(0, BLOCK_K)
    row = (program // blocks_k).to(INDEX) * BLOCK_T + tl.arange(0, BLOCK_T)
    rest = tl.minimum(row, rows - 1)  # rows behind the last are not written"""

_LOOP: Final = """\
    taps = u + (tl.minimum(k, outputs - 1).to(INDEX) * held)[:, None]
    plane = tl.cast(outputs, INDEX) * held
    steps = (channels + BLOCK_C - 1) // BLOCK_C
    for step in range(0, {taps} * steps):
        tap = step // steps
        c = step % steps * BLOCK_C + tl.arange(0, BLOCK_C)
        there = c < channels
        filters = taps + (plane * tap + c)[None, :]"""

_SHIFT: Final = """\
    if bias is None:
        shift = 0.0
    else:
        shift = tl.load(bias + k, mask=k < outputs, other=0.0).to(tl.float32)[:, None]"""


def checked_fused(axes: DirectAxes) -> DirectAxes:
    """Return the axes of an algorithm that the schedule can do.

    Raises
    ------
    ValueError
        If a tile has too many positions.

    Examples
    --------
    >>> from winograd.algebra.nesting import nest
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> checked_fused(DirectAxes(nest(*[toom_cook(2, 3)] * 3)))
    Traceback (most recent call last):
    ...
    ValueError: schedule 'fused' is for 16 positions of a tile at most, F(2x2x2,3x3x3) has 64; 'staged' is for all
    """
    if axes.positions > MOST_POSITIONS:
        raise ValueError(
            f"schedule 'fused' is for {MOST_POSITIONS} positions of a tile at most, {axes.nested.label} has "
            f"{axes.positions}; 'staged' is for all"
        )
    return axes


def print_fused(programs: NestedPrograms, axes: DirectAxes) -> Iterator[str]:
    """Yield the device functions of the transforms of data and outputs, and the kernel."""
    data, inverse = _data(programs, axes), _inverse(programs, axes)
    yield from data.functions()
    yield from inverse.functions()
    positions, taps = range(axes.positions), prod(axes.taps)
    lines = ["@triton.jit(do_not_specialize=CHANGING)"]
    typed = [f"{name}: tl.constexpr" if name.isupper() else name for name in _PARAMETERS]
    lines += wrapped("def NAME_fused_kernel(", typed, "):")
    lines += [_BEGIN, *_tile(axes), *_inputs(axes)]
    lines += [f"    m{number} = tl.full((BLOCK_K, BLOCK_T), 0.0, tl.float32)" for number in positions]
    lines += [_LOOP.format(taps=taps), *_tap(axes)]
    lines += [f"        {line}" for line in data.statements(0)]
    lines += [_SHIFT, *_outputs(axes)]
    lines += [f"    {line}" for line in inverse.statements(0)]
    yield "\n".join(lines) + "\n"


def _data(programs: NestedPrograms, axes: DirectAxes) -> TileKernel:
    strides, taps = row_major(axes.transformed.ranks), prod(axes.taps)

    def write(index: Index, value: str) -> Sequence[str]:
        number = _number(index, strides)
        filters = f"_filters(filters + plane * {number * taps}, there, WHOLE)"
        return (f"m{number} = _product({filters}, {value}, m{number}, PRECISION)",)

    return TileKernel(
        "data",
        programs.data,
        FUSED,
        read=lambda index: f"_voxels(source + (place{_sum('source', index)}), {_mask(index, axes)}, there, WHOLE)",
        write=write,
        decorator=_DECORATOR,
    )


def _inverse(programs: NestedPrograms, axes: DirectAxes) -> TileKernel:
    strides = row_major(axes.transformed.ranks)

    def write(index: Index, value: str) -> Sequence[str]:
        arguments = [
            *(value, "shift", "target", f"put{_sum('target', index)}", "residual", f"by{_sum('residual', index)}"),
            *(_inside(index, axes), "RELU"),
        ]
        return wrapped("_finish(", arguments, ")")

    return TileKernel(
        "inverse",
        programs.inverse,
        FUSED,
        read=lambda index: f"m{_number(index, strides)}",
        write=write,
        decorator=_DECORATOR,
    )


def _tile(axes: DirectAxes) -> Iterator[str]:
    """Yield the lines that find a row's image, and its tile or place along every axis."""
    for axis in (2, 1, 0):
        count = "shape" if axes.direct[axis] else "tiles"
        yield f"    tile{axis} = rest % {count}{axis}"
        yield f"    rest = rest // {count}{axis}"
    for axis, m in enumerate(axes.m):
        yield f"    first{axis} = tile{axis}" + (f" * {m}" if m > 1 else "")


def _inputs(axes: DirectAxes) -> Iterator[str]:
    """Yield the lines that find the first input of a row, and which inputs of a tile there are."""
    yield "    at = rest * source_n"
    for axis, (size, direct) in enumerate(zip(axes.transformed.tile, axes.direct, strict=True)):
        yield f"    start{axis} = first{axis} - before{axis}"
        yield f"    at += start{axis} * source_{axis}"
        for number in range(0 if direct else size):
            yield f"    in{axis}_{number} = (start{axis} + {number} >= 0) & (start{axis} + {number} < size{axis})"


def _tap(axes: DirectAxes) -> Iterator[str]:
    """Yield the lines that find a tap's inputs, and whether they exist."""
    yield "        found = row < rows"
    yield "        place = at"
    for axis, (taps, direct) in enumerate(zip(axes.taps, axes.direct, strict=True)):
        if not direct:
            continue
        inner = prod(axes.taps[axis + 1 :])
        tap = f"tap // {inner} % {taps}" if inner > 1 else f"tap % {taps}"
        yield f"        tap{axis} = {tap}"
        yield f"        place += tap{axis} * source_{axis}"
        yield f"        found &= (start{axis} + tap{axis} >= 0) & (start{axis} + tap{axis} < size{axis})"
    yield "        place = place[None, :] + (c.to(INDEX) * source_c)[:, None]"


def _outputs(axes: DirectAxes) -> Iterator[str]:
    """Yield the lines that find the first output of a row, and which outputs of a tile there are."""
    for name, tensor in (("put", "target"), ("by", "residual")):
        first = " + ".join(f"first{axis} * {tensor}_{axis}" for axis in range(3))
        yield f"    {name} = (rest * {tensor}_n + {first})[None, :] + (k.to(INDEX) * {tensor}_c)[:, None]"
    yield "    written = (row < rows)[None, :] & (k < outputs)[:, None]"
    for axis, (m, direct) in enumerate(zip(axes.m, axes.direct, strict=True)):
        for number in range(0 if direct else m):
            yield f"    out{axis}_{number} = (first{axis} + {number} < shape{axis})[None, :]"


def _mask(index: Index, axes: DirectAxes) -> str:
    return " & ".join(["found", *(f"in{axis}_{number}" for axis, number in enumerate(index) if not axes.direct[axis])])


def _inside(index: Index, axes: DirectAxes) -> str:
    kept = [f"out{axis}_{number}" for axis, number in enumerate(index) if not axes.direct[axis]]
    return " & ".join(["written", *kept])


def _sum(tensor: str, index: Index) -> str:
    """Return what is added to a place to reach an index of a tile."""
    return "".join(f" + {number} * {tensor}_{axis}" for axis, number in enumerate(index) if number)


def _number(index: Index, strides: Sequence[int]) -> int:
    return sum(number * stride for number, stride in zip(index, strides, strict=True))
