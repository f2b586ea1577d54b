"""How the three transforms of a whole convolution reach memory: filters, padded data, and the outputs of a tile.

In: the passes of a nested algorithm of three axes. Out: their kernels as text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from winograd.algebra.nesting import NestedAlgorithm
from winograd.codegen.nested import NestedPrograms
from winograd.codegen.targets.triton.printing import (
    FUSED,
    SEPARATE,
    Place,
    Transform,
    offset,
    position,
    print_transform,
    row_major,
)

_PADDED: Final = ("    d -= pad0", "    h -= pad1", "    w -= pad2")

_SHIFT: Final = (
    "    if bias is None:",
    "        shift = 0.0",
    "    else:",
    "        shift = tl.load(bias + lane // tiles, mask=inside, other=0.0).to(tl.float32)",
)

_SIZES: Final = ("channels", "tiles", "first", "tiles0", "tiles1", "tiles2", "size0", "size1", "size2")


def print_convolution(programs: NestedPrograms, nested: NestedAlgorithm) -> Iterator[str]:
    """Yield the device functions and kernels of the filter, data and inverse transform."""
    for transform in (_filter(programs, nested), _data(programs, nested), _inverse(programs, nested)):
        yield from print_transform(transform)


def _filter(programs: NestedPrograms, nested: NestedAlgorithm) -> Transform:
    taps, strides = row_major(nested.r), row_major(nested.ranks)

    def read(place: Place) -> str:
        address = f"source + (first + lane) * {nested.r[0] * taps[0]} + {offset(place, taps)}"
        return f"tl.load({address}, mask=inside, other=0.0).to(tl.float64)"

    def write(place: Place, value: str) -> str:
        return f"tl.store({position('target', place, strides, 'filters')} + first, {value}, mask=inside)"

    return Transform(
        "filter",
        programs.filter,
        SEPARATE,
        strides,
        read,
        write,
        parameters=("first", "filters"),
        after=("    filters = tl.cast(filters, tl.int64)",),
    )


def _data(programs: NestedPrograms, nested: NestedAlgorithm) -> Transform:
    strides = row_major(nested.ranks)
    return Transform(
        "data",
        programs.data,
        FUSED,
        strides,
        read=lambda place: f"_read(source, row, inside, {_voxel(place)}, size0, size1, size2)",
        write=lambda place, value: f"tl.store({position('target', place, strides)}, {value}, mask=inside)",
        parameters=(*_SIZES, "pad0", "pad1", "pad2"),
        before=(*_tile(nested), *_PADDED),
    )


def _inverse(programs: NestedPrograms, nested: NestedAlgorithm) -> Transform:
    strides = row_major(nested.ranks)
    return Transform(
        "inverse",
        programs.inverse,
        FUSED,
        strides,
        read=lambda place: f"tl.load({position('source', place, strides)}, mask=inside, other=0.0)",
        write=lambda place, value: (
            f"_write(target, row, inside, {_voxel(place)}, size0, size1, size2, {value} + shift)"
        ),
        parameters=(*_SIZES, "bias"),
        after=(*_tile(nested), *_SHIFT),
    )


def _tile(nested: NestedAlgorithm) -> tuple[str, ...]:
    """Return the lines that find a lane's tile: its first output d, h, w, and the first row of its channel."""
    m = nested.m
    return (
        "    tile = first + lane % tiles",
        f"    d = tile // tiles2 // tiles1 % tiles0 * {m[0]}",
        f"    h = tile // tiles2 % tiles1 * {m[1]}",
        f"    w = tile % tiles2 * {m[2]}",
        "    row = (tile // tiles2 // tiles1 // tiles0 * channels + lane // tiles) * size0",
    )


def _voxel(place: Place) -> str:
    return ", ".join(axis if index == "0" else f"{axis} + {index}" for axis, index in zip("dhw", place, strict=True))
