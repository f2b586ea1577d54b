"""Nests from lists: one list of points or moduli for all axes, or one per axis.

In: sizes per axis and lists of points or of moduli. Out: a `NestedAlgorithm`. Refused: lists that fit no axis.
"""

from __future__ import annotations

from collections.abc import Sequence

from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.crt import crt
from winograd.algebra.moduli import Modulus
from winograd.algebra.nesting import NestedAlgorithm
from winograd.algebra.toom_cook import toom_cook

PointLists = Sequence[Sequence[object]]
ModuliLists = Sequence[Sequence[Modulus]]


def nested_algorithm(
    m: Sequence[int], r: Sequence[int], points: PointLists = (), moduli: ModuliLists = ()
) -> NestedAlgorithm:
    """Return the nest that sizes with lists of points, or of moduli if there are any, mean.

    Raises
    ------
    TypeError, ValueError
        As `nested_toom_cook` and `nested_crt` do.

    Examples
    --------
    >>> from winograd.algebra.moduli import as_moduli
    >>> nested_algorithm((4, 4), (3, 3), moduli=[as_moduli("x,x-1,x+1,x^2+1,inf")])
    <F(4x4,3x3), 49 multiplications>
    """
    return nested_crt(m, r, moduli) if moduli else nested_toom_cook(m, r, points)


def nested_toom_cook(m: Sequence[int], r: Sequence[int], points: PointLists = ()) -> NestedAlgorithm:
    """Return the nest of one Toom-Cook algorithm per axis.

    Parameters
    ----------
    m, r : sequence of int
        Outputs and taps per axis.
    points : sequence of lists of points
        No list: the default points. One list: for every axis, except that an axis with one output or one tap, where
        nothing can be saved, takes the direct algorithm if the list is not of its tile's size. Else one list per axis;
        an empty one is for the direct algorithm of such an axis.

    Raises
    ------
    TypeError, ValueError
        As `toom_cook` does, for a number of lists that fits no axis, and for an empty list where something can be
        saved.

    Examples
    --------
    >>> nested_toom_cook((2, 4, 1), (3, 1, 3), [[0, 1, -1, 2]])
    <F(2x4x1,3x1x3), 48 multiplications>
    >>> nested_toom_cook((2, 1), (3, 3), [[0, 1, -1, 2], []])
    <F(2x1,3x3), 12 multiplications>
    """
    if len(points) not in {0, 1, len(m)}:
        raise ValueError(f"{len(points)} lists of points for {len(m)} axes, give one for all axes or one per axis")
    sizes = list(zip(m, r, strict=True))
    if not points:
        return NestedAlgorithm(tuple(toom_cook(outputs, taps) for outputs, taps in sizes))
    if len(points) == len(sizes):
        return NestedAlgorithm(tuple(_axis(*size, chosen) for size, chosen in zip(sizes, points, strict=True)))
    [chosen] = points
    taking = [1 not in size or len(chosen) == sum(size) - 1 for size in sizes]
    if chosen and not any(taking):
        raise ValueError(f"{len(chosen)} points fit no axis: with one output or one tap leave the points out")
    return NestedAlgorithm(
        tuple(_axis(*size, chosen if takes else ()) for size, takes in zip(sizes, taking, strict=True))
    )


def _axis(m: int, r: int, points: Sequence[object]) -> BilinearAlgorithm:
    if not points and 1 not in (m, r):
        raise ValueError(f"F({m},{r}) needs {m + r - 1} points, direct is for an axis with one output or one tap")
    return toom_cook(m, r, points or None)


def nested_crt(m: Sequence[int], r: Sequence[int], moduli: ModuliLists) -> NestedAlgorithm:
    """Return the nest of one algorithm over moduli per axis.

    Parameters
    ----------
    m, r : sequence of int
        Outputs and taps per axis.
    moduli : sequence of lists of Modulus
        One list for every axis, except that an axis with one output or one tap, where nothing can be saved, takes the
        direct algorithm if the list is not for its tile. Else one list per axis.

    Raises
    ------
    TypeError, ValueError
        As `winograd.crt` does, and for a number of lists that fits no axis.

    Examples
    --------
    >>> from winograd.algebra.moduli import as_moduli
    >>> nested_crt((4, 1), (3, 3), [as_moduli("x,x-1,x+1,x^2+1,inf")])
    <F(4x1,3x3), 21 multiplications>
    """
    if len(moduli) not in {1, len(m)}:
        raise ValueError(f"{len(moduli)} lists of moduli for {len(m)} axes, give one for all axes or one per axis")
    sizes = list(zip(m, r, strict=True))
    if len(moduli) == len(sizes):
        return NestedAlgorithm(tuple(crt(*size, chosen) for size, chosen in zip(sizes, moduli, strict=True)))
    [chosen] = moduli
    degree = _degree(chosen)
    return NestedAlgorithm(
        tuple(toom_cook(*size) if 1 in size and degree != sum(size) - 1 else crt(*size, chosen) for size in sizes)
    )


def _degree(moduli: Sequence[Modulus]) -> int:
    return sum(modulus.degree for modulus in moduli)
