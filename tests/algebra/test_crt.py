"""The Chinese remainder theorem: rank, proof, special cases that are known, and what is refused."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import assume, given
from hypothesis import strategies as st

from winograd import INFINITY, crt, toom_cook
from winograd.algebra.bilinear import BilinearAlgorithm, ProofError, fraction_rows
from winograd.algebra.crt import Inverses
from winograd.algebra.forms import equivalent
from winograd.algebra.moduli import Modulus, as_moduli
from winograd.algebra.residues import ComplexProduct, SchoolbookProduct, ToomCookProduct

x, a, b = sympy.symbols("x a b")


@pytest.mark.parametrize(
    ("m", "moduli", "products", "rank"),
    [
        (4, "x,x-1,x+1,x^2+1,inf", None, 7),
        (6, "x,x-1/2,x+1/2,x-2,x+2,x^2+1,inf", None, 9),
        (6, "x,x-2/3,x+2/3,x-3/2,x+3/2,x^2+1,inf", [None] * 5 + ["1,-1,0", None], 9),
        (6, "x,x-2/3,x+2/3,x-3/2,x+3/2,x^2+1,inf", [None] * 5 + ["0,1,inf", None], 9),
        (8, "x,x-1,x+1,x-1/2,x+1/2,x-2,x+2,x^2+1,inf", None, 11),
        (6, "x,x-1,x+1,x^2+x+1,x^2-x+1,inf", None, 10),
        (4, "x,x-1,x+1,x^2+1,inf", [None, None, None, "schoolbook", None], 8),
        (4, "inf^6", None, 6),
        (4, "x^3,inf^3", None, 10),
    ],
)
def test_rank_is_the_number_of_multiplications(m: int, moduli: str, products: list[object] | None, rank: int) -> None:
    algorithm = crt(m, 3, moduli, products)
    assert algorithm.rank == rank
    assert algorithm.g.rows == algorithm.bt.rows == algorithm.at.cols == rank
    algorithm.verify()


@st.composite
def coprime_moduli(draw: st.DrawFn, tile: int) -> list[object]:
    """Pairwise coprime moduli of degrees 1 to 4, powers and INFINITY^k among them, that fill a tile."""
    moduli: list[object] = []
    infinite = draw(st.integers(0, min(tile, 3)))
    left = tile - infinite
    while left:
        degree = draw(st.integers(1, min(left, 4)))
        if draw(st.booleans()):
            root = draw(st.fractions(-3, 3, max_denominator=3))
            candidate = (x - sympy.Rational(root.numerator, root.denominator)) ** degree
        else:
            coefficients = draw(st.lists(st.integers(-2, 2), min_size=degree, max_size=degree))
            candidate = x**degree + sum(c * x**power for power, c in enumerate(coefficients))
        assume(all(sympy.gcd(candidate, other) == 1 for other in moduli))
        moduli.append(candidate)
        left -= degree
    return [*moduli, (INFINITY, infinite)] if infinite else moduli


def convolve(algorithm: BilinearAlgorithm, w: list[Fraction], d: list[Fraction]) -> list[Fraction]:
    """Return y = at ((g w) * (bt d)) in Fractions."""
    at, g, bt = (fraction_rows(matrix) for matrix in (algorithm.at, algorithm.g, algorithm.bt))
    products = [
        sum(p * q for p, q in zip(row, w, strict=True)) * sum(p * q for p, q in zip(other, d, strict=True))
        for row, other in zip(g, bt, strict=True)
    ]
    return [sum(p * q for p, q in zip(row, products, strict=True)) for row in at]


@given(st.data())
def test_random_moduli_give_direct_convolution(data: st.DataObject) -> None:
    tile = data.draw(st.integers(1, 7))
    m = data.draw(st.integers(1, tile))
    r = tile + 1 - m
    moduli = data.draw(coprime_moduli(tile))
    products = data.draw(st.sampled_from([None, ["schoolbook"] * len(moduli)]))
    algorithm = crt(m, r, moduli, products, inverses=data.draw(st.sampled_from(Inverses)))
    integers = st.integers(-9, 9).map(Fraction)
    w = data.draw(st.lists(integers, min_size=r, max_size=r))
    d = data.draw(st.lists(integers, min_size=tile, max_size=tile))
    assert convolve(algorithm, w, d) == [sum(w[k] * d[i + k] for k in range(r)) for i in range(m)]


@given(st.data())
def test_any_changed_entry_of_a_crt_algorithm_is_refused(data: st.DataObject) -> None:
    algorithm = crt(4, 3, "x,x-1,x+1,x^2+1,inf")
    matrices = {name: getattr(algorithm, name).tolist() for name in ("at", "g", "bt")}
    name = data.draw(st.sampled_from(sorted(matrices)))
    i = data.draw(st.integers(0, len(matrices[name]) - 1))
    j = data.draw(st.integers(0, len(matrices[name][0]) - 1))
    matrices[name][i][j] += data.draw(st.sampled_from([-1, sympy.Rational(1, 7), 3]))
    with pytest.raises(ProofError):
        BilinearAlgorithm(m=4, r=3, **matrices)


@pytest.mark.parametrize("points", ["0,1,-1,inf", "0,1/2,-2,inf", "1,2,3,4"])
def test_linear_moduli_are_toom_cook_to_the_entry(points: str) -> None:
    expected = toom_cook(2, 3, points)
    moduli = [INFINITY if point is INFINITY else x - point for point in expected.points]
    assert crt(2, 3, moduli) == expected


def test_infinity_may_stand_anywhere_and_keeps_its_product() -> None:
    moduli = [x, (INFINITY, 2), x - 1, x + 1, x - 2]
    moved = crt(4, 3, moduli, [None, "schoolbook", None, None, None])
    last = crt(4, 3, [x, x - 1, x + 1, x - 2, (INFINITY, 2)], [None] * 4 + ["schoolbook"])
    assert moved == last
    assert isinstance(moved.products[-1], SchoolbookProduct)


def test_products_by_mapping() -> None:
    moduli = [x, x - 1, x + 1, x**2 + 1, INFINITY]
    mapped = crt(4, 3, moduli, {x**2 + 1: "schoolbook"})
    assert mapped == crt(4, 3, moduli, [None, None, None, "schoolbook", None])
    with pytest.raises(ValueError, match=r"products for x-3, the moduli are x,"):
        crt(4, 3, moduli, {x - 3: "schoolbook"})


def test_moduli_may_be_text_one_by_one() -> None:
    expected = crt(4, 3, [x, x - 1, x + 1, x**2 + 1, INFINITY], [None, None, None, "schoolbook", None])
    assert crt(4, 3, ["inf", "x", "x-1", x + 1, "x^2+1"], {"x^2+1": "schoolbook"}) == expected
    assert crt(4, 3, [x, sympy.oo, x - 1, x + 1, x**2 + 1], [None, None, None, None, "schoolbook"]) == expected


def test_what_it_was_made_from_is_recorded() -> None:
    algorithm = crt(4, 3, [x, x - 1, x + 1, x**2 + 1, INFINITY], [None, None, None, [1, -1, 0], None])
    assert [str(modulus) for modulus in algorithm.moduli] == ["x", "x-1", "x+1", "x^2+1", "inf"]
    assert isinstance(algorithm.products[3], ToomCookProduct)
    assert str(algorithm.products[3]) == "Toom-Cook at 1,-1,0"
    assert repr(algorithm) == "<F(4,3) mod x,x-1,x+1,x^2+1{1,-1,0},inf, 7 multiplications>"


def test_an_algorithm_serves_as_residue_product() -> None:
    moduli = [x, x - 1, x + 1, x**2 + 1, INFINITY]
    given_one = crt(4, 3, moduli, {x**2 + 1: toom_cook(2, 2, [0, 2, INFINITY])})
    assert given_one == crt(4, 3, moduli, {x**2 + 1: [0, 2, INFINITY]})
    with pytest.raises(ValueError, match=r"the factors need F\(2,2\)"):
        crt(4, 3, moduli, {x**2 + 1: toom_cook(2, 3)})


def test_symbolic_moduli_are_proved_and_become_numbers() -> None:
    symbolic = crt(4, 3, [x, x - a, x + a, x**2 + b, INFINITY])
    for matrix in (symbolic.at, symbolic.g, symbolic.bt):
        assert matrix.free_symbols <= {a, b}
    values = {a: sympy.Rational(2, 3), b: -2}  # of a sign that leaves the row of the modulus x as it is
    numeric = crt(4, 3, [x, x - values[a], x + values[a], x**2 - 2, INFINITY], list(symbolic.products))
    assert symbolic.bt.subs(values) == numeric.bt
    assert symbolic.g.subs(values).applyfunc(sympy.nsimplify) == numeric.g


def test_symbolic_points_lambdify() -> None:
    symbolic = toom_cook(4, 3, [0, a, -a, b, -b, INFINITY])
    numeric = toom_cook(4, 3, "0,5/8,-5/8,3/2,-3/2,inf")
    for name in ("at", "g", "bt"):
        values = sympy.lambdify((a, b), getattr(symbolic, name))(0.625, 1.5)
        expected = np.array(getattr(numeric, name).tolist(), dtype=float)
        # A handful of operations on numbers of this size: a few units in the last place.
        np.testing.assert_allclose(values, expected, rtol=1e-14, atol=1e-14)
    with pytest.raises(ProofError):
        BilinearAlgorithm(m=4, r=3, at=symbolic.at, g=symbolic.g, bt=symbolic.bt.subs(a, a + 1))


@pytest.mark.parametrize(
    "points",
    [
        [0, sympy.sqrt(2), -sympy.sqrt(2), INFINITY],
        [0, 1, sympy.I, -sympy.I],
        [1, -1, sympy.I, -sympy.I],
        [0, sympy.Rational(1, 2) + sympy.I, sympy.Rational(1, 2) - sympy.I, INFINITY],
        [0, sympy.sqrt(2) + sympy.sqrt(3), 1, INFINITY],
    ],
    ids=str,
)
def test_algebraic_and_complex_points(points: list[object]) -> None:
    algorithm = toom_cook(2, 3, points)
    algorithm.verify()
    broken = algorithm.g.as_mutable()
    broken[1, 1] += 1
    with pytest.raises(ProofError):
        BilinearAlgorithm(m=2, r=3, at=algorithm.at, g=broken, bt=algorithm.bt)


def test_conjugate_points_by_the_product_of_three_multiplications() -> None:
    gauss = crt(
        4,
        3,
        "x,x-1,x+1,x^2+1,inf",
        {Modulus((sympy.Integer(1), sympy.Integer(0), sympy.Integer(1)), 2): ComplexProduct()},
    )
    # Modulo x^2 + 1 the basis is (1, i) already: Gauss's trick is Karatsuba's.
    assert gauss == crt(4, 3, "x,x-1,x+1,x^2+1,inf", [None, None, None, "0,1,inf", None])


@pytest.mark.parametrize("side", Inverses)
def test_the_side_of_the_inverses_may_be_a_word(side: Inverses) -> None:
    assert crt(2, 3, "x^2+1,x,inf", inverses=side.value) == crt(2, 3, "x^2+1,x,inf", inverses=side)
    with pytest.raises(ValueError, match=r"^inverses is 'taps', must be 'filter' or 'data'$"):
        crt(2, 3, "x,x-1,x+1,inf", inverses="taps")  # type: ignore[arg-type]


def test_inverses_in_the_data_transform_leave_the_filter_plain() -> None:
    moduli = "x,x-1,x+1,x^2+x+1,x^2-x+1,inf"
    data, filter_ = (crt(6, 3, moduli, inverses=side) for side in (Inverses.DATA, Inverses.FILTER))
    assert not equivalent(data, filter_)
    for row in fraction_rows(data.g):
        assert len({abs(entry) for entry in row if entry}) == 1
    assert any(len({abs(entry) for entry in row if entry}) > 1 for row in fraction_rows(filter_.g))


@pytest.mark.parametrize(
    ("moduli", "error", "message"),
    [
        ([x, x**2 - x, INFINITY], ValueError, r"moduli x and x\^2-x have the common factor x, must be coprime"),
        ([x**2 - 1, x**2 + 3 * x + 2], ValueError, r"common factor x \+ 1"),
        ([x, sympy.Integer(3), x - 1, INFINITY], ValueError, "modulus 3 is a constant"),
        ([x, sympy.Integer(0), x - 1, INFINITY], ValueError, "modulus 0 is a constant"),
        ([x, x - 1], ValueError, "degrees sum to 4, got 2"),
        ([], ValueError, "degrees sum to 4, got 0 from none"),
        ([x, x - 1, INFINITY, INFINITY], ValueError, r"INFINITY is listed twice; write a multiplicity k as"),
        ([x, x - 1, (INFINITY, 0), x + 1], ValueError, "multiplicity of INFINITY is 0"),
        ([x, x - 1, (INFINITY, True), x + 1], ValueError, "multiplicity of INFINITY is True"),
        ([x, x - 1, x + 1.5, INFINITY], TypeError, "no exact sympy polynomial"),
        ([x, x - 1, 2.0, INFINITY], TypeError, "no exact sympy polynomial"),
        ([x, 1 / x, INFINITY, INFINITY], ValueError, "no polynomial in x"),
        ([x, a - 1, a + x, INFINITY], ValueError, "shares no symbol|symbol"),
        ([a + x, a - x, INFINITY], ValueError, r"share the symbols \['a', 'x'\]; give sympy.Poly"),
        (None, TypeError, "moduli is None, must be a sequence"),
        (5, TypeError, "moduli is 5, must be a sequence"),
        ([x, x - 1, ("inf", 2)], TypeError, "no exact sympy polynomial"),
        ("x,x-1,q,inf", ValueError, "modulus 'q' is not a polynomial in x"),
        ("x,,x-1,inf", ValueError, "modulus '' is not a polynomial"),
        ("x,x-1/0,inf^2", ValueError, "divides by zero"),
        ("__import__('os'),x,inf", ValueError, "is not a polynomial in x"),
        ("x^100,inf", ValueError, "is not a polynomial in x"),
        ("x" * 300, ValueError, "at most 256"),
    ],
    ids=str,
)
def test_what_is_no_set_of_coprime_moduli_is_refused(moduli: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        crt(2, 3, moduli)


@pytest.mark.parametrize(
    ("products", "error", "message"),
    [
        ([None], ValueError, "1 products for 3 moduli"),
        ("schoolbook", TypeError, "products is 'schoolbook', must be a sequence with one entry per modulus"),
        (3, TypeError, "products is 3, must be a sequence"),
        ([None, None, 3], TypeError, "must be points, 'schoolbook'"),
        ([None, None, [0, 1]], ValueError, "needs"),
        ([None, None, ComplexProduct()], ValueError, "real roots"),
        ([ComplexProduct(), None, None], ValueError, "degree 1, needs degree 2"),
    ],
    ids=str,
)
def test_products_that_do_not_fit_are_refused(products: list[object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        crt(2, 3, [x, x - 1, x**2 - 2], products)


@given(st.lists(st.fractions(-9, 9, max_denominator=9), min_size=1, max_size=4))
def test_moduli_are_spelled_as_they_are_read(coefficients: list[Fraction]) -> None:
    expressions = tuple(sympy.Rational(c.numerator, c.denominator) for c in coefficients)
    modulus = Modulus((*expressions, sympy.Integer(1)), len(coefficients))
    assert as_moduli(str(modulus)) == (modulus,)


@pytest.mark.parametrize(("m", "r"), [(16, 17), (14, 19), (30, 3)])
def test_a_tile_of_32_is_proved_within_the_test_run(m: int, r: int) -> None:
    toom_cook(m, r).verify()


@given(st.data())
def test_random_algebraic_and_symbolic_points_keep_the_law(data: st.DataObject) -> None:
    root = sympy.sqrt(data.draw(st.sampled_from([2, 3, 5, -1])))
    rationals = st.integers(-3, 3)
    algebraic = st.builds(lambda p, q: p + q * root, rationals, rationals)
    symbolic = st.sampled_from([a, -a, b, a + 1, 2 * b])
    count = data.draw(st.integers(2, 4))
    points = data.draw(
        st.lists(data.draw(st.sampled_from([algebraic, symbolic])), min_size=count, max_size=count, unique=True)
    )
    m = data.draw(st.integers(1, count))
    algorithm = toom_cook(m, count + 1 - m, points)
    algorithm.verify()
    broken = algorithm.bt.as_mutable()
    broken[0, 0] += 1
    with pytest.raises(ProofError):
        BilinearAlgorithm(m=m, r=count + 1 - m, at=algorithm.at, g=algorithm.g, bt=broken)
