"""Rows of the catalogue: JSON and back, what is refused, what they say of themselves."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winograd.accuracy.cataloguing.row import DTYPES, CatalogueRow, Measured, row_as_json, row_from_json

ROW = CatalogueRow(
    m=4,
    r=3,
    products=7,
    rank=7,
    construction="x,x-1,x+1,x^2+1,inf filter",
    source="somebody <b>",
    kappa=1.5,
    instructions=(10, 9, 8),
    largest=("1", "1/2", "2"),
    predicted=((1e-7, 2e-7, 4e-7), (1e-4, 1e-3, 0.2), (1e-3, 0.01, 0.1)),
    scaled=((), (2, 3), ()),
    measured=(Measured(1, "float32", 1.1e-7, (1e-7, 1.2e-7), 300, 0),),
)
NUMBERS = st.floats(1e-9, 1e9)


@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=3, max_size=3), NUMBERS)
def test_json_and_back_is_the_same_row(predicted: list[tuple[float, float, float]], kappa: float) -> None:
    row = replace(ROW, predicted=tuple(predicted), kappa=kappa)
    assert row_from_json(row_as_json(row)) == row


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("m", 4.0, "m is 4.0, must be of type int"),
        ("m", True, "m is True, must be of type int"),
        ("kappa", None, "kappa is None, must be of type float"),
        ("construction", 3, "construction is 3, must be of type str"),
        ("instructions", [1, 2], "instructions is \\[1, 2\\], must be 3 of type int"),
        ("predicted", {}, "float32 is None, must be of type list"),
        ("measured", [[1, "float32"]], "must be ndim, dtype, error, low, high, trials, seed"),
        ("scaled", {"float16": [4]}, "scaled has \\[4\\] for float16, must be numbers of axes, 1 to 3"),
        ("scaled", {"float8": [1]}, "scaled has float8, must be one of float32, float16, bfloat16"),
        ("unknown", 1, "row has fields .*unknown"),
    ],
)
def test_what_is_no_row_is_refused_by_field(name: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        row_from_json({**row_as_json(ROW), name: value})


def test_no_object_is_refused() -> None:
    with pytest.raises(ValueError, match="row is 3, must be an object"):
        row_from_json(3)


@pytest.mark.parametrize("name", list(row_as_json(ROW)))
def test_a_missing_field_is_refused(name: str) -> None:
    value = row_as_json(ROW)
    del value[name]
    with pytest.raises(ValueError, match=name):
        row_from_json(value)


def test_what_a_row_says() -> None:
    assert ROW.label == "F(4,3; 7)"
    assert replace(ROW, rank=6).label == "F(4,3)"
    assert ROW.products_per_output == Fraction(7, 4)
    assert [ROW.is_usable(3, dtype) for dtype in DTYPES] == [True, False, True]
    assert ROW.is_scaled(2, "float16")
    assert not ROW.is_scaled(1, "float16")
    assert "\n" not in repr(ROW)


def test_html_is_escaped_and_marks_what_is_unusable() -> None:
    shown = ROW._repr_html_()
    assert "<b>" not in shown
    assert "0.2 scaled unusable" in shown
    assert "1e-07 (1.1e-07)" in shown
