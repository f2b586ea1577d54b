"""The catalogue of the package: complete, proved, no worse than what was published; and what is made of it."""

from __future__ import annotations

import json
import warnings
from math import prod
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize

import winograd
from winograd.accuracy import catalogue as module
from winograd.accuracy.catalogue import Catalogue, best, catalogue, catalogue_row, catalogue_text, read_catalogue
from winograd.accuracy.cataloguing.build import MEASURED
from winograd.accuracy.cataloguing.choice import known_candidates, products_of, sizes_up_to
from winograd.accuracy.cataloguing.figures import figures_of, predicted_error
from winograd.accuracy.cataloguing.row import DTYPES, NDIMS, UNUSABLE, CatalogueRow
from winograd.accuracy.model import kappa
from winograd.accuracy.recipe import Recipe
from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.forms import balanced
from winograd.algebra.nesting import NestedAlgorithm

DOCUMENT = Path(__file__).parents[2] / "docs" / "catalogue.md"
LARGEST_TILE_IN_3D = 8
ROWS = list(catalogue())
LEAST = {3: 2.63, 4: 4.75, 5: 9.54, 6: 20.64, 7: 47.4, 8: 113.0}
"""Kappa of F(m, 3) that the search has to reach, with the least number of products."""
SUPERLINEAR = {
    (4, 7): 1.38,
    (5, 8): 1.80,
    (6, 9): 2.61,
    (6, 10): 1.45,
    (7, 10): 4.42,
    (7, 11): 1.66,
    (8, 12): 2.09,
    (8, 11): 8.45,
    (10, 15): 1.83,
    (10, 14): 4.96,
}
"""Likewise for F(m, 3) and products."""


def kappa_of_points(m: int, r: int, points: np.ndarray, with_infinity: bool) -> float:
    """Return kappa from its definition, in floats and without any algorithm: columns, rows and norms of Toom-Cook."""
    total = float((np.poly(points) ** 2).sum()) if with_infinity else 0.0
    for place, point in enumerate(points):
        others = np.delete(points, place)
        column, taps = (float((point ** (2 * np.arange(size))).sum()) for size in (m, r))
        total += column * taps * float((np.poly(others) ** 2).sum()) / float(np.prod(point - others) ** 2)
    return total / (m * r)


@pytest.mark.parametrize(("m", "r"), [(2, 3), (4, 3), (6, 3), (8, 3), (6, 5), (2, 5)])
def test_points_lie_at_the_bottom_of_their_valley(m: int, r: int) -> None:
    # Points nearby, any real numbers, have a kappa that is lower by at most 2 %: what short fractions cost.
    row = catalogue_row(m, r)
    points = Recipe.parse(row.construction).points
    assert points is not None
    finite = np.array([float(point) for point in points if point is not winograd.INFINITY])
    with_infinity = len(finite) < len(points)
    assert kappa_of_points(m, r, finite, with_infinity) == pytest.approx(row.kappa, rel=1e-9)
    found = minimize(lambda moved: kappa_of_points(m, r, moved, with_infinity), finite, method="BFGS").fun
    assert 0.98 * row.kappa <= found <= row.kappa
    assert kappa_of_points(m, r, 1.3 * finite, with_infinity) > 1.05 * row.kappa


def test_every_size_has_a_row_for_each_number_of_products() -> None:
    wanted = {(m, r, products) for m, r in sizes_up_to(16) for products in products_of(m, r)}
    assert [module.key_of(row) for row in ROWS] == sorted(wanted, key=lambda key: (key[1], key[0], key[2]))
    assert len(ROWS) == 345


@pytest.mark.parametrize("row", [row for row in ROWS if row.r == 3 or row.m + row.r <= 9], ids=lambda row: row.label)
def test_a_row_builds_the_algorithm_it_describes(row: CatalogueRow) -> None:
    algorithm = catalogue().build(row.m, row.r, row.products)
    assert (algorithm.m, algorithm.r, algorithm.rank) == (row.m, row.r, row.rank)
    assert row.rank <= row.products
    assert kappa(algorithm) == row.kappa


@pytest.mark.parametrize("row", [row for row in ROWS if row.products == row.m + row.r + 2 == 9], ids=lambda r: r.label)
def test_figures_are_derived_from_the_algorithm(row: CatalogueRow) -> None:
    figures = figures_of(catalogue().build(row.m, row.r, row.products))
    assert (figures.predicted, figures.scaled) == (row.predicted, row.scaled)
    assert (figures.instructions, figures.largest) == (row.instructions, row.largest)


