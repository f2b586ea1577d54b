"""What surrounds the algorithm of a study: other sizes, other values of a point, the catalogue."""

from __future__ import annotations

from fractions import Fraction

import pytest

from winograd import INFINITY, crt, nest, toom_cook
from winograd.accuracy.catalogue import catalogue_row
from winograd.accuracy.model import kappa, predict_error
from winograd.accuracy.showing.study import ErrorStudy, study_error
from winograd.accuracy.showing.surroundings import front_rows, tile_series, valley

POINTS = [Fraction(0), Fraction(1), Fraction(-1), INFINITY]


@pytest.fixture(scope="module")
def study() -> ErrorStudy:
    axis = toom_cook(2, 3, POINTS)
    return study_error(nest(axis, axis), trials=20)


def test_the_algorithm_stands_beside_other_sizes(study: ErrorStudy) -> None:
    series = tile_series(study)
    assert series is not None
    predicted, measured = series
    assert predicted.sizes == tuple(range(2, 9))
    assert predicted.errors[0] == study.prediction.relative_l2  # F(2,3)'s own points are the default ones
    assert (measured.sizes, measured.errors) == ((2,), (study.report.relative_l2,))


def test_sizes_that_the_dtype_does_not_hold_are_left_out() -> None:
    series = tile_series(study_error(toom_cook(2, 15), "float16", trials=20))
    assert series is not None
    assert 0 < len(series[0].sizes) < len(range(2, 9))


def test_the_valley_has_the_figures_of_the_algorithms_that_it_passes(study: ErrorStudy) -> None:
    found = valley(study)
    assert found is not None
    assert (found.name, found.at) == ("\u00b11", 1.0)
    assert list(found.values) == sorted(found.values)
    for value in (Fraction(24, 40), Fraction(1), Fraction(64, 40)):
        axis = toom_cook(2, 3, [value, -value, 0, INFINITY])
        place = found.values.index(float(value))
        predicted = predict_error(nest(axis, axis), "float32", "standard", "huffman").relative_l2
        assert found.predicted[place] == pytest.approx(predicted, rel=2**-26)  # what predict_batch states
        assert found.kappas[place] == kappa(axis)


def test_a_point_without_its_negative_moves_alone_and_past_the_others() -> None:
    found = valley(study_error(toom_cook(3, 3, "0,1,-1,3/2,inf"), trials=20))
    assert found is not None
    assert found.name == "3/2"
    assert 1.5 in found.values
    assert 1.0 not in found.values  # where it would meet another point


@pytest.mark.parametrize(
    "algorithm",
    [crt(4, 3, "x,x-1,x+1,x^2+1,inf"), nest(toom_cook(2, 3), toom_cook(4, 3)), toom_cook(1, 3)],
    ids=["no points", "axes differ", "direct"],
)
def test_no_valley_without_points_of_one_kind(algorithm: object) -> None:
    assert valley(study_error(algorithm, trials=20)) is None  # type: ignore[arg-type]


def test_the_front_has_the_rows_of_the_catalogue_and_the_algorithm(study: ErrorStudy) -> None:
    found = front_rows(study)
    assert found is not None
    [own] = found["this algorithm"]
    assert (own.products, own.error) == (4.0, predict_error(study.report.algorithm).relative_l2)
    row = catalogue_row(4, 3, products=7)
    [same] = [one for one in found["catalogue"] if one.label == "F(4,3; 7)"]
    assert (same.products, same.error) == ((7 / 4) ** 2, row.error(2))


@pytest.mark.parametrize("algorithm", [toom_cook(2, 9), nest(toom_cook(2, 3), toom_cook(2, 2))])
def test_no_front_for_taps_that_differ_or_are_in_no_catalogue(algorithm: object) -> None:
    assert front_rows(study_error(algorithm, trials=20)) is None  # type: ignore[arg-type]


def test_other_sizes_need_one_size_for_all_axes() -> None:
    assert tile_series(study_error(nest(toom_cook(2, 3), toom_cook(4, 3)), trials=20)) is None
