"""Toom-Cook: proofs, refusals, and the law broken on purpose."""

from __future__ import annotations

import threading
import time
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import algorithms, point_sets, sizes
from winograd.algebra.bilinear import BilinearAlgorithm, ProofError, fraction_rows, tensor_entries
from winograd.algebra.crt import crt
from winograd.algebra.points import INFINITY
from winograd.algebra.toom_cook import toom_cook


def convolve_ref(w: list[Fraction], d: list[Fraction]) -> list[Fraction]:
    """Return the FIR filter's outputs by their definition."""
    return [sum((w[k] * d[i + k] for k in range(len(w))), Fraction(0)) for i in range(len(d) - len(w) + 1)]


def apply(algorithm: BilinearAlgorithm, w: list[Fraction], d: list[Fraction]) -> list[Fraction]:
    at, g, bt = (fraction_rows(matrix) for matrix in (algorithm.at, algorithm.g, algorithm.bt))
    dot = lambda row, vector: sum((a * b for a, b in zip(row, vector, strict=True)), Fraction(0))  # noqa: E731
    products = [dot(u, w) * dot(v, d) for u, v in zip(g, bt, strict=True)]
    return [dot(row, products) for row in at]


@given(algorithms(), st.data())
def test_every_algorithm_is_a_convolution(algorithm: BilinearAlgorithm, data: st.DataObject) -> None:
    numbers = st.fractions(-9, 9, max_denominator=9)
    w = data.draw(st.lists(numbers, min_size=algorithm.r, max_size=algorithm.r))
    d = data.draw(st.lists(numbers, min_size=algorithm.tile, max_size=algorithm.tile))
    assert apply(algorithm, w, d) == convolve_ref(w, d)


@pytest.mark.parametrize("m", range(1, 9))
@pytest.mark.parametrize("r", range(1, 8))
def test_default_algorithms_are_minimal_and_proved(m: int, r: int) -> None:
    algorithm = toom_cook(m, r)
    algorithm.verify()
    assert algorithm.rank == m + r - 1 == algorithm.tile
    assert (algorithm.at.shape, algorithm.g.shape, algorithm.bt.shape) == (
        (m, algorithm.rank),
        (algorithm.rank, r),
        (algorithm.rank, algorithm.tile),
    )


@pytest.mark.parametrize("matrix", ["at", "g", "bt"])
@pytest.mark.parametrize(
    "algorithm", [toom_cook(2, 3), toom_cook(4, 3), toom_cook(3, 2, [0, 1, 2, -1]), toom_cook(1, 3)]
)
@pytest.mark.parametrize("change", [lambda entry: -entry, lambda entry: entry + 1], ids=["flipped", "moved"])
def test_every_single_wrong_coefficient_is_refused(algorithm: BilinearAlgorithm, matrix: str, change: Any) -> None:
    parts = {"at": algorithm.at, "g": algorithm.g, "bt": algorithm.bt}
    right = parts[matrix]
    for row in range(right.rows):
        for column in range(right.cols):
            wrong = right.as_mutable()
            wrong[row, column] = change(wrong[row, column])
            if wrong == right:
                continue
            with pytest.raises(ProofError, match=r"sum_t at\[\d+,t\] g\[t,\d+\] bt\[t,\d+\] is .+, must be [01]"):
                BilinearAlgorithm(m=algorithm.m, r=algorithm.r, **{**parts, matrix: wrong})


