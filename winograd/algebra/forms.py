"""Forms of an algorithm: what stays the same when its products are reordered and rescaled.

In: a proved `BilinearAlgorithm`. Out: the canonical one among all that differ by a permutation of the products and by
diagonal scalings DA DG DB = I, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy
from sympy.polys.constructor import construct_domain

from winograd.algebra.bilinear import BilinearAlgorithm

Vector = list[Any]


def canonical(algorithm: BilinearAlgorithm) -> BilinearAlgorithm:
    """Return the canonical form: every product scaled so that its column of ``at`` and its row of ``g`` begin with 1.

    ``bt`` takes the scale, and the products are sorted by those vectors, large leading entries last. A product that
    contributes nothing, because one of its three vectors is zero, becomes zeros.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> canonical(toom_cook(2, 2, [2, 0, "inf"])) == canonical(toom_cook(2, 2, [0, "inf", 2]))
    True
    """
    entries = [*algorithm.at, *algorithm.g, *algorithm.bt]
    # A field's elements, unlike sympy expressions, are equal exactly where they mean the same number.
    field, flat = construct_domain(entries, field=True, extension=True)
    at, rest = flat[: len(algorithm.at)], flat[len(algorithm.at) :]
    columns = [at[product :: algorithm.rank] for product in range(algorithm.rank)]
    g = _rows(rest[: len(algorithm.g)], algorithm.r)
    bt = _rows(rest[len(algorithm.g) :], algorithm.tile)
    products = [
        [[field.to_sympy(entry) for entry in vector] for vector in _normalised(product)]
        for product in zip(columns, g, bt, strict=True)
    ]
    products.sort(key=_order)
    columns, g, bt = ([product[part] for product in products] for part in range(3))
    return BilinearAlgorithm(
        m=algorithm.m,
        r=algorithm.r,
        at=sympy.ImmutableMatrix(columns).T,
        g=sympy.ImmutableMatrix(g),
        bt=sympy.ImmutableMatrix(bt),
    )


def equivalent(first: BilinearAlgorithm, second: BilinearAlgorithm) -> bool:
    """Say whether two algorithms compute the same products up to order and scale.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> equivalent(toom_cook(2, 3, [0, 1, -1, "inf"]), toom_cook(2, 3, [0, 1, -1, 2]))
    False
    """
    return canonical(first) == canonical(second)


def _normalised(product: tuple[Vector, Vector, Vector]) -> tuple[Vector, Vector, Vector]:
    leads = [next((entry for entry in vector if entry), None) for vector in product]
    if None in leads:
        a, g, b = ([entry - entry for entry in vector] for vector in product)
        return a, g, b
    of_a, of_g, _ = leads
    a, g, b = product
    return [entry / of_a for entry in a], [entry / of_g for entry in g], [entry * of_a * of_g for entry in b]


def _order(product: Sequence[Vector]) -> list[Any]:
    return [sympy.default_sort_key(entry) for vector in product for entry in vector]


def _rows(flat: Sequence[Any], columns: int) -> list[Vector]:
    return [list(flat[start : start + columns]) for start in range(0, len(flat), columns)]
