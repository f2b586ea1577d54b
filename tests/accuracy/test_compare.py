"""Algorithms side by side: every figure is that of the function it comes from, and the tables are safe and short."""

from __future__ import annotations

from dataclasses import replace

import pytest

import winograd
from winograd import best
from winograd.accuracy.bounds import error_bound
from winograd.accuracy.compare import compare
from winograd.accuracy.experiment import measure_error
from winograd.accuracy.model import kappa, predict_error
from winograd.accuracy.protocol import LAYER
from winograd.algebra.forms import balanced
from winograd.algebra.nesting import as_nested, nest
from winograd.algebra.scaling import Scaling, rescaled
from winograd.algebra.toom_cook import toom_cook

SMALL, LARGE = toom_cook(2, 3), toom_cook(4, 3)


def test_figures_are_those_of_the_functions() -> None:
    cube = nest(LARGE, LARGE)
    found = compare(SMALL, cube, experiment="standard", order="huffman", dtype="float16", trials=50, seed=3)
    for row, algorithm in zip(found.rows, (SMALL, cube), strict=True):
        nested = as_nested(algorithm)
        assert row.algorithm == nested
        assert row.kappa == kappa(nested)
        assert row.relative_l2 == predict_error(nested, "float16", "standard", "huffman").relative_l2
        assert row.bound == error_bound(nested, "float16", order="huffman", experiment="standard").max_abs
        assert row.measured == measure_error(nested, "float16", "standard", 50, "huffman", seed=3)
    assert (found.rows[1].products_per_output, found.rows[0].instructions) == (36 / 16, (4, 4, 4))
    assert found.best is found.rows[0]


def test_a_worse_set_is_told_from_a_better_one() -> None:
    integers = toom_cook(4, 3, "0,1,-1,2,-2,inf")
    assert compare(integers, LARGE).best.algorithm == as_nested(LARGE)


def test_text_has_one_line_for_each_and_repr_is_one_line() -> None:
    found = compare(SMALL, LARGE, trials=20)
    lines = str(found).splitlines()
    assert len(lines) == 2 + 2 + 1
    assert lines[0].split() == " ".join(found.header).split()
    assert lines[2].startswith("F(2,3)")
    assert lines[-1] == "float32, lowered, layer, 64 channels, 20 trials, seed 0"
    assert "\n" not in repr(found)
    assert lines[3].endswith("0,5/8,-5/8,3/2,-3/2,inf")
    assert "measured" not in compare(SMALL).header


def test_html_is_escaped() -> None:
    shown = compare(SMALL, experiment=replace(LAYER, name="<script>"))._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="no algorithm is given"):
        compare()
    with pytest.raises(TypeError, match="algorithm is a str"):
        compare("F(2,3)")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="dtype is int8"):
        compare(SMALL, dtype="int8")
    with pytest.raises(ValueError, match="trials is 1"):
        compare(SMALL, trials=1)


def test_it_is_public() -> None:
    assert winograd.compare is compare


def test_scales_and_residue_products_are_told_apart() -> None:
    seven = best(4, 3, products=7)
    text = str(compare(seven, balanced(seven), rescaled(seven, Scaling.DATA)))
    made_of = [line.split()[-1] for line in text.splitlines()[-4:-1]]
    assert "x^2+1{" in made_of[0]
    assert made_of[1:] == ["(scaled)", "(data)"]
