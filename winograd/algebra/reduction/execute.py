"""Exact execution of nested pieces on nested lists, one level per axis: no arrays and no rounding, only + and *.

In: nested sequences of exact numbers. Out: sums added in place. Refused: ragged nests and floats.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from winograd.algebra.bilinear import FractionRows, fraction_rows
from winograd.algebra.reduction.piece import Piece, Placement

Block = Any
"""A number, or a list of blocks that are alike."""


def sizes_of(name: str, block: Block, axes: int) -> tuple[int, ...]:
    """Return the size of each axis of a nested sequence.

    Raises
    ------
    TypeError
        If a number is a float or the nest is not deep enough.
    ValueError
        If the nest is ragged, or empty on an axis that holds others.
    """
    if axes == 0:
        if isinstance(block, float | complex):
            raise TypeError(f"{name} holds {block!r}, must hold exact numbers")
        return ()
    try:
        inner = {sizes_of(name, part, axes - 1) for part in block}
    except TypeError as error:
        if hasattr(block, "__iter__"):
            raise
        raise TypeError(f"{name} is not nested deep enough, must have one level per axis") from error
    if len(inner) > 1 or (axes > 1 and not inner):
        raise ValueError(f"{name} is {'ragged' if inner else 'empty'}, must be a full block of numbers")
    return (len(block), *(inner.pop() if inner else ()))


def filled(value: Any, sizes: Sequence[int]) -> Block:
    """Return a block of the sizes that holds the value everywhere."""
    if not sizes:
        return value
    return [filled(value, sizes[1:]) for _ in range(sizes[0])]


def add_piece(
    output: Block, input: Block, weight: Block, pieces: Sequence[Piece], placements: Sequence[Placement]
) -> None:
    """Add the convolution by one piece per axis to the output, tile by tile."""
    at, g, bt = ([fraction_rows(getattr(piece.algorithm, name)) for piece in pieces] for name in ("at", "g", "bt"))
    taps = [[piece.taps.term(tap) for tap in range(piece.algorithm.r)] for piece in pieces]
    filter_ = _transform(g, _take(weight, taps, zero=0))
    zero = _zero_like(input, len(pieces))
    for tile in product(*(range(placement.tiling.tiles) for placement in placements)):
        samples = [placement.samples(index) for placement, index in zip(placements, tile, strict=True)]
        products = _multiply(filter_, _transform(bt, _take(input, samples, zero)))
        outputs = [placement.outputs(index) for placement, index in zip(placements, tile, strict=True)]
        _add(output, outputs, _transform(at, products))


def _zero_like(block: Block, axes: int) -> Any:
    """Return the zero of the numbers in the block, which need not be those of Python."""
    for _ in range(axes):
        if not len(block):
            return 0
        block = block[0]
    return block - block


def _take(block: Block, indices: Sequence[Sequence[int | None]], zero: Any) -> Block:
    """Return the block of the entries at the indices of each axis, zero where one is None."""
    if not indices:
        return block
    first, *rest = indices
    missing = [len(axis) for axis in rest]
    return [filled(zero, missing) if index is None else _take(block[index], rest, zero) for index in first]


def _transform(matrices: Sequence[FractionRows], block: Block) -> Block:
    """Multiply every axis of the block by its matrix, from the left."""
    if not matrices:
        return block
    parts = [_transform(matrices[1:], part) for part in block]
    return [_combine(row, parts) for row in matrices[0]]


def _combine(row: Sequence[Any], parts: Sequence[Block]) -> Block:
    if isinstance(parts[0], list):
        return [_combine(row, column) for column in zip(*parts, strict=True)]
    return sum(factor * part for factor, part in zip(row, parts, strict=True) if factor)


def _multiply(first: Block, second: Block) -> Block:
    if isinstance(first, list):
        return [_multiply(*pair) for pair in zip(first, second, strict=True)]
    return first * second


def _add(output: Block, indices: Sequence[Sequence[int]], block: Block) -> None:
    """Add the block to the entries at the indices of each axis; what the indices leave out is cropped."""
    first, *rest = indices
    for index, part in zip(first, block, strict=False):
        if rest:
            _add(output[index], rest, part)
        else:
            output[index] += part