def test_the_proof_computes_the_tensor_itself() -> None:
    algorithm = toom_cook(3, 3)
    entries = list(tensor_entries(algorithm.at, algorithm.g, algorithm.bt))
    assert [entry[:3] for entry in entries] == [(i, k, j) for i in range(3) for k in range(3) for j in range(5)]
    for i, k, j, value in entries:
        products = (algorithm.at[i, t] * algorithm.g[t, k] * algorithm.bt[t, j] for t in range(algorithm.rank))
        assert value == sum(products)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ((0, 1, 1), "points 1 and 2 are both 1"),
        ((0, 1, INFINITY), r"F\(2,3\) needs 3 finite points beside INFINITY, got 2"),
        ((0, 1), r"F\(2,3\) needs 3 finite points"),
        ((), r"F\(2,3\) needs 3 finite points and INFINITY or 4 finite points, got 0"),
        ((0, 1, 2, 3, 4), r"F\(2,3\) needs .* 4 finite points, got 5"),
        ((0, 1, 2, 3, INFINITY), r"F\(2,3\) needs 3 finite points beside INFINITY, got 4"),
        ((0, 1, INFINITY, INFINITY), "points 2 and 3 are both inf"),
    ],
)
def test_wrong_sets_of_points_are_refused_by_name(points: tuple[object, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        toom_cook(2, 3, points)


@pytest.mark.parametrize("position", ["m", "r"])
@pytest.mark.parametrize(
    ("value", "error"),
    [(0, ValueError), (-1, ValueError), (1.5, TypeError), (2.0, TypeError), (True, TypeError), (np.True_, TypeError),
     ("2", TypeError), (None, TypeError), (np.array([2]), TypeError), (Fraction(2), TypeError)],
)  # fmt: skip
def test_sizes_that_are_no_positive_integers_are_refused(position: str, value: object, error: type[Exception]) -> None:
    m, r = (value, 3) if position == "m" else (3, value)
    with pytest.raises(error, match=rf"^{position} is "):
        toom_cook(m, r)  # type: ignore[arg-type]


def test_integers_of_any_kind_are_sizes() -> None:
    assert toom_cook(np.int64(2), np.array(3)) == toom_cook(2, 3) == toom_cook(sympy.Integer(2), np.uint8(3))
    assert type(toom_cook(np.int64(2), 3).m) is int


@pytest.mark.parametrize(("m", "r"), [(1000, 3), (3, 1000), (10**30, 1), (63, 3), (64, 2)])
def test_tiles_beyond_the_limit_are_refused_at_once(m: int, r: int) -> None:
    started = time.thread_time()  # of the processor: other work on the machine does not count
    with pytest.raises(ValueError, match=r"tile of \d+, at most 64"):
        toom_cook(m, r)
    assert time.thread_time() - started < 0.1


@given(sizes(max_tile=7), st.data())
def test_order_of_the_points_only_orders_the_products(size: tuple[int, int], data: st.DataObject) -> None:
    points = data.draw(point_sets(sum(size) - 1))
    permuted = data.draw(st.permutations(points))
    assert products(toom_cook(*size, points)) == products(toom_cook(*size, permuted))


def test_symbols_and_algebraic_numbers_are_points() -> None:
    a = sympy.Symbol("a")
    for points in ([0, a, -a, INFINITY], [0, sympy.sqrt(2), -sympy.sqrt(2), INFINITY], [sympy.I, -sympy.I, 0, 1]):
        algorithm = toom_cook(2, 3, points)
        algorithm.verify()
        assert sympy.simplify(algorithm.at[1, 1] - algorithm.points[1]) == 0
    with pytest.raises(ValueError, match="twice"):
        toom_cook(2, 3, [0, 1, 1 + sympy.sqrt(2), sympy.sqrt(3 + 2 * sympy.sqrt(2))])


def test_returned_matrices_cannot_be_changed() -> None:
    algorithm = toom_cook(2, 3)
    with pytest.raises(TypeError):
        algorithm.at[0, 0] = 5
    with pytest.raises(AttributeError):
        algorithm.at = algorithm.g  # type: ignore[misc]
    mutable = algorithm.at.as_mutable()
    mutable[0, 0] = 5
    assert toom_cook(2, 3).at[0, 0] == 1


def test_matrices_are_taken_from_whatever_holds_exact_numbers() -> None:
    algorithm = toom_cook(2, 3)
    texts = {name: [[str(x) for x in row] for row in getattr(algorithm, name).tolist()] for name in ("at", "g", "bt")}
    assert BilinearAlgorithm(m=2, r=3, **texts) == algorithm
    integers = np.array([[1, 1]])
    assert BilinearAlgorithm(m=1, r=2, at=integers, g=np.eye(2, dtype=int), bt=np.eye(2, dtype=int)) == toom_cook(1, 2)
    with pytest.raises(TypeError, match=r"^at has an entry that is no exact number"):
        BilinearAlgorithm(m=1, r=2, at=integers.astype(float), g=np.eye(2, dtype=int), bt=np.eye(2, dtype=int))
    with pytest.raises(ValueError, match=r"^g of shape \(3, 3\); F\(2,3\) of rank 4 needs \(4, 3\)"):
        BilinearAlgorithm(m=2, r=3, at=algorithm.at, g=algorithm.g[:3, :], bt=algorithm.bt)


IDENTITY = [[1, 0], [0, 1]]


@pytest.mark.parametrize("name", ["at", "g", "bt"])
@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (None, TypeError, "of type NoneType is no matrix"),
        (5, TypeError, "of type int is no matrix"),
        ([1], TypeError, "of type list is no matrix"),
        (np.array(1), TypeError, "of type ndarray is no matrix"),
        ([[1], [1, 2]], ValueError, "has rows of different lengths, 1, 2"),
        ([[1, "inf"], [1, 1]], ValueError, "has an entry that is no exact number: inf"),
        ([[1, INFINITY]], ValueError, "has an entry that is no exact number: inf"),
        ([[1, sympy.nan]], ValueError, "has an entry that is no exact number: point nan"),
        ([[1, "x"]], ValueError, "has an entry that is no exact number: point 'x'"),
        ([[1, 0.5]], TypeError, "has an entry that is no exact number: point 0.5"),
        ([[1, True]], TypeError, "has an entry that is no exact number: point True"),
        *(
            (sympy.ImmutableMatrix([[1, value]]), ValueError, f"has an entry that is no exact number: .*{word}")
            for value, word in ((sympy.zoo, "zoo"), (sympy.nan, "nan"), (sympy.oo, "inf"), (-sympy.oo, "-oo"))
        ),
        (sympy.ImmutableMatrix([[1, sympy.Float(1)]]), TypeError, "has an entry that is no exact number: point 1.0"),
    ],
)
def test_what_is_no_exact_matrix_is_refused_by_name(
    name: str, value: object, error: type[Exception], message: str
) -> None:
    right: dict[str, Any] = {"at": [[1, 1]], "g": IDENTITY, "bt": IDENTITY}
    with pytest.raises(error, match=f"^{name} {message}") as caught:
        BilinearAlgorithm(m=1, r=2, **{**right, name: value})
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("points", [5, 1.5, INFINITY, np.array(1)])
def test_points_that_are_no_list_are_refused_by_name(points: object) -> None:
    with pytest.raises(TypeError, match=r"^points are .*, must be an iterable of points or text"):
        toom_cook(2, 3, points)  # type: ignore[arg-type]


