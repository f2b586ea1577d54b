from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winograd.accuracy import search
from winograd.accuracy.candidates import enumerate_sets, fast_kappas, largest_entry, magnitudes, shapes
from winograd.accuracy.experiment import measure_error
from winograd.accuracy.model import kappa
from winograd.accuracy.report import ErrorReport
from winograd.accuracy.search import search_points
from winograd.algebra.bilinear import fraction_rows
from winograd.algebra.nesting import nest
from winograd.algebra.points import spell
from winograd.algebra.toom_cook import toom_cook


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_search_rediscovers_that_fractions_beat_the_integers(ndim: int, capsys: pytest.CaptureFixture[str]) -> None:
    known = nest(*[toom_cook(4, 3, "0,5/8,-5/8,3/2,-3/2,inf")] * ndim)
    integers = nest(*[toom_cook(4, 3, "0,1,-1,2,-2,inf")] * ndim)
    result = search_points(4, 3, ndim)
    best = result.best
    assert best is not None
    of_known, of_integers = (measure_error(algorithm, trials=2000) for algorithm in (known, integers))
    with capsys.disabled():
        print(f"\nF(4,3) in {ndim}D: {best}; integers: {kappa(integers):.4g}, {of_integers.mean_abs:.3g}")
    assert min(candidate.kappa for candidate in result.ranking) <= kappa(known)
    assert "0,5/8,-5/8,3/2,-3/2,inf" in [spell(candidate.points) for candidate in result.ranking]
    assert best.report.mean_abs <= of_known.mean_abs
    # Not by luck: the 95 % intervals of both sets of fractions lie below that of the integers.
    for report in (best.report, of_known):
        assert report.mean_abs_interval[1] < of_integers.mean_abs_interval[0]
    assert best.kappa < kappa(integers)


def test_simple_sizes_find_the_classic_points() -> None:
    best = search_points(2, 3, budget=2000).best
    assert best is not None
    assert spell(best.points) == "0,1,-1,inf"


@given(st.integers(1, 6), st.integers(1, 4), st.data())
def test_fast_kappa_is_kappa(m: int, r: int, data: st.DataObject) -> None:
    shape = data.draw(st.sampled_from(shapes(m + r - 1)))
    sizes = st.lists(st.sampled_from(magnitudes()[:40]), min_size=shape.pairs, max_size=shape.pairs, unique=True)
    sets = data.draw(st.lists(sizes, min_size=1, max_size=3))
    expected = [kappa(toom_cook(m, r, shape.points(chosen))) for chosen in sets]
    assert fast_kappas(m, r, shape, sets).tolist() == pytest.approx(expected, rel=1e-9)


@given(st.integers(1, 6), st.integers(1, 4), st.data())
def test_largest_entry_is_that_of_the_matrices(m: int, r: int, data: st.DataObject) -> None:
    shape = data.draw(st.sampled_from(shapes(m + r - 1)))
    sizes = st.lists(st.sampled_from(magnitudes()[:40]), min_size=shape.pairs, max_size=shape.pairs, unique=True)
    points = shape.points(data.draw(sizes))
    algorithm = toom_cook(m, r, points)
    rows = (row for matrix in (algorithm.at, algorithm.g, algorithm.bt) for row in fraction_rows(matrix))
    expected = max(abs(entry) for row in rows for entry in row)
    assert largest_entry(m, r, points) == pytest.approx(float(expected), rel=1e-9)


@pytest.mark.parametrize(("m", "dtype", "budget"), [(62, "float32", 10), (20, "float16", 100)])
def test_sets_beyond_the_dtype_are_not_even_built(m: int, dtype: str, budget: int) -> None:
    begin = time.perf_counter()
    result = search_points(m, 3, dtype=dtype, budget=budget)
    assert time.perf_counter() - begin < 2  # one of these algorithms takes about as long to build and measure
    assert (result.ranking, result.evaluated) == ((), budget)
    assert result.failed > 0


