"""Explanations: the numbers in the text are read back and multiply out to the algorithm's matrices."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from winograd import BilinearAlgorithm, crt, explain, nest, toom_cook
from winograd.algebra.crt import Inverses
from winograd.algebra.derivation import align, chinese, lagrange
from winograd.algebra.forms import balanced, permuted, scaled
from winograd.algebra.fourier import gauss_fft, regular_fft, symbolic_fourier
from winograd.algebra.points import INFINITY
from winograd.algebra.residues import SchoolbookProduct

DATA = Path(__file__).parent / "data"
SUPERLINEAR = "x,x-1,x+1,x^2+1,inf"
PLAIN, MOVED = "Transposition into the FIR form", "Transposition into the FIR form, order and scale"
x, a, b = sympy.symbols("x a b")


def number(text: str) -> sympy.Expr:
    return sympy.sympify(text.replace("^", "**"))


def matrices_in(text: str) -> dict[str, sympy.Matrix]:
    """Read every matrix of the text under the first of its names: ``A_3 = a_3 R_3 = [..]`` is A_3."""
    rows: dict[str, list[list[sympy.Expr]]] = {}
    name = ""
    for line in text.splitlines():
        match = re.fullmatch(r"\s*(?:(\w[\w^]*) = (?:[^=\[]* = )?)?\[(.*)\]", line)
        if match is None:
            continue
        name = match[1] or name
        rows.setdefault(name, []).append([number(cell) for cell in re.split(r"\s{2,}", match[2].strip())])
    return {name: sympy.Matrix(entries) for name, entries in rows.items()}


def polynomials_in(text: str) -> dict[str, sympy.Expr]:
    """Read M, the M_t or M_i, e_i and v_i of the text: ``name(x) = ... = polynomial`` at the start or after a comma."""
    found = re.findall(r"(?:^ +|,  )([Mev]\w*)\(x\) = (?:[^=\n]* = )?([^=\n,]*)", text, re.MULTILINE)
    return {name: number(value) for name, value in found}


def derived(text: str) -> dict[str, sympy.Matrix]:
    """Return at, g and bt as the residue steps, or else the linear form, give them, all products of numbers redone."""
    shown = matrices_in(text)
    shares = [[], [], []]
    for i in range(sum(name.startswith("A_") for name in shown)):
        if f"R_{i}" in shown:
            words = (
                re.search(rf"B_{i} = (.*?) = \[", text)[1].split(),
                re.search(rf"C_{i} = (.*?) = \[", text)[1].split(),
            )
            parts = ([f"a_{i}", f"R_{i}"], *words)
        else:
            parts = ([f"A_{i}"], [f"B_{i}"], [f"C_{i}^T"])
        for share, names in zip(shares, parts, strict=True):
            product = sympy.eye(shown[names[0]].rows)
            for name in names:
                product = product * shown[name]
            share.append(product.T if names[-1].startswith("c_") else product)
    stacked = [sympy.Matrix.vstack(*share) for share in shares] if shares[0] else [shown["A"], shown["B"], shown["C"].T]
    return {"at": stacked[0].T, "g": stacked[1], "bt": stacked[2]}


def is_zero(entries: Iterable[sympy.Expr]) -> bool:
    return all(entry == 0 or sympy.radsimp(sympy.expand(sympy.simplify(entry))) == 0 for entry in entries)


def assert_multiplies_out(text: str, algorithm: BilinearAlgorithm) -> None:
    shown = matrices_in(text)
    signs = shown.get("D", sympy.eye(algorithm.rank))
    for name, matrix in derived(text).items():
        signed = matrix if name == "at" else signs * matrix
        assert is_zero(signed - getattr(algorithm, name)), name
        assert is_zero(shown[name] - getattr(algorithm, name)), name


def assert_points_interpolate(text: str, algorithm: BilinearAlgorithm) -> None:
    """The M_t and N_t of the text are what their formulas say, and interpolate the product of two polynomials."""
    shown = polynomials_in(text)
    u, w = (
        sum(sympy.Symbol(f"{name}{i}") * x**i for i in range(n)) for name, n in (("u", algorithm.m), ("w", algorithm.r))
    )
    points = re.findall(r"a_(\d+) = ([^,]+),  M_.*N_\d+ = M_\d+\(a_\d+\) = (.*)", text)
    total = sympy.Integer(0)
    for t, point, scale in points:
        cofactor, at, n = shown[f"M_{t}"], number(point), number(scale)
        assert is_zero([sympy.expand(cofactor * (x - at) - shown["M"])])
        assert is_zero([sympy.expand(cofactor.subs(x, at) - n)])
        total += cofactor * u.subs(x, at) * w.subs(x, at) / n
    if len(points) < algorithm.tile:
        total += shown["M"] * sympy.Poly(u, x).LC() * sympy.Poly(w, x).LC()
    assert is_zero([sympy.expand(total - u * w)])


def assert_idempotents(text: str) -> None:
    shown = polynomials_in(text)
    count = sum(name.startswith("e_") for name in shown)
    moduli = [shown[f"M_{i}"] for i in range(count)]
    assert is_zero([sympy.expand(sympy.prod(moduli) - shown["M"])])
    for i in range(count):
        for j, modulus in enumerate(moduli):
            assert is_zero([sympy.expand(sympy.rem(shown[f"e_{i}"] - int(i == j), modulus, x))])
    for i, cofactor in re.findall(r"^ +M\(x\) / M_(\d+)\(x\) = (.*)", text, re.MULTILINE):
        assert is_zero([sympy.expand(number(cofactor) * shown[f"v_{i}"] - shown[f"e_{i}"])])


def titles(algorithm: BilinearAlgorithm) -> list[str]:
    return [step.title for step in explain(algorithm).steps]


GOLDEN = {
    "explanation_f23.txt": toom_cook(2, 3, "0,1,-1,inf"),
    "explanation_f43_superlinear.txt": crt(4, 3, SUPERLINEAR, {x**2 + 1: "0,1,-1"}),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_text(name: str) -> None:
    assert f"{explain(GOLDEN[name])}\n" == (DATA / name).read_text()


def test_a_wrong_number_in_a_text_is_caught() -> None:
    for name, algorithm in GOLDEN.items():
        text = (DATA / name).read_text()
        assert_multiplies_out(text, algorithm)
        changed = text.replace("[1/2", "[1/3", 1)
        assert changed != text
        with pytest.raises(AssertionError):
            assert_multiplies_out(changed, algorithm)


def test_a_wrong_polynomial_in_a_text_is_caught() -> None:
    text = str(explain(GOLDEN["explanation_f43_superlinear.txt"]))
    assert_idempotents(text)
    with pytest.raises(AssertionError):
        assert_idempotents(text.replace("e_0(x) = -x^4 + 1", "e_0(x) = x^4 + 1"))
    text = str(explain(GOLDEN["explanation_f23.txt"]))
    with pytest.raises(AssertionError):
        assert_points_interpolate(text.replace("= M_0(a_0) = -1", "= M_0(a_0) = 1"), GOLDEN["explanation_f23.txt"])


@settings(max_examples=25)
@given(st.data())
def test_points_multiply_out(data: st.DataObject) -> None:
    m, r = data.draw(strategies.sizes(6))
    algorithm = toom_cook(m, r, data.draw(strategies.point_sets(m + r - 1)))
    text = str(explain(algorithm))
    assert PLAIN in text
    assert_multiplies_out(text, algorithm)
    assert_points_interpolate(text, algorithm)


POOL = ["x^2", "x-1", "x+1", "x^2-x+1/4", "x^2+1", "x^2+x+1", "x^3-2", "x^4+x^3+2"]


@settings(max_examples=25)
@given(st.data())
def test_moduli_multiply_out(data: st.DataObject) -> None:
    finite = data.draw(st.lists(st.sampled_from(POOL), min_size=1, max_size=3, unique=True))
    infinite = data.draw(st.integers(0, 3))
    moduli = ",".join([*finite, f"inf^{infinite}"] if infinite else finite)
    tile = sum(int((re.search(r"x\^(\d)", modulus) or [1, 1])[1]) for modulus in finite) + infinite
    m = data.draw(st.integers(1, tile))
    algorithm = crt(m, tile + 1 - m, moduli, inverses=data.draw(st.sampled_from(Inverses)))
    text = str(explain(algorithm))
    assert PLAIN in text
    assert_multiplies_out(text, algorithm)
    assert_idempotents(text)


@pytest.mark.parametrize(
    "algorithm",
    [
        symbolic_fourier(6, 3),
        regular_fft(2, 3),
        gauss_fft(4, 3),
        crt(4, 3, SUPERLINEAR, {x**2 + 1: toom_cook(2, 2, "0,2,inf")}),
        crt(3, 3, [x, sympy.Poly(x**2 - a, x), (INFINITY, 2)], ["schoolbook"] * 3),
    ],
    ids=repr,
)
def test_other_fields_and_products_multiply_out(algorithm: BilinearAlgorithm) -> None:
    text = str(explain(algorithm))
    assert PLAIN in text
    assert_multiplies_out(text, algorithm)
    assert_idempotents(text)


@pytest.mark.parametrize(
    "points", [[0, a, -a, b, -b, INFINITY], [0, sympy.sqrt(2), -sympy.sqrt(2), sympy.I, -sympy.I, INFINITY]], ids=str
)
def test_symbolic_and_algebraic_points_multiply_out(points: list[object]) -> None:
    algorithm = toom_cook(4, 3, points)
    text = str(explain(algorithm))
    assert PLAIN in text
    assert_multiplies_out(text, algorithm)
    assert_points_interpolate(text, algorithm)


def test_a_point_called_x_is_not_the_variable() -> None:
    text = str(explain(toom_cook(2, 2, [0, x, INFINITY])))
    assert "M(x0) = x0^2 - x*x0" in text


@pytest.mark.parametrize("algorithm", [toom_cook(4, 3), crt(4, 3, SUPERLINEAR), gauss_fft(2, 3)], ids=repr)
def test_order_and_scale_are_told(algorithm: BilinearAlgorithm) -> None:
    order = list(range(algorithm.rank))[::-1]
    moved = balanced(permuted(algorithm, order))
    assert titles(moved)[-2] == MOVED
    shown = matrices_in(str(explain(moved)))
    origin = derived(str(explain(moved)))
    listed = [int(entry) for entry in shown["order"]]
    for name in ("at", "g", "bt"):
        products = origin[name].T if name == "at" else origin[name]
        rows = sympy.diag(*shown[f"D_{name}"]) * products.extract(listed, list(range(products.cols)))
        assert is_zero((rows.T if name == "at" else rows) - getattr(moved, name))
    factors = zip(shown["D_at"], shown["D_g"], shown["D_bt"], strict=True)
    assert all(sympy.simplify(p * q * s - 1) == 0 for p, q, s in factors)


def test_symbolic_scale_is_told() -> None:
    moved = scaled(toom_cook(1, 2, "0,-1"), at=[a, 1], g=[1, b])
    assert titles(moved)[-2] == MOVED
    assert "D_bt = [1/a  1/b]" in str(explain(moved))


@pytest.mark.parametrize(
    "wrong",
    [
        replace(toom_cook(2, 3, "0,1,-1,inf"), points=toom_cook(2, 3, "0,1,-2,inf").points),
        replace(toom_cook(2, 3, "0,1,-1,inf"), points=toom_cook(2, 3, "0,1,-1,2").points),
        replace(toom_cook(2, 3, "0,1,-1,inf"), points=(INFINITY,)),
        replace(toom_cook(2, 3, "0,1,-1,inf"), points=(0, 1, -1, 0.5)),
        replace(crt(4, 3, SUPERLINEAR), moduli=crt(4, 3, "x,x-1,x+1,x^2+x+1,inf").moduli),
        replace(crt(4, 3, SUPERLINEAR), moduli=crt(3, 3, "x,x-1,x+1,inf^2").moduli),
        replace(crt(4, 3, SUPERLINEAR), moduli=crt(4, 3, SUPERLINEAR).moduli[:1] * 6),
        replace(crt(4, 3, SUPERLINEAR), products=(SchoolbookProduct(),) * 5),
        replace(crt(4, 3, SUPERLINEAR), products=()),
        replace(crt(4, 3, SUPERLINEAR), products=("Karatsuba",) * 5),
    ],
    ids=lambda wrong: repr(wrong)[1:-1],
)
def test_a_wrong_record_is_noticed(wrong: BilinearAlgorithm) -> None:
    explanation = explain(wrong)
    assert [step.title for step in explanation.steps] == ["The problem", "Given matrices", "Multiplied out", "Proof"]
    assert "do not follow from" in explanation.steps[1].words


def test_the_record_that_was_broken_above_is_right_before() -> None:
    for algorithm in (toom_cook(2, 3, "0,1,-1,inf"), crt(4, 3, SUPERLINEAR)):
        assert titles(algorithm)[-2] == PLAIN


def test_a_factor_that_is_not_one_overall_does_not_align() -> None:
    algorithm = toom_cook(2, 2, "0,1,inf")
    derivation = lagrange(2, 2, algorithm.points)
    first = derivation.shares[0]
    doubled = replace(derivation, shares=(replace(first, b=2 * first.b), *derivation.shares[1:]))
    assert align(algorithm, derivation) is not None
    assert align(algorithm, doubled) is None


def test_given_matrices_are_multiplied_out() -> None:
    karatsuba = toom_cook(2, 2, "0,1,inf")
    given_ = BilinearAlgorithm(m=2, r=2, at=karatsuba.at, g=karatsuba.g, bt=karatsuba.bt)
    text = str(explain(given_))
    assert "names no points and no moduli" in text
    assert matrices_in(text)["bt"] == sympy.Matrix(karatsuba.bt)
    products = {f"p_{t}": number(value) for t, value in re.findall(r"p_(\d) = (\(.*)", text)}
    for j, combination, multiplied_out in re.findall(r"s_(\d) = (.*) = (.*)", text):
        value = sympy.expand(number(combination).subs(products))
        terms = [(i, int(j) - i) for i in range(2) if 0 <= int(j) - i < 2]
        assert value == number(multiplied_out) == sum(sympy.Symbol(f"u_{i}") * sympy.Symbol(f"w_{k}") for i, k in terms)


def test_a_nest_explains_every_different_axis_once() -> None:
    f23, f43 = toom_cook(2, 3), crt(4, 3, SUPERLINEAR)
    steps = explain(nest(f23, f43, f43)).steps
    assert [step.title for step in steps].count("Axis 1 and 2: Chinese remainders") == 1
    assert [step.title for step in steps].count("Axis 0: Lagrange interpolation") == 1
    assert steps[-1].formulas[0].text == "4 * 7 * 7 = 196 multiplications"
    assert explain(nest(f23)) == explain(f23)


def test_latex_and_markdown_say_the_same() -> None:
    explanation = explain(crt(4, 3, SUPERLINEAR))
    latex, markdown = explanation.latex, explanation._repr_markdown_()
    assert latex.count(r"\begin{align*}") == latex.count(r"\end{align*}") == len(explanation.steps)
    assert markdown.count("$$") == 2 * len(explanation.steps)
    assert r"\begin{align*}" not in markdown
    for step in explanation.steps:
        for text in (step.title, step.words):
            assert not set(text) & set("_^$\\#%&{}")
        for formula in step.formulas:
            assert formula.latex.count("&") >= 1
            assert formula.latex in latex
            assert formula.latex in markdown
    assert sympy.latex(crt(4, 3, SUPERLINEAR).bt) in latex


def test_repr_is_one_line() -> None:
    assert repr(explain(toom_cook(2, 3))) == "<explanation of F(2,3) at 0,1,-1,inf, 4 multiplications, 5 steps>"


def test_anything_else_is_refused() -> None:
    with pytest.raises(TypeError, match="must be a BilinearAlgorithm or a NestedAlgorithm"):
        explain("F(2,3)")


def test_shared_factors_and_wrong_counts_give_no_derivation() -> None:
    algorithm = crt(4, 3, SUPERLINEAR)
    with pytest.raises(ZeroDivisionError):
        chinese(2, 2, algorithm.moduli[:1] * 3, algorithm.products[:3])
    with pytest.raises(ValueError, match="degrees sum to 5"):
        chinese(3, 3, algorithm.moduli, algorithm.products)
    with pytest.raises(ValueError, match="needs 4 points, got 3"):
        lagrange(2, 3, [0, 1, -1])
    with pytest.raises(ValueError, match="not distinct"):
        lagrange(2, 2, [sympy.sqrt(3 + 2 * sympy.sqrt(2)), 1 + sympy.sqrt(2), 0])
