"""The grammar of points: what is read, exactly, and what is refused before anything is computed."""

from __future__ import annotations

import copy
import pickle
import time
from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import finite_points, point_sets
from winograd.algebra.points import (
    INFINITY,
    MAX_POINT_LENGTH,
    MAX_POINTS_LENGTH,
    as_point,
    as_points,
    default_points,
    parse_point,
    parse_points,
    spell,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("-0", 0),
        ("+7", 7),
        ("-7", -7),
        ("007", 7),
        ("5/8", Fraction(5, 8)),
        ("-10/4", Fraction(-5, 2)),
        ("0/3", 0),
        ("0.1", Fraction(1, 10)),
        ("-.5", Fraction(-1, 2)),
        ("+1.250", Fraction(5, 4)),
        ("  1/2 ", Fraction(1, 2)),
        ("9" * MAX_POINT_LENGTH, int("9" * MAX_POINT_LENGTH)),
    ],
)
def test_text_means_exactly_this_rational(text: str, value: Fraction) -> None:
    assert parse_point(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "-",
        "+",
        ".",
        "1.",
        "/2",
        "1/",
        "1/-2",
        "1//2",
        "1/2/3",
        "1/0",
        "0/0",
        "--1",
        "1e5",
        "1E400",
        "nan",
        "Infinity",
        "-inf",
        "+inf",
        "INF",
        "oo",
        "0x10",
        "1_000",
        "1 2",
        "1\n",
        "\t1",
        "1;2",
        "sqrt(2)",
        "1+1",
        "2**3",
        "\N{MINUS SIGN}1",
        "\N{ARABIC-INDIC DIGIT ONE}",
        "\N{SUPERSCRIPT TWO}",
        "\N{INFINITY}",
        "__import__('os')",
        "1\x00",
        "9" * (MAX_POINT_LENGTH + 1),
    ],
)
def test_text_outside_the_grammar_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ValueError, match="point") as caught:
        parse_point(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "  ", ",", "0,,1", "0,", ",0", "0;1", "0 1", "[0,1]"])
def test_lists_with_a_gap_or_another_separator_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="point"):
        parse_points(text)


def test_absurdly_long_text_is_refused_at_once() -> None:
    started = time.thread_time()  # of the processor: other work on the machine does not count
    for text in ("1" * 10**7, "1." + "0" * 10**7, "," * 10**7):
        with pytest.raises(ValueError, match="characters"):
            parse_points(text)
    assert time.thread_time() - started < 0.5
    assert len(parse_points(",".join("1" for _ in range(64)))) == 64
    with pytest.raises(ValueError, match=f"at most {MAX_POINTS_LENGTH}"):
        parse_points(" " * (MAX_POINTS_LENGTH + 1))


@given(st.integers(1, 8).flatmap(point_sets))
def test_spelling_and_parsing_are_inverse(points: list[object]) -> None:
    exact = as_points(points)
    assert as_points(parse_points(spell(exact))) == exact


@given(finite_points())
def test_every_spelling_of_a_number_is_the_same_point(value: Fraction) -> None:
    rational = sympy.Rational(value.numerator, value.denominator)
    same = {as_point(value), as_point(str(value)), as_point(rational), as_point(f" {value}")}
    assert same == {rational}


@pytest.mark.parametrize(
    "value", [np.int64(3), np.int8(3), np.uint16(3), np.array(3), sympy.Integer(3), Fraction(3), "3.0"]
)
def test_whatever_is_exactly_three_is_three(value: object) -> None:
    assert as_point(value) == sympy.Integer(3)


@pytest.mark.parametrize(
    "value", [True, False, np.True_, 0.5, np.float32(1), sympy.Float(0.5), None, 1j, b"1", [1], np.array([1]), object()]
)
def test_what_is_not_exact_is_a_type_error(value: object) -> None:
    with pytest.raises(TypeError, match="point"):
        as_point(value)


@pytest.mark.parametrize("value", [sympy.nan, sympy.zoo, -sympy.oo])
def test_sympys_non_numbers_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match="point"):
        as_point(value)


@pytest.mark.parametrize(
    "points", [(0, 1, 1), (0, "1/2", "0.5"), (0, sympy.sqrt(4), 2), (0, INFINITY, "inf"), (INFINITY, sympy.oo)]
)
def test_points_listed_twice_are_named(points: tuple[object, ...]) -> None:
    first = next(i for i, point in enumerate(points) if as_point(point) in map(as_point, points[i + 1 :]))
    with pytest.raises(ValueError, match=f"points {first} and {len(points) - 1} are both"):
        as_points(points)


def test_infinity_goes_last_and_there_is_one() -> None:
    assert as_points([INFINITY, 0, 1])[-1] is INFINITY
    assert as_points(["inf"])[0] is as_points([sympy.oo])[0] is INFINITY
    assert copy.deepcopy(INFINITY) is INFINITY
    assert pickle.loads(pickle.dumps(INFINITY)) is INFINITY


@pytest.mark.parametrize("tile", range(1, 65))
def test_default_points_are_distinct_and_symmetric(tile: int) -> None:
    points = default_points(tile)
    finite = {point for point in points if point is not INFINITY}
    assert len(points) == tile
    assert len(set(points)) == tile
    assert finite == {-point for point in finite}
    assert INFINITY not in points[:-1]
