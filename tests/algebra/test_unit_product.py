"""Products of a unit times the first factor: right for every unit, not the same as without, and what is refused."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.crt import Inverses, crt
from winograd.algebra.forms import equivalent
from winograd.algebra.growth import kappa
from winograd.algebra.points import as_points
from winograd.algebra.residues import ToomCookProduct, UnitProduct
from winograd.algebra.serialise import from_json, to_json

MODULI = "x,x-1,x+1,x^2+1,inf"


def products(slope: object, points: str = "0,1,inf") -> list[object]:
    return [None, None, None, UnitProduct(ToomCookProduct(as_points(points)), sympy.sympify(slope)), None]


@settings(max_examples=25, deadline=None)
@given(st.fractions(-4, 4, max_denominator=9), st.sampled_from(Inverses))
def test_every_unit_gives_a_proved_algorithm_of_the_same_rank(slope: Fraction, inverses: Inverses) -> None:
    exact = sympy.Rational(slope.numerator, slope.denominator)
    algorithm = crt(4, 3, MODULI, products(exact), inverses=inverses)
    algorithm.verify()
    assert algorithm.rank == 7


def test_the_unit_one_changes_nothing_and_another_gives_less_kappa() -> None:
    assert crt(4, 3, MODULI, products(0)) == crt(4, 3, MODULI, [None, None, None, "0,1,inf", None])
    moduli = "x-8/13,x+8/13,x-13/8,x+13/8,x^2+1"
    least = crt(4, 3, moduli, [*[None] * 4, UnitProduct(ToomCookProduct(as_points("-2,0,2")), sympy.Rational(-9, 2))])
    default = crt(4, 3, moduli)
    assert not equivalent(least, default)
    assert kappa(least) < Fraction("1.373") < Fraction("1.5") < kappa(default)


def test_units_are_written_as_json_and_read_back() -> None:
    algorithm = crt(4, 3, MODULI, products(sympy.Rational(1, 2)))
    text = to_json(algorithm)
    read = from_json(text)
    assert isinstance(read, BilinearAlgorithm)
    assert read == algorithm
    assert read.products == algorithm.products
    content = json.loads(text)
    content["axis"]["products"][3]["unit"]["product"] = {"schoolbook": {}}
    with pytest.raises(ValueError, match="must be one of"):
        from_json(json.dumps(content))


def test_no_unit_and_a_short_factor_are_refused() -> None:
    with pytest.raises(ValueError, match="no unit"):
        crt(3, 3, "x^2-1,x,x-2,inf", [UnitProduct(ToomCookProduct(), sympy.Integer(1)), None, None, None])
    with pytest.raises(ValueError, match="modulo degree 3"):
        crt(2, 3, "x^3+x,inf", [UnitProduct(ToomCookProduct(), sympy.Integer(1)), None])