def products(algorithm: BilinearAlgorithm) -> set[tuple[sympy.Expr, ...]]:
    parts = (algorithm.at.T, algorithm.g, algorithm.bt)
    return {tuple(entry for part in parts for entry in part.row(t)) for t in range(algorithm.rank)}


def test_threads_generate_the_same_under_changing_precision() -> None:
    dps = mpmath.mp.dps
    sets = {(m, r): [Fraction(n, 7) for n in range(m + r - 1)] for m in range(2, 10) for r in (3, 4)}
    found: dict[tuple[int, int, int], BilinearAlgorithm] = {}
    stop = threading.Event()

    def change_precision() -> None:
        while not stop.is_set():
            for digits in (3, 50, dps):
                mpmath.mp.dps = digits

    def generate(worker: int) -> None:
        for (m, r), points in sets.items():
            # Another order of the points is another entry of the cache, so that all threads compute.
            turn = worker % len(points)
            found[worker, m, r] = toom_cook(m, r, points[turn:] + points[:turn])

    changer = threading.Thread(target=change_precision)
    workers = [threading.Thread(target=generate, args=(number,)) for number in range(8)]
    try:
        for thread in (changer, *workers):
            thread.start()
        for thread in workers:
            thread.join()
    finally:
        stop.set()
        changer.join()
        mpmath.mp.dps = dps
    assert len(found) == 8 * len(sets)
    for (_, m, r), algorithm in found.items():
        assert products(algorithm) == products(toom_cook(m, r, sets[m, r]))


def test_generation_leaves_the_precision_alone() -> None:
    before = mpmath.mp.dps
    mpmath.mp.dps = 23
    try:
        toom_cook(5, 3, [0, 1, -1, 2, -2, "1/3", "inf"])
        assert mpmath.mp.dps == 23
    finally:
        mpmath.mp.dps = before


def test_digests_tell_algorithms_apart_and_not_their_display() -> None:
    algorithm = toom_cook(2, 3)
    again = BilinearAlgorithm(m=2, r=3, at=algorithm.at, g=algorithm.g, bt=algorithm.bt)
    assert (again, again.digest, hash(again)) == (algorithm, algorithm.digest, hash(algorithm))
    assert algorithm.digest == "3cfdae4f6abecbbb39e86ce765eeb5412d5930b9b26086a1ac7af3ba8a4e177e"
    assert len({toom_cook(m, r).digest for m in range(1, 6) for r in range(1, 6)}) == 25


@pytest.mark.parametrize("points", ["0,1,-1,inf", "0,1/2,-2,3,inf", "1,0,2,inf", "0,1,-1,2,-2,1/2,-1/2,inf"])
def test_the_filter_is_not_negated_at_zero(points: str) -> None:
    count = points.count(",") + 1
    algorithm = toom_cook(count - 2, 3, points)
    row = algorithm.points.index(0)
    finite = [point for point in algorithm.points if point is not INFINITY]
    scale = sympy.prod(-point for point in finite if point)
    assert algorithm.g[row, 0] == 1 / abs(scale)
    assert algorithm.bt[row, 0] == abs(scale)
    assert crt(count - 2, 3, points_as_moduli(points)) == algorithm


def points_as_moduli(points: str) -> list[object]:
    x = sympy.Symbol("x")
    return [INFINITY if point == "inf" else x - sympy.Rational(point) for point in points.split(",")]


def test_repr_is_short_and_fast() -> None:
    algorithm = toom_cook(8, 7)
    started = time.thread_time()  # of the processor: other work on the machine does not count
    assert len(repr(algorithm)) < 160
    assert time.thread_time() - started < 0.05
    assert algorithm._repr_latex_().startswith("$")