@pytest.mark.parametrize("tile", range(1, 9))
def test_sets_are_distinct_symmetric_and_simple_first(tile: int) -> None:
    found = list(islice(enumerate_sets(tile), 3000))
    known = set(found)
    assert len(known) == len(found)
    heights = []
    for shape, chosen in found:
        points = shape.points(chosen)
        assert len(set(points)) == tile
        mirror = tuple(sorted(1 / value for value in chosen))
        assert mirror == chosen or not shape.mirrored or (shape, mirror) not in known
        heights.append(max((max(x.numerator, x.denominator) for x in chosen), default=0))
    assert heights == sorted(heights)


def test_budget_counts_evaluations() -> None:
    assert search_points(4, 3, budget=17).evaluated == 17
    everything = search_points(1, 3)
    assert everything.evaluated < everything.budget


def test_budget_0_is_an_empty_result() -> None:
    result = search_points(4, 3, budget=0)
    assert (result.best, result.ranking, result.evaluated, result.interrupted) == (None, (), 0, False)
    assert "nothing measured" in repr(result)


def counting(raises: dict[int, BaseException]) -> Callable[..., ErrorReport]:
    """Return `measure_error` that raises at some of its calls."""
    calls = iter(range(1000))

    def measure(*arguments: Any, **options: Any) -> ErrorReport:
        if (number := next(calls)) in raises:
            raise raises[number]
        return measure_error(*arguments, **options)

    return measure


def test_ctrl_c_returns_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "measure_error", counting({3: KeyboardInterrupt()}))
    result = search_points(4, 3, budget=100)
    assert result.interrupted
    assert len(result.ranking) == 3
    monkeypatch.undo()

    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(search, "fast_kappas", interrupted)
    assert search_points(4, 3, budget=100).evaluated == 0


def test_a_candidate_that_fails_is_counted_and_the_search_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = search_points(4, 3, budget=100)
    monkeypatch.setattr(search, "measure_error", counting({0: ValueError("constant overflows"), 5: OverflowError()}))
    result = search_points(4, 3, budget=100)
    assert (result.failed, len(result.ranking)) == (2, len(whole.ranking) - 2)


def test_kappa_that_is_no_number_is_counted_as_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "fast_kappas", lambda m, r, shape, sets: fast_kappas(m, r, shape, sets) * float("nan"))
    result = search_points(4, 3, budget=100)
    assert (result.failed, result.evaluated, result.ranking) == (100, 100, ())


def test_same_arguments_same_result() -> None:
    first, again, other = (search_points(3, 3, budget=50, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.digest == again.digest != other.digest
    assert [x.report.mean_abs for x in first.ranking] == sorted(x.report.mean_abs for x in first.ranking)
    assert "\n" not in repr(first)
    assert first._repr_html_().count("<tr>") == 1 + len(first.ranking)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"ndim": 4}, ValueError, "ndim is 4, must be 1, 2 or 3"),
        ({"ndim": 0}, ValueError, "ndim is 0, must be at least 1"),
        ({"ndim": True}, TypeError, "ndim is True, must be an integer"),
        ({"budget": -1}, ValueError, "budget is -1, must be at least 0"),
        ({"budget": True}, TypeError, "budget is True, must be an integer"),
        ({"budget": 1.5}, TypeError, "budget is 1.5, must be an integer"),
        ({"budget": 0, "seed": -1}, ValueError, "seed is -1, must be at least 0"),
        ({"seed": "0"}, TypeError, "seed is '0', must be an integer"),
        ({"dtype": "int8"}, ValueError, "dtype is int8"),
        ({"storage": "trials.db"}, NotImplementedError, "storage is 'trials.db', only None is supported"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        search_points(4, 3, **arguments)


def test_magnitudes_are_all_fractions_of_their_height() -> None:
    small = [value for value in magnitudes() if max(value.numerator, value.denominator) <= 6]
    assert set(small) == {Fraction(p, q) for p in range(1, 7) for q in range(1, 7)}
