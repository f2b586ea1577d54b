"""How the three transforms reach memory in the Triton target: filters, padded data, and the outputs of a tile.

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
)

_TILE: Final = """\
    tile = first + lane % tiles
    d = tile // tiles2 // tiles1 % tiles0 * {m[0]}
    h = tile // tiles2 % tiles1 * {m[1]}
    w = tile % tiles2 * {m[2]}
    row = (tile // tiles2 // tiles1 // tiles0 * channels + lane // tiles) * size0"""

_PADDED: Final = """
    d -= pad0
    h -= pad1
    w -= pad2"""

_SHIFT: Final = """
    if bias is None:
        shift = 0.0
    else:
        shift = tl.load(bias + lane // tiles, mask=inside, other=0.0).to(tl.float32)"""

_SIZES: Final = "channels, tiles, first, tiles0, tiles1, tiles2, size0, size1, size2"


def print_transforms(programs: NestedPrograms, nested: NestedAlgorithm) -> Iterator[str]:
    """Yield the device functions and kernels of the filter, data and inverse transform."""
    strides = (nested.ranks[1] * nested.ranks[2], nested.ranks[2], 1)
    for transform in (_filter(programs, nested, strides), _data(programs, nested, strides)):
        yield from print_transform(transform)
    yield from print_transform(_inverse(programs, nested, strides))


def _filter(programs: NestedPrograms, nested: NestedAlgorithm, strides: tuple[int, ...]) -> Transform:
    taps = (nested.r[1] * nested.r[2], nested.r[2], 1)
    filter_ = f"source + (first + lane) * {nested.r[0] * taps[0]}"
    return Transform(
        "filter",
        programs.filter,
        SEPARATE,
        strides,
        parameters="first, filters",
        before="",
        after="",
        read=lambda place: f"tl.load({filter_} + {offset(place, taps)}, mask=inside, other=0.0).to(tl.float64)",
        write=lambda place, value: (
            f"tl.store(target + ({offset(place, strides)}) * filters + first + lane, {value}, mask=inside)"
        ),
    )


def _data(programs: NestedPrograms, nested: NestedAlgorithm, strides: tuple[int, ...]) -> Transform:
    return Transform(
        "data",
        programs.data,
        FUSED,
        strides,
        parameters=f"{_SIZES}, pad0, pad1, pad2",
        before=_TILE.format(m=nested.m) + _PADDED,
        after="",
        read=lambda place: f"_read(source, row, inside, {_voxel(place)}, size0, size1, size2)",
        write=lambda place, value: f"tl.store({position('target', place, strides)}, {value}, mask=inside)",
    )


def _inverse(programs: NestedPrograms, nested: NestedAlgorithm, strides: tuple[int, ...]) -> Transform:
    return Transform(
        "inverse",
        programs.inverse,
        FUSED,
        strides,
        parameters=f"{_SIZES}, bias",
        before="",
        after=_TILE.format(m=nested.m) + _SHIFT,
        read=lambda place: f"tl.load({position('source', place, strides)}, mask=inside, other=0.0)",
        write=lambda place, value: (
            f"_write(target, row, inside, {_voxel(place)}, size0, size1, size2, {value} + shift)"
        ),
    )


def _voxel(place: Place) -> str:
    return ", ".join(axis if index == "0" else f"{axis} + {index}" for axis, index in zip("dhw", place, strict=True))
