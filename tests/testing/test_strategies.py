"""The strategies draw what they promise, of every kind, and failures shrink to the simple case."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction

import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

import winograd.testing
from winograd import INFINITY, crt, nest, toom_cook
from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import NestedAlgorithm
from winograd.algebra.tiling import tile_axes
from winograd.testing import (
    algorithms,
    crt_algorithms,
    moduli,
    nested_algorithms,
    point_sets,
    points,
    shapes,
    sizes,
    toom_cook_algorithms,
)


@given(st.data(), st.integers(1, 9))
def test_points_are_distinct_and_bounded(data: st.DataObject, height: int) -> None:
    chosen = data.draw(point_sets(3, height))
    finite = [point for point in chosen if point is not INFINITY]
    assert len(set(chosen)) == 3
    assert all(abs(point.numerator) <= height and point.denominator <= height for point in finite)


@given(st.data(), st.integers(0, 6))
def test_moduli_are_coprime_and_of_the_right_degree(data: st.DataObject, degree: int) -> None:
    chosen = data.draw(moduli(degree))
    assert sum(modulus.degree for modulus in chosen) == degree
    if degree:
        crt(1, degree, chosen)  # refuses common factors


@given(crt_algorithms())
def test_algorithms_over_moduli_are_proved(algorithm: BilinearAlgorithm) -> None:
    algorithm.verify()
    assert algorithm.rank >= algorithm.tile <= 6


@given(nested_algorithms(3, min_axes=2, axes=toom_cook_algorithms))
def test_nests_have_as_many_axes_and_the_kind_that_was_asked_for(nested: NestedAlgorithm) -> None:
    assert nested.ndim in {2, 3}
    assert nested.ranks == nested.tile


@given(st.data())
def test_shapes_have_outputs(data: st.DataObject) -> None:
    nested = data.draw(nested_algorithms())
    shape = data.draw(shapes(nested, max_channels=2))
    assert max(shape.channels, shape.outputs) <= 2
    assert tile_axes(shape.sizes, nested.m, nested.r, shape.padding).count >= 1


KINDS = {
    "a superlinear algorithm": (algorithms(), lambda drawn: drawn.rank > drawn.tile),
    "a quadratic": (moduli(4), lambda drawn: any(modulus.degree == 2 and not modulus.is_infinite for modulus in drawn)),
    "a squared linear modulus": (moduli(2), lambda drawn: [str(modulus) for modulus in drawn] == ["x^2+2*x+1"]),
    "a power of infinity": (moduli(5), lambda drawn: drawn[-1].is_infinite and drawn[-1].degree == 3),
    "infinity among points": (point_sets(2), lambda drawn: INFINITY in drawn),
    "a fraction": (points(), lambda drawn: drawn.denominator == 5),
    "three unlike axes": (nested_algorithms(), lambda drawn: len(set(drawn.tile)) == 3),
    "unlike padding": (shapes(nest(toom_cook(2, 3))), lambda drawn: drawn.padding[0][0] != drawn.padding[0][1]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_drawn(kind: str) -> None:
    find(*KINDS[kind], settings=settings(max_examples=2000, deadline=None))


def test_failures_shrink_to_the_simple_case() -> None:
    assert find(points(), lambda _: True) == 0
    assert find(sizes(), lambda size: size[0] >= 2) == (2, 1)
    assert find(point_sets(2), lambda _: True) == [Fraction(0), INFINITY]
    assert find(nested_algorithms(), lambda _: True) == nest(toom_cook(1, 1))
    assert find(algorithms(), lambda algorithm: algorithm.m > 1).tile == 2
    shape = find(shapes(nest(toom_cook(2, 3))), lambda _: True)
    assert (shape.batch, shape.channels, shape.outputs, shape.sizes, shape.padding) == (1, 1, 1, (3,), ((0, 0),))


def test_all_names_resolve_and_unknown_ones_do_not() -> None:
    assert all(getattr(winograd.testing, name) is not None for name in dir(winograd.testing))
    with pytest.raises(AttributeError, match=r"'winograd\.testing' has no attribute 'strategy'"):
        _ = winograd.testing.strategy


def test_without_hypothesis_one_line_names_the_extra_and_the_assertion_works() -> None:
    program = """
import sys
sys.modules["hypothesis"] = None
import numpy, winograd
from winograd.testing import assert_within_bound
data, weights = numpy.ones((1, 1, 6)), numpy.ones((1, 1, 3))
f43 = winograd.toom_cook(4, 3)
assert_within_bound(winograd.conv1d(data, weights, algorithm=f43), data, weights, f43)
try:
    winograd.testing.points
except ModuleNotFoundError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    expected = "winograd.testing.points needs hypothesis, which is not installed: pip install 'winograd[testing]'\n"
    assert (done.stdout, done.stderr) == (expected, "")
