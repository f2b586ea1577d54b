"""Arguments that the commands share: sizes per axis, points and moduli, and how they are refused."""

from __future__ import annotations

import argparse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winograd.accuracy.catalogue import catalogue
from winograd.accuracy.cataloguing.row import CatalogueRow
from winograd.algebra.moduli import parse_moduli
from winograd.algebra.nesting import nest
from winograd.algebra.nests import nested_algorithm
from winograd.algebra.toom_cook import toom_cook
from winograd.arguments import (
    LineParser,
    add_moduli,
    add_points,
    add_sizes,
    cores,
    integer,
    parse_option,
    parse_words,
    png,
    recipe_algorithm,
    sizes_per_axis,
)


def parser() -> LineParser:
    made = LineParser(prog="prog", description="A command.", epilog="")
    add_sizes(made)
    add_points(made)
    add_moduli(made)
    made.add_argument("--trials", type=integer(2))
    return made


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return the one line that the words are refused with."""
    with pytest.raises(SystemExit) as stop:
        sizes_per_axis(parser(), parse_words(parser(), words))
    assert stop.value.code == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("prog: error: ")
    assert error.count("\n") == 1
    return error


@pytest.mark.parametrize(
    ("words", "m", "r"),
    [
        (["--m", "4", "--r", "3"], (4,), (3,)),
        (["--m", "4", "--r", "3", "--ndim", "3"], (4, 4, 4), (3, 3, 3)),
        (["--m", "2,4", "--r", "3"], (2, 4), (3, 3)),
        (["--m", "2", "--r", "3,1,5"], (2, 2, 2), (3, 1, 5)),
    ],
)
def test_sizes_are_one_value_or_one_per_axis(words: list[str], m: tuple[int, ...], r: tuple[int, ...]) -> None:
    assert sizes_per_axis(parser(), parse_words(parser(), words)) == (m, r)


@pytest.mark.parametrize("option", ["--points", "--moduli"])
def test_lists_are_one_or_one_per_axis(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    lists = [f"{option}=inf"] * 2
    line = refusal(capsys, "--m", "2", "--r", "3", "--ndim", "3", *lists)
    assert f"argument {option}: 2 lists for 3 axes" in line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--m", "2,4", "--r", "3,3,3"], "argument --m: 2 values for 3 axes"),
        (["--m", "0", "--r", "3"], "argument --m: '0' must be"),
        (["--m", "2", "--r", "3", "--ndim", "4"], "argument --ndim: '4' must be 1, 2 or 3"),
        (["--m", "2", "--r", "3", "--trials", "1"], "'1' must be an integer of at least 2"),
        (["--m", "2", "--r", "3", "--trials", "9" * 5000], "18 digits at most"),
        (["--m", "2", "--r", "3", "--trials", "\N{SUPERSCRIPT TWO}"], "must be an integer"),
        (["--m", "2", "--r", "3", "--moduli", "__import__('os')"], "argument --moduli"),
        (["--m", "2", "--r", "3", "--moduli", "x," * 50_000], "argument --moduli: moduli of 100000 characters"),
        (["--m", "2", "--r", "3", "--points", "1/0"], "argument --points"),
        (["--m", "2", "--r", "3", "--mod", "x"], "argument --mod: is unknown; nearest: --moduli, --m"),
        (["--mm=2", "--r", "3"], "argument --mm: is unknown; nearest: --m"),
        (["--m", "2", "--r", "3", "--zzzz"], "argument --zzzz: is unknown; prog --help lists"),
        (["--m", "9" * 20, "--r", "3"], "with 9 digits at most"),
        (["--r", "3"], "required: --m"),
    ],
)
def test_what_is_refused_is_one_line_that_names_the_argument(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refusal(capsys, *words)


@given(st.text(max_size=30))
def test_an_integer_is_read_as_python_reads_ascii_digits_or_refused(text: str) -> None:
    made = LineParser(prog="prog", description="", epilog="")
    made.add_argument("--trials", type=integer(0))
    valid = 0 < len(text) <= 18 and all(char in "0123456789" for char in text)
    if valid:
        assert made.parse_args([f"--trials={text}"]).trials == int(text)
    else:
        with pytest.raises(SystemExit):
            made.parse_args([f"--trials={text}"])


def test_a_list_may_begin_with_a_minus() -> None:
    options = parse_words(parser(), ["--m", "2", "--r", "3", "--points", "-1,0,1,inf"])
    assert options.points == parse_words(parser(), ["--m", "2", "--r", "3", "--points=-1,0,1,inf"]).points


def test_no_words_give_help_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        parse_words(parser(), [])
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("usage: prog")


@pytest.mark.parametrize(
    ("m", "lists", "label"),
    [
        ((4,), ["x,x-1,x+1,x^2+1,inf"], "<F(4,3), 7 multiplications>"),
        ((4, 4), ["x,x-1,x+1,x^2+1,inf"], "<F(4x4,3x3), 49 multiplications>"),
        ((4, 2), ["x,x-1,x+1,x^2+1,inf", "x,x-1,x+1,inf"], "<F(4x2,3x3), 28 multiplications>"),
        ((4, 1), ["x,x-1,x+1,x^2+1,inf"], "<F(4x1,3x3), 21 multiplications>"),
    ],
)
def test_moduli_are_for_all_axes_or_one_each(m: tuple[int, ...], lists: list[str], label: str) -> None:
    assert repr(nested_algorithm(m, (3,) * len(m), [], [parse_moduli(text) for text in lists])) == label


def test_moduli_of_another_degree_are_refused_where_something_can_be_saved() -> None:
    with pytest.raises(ValueError, match="F\\(2,3\\)"):
        nested_algorithm((4, 2), (3, 3), [], [parse_moduli("x,x-1,x+1,x^2+1,inf")])


@pytest.mark.parametrize("row", list(catalogue().filter(m=4, r=3)), ids=lambda row: str(row.products))
def test_constructions_of_the_catalogue_give_its_algorithms(row: CatalogueRow) -> None:
    built = catalogue().build(row.m, row.r, row.products)
    assert recipe_algorithm((4, 4), (3, 3), [row.construction]) == nest(built, built)
    assert recipe_algorithm((1, 4), (3, 3), [row.construction]) == nest(toom_cook(1, 3), built)
    assert recipe_algorithm((4, 1), (3, 3), [row.construction, "direct"]) == nest(built, toom_cook(1, 3))


@pytest.mark.parametrize("text", ["x,x-1 filter", "outputs 1:3 + 2:4", "taps 1:40", "transposed", "direct filter", "x"])
def test_recipes_that_do_not_fit_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"recipe|F\(4,3\)|modul"):
        recipe_algorithm((4, 1), (3, 3), [text])


@pytest.mark.parametrize("option", ["--points=direct", "--points= direct "])
def test_points_may_be_direct(option: str) -> None:
    assert parse_words(parser(), ["--m", "1", "--r", "3", option]).points == [()]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7), ("-7", -7), ("+7", 7), ("0.5", 0.5), (".5", 0.5), ("5.", 5.0), ("1e-3", 1e-3), ("2E5", 2e5),
        ("port", "port"), ("3x3", "3x3"), ("1_000", "1_000"), ("nan", "nan"), ("inf", "inf"), ("1e999", "1e999"),
        ("", None), ("a b", None), ("a=b", None), ("__import__('os')", None), ("9" * 19, "9" * 19),
    ],
)  # fmt: skip
def test_options_of_networks_are_integers_decimals_and_words(text: str, value: float | str | None) -> None:
    if value is None:
        with pytest.raises(ValueError, match="must be NAME=VALUE"):
            parse_option(f"name={text}")
        return
    name, read = parse_option(f"name={text}")
    assert (name, read, type(read)) == ("name", value, type(value))


@pytest.mark.parametrize("text", ["", "name", "=1", "Name=1", "1a=1", "na-me=1", f"{'a' * 42}=1"])
def test_options_of_networks_have_names(text: str) -> None:
    with pytest.raises(ValueError, match="must be NAME=VALUE"):
        parse_option(text)


def test_pictures_end_in_png_and_there_is_a_core() -> None:
    assert png("a.PNG") == "a.PNG"
    with pytest.raises(argparse.ArgumentTypeError, match=r"'a\.jpg' must end in \.png"):
        png("a.jpg")
    assert cores() >= 1