@pytest.mark.parametrize("size", sizes_up_to(16), ids=str)
def test_no_published_set_is_better_than_a_row(size: tuple[int, int]) -> None:
    axes = [ndim for ndim in NDIMS if ndim < 3 or sum(size) - 1 <= LARGEST_TILE_IN_3D]
    for known in list(known_candidates(*size))[1:]:
        published = Recipe.parse(known.construction).build(*size)
        row = catalogue_row(*size, known.rank)
        for ndim in axes:
            assert row.error(ndim) <= predicted_error(published, ndim, "float32")


def test_more_products_are_never_worse() -> None:
    for row in ROWS:
        if row.products > row.m + row.r - 1:
            fewer = catalogue_row(row.m, row.r, row.products - 1)
            assert all(row.error(ndim, dtype) <= fewer.error(ndim, dtype) for ndim in NDIMS for dtype in DTYPES)


def test_f_r_m_is_as_good_as_f_m_r() -> None:
    """Candidates within 1 % of the least kappa, or 10 % if the search did not find them, differ in their transforms."""
    for row in ROWS:
        if row.m <= 7:
            assert row.kappa <= 1.1 * catalogue_row(row.r, row.m, row.products).kappa


@pytest.mark.parametrize("m", LEAST)
def test_least_kappas_of_three_taps(m: int) -> None:
    assert catalogue_row(m, 3).kappa <= LEAST[m] * 1.01


@pytest.mark.parametrize(("m", "products"), SUPERLINEAR)
def test_superlinear_kappas_of_three_taps(m: int, products: int) -> None:
    assert catalogue_row(m, 3, products).kappa <= SUPERLINEAR[m, products]


def test_sizes_people_use_are_measured_as_predicted() -> None:
    """The model is within 5 % in 95 % of the cases and within 10 % in all; intervals are of 95 %."""
    found = [(row, one) for row in ROWS for one in row.measured]
    assert {module.key_of(row) for row, _ in found} == MEASURED
    assert len(found) == len(MEASURED) * len(DTYPES) * len(NDIMS)
    for row, one in found:
        predicted, width = row.error(one.ndim, one.dtype), one.interval[1] - one.interval[0]
        assert one.interval[0] < one.relative_l2 < one.interval[1]
        assert abs(one.relative_l2 - predicted) <= 0.1 * predicted + width
    assert not any(
        abs(one.relative_l2 - 2 * row.error(one.ndim, one.dtype)) < 0.1 * one.relative_l2 for row, one in found
    )


def test_header_says_how_it_was_made() -> None:
    assert set(catalogue().header) == {"format", "command", "budget", "seed", "versions"}
    assert catalogue().header["command"].startswith("python -m winograd.search --catalogue")


def test_best_is_the_algorithm_of_the_row() -> None:
    axis = best(4, 3)
    assert isinstance(axis, BilinearAlgorithm)
    assert kappa(axis) == catalogue_row(4, 3).kappa
    cube = best(6, 3, ndim=3, products=9)
    assert isinstance(cube, NestedAlgorithm)
    assert cube.rank == 9**3
    assert cube.axes == (best(6, 3, products=9),) * 3
    assert best(np.int64(4), 3) == axis
    assert best(4, 3, products=1000) == best(4, 3, products=10)
    assert best(4, 3, dtype=np.float64) == axis


@pytest.mark.parametrize(("m", "r"), [(1, 1), (1, 3), (5, 1), (1, 40)])
def test_one_output_or_one_tap_is_direct(m: int, r: int) -> None:
    assert best(m, r).rank == m * r
    nested = best(m, r, ndim=2)
    assert isinstance(nested, NestedAlgorithm)
    assert nested.rank == prod((m * r, m * r))


def test_rows_are_scaled_where_the_range_asks_for_it() -> None:
    [row, *_] = [row for row in ROWS if row.is_scaled(2, "float16") and row.is_usable(2, "float16")]
    plain = best(row.m, row.r, products=row.products)
    assert isinstance(plain, BilinearAlgorithm)
    nested = best(row.m, row.r, 2, "float16", row.products)
    assert isinstance(nested, NestedAlgorithm)
    assert nested.axes == (balanced(plain),) * 2


