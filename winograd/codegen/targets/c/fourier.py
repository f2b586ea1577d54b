"""The whole tiled convolution by Fourier transforms in C: the parts of a Winograd kernel around other transforms.

In: an `FftTile`. Out: a `Kernel` that exports what the stage conv of the C target does, in float32. In the Gauss form
all planes are multiplied by themselves, so that the file differs in the transforms alone; in the regular form planes of
complex numbers are taken in pairs by a product of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any, Final, cast

from winograd import __version__
from winograd.codegen.fourier.forms import FftForm
from winograd.codegen.fourier.lines import Lines, Pass, Place, strides_of
from winograd.codegen.fourier.tile import FftTile, data_passes, filter_passes, in_three, inverse_passes
from winograd.codegen.interpret import Contraction
from winograd.codegen.kernel import Kernel
from winograd.codegen.names import checked_name
from winograd.codegen.targets.c.axis_passes import DOUBLES, VECTORS, Outside, Style
from winograd.codegen.targets.c.convolution import DATA, FILTER, INVERSE, USAGE, Sizes, Transforms, kernel_parts
from winograd.codegen.targets.c.parts import DTYPES, assembled, part
from winograd.codegen.targets.c.printing import print_program

DTYPE: Final = "float32"

_INDICES: Final = ("i", "j")
_CALL: Final = "NAME_product(held, "
"""How the schedules call the product of a plane, once each."""

_GAUSS_GROWTH: Final = 4.0
"""Of a real part, M1 - M3, the variance of both products adds up, and each has a sum of two numbers for a factor."""


def emit_fft(tile: FftTile, name: str = "winograd") -> Kernel:
    """Return the C code of a convolution by Fourier transforms of a tile.

    Examples
    --------
    >>> print(*emit_fft(FftTile((6, 6), (3, 3))).source.splitlines()[1:4], sep=chr(10))
     * FFT(8x8,3x3) gauss: 94 multiplications for 36 outputs.
     * Made by winograd 0.1.0 from Fourier transforms of a tile.
     * Instructions per tile: data 390, filter 275, inverse 360
    """
    header = (
        f"{tile.label}: {tile.rank} multiplications for {prod(tile.m)} outputs.",
        f"Made by winograd {__version__} from Fourier transforms of a tile.",
        f"Instructions per tile: data {tile.data_instructions}, filter {tile.filter_instructions}, "
        f"inverse {tile.inverse_instructions}",
    )
    lengths = in_three(tile.tile)
    sizes = Sizes(
        m=in_three(tile.m),
        r=in_three(tile.r),
        tile=lengths,
        positions=tile.planes,
        strides=strides_of(lengths)[:2],
        steps=sum(len(lines.program.nodes) for passes in _all_passes(tile) for step in passes for lines in step[:1]),
        growth=_GAUSS_GROWTH if tile.form is FftForm.GAUSS else 1.0,
    )
    transforms = Transforms(
        data=print_lines(data_passes(tile), VECTORS, DATA),
        inverse=print_lines(inverse_passes(tile), VECTORS, INVERSE),
        filter=print_lines(filter_passes(tile), DOUBLES, FILTER),
    )
    parts = kernel_parts(DTYPE, Contraction.FUSED, sizes.written(DTYPES[DTYPE]), transforms.written())
    if tile.form is FftForm.REGULAR:
        parts = _with_complex_products(parts, tile.real_numbers)
    source = assembled(header, USAGE, parts, checked_name(name))
    return Kernel("c", name, source, cast(Any, tile))  # which is asked for its label only


def print_lines(passes: Sequence[Pass], style: Style, outside: Outside) -> Iterator[str]:
    """Yield the body of the C function of one transform: loops over lines around their programs."""
    for number, step in enumerate(passes):
        read = outside.read if number == 0 else style.buffer
        leaves = number == len(passes) - 1 and outside.write is not None
        write = outside.write if leaves else f"{style.buffer} = {{value}};"
        assert write is not None
        for lines in step:
            yield from _print_family(lines, style, read, write)
    yield "    (void)buffer;"


def _all_passes(tile: FftTile) -> tuple[Sequence[Pass], ...]:
    return data_passes(tile), filter_passes(tile), inverse_passes(tile)


def _print_family(lines: Lines, style: Style, read: str, write: str) -> Iterator[str]:
    loops = [(index, length) for index, length in zip(_INDICES, lines.lengths, strict=False) if length > 1]
    heads = [f"for (int {index} = 0; {index} < {length}; ++{index})" for index, length in loops]
    if style.lanes:
        heads.append("for (int64_t lane = 0; lane < NAME_PANEL; ++lane)")
    for depth, head in enumerate(heads, start=1):
        yield f"{'    ' * depth}{head}"
    indent = "    " * max(len(heads), 1)
    yield f"{indent}{{"
    for line in print_program(
        lines.program,
        style.notation,
        read=lambda number: read.format(at=_offset(lines.reads[number], lines.lengths)),
        write=lambda number, value: write.format(at=_offset(lines.writes[number], lines.lengths), value=value),
    ):
        yield f"{indent}    {line}"
    yield f"{indent}}}"


def _offset(place: Place, lengths: Sequence[int]) -> str:
    """Return the C expression of where an element of the line of an index is."""
    text = str(place.start)
    for index, step, length in zip(_INDICES, place.steps, lengths, strict=False):
        if length > 1 and step:
            text += f" {'-' if step < 0 else '+'} {index} * {abs(step)}".removesuffix(" * 1")
    return text


def _with_complex_products(parts: Sequence[str], reals: int) -> list[str]:
    """Return the parts with complex products, which the schedules call with the position."""
    product, schedules = part("product.c"), part("convolve.c")
    assert schedules.count(_CALL) == 2
    constant = f"/* Planes of real numbers, before those of complex ones. */\nenum {{ NAME_REALS = {reals} }};\n"
    changed = {
        product: f"{constant}\n{product}",
        schedules: part("complex_product.c")
        + "\n"
        + schedules.replace(_CALL, "NAME_position_product(plan, position, held, "),
    }
    return [changed.get(one, one) for one in parts]
