"""Builders of reductions: polyphase for strides, decimation for dilations, splitting or iterating for large kernels.

In: taps, strides, dilations and the size of the pieces. Out: a proved `AxisReduction` or `Reduction`.
Refused: sizes that are no positive integers, tiles above `MAX_TILE`, more than `MAX_PIECES` pieces.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from math import gcd

from winograd.algebra.bilinear import BilinearAlgorithm, checked_sizes
from winograd.algebra.reduction.axis import AxisReduction
from winograd.algebra.reduction.iterated import iterate
from winograd.algebra.reduction.nested import Reduction
from winograd.algebra.reduction.piece import Piece, Progression
from winograd.algebra.reduction.sizes import check_pieces, whole_number
from winograd.algebra.toom_cook import toom_cook

Family = Callable[[int, int], BilinearAlgorithm]
"""What makes F(m, r) from m and r."""


class Large(Enum):
    """What becomes of more taps than the limit."""

    SPLIT = "split"
    """A sum of pieces with nearly equal numbers of taps: 17 = 6 + 6 + 5."""
    ITERATE = "iterate"
    """One piece, F inside F (see `iterate`); m is rounded up to whole blocks."""


def reduce_axis(
    taps: int,
    stride: int = 1,
    dilation: int = 1,
    *,
    m: int = 4,
    limit: int = 6,
    large: Large = Large.SPLIT,
    family: Family = toom_cook,
) -> AxisReduction:
    """Reduce a convolution on one axis, of any stride and dilation, to pieces of stride 1.

    With c = gcd(stride, dilation), every (stride / c)-th tap of every (dilation / c)-th output reads samples that are
    lcm(stride, dilation) apart, which is a dense convolution of stride 1: there are stride / c phases of taps and
    dilation / c phases of outputs.

    Parameters
    ----------
    taps, stride, dilation : int
        Of the axis, at least 1.
    m : int
        Outputs of a tile of every piece. Where a piece has one tap nothing can be saved and it is F(1, 1).
    limit : int
        Largest number of taps that a piece may have as one F(m, r); at least 1, and 2 for `Large.ITERATE`.
    large : Large
        What becomes of phases with more taps.
    family : callable, optional
        Makes F(m, r) from m and r; `toom_cook` unless given.

    Raises
    ------
    TypeError
        If a size is not an integer.
    ValueError
        If a size is out of range, a tile is above `MAX_TILE`, or there are more than `MAX_PIECES` pieces.

    Examples
    --------
    >>> reduce_axis(3, stride=2)
    <3 taps, stride 2 = F(4,2) + F(1,1), 9/4 multiplications per output>
    >>> reduce_axis(3, dilation=2)
    <3 taps, dilation 2 = 2 F(4,3), 3/2 multiplications per output>
    >>> reduce_axis(17, m=12)
    <17 taps = 2 F(12,6) + F(12,5), 25/6 multiplications per output>
    >>> reduce_axis(17, m=12, large=Large.ITERATE)
    <17 taps = F(12,17), 43/12 multiplications per output>
    """
    taps, stride, dilation = (
        whole_number(*pair) for pair in (("taps", taps), ("stride", stride), ("dilation", dilation))
    )
    large = Large(large)
    m, limit = whole_number("m", m), whole_number("limit", limit, 2 if large is Large.ITERATE else 1)
    common = gcd(stride, dilation)
    tap_step, output_step = stride // common, dilation // common
    # Bounds first: a reduction that is too large is refused before anything of its size is made.
    check_pieces(output_step * max(min(taps, tap_step), -(-taps // limit) if large is Large.SPLIT else 1))
    phases = [range(phase, taps, tap_step) for phase in range(min(taps, tap_step))]
    blocks = phases if large is Large.ITERATE else [block for phase in phases for block in _split(phase, limit)]
    check_pieces(output_step * len(blocks))
    made = {count: _dense(m, count, limit, family) for count in sorted({len(block) for block in blocks}, reverse=True)}
    pieces = (
        Piece(
            algorithm=made[len(block)],
            samples=Progression(stride * output + dilation * block.start, stride * output_step),
            taps=Progression(block.start, tap_step),
            outputs=Progression(output, output_step),
        )
        for output in range(output_step)
        for block in blocks
    )
    return AxisReduction(taps=taps, stride=stride, dilation=dilation, pieces=tuple(pieces))


def reduce_convolution(
    taps: Sequence[int],
    stride: int | Sequence[int] = 1,
    dilation: int | Sequence[int] = 1,
    *,
    m: int | Sequence[int] = 4,
    limit: int | Sequence[int] = 6,
    large: Large = Large.SPLIT,
    family: Family = toom_cook,
) -> Reduction:
    """Reduce a convolution on one to three axes, in (d, h, w) order, to pieces of stride 1.

    Parameters are those of `reduce_axis`, one number per axis or one for all; so is what is raised, and ValueError for
    numbers of axes that differ.

    Examples
    --------
    >>> reduce_convolution((7, 7, 7), stride=2)
    <7x7x7 taps, stride 2x2x2: 8 pieces, 2197/64 multiplications per output, 343 direct>
    """
    if not isinstance(taps, Sequence):
        raise TypeError(f"taps is {taps!r}, must be one integer per axis, such as (3, 3, 3)")
    sizes = {"stride": stride, "dilation": dilation, "m": m, "limit": limit}
    columns = {name: _per_axis(name, value, len(taps)) for name, value in sizes.items()}
    return Reduction(
        tuple(
            reduce_axis(count, step, gap, m=outputs, limit=most, large=large, family=family)
            for count, step, gap, outputs, most in zip(taps, *columns.values(), strict=True)
        )
    )


def _per_axis(name: str, value: int | Sequence[int], axes: int) -> Sequence[int]:
    if not isinstance(value, Sequence):
        return (value,) * axes
    if len(value) != axes:
        raise ValueError(f"{name} is for {len(value)} axes, must be for the {axes} axes of taps")
    return value


def _split(phase: range, limit: int) -> Iterator[range]:
    """Yield consecutive parts of at most ``limit`` taps, as equal as can be, the larger ones first."""
    count = -(-len(phase) // limit)
    size, larger = divmod(len(phase), count)
    stop = 0
    for number in range(count):
        start, stop = stop, stop + size + (number < larger)
        yield phase[start:stop]


def _dense(m: int, taps: int, limit: int, family: Family) -> BilinearAlgorithm:
    """Return F(m, taps), or F inside F with blocks of at most ``limit`` taps and at least m outputs."""
    if taps <= limit:
        m = 1 if taps == 1 else m
        checked_sizes(m, taps)
        return family(m, taps)
    blocks = -(-taps // limit)
    block = -(-taps // blocks)
    outer_m = -(-m // block)
    inner_m = block if outer_m > 1 else m
    checked_sizes(block * (outer_m - 1) + inner_m, taps)
    return iterate(_dense(outer_m, blocks, limit, family), family(inner_m, block), r=taps)