def test_an_unusable_row_warns_in_one_line_and_others_do_not() -> None:
    with pytest.warns(UserWarning, match=r"^F\(14,3\) in 3D bfloat16 has a predicted relative L2 error of [0-9.e+]+$"):
        best(14, 3, 3, "bfloat16")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        best(4, 3, 3)
        best(14, 3, 3, "float64")
    assert not catalogue_row(14, 3).is_usable(3, "bfloat16")
    assert catalogue_row(14, 3).error(3, "bfloat16") > UNUSABLE


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((0, 3), ValueError, "m is 0, must be at least 1"),
        ((4.0, 3), TypeError, "m is 4.0, must be an integer"),
        ((True, 3), TypeError, "m is True, must be an integer"),
        ((4, 8), ValueError, r"F\(4,8\) is not in the catalogue, which has r = 2 to 7"),
        ((15, 3), ValueError, r"F\(15,3\) is not in the catalogue, .* tiles m \+ r - 1 up to 16"),
        ((64, 3), ValueError, "at most 64 is allowed"),
        ((4, 3, 4), ValueError, "ndim is 4, must be 1 to 3"),
        ((4, 3, 0), ValueError, "ndim is 0, must be at least 1"),
        ((4, 3, 1, "int8"), ValueError, "dtype is int8, must be one of"),
        ((4, 3, 1, "float32", 5), ValueError, r"products is 5, must be at least 6 for F\(4,3\)"),
        ((4, 3, 1, "float32", 6.0), TypeError, "products is 6.0, must be an integer"),
        ((1, 3, 1, "float32", 2), ValueError, r"products is 2, must be at least 3 for F\(1,3\)"),
    ],
)
def test_other_arguments_are_refused(arguments: tuple[object, ...], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        best(*arguments)  # type: ignore[arg-type]


def test_rows_of_sizes_without_one_are_refused() -> None:
    with pytest.raises(ValueError, match=r"F\(1,3\) is not in the catalogue"):
        catalogue_row(1, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "catalogue is no JSON"),
        ("[]", r"catalogue has format \[\]"),
        ('{"format": 2}', "catalogue has format 2, only 1 can be read"),
        ('{"format": 1}', "rows of the catalogue is None, must be a list"),
        ('{"format": 1, "rows": [3]}', "row is 3, must be an object"),
    ],
)
def test_what_is_no_catalogue_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_catalogue(text)


def test_rows_that_were_changed_or_moved_are_refused() -> None:
    text = catalogue_text(ROWS[:2], {})
    assert read_catalogue(text).rows == tuple(ROWS[:2])
    with pytest.raises(ValueError, match="out of order"):
        read_catalogue(catalogue_text(ROWS[:2][::-1], {}))
    with pytest.raises(ValueError, match="their digest is another one"):
        read_catalogue(text.replace(json.dumps(ROWS[0].kappa), "1.25", 1))


def test_filtering_and_showing() -> None:
    some = catalogue().filter(m=4, r=3)
    assert [row.products for row in some] == [6, 7, 8, 9, 10]
    assert repr(some) == "<Catalogue of 5 rows: F(4,3) of 6 to 10 products>"
    assert repr(catalogue().filter(m=99)) == "<Catalogue of no rows>"
    assert len(str(some).splitlines()) == 7
    assert "and 325 more" in catalogue()._repr_html_()
    hostile = Catalogue((ROWS[0].__class__(**{**_fields(ROWS[0]), "source": "<script>"}),))
    assert "<script>" not in hostile._repr_html_()


def _fields(row: CatalogueRow) -> dict[str, object]:
    return {name: getattr(row, name) for name in row.__dataclass_fields__}


def test_they_are_public() -> None:
    assert (winograd.best, winograd.catalogue, winograd.catalogue_row) == (best, catalogue, catalogue_row)


def documented(row: CatalogueRow) -> str:
    errors = (f"{row.error(ndim):.2e}" for ndim in NDIMS)
    stored = (f"{row.error(3, dtype):.2g}" if row.is_usable(3, dtype) else "unusable" for dtype in DTYPES[1:])
    return " | ".join(["", str(row.m), str(row.rank), f"{row.kappa:.4g}", *errors, *stored, ""]).strip()


def test_the_table_of_the_documentation_has_the_figures_of_the_file() -> None:
    wanted = [documented(row) for row in ROWS if row.r == 3 and row.m <= 10 and row.rank == row.products]
    found = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| ") and line[2].isdigit()]
    assert found == wanted
