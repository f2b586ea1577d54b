"""Predictions in batches are those of `predict_error`."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winograd import INFINITY, nest
from winograd.accuracy.batch import ordered, predict_batch, predict_toom_cook, shape
from winograd.accuracy.formats import float_format
from winograd.accuracy.model import predict_error
from winograd.accuracy.orders import Order
from winograd.accuracy.protocol import LAYER, STANDARD, Inputs
from winograd.accuracy.recipe import Recipe, Scaling
from winograd.codegen.lower import lower_rows


def agreement(dtype):
    """Return how close figures are, relatively.

    Constants are computed in at most 16 roundings, so known to 2^-49; what rounding to d digits changes in them, about
    2^-(d + 1), is known to 2^(d - 48) of it, and makes at most all of the error.
    """
    return 2.0 ** (float_format(dtype).digits - 48)


SIZES = [(1, 3), (2, 3), (4, 3), (3, 5), (6, 3)]

EXPERIMENTS = [
    STANDARD,
    LAYER,
    replace(LAYER, name="half", storage="float16"),
    replace(LAYER, name="wide", channels=3, transforms="float64", interface="float16", inputs=Inputs.NORMAL),
]

rationals = st.builds(Fraction, st.integers(-9, 9), st.integers(1, 9))


@st.composite
def point_sets(draw, count):
    """Draw points, most of them in pairs +-a, with or without INFINITY."""
    values = draw(st.lists(rationals, min_size=count, max_size=count, unique=True))
    infinite = [INFINITY] if draw(st.booleans()) else []
    finite = dict.fromkeys(point for value in values for point in (value, -value))
    return [*list(finite)[: count - len(infinite)], *infinite]


def predicted(recipe, size, ndim, dtype, experiment, order):
    return predict_error(nest(*[recipe.build(*size)] * ndim), dtype, experiment, order).relative_l2


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_toom_cook_of_all_kinds_is_as_one_by_one(data):
    size = data.draw(st.sampled_from(SIZES))
    sets = data.draw(st.lists(point_sets(sum(size) - 1), min_size=1, max_size=4))
    scaling, order, ndim = data.draw(st.tuples(st.sampled_from(Scaling), st.sampled_from(Order), st.integers(1, 2)))
    experiment, dtype = data.draw(st.tuples(st.sampled_from(EXPERIMENTS), st.sampled_from(("float32", "bfloat16"))))
    recipes = [Recipe.from_points(points, scaling) for points in sets]
    found = predict_batch(*size, recipes, ndim=ndim, dtype=dtype, experiment=experiment, order=order)
    expected = [predicted(recipe, size, ndim, dtype, experiment, order) for recipe in recipes]
    np.testing.assert_allclose(found, expected, rtol=agreement(dtype))


SUPERLINEAR = [
    "x,x-1,x+1,x^2+1,inf filter",
    "x,x-1,x+1,x^2+1{0,1,-1},inf data",
    "x,x-1/2,x+1/2,x-2,x+2,inf integer",
    "x^2+2,x^2-x+1{0,1,inf:1/2},inf^2{schoolbook} integer",
]


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda experiment: experiment.name)
def test_recipes_of_several_ranks_keep_their_order(order, experiment):
    recipes = [Recipe.parse(text) for text in SUPERLINEAR]
    found = predict_batch(4, 3, recipes, ndim=3, experiment=experiment, order=order)
    expected = [predicted(recipe, (4, 3), 3, "float32", experiment, order) for recipe in recipes]
    np.testing.assert_allclose(found, expected, rtol=agreement("float32"))


def test_a_large_batch_is_as_its_parts():
    zero, sizes = Fraction(0), sorted({Fraction(n, d) for n in range(1, 8) for d in range(1, 8)})
    sets = [(zero, a, b, -a, -b, INFINITY) for a, b in pairwise(sizes)]
    together = predict_toom_cook(4, 3, sets, ndim=3)
    apart = [predict_toom_cook(4, 3, [points], ndim=3)[0] for points in sets]
    assert len(set(apart)) > 20
    np.testing.assert_allclose(together, apart, rtol=1e-13)


@pytest.mark.parametrize("order", [Order.HUFFMAN, Order.LOWERED])
def test_the_comparison_notices_what_is_not_shared(order, monkeypatch):
    """Without knowing which constants are equal nothing is computed once, and the figure is another."""
    recipe = Recipe.from_points([0, "5/8", "-5/8", "3/2", "-3/2", "inf"])
    if order is Order.HUFFMAN:
        monkeypatch.setattr(ordered, "equal_classes", lambda values: np.argsort(np.ones(values.shape), axis=1))
    else:
        monkeypatch.setattr(shape, "lower_rows", lambda rows, *_: lower_rows(rows, ["fusing"]))
    shape.program_of.cache_clear()
    shape.is_shared.cache_clear()
    (found,) = predict_batch(4, 3, [recipe], ndim=1, experiment="standard", order=order)
    shape.program_of.cache_clear()
    shape.is_shared.cache_clear()
    expected = predicted(recipe, (4, 3), 1, "float32", "standard", order)
    assert abs(found / expected - 1) > 1000 * agreement("float32")


@pytest.mark.parametrize("changed", ["points", "scaling", "order", "experiment", "dtype", "ndim"])
def test_the_comparison_notices_anything_else(changed):
    """The agreement above is no accident: every argument moves the figure by far more than is allowed."""
    recipe = Recipe.from_points([0, "5/8", "-5/8", "3/2", "-3/2", "inf"])
    arguments = {"ndim": 2, "dtype": "float32", "experiment": STANDARD, "order": "huffman"}
    others = {"order": "sequential", "experiment": LAYER, "dtype": "bfloat16", "ndim": 1}
    (before,) = predict_batch(4, 3, [recipe], **arguments)
    if changed == "points":
        recipe = Recipe.from_points([0, "5/8", "-5/8", "3/2", "-2", "inf"])
    elif changed == "scaling":
        recipe = recipe.with_scaling(Scaling.DATA)
    else:
        arguments[changed] = others[changed]
    (after,) = predict_batch(4, 3, [recipe], **arguments)
    assert abs(after / before - 1) > 1000 * agreement("float32")


def test_float64_is_as_one_by_one():
    recipe = Recipe.parse(SUPERLINEAR[0])
    (found,) = predict_batch(4, 3, [recipe], ndim=2, dtype="float64", experiment="standard", order="huffman")
    assert found == predicted(recipe, (4, 3), 2, "float64", "standard", "huffman")


def test_what_overflows_is_nan():
    large = Recipe.from_points([0, 1, -1, 2**20, "inf"])
    usual = Recipe.from_points([0, 1, -1, 2, "inf"])
    found = predict_batch(3, 3, [large, usual], ndim=1, dtype="float16")
    assert np.isnan(found[0])
    assert np.isfinite(found[1])


def test_nothing_to_predict():
    assert predict_batch(4, 3, [], ndim=2).shape == (0,)
    assert predict_toom_cook(4, 3, [], ndim=2).shape == (0,)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"ndim": 4}, "ndim is 4, must be 1, 2 or 3"),
        ({"ndim": True}, "ndim is True"),
        ({"dtype": "int8"}, "dtype is int8"),
        ({"experiment": "mine"}, "experiment is 'mine'"),
        ({"order": "best"}, "order is 'best'"),
    ],
)
def test_refuses(wrong, message):
    with pytest.raises((TypeError, ValueError), match=message):
        predict_batch(2, 3, [Recipe.from_points([0, 1, -1, "inf"])], **{"ndim": 1, **wrong})


def test_refuses_wrong_sets():
    zero, one = Fraction(0), Fraction(1)
    with pytest.raises(ValueError, match=r"sets of \[3\] points, F\(2,3\) needs 4"):
        predict_toom_cook(2, 3, [[zero, one, INFINITY]], ndim=1)
    with pytest.raises(ValueError, match="set 0 has a point twice"):
        predict_toom_cook(2, 3, [[zero, one, one, INFINITY]], ndim=1)
