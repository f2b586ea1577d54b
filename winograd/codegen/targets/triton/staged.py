"""A tiled convolution in three stages: a kernel for the data, one for the products, one for the outputs.

In: a request for a convolution. Out: the kernels whose text depends on the algorithm, and the constants of the file.
Between the stages values lie in memory as [position][row][channel]; a row is a tile of the transformed axes at one
index of the direct ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Final

from winograd.codegen.nested import NestedPrograms
from winograd.codegen.targets.contract import Request
from winograd.codegen.targets.triton.direct_axes import DirectAxes
from winograd.codegen.targets.triton.printing import (
    SEPARATE,
    Place,
    Transform,
    offset,
    position,
    print_transform,
    row_major,
    wrapped,
)
from winograd.codegen.targets.triton.tile_kernel import TILE, Index, TileKernel

_STRIDES: Final = ("n", "c", "0", "1", "2")

_GEOMETRY: Final = tuple(f"{what}{axis}" for what in ("size", "tiles") for axis in range(3))

_BLOCK: Final = """\
    program = lang.program_id(0)
    block = program // {parts}
    lane = _lane_numbers(LANES)
    blocks = (channels + BLOCK_C - 1) // BLOCK_C
    c = (block % blocks * BLOCK_C + lane % BLOCK_C).to(INDEX)
    row = (block // blocks * (LANES // BLOCK_C) + lane // BLOCK_C).to(INDEX)
    inside = (row < rows) & (c < channels)
    cell = row * held + c
    plane = lang.cast(rows, INDEX) * held"""
"""What a transform begins with: lanes are channels of rows, neighbours are neighbouring channels."""


def programs_of(request: Request, axes: DirectAxes) -> NestedPrograms:
    """Return the programs of the transformed axes."""
    return replace(request, algorithm=axes.transformed).programs


def print_filter(programs: NestedPrograms, axes: DirectAxes) -> Iterator[str]:
    """Yield the kernels of the filter transform: a lane is a filter at one tap of the direct axes."""
    nested = axes.transformed
    taps, strides = row_major(nested.r), row_major(nested.ranks)

    def read(place: Place) -> str:
        address = f"source + (first + lane) * {nested.r[0] * taps[0]} + {offset(place, taps)}"
        return f"tl.load({address}, mask=inside, other=0.0).to(tl.float64)"

    def write(place: Place, value: str) -> str:
        return f"tl.store({position('target', place, strides, 'filters')} + first, {value}, mask=inside)"

    yield from print_transform(
        Transform(
            "filter",
            programs.filter,
            SEPARATE,
            strides,
            read,
            write,
            parameters=("first", "filters"),
            after=("    filters = tl.cast(filters, tl.int64)",),
        )
    )


def print_data(programs: NestedPrograms, axes: DirectAxes) -> Iterator[str]:
    """Yield the kernel of the data transform."""
    strides = row_major(axes.transformed.ranks)
    kernel = TileKernel(
        "data",
        programs.data,
        TILE,
        read=lambda index: (
            f"lang.load(source + ({_offset('at', index)}), mask={_mask(index)}, other=0.0).to(lang.float32)"
        ),
        write=lambda index, value: (
            f"lang.store(target + (cell + {_number(index, strides)} * plane), _held({value}, ROUND), mask=inside)",
        ),
    )
    parameters = [
        *("source", "target", "first", "rows", "channels", "held"),
        *(f"stride_{name}" for name in _STRIDES),
        *_GEOMETRY,
        *(f"before{axis}" for axis in range(3)),
        *("LANES", "BLOCK_C", "ROUND", "INDEX"),
    ]
    starts = tuple(
        f"    start{axis} = tile{axis}" + ("" if direct else f" * {m} - before{axis}")
        for axis, (m, direct) in enumerate(zip(axes.m, axes.direct, strict=True))
    )
    extents = axes.transformed.tile
    yield from _printed(kernel, axes, parameters, (*starts, *_voxels(extents, ("at",))))


def print_inverse(programs: NestedPrograms, axes: DirectAxes) -> Iterator[str]:
    """Yield the kernel of the inverse transform, which adds what is added to outputs."""
    strides = row_major(axes.transformed.ranks)
    kernel = TileKernel(
        "inverse",
        programs.inverse,
        TILE,
        read=lambda index: f"lang.load(source + (cell + {_number(index, strides)} * plane), mask=inside, other=0.0)",
        write=lambda index, value: wrapped(
            "_finish(",
            [value, "shift", "target", _offset("at", index), "residual", _offset("by", index), _mask(index), "RELU"],
            ")",
        ),
    )
    parameters = [
        *("source", "target", "bias", "residual", "first", "rows", "channels", "held"),
        *(f"stride_{name}" for name in _STRIDES),
        *(f"residual_{name}" for name in _STRIDES),
        *_GEOMETRY,
        *("LANES", "BLOCK_C", "RELU", "INDEX"),
    ]
    starts = tuple(
        f"    start{axis} = tile{axis}" + ("" if direct else f" * {m}")
        for axis, (m, direct) in enumerate(zip(axes.m, axes.direct, strict=True))
    )
    shift = (
        "    if bias is None:",
        "        shift = 0.0",
        "    else:",
        "        shift = lang.load(bias + c, mask=inside, other=0.0).to(lang.float32)",
    )
    yield from _printed(kernel, axes, parameters, (*starts, *_voxels(axes.m, ("at", "by")), *shift))


def _printed(kernel: TileKernel, axes: DirectAxes, parameters: Sequence[str], before: Sequence[str]) -> Iterator[str]:
    """Yield the device functions of a kernel, the kernel, and the number of programs that share a tile."""
    yield from kernel.functions()
    typed = [f"{name}: tl.constexpr" if name.isupper() else name for name in parameters]
    lines = ["@tile_jit(do_not_specialize=CHANGING)"]
    lines += wrapped(f"def NAME_{kernel.name}_kernel(", typed, "):")
    lines += [_BLOCK.format(parts=len(kernel.parts)), *_tile(axes.direct), *before]
    if len(kernel.parts) == 1:
        lines += [f"    {line}" for line in kernel.statements(0)]
    else:
        for part in range(len(kernel.parts)):
            condition = "if" if part == 0 else "elif"
            last = part + 1 == len(kernel.parts)
            lines.append("    else:" if last else f"    {condition} program % {len(kernel.parts)} == {part}:")
            lines += [f"        {line}" for line in kernel.statements(part)]
    yield "\n".join(lines) + "\n"
    yield f"{kernel.name.upper()}_PARTS = {len(kernel.parts)}  # programs that share a tile\n"


def _tile(direct: Sequence[bool]) -> Iterator[str]:
    """Yield the lines that find the tile of a row along every axis, and its image."""
    inner = [axis for axis in range(3) if direct[axis]]
    outer = [axis for axis in range(3) if not direct[axis]]
    yield "    rest = row"
    for axis in reversed(inner):
        yield f"    tile{axis} = rest % size{axis}"
        yield f"    rest = rest // size{axis}"
    yield "    rest += first"
    for axis in reversed(outer):
        yield f"    tile{axis} = rest % tiles{axis}"
        yield f"    rest = rest // tiles{axis}"


def _voxels(extents: Sequence[int], names: Sequence[str]) -> Iterator[str]:
    """Yield the lines that find where the voxels of a tile lie, and which of them there are."""
    kind = {"at": "stride", "by": "residual"}
    for name in names:
        yield f"    {name} = rest * {kind[name]}_n + c * {kind[name]}_c"
    for axis, extent in enumerate(extents):
        for number in range(extent):
            place = f"start{axis}" if number == 0 else f"(start{axis} + {number})"
            for name in names:
                yield f"    {name}{axis}_{number} = {place} * {kind[name]}_{axis}"
            yield f"    in{axis}_{number} = ({place} >= 0) & ({place} < size{axis})"
    for first, second in product(range(extents[0]), range(extents[1])):
        for name in names:
            yield f"    {name}_{first}_{second} = {name} + {name}0_{first} + {name}1_{second}"
        yield f"    in_{first}_{second} = inside & in0_{first} & in1_{second}"


def _offset(name: str, index: Index) -> str:
    return f"{name}_{index[0]}_{index[1]} + {name}2_{index[2]}"


def _mask(index: Index) -> str:
    return f"in_{index[0]}_{index[1]} & in2_{index[2]}"


def _number(index: Index, strides: Sequence[int]) -> int:
    return sum(number * stride for number, stride in zip(index, strides, strict=True))
