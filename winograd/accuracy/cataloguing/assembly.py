"""How an algorithm of the catalogue is put together, as text: the exact algorithm from it, proved.

In: sizes and a text: "direct", "transposed RECIPE", "outputs M:PRODUCTS + M:PRODUCTS", "taps R:PRODUCTS + R:PRODUCTS",
or a recipe of `winograd.accuracy.recipe`. Out: a `BilinearAlgorithm`. Refused: other text, never evaluated.
A sum puts two smaller algorithms side by side, for two runs of outputs or of taps.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import Enum

import sympy

from winograd.accuracy.recipe import Recipe
from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.toom_cook import toom_cook

DIRECT = "direct"
"""The text of the direct algorithm: every output takes all its products."""

_TRANSPOSED = "transposed "
_SUM = re.compile(r"(outputs|taps) ([0-9]{1,2}):([0-9]{1,3}) \+ ([0-9]{1,2}):([0-9]{1,3})", re.ASCII)

Part = tuple[int, int]
"""Size, m or r, and products of one part of a sum."""

Smaller = Callable[[int, int, int], BilinearAlgorithm]
"""What finds the algorithm F(m, r) of a number of products that a sum refers to."""


class Along(Enum):
    """What a sum splits."""

    OUTPUTS = "outputs"
    TAPS = "taps"


def assemble(m: int, r: int, text: str, smaller: Smaller) -> BilinearAlgorithm:
    """Return the algorithm F(m, r) that a text describes, proved.

    Raises
    ------
    ValueError
        If the text is none of those listed above, or does not fit the sizes.

    Examples
    --------
    >>> assemble(2, 2, "direct", lambda m, r, products: direct(m, r))
    <F(2,2), 4 multiplications>
    >>> assemble(4, 3, "outputs 2:4 + 2:4", lambda m, r, products: toom_cook(m, r))
    <F(4,3), 8 multiplications>
    """
    if text == DIRECT:
        return direct(m, r)
    if text.startswith(_TRANSPOSED):
        return transposed(Recipe.parse(text.removeprefix(_TRANSPOSED)).build(r, m))
    match = _SUM.fullmatch(text)
    if match is None:
        return Recipe.parse(text).build(m, r)
    along, sizes, products = Along(match[1]), (int(match[2]), int(match[4])), (int(match[3]), int(match[5]))
    if sum(sizes) != (m if along is Along.OUTPUTS else r):
        raise ValueError(f"{text!r} does not fit F({m},{r}): the {along.value} must add up")
    parts = [
        smaller(size, r, count) if along is Along.OUTPUTS else smaller(m, size, count)
        for size, count in zip(sizes, products, strict=True)
    ]
    return side_by_side(parts, along)


def spell_transposed(recipe: Recipe) -> str:
    """Return the text of the transposed algorithm of a recipe."""
    return _TRANSPOSED + recipe.text


def spell_sum(along: Along, parts: Sequence[Part]) -> str:
    """Return the text of a sum of two parts.

    Examples
    --------
    >>> spell_sum(Along.TAPS, [(1, 4), (2, 5)])
    'taps 1:4 + 2:5'
    """
    return f"{along.value} " + " + ".join(f"{size}:{products}" for size, products in parts)


def direct(m: int, r: int) -> BilinearAlgorithm:
    """Return the direct algorithm F(m, r): m r products, one of each tap with each input that it meets.

    Examples
    --------
    >>> direct(3, 2).rank
    6
    """
    if 1 in (m, r):
        return toom_cook(m, r)
    return side_by_side([toom_cook(1, r)] * m, Along.OUTPUTS)


def transposed(algorithm: BilinearAlgorithm) -> BilinearAlgorithm:
    """Return F(r, m) of an algorithm F(m, r): ``at`` and ``g`` change places. Rank and kappa stay.

    Examples
    --------
    >>> transposed(toom_cook(4, 3, "0,1,-1,2,-2,inf"))
    <F(3,4), 6 multiplications>
    """
    return BilinearAlgorithm(m=algorithm.r, r=algorithm.m, at=algorithm.g.T, g=algorithm.at.T, bt=algorithm.bt)


def side_by_side(parts: Sequence[BilinearAlgorithm], along: Along) -> BilinearAlgorithm:
    """Return one algorithm for all outputs, or all taps, of the parts, in their order; the products add up.

    Examples
    --------
    >>> side_by_side([toom_cook(2, 1), toom_cook(2, 2)], Along.TAPS)
    <F(2,3), 5 multiplications>
    """
    matrices = [(part.at, part.g) for part in parts]
    sizes = [part.m if along is Along.OUTPUTS else part.r for part in parts]
    if along is Along.OUTPUTS:
        at = sympy.diag(*(at for at, _ in matrices))
        g = sympy.Matrix.vstack(*(g for _, g in matrices))
    else:
        at = sympy.Matrix.hstack(*(at for at, _ in matrices))
        g = sympy.diag(*(g for _, g in matrices))
    tile = parts[0].tile - sizes[0] + sum(sizes)
    starts = [sum(sizes[:number]) for number in range(len(parts))]
    bt = sympy.Matrix.vstack(*(_shifted(part, start, tile) for part, start in zip(parts, starts, strict=True)))
    return BilinearAlgorithm(m=at.rows, r=g.cols, at=at, g=g, bt=bt)


def _shifted(part: BilinearAlgorithm, start: int, tile: int) -> sympy.Matrix:
    """Return ``bt`` of a part whose first input is number ``start`` of a larger tile."""
    zeros = [sympy.zeros(part.rank, width) for width in (start, tile - start - part.tile)]
    return sympy.Matrix.hstack(zeros[0], part.bt, zeros[1])
