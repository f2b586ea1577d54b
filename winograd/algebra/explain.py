"""`explain`: where an algorithm comes from, step by step, with its own numbers.

In: an algorithm or a nest. Out: an `Explanation` as text, LaTeX and Markdown. Its numbers are computed anew from the
points or moduli that the algorithm names and compared with the matrices; where they do not give the matrices, or none
are named, the matrices themselves are multiplied out.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import cast

import sympy

from winograd.algebra.bilinear import BilinearAlgorithm, tensor_entries
from winograd.algebra.crt import Inverses
from winograd.algebra.derivation import (
    Alignment,
    Derivation,
    PointShare,
    ResidueShare,
    align,
    chinese,
    lagrange,
)
from winograd.algebra.explanation import (
    Explanation,
    Formula,
    Step,
    equation,
    latex_name,
    polynomial,
    polynomial_latex,
    polynomial_text,
    spelled,
    statement,
)
from winograd.algebra.nesting import NestedAlgorithm, as_nested


def explain(algorithm: BilinearAlgorithm | NestedAlgorithm) -> Explanation:
    r"""Derive an algorithm step by step, with its own numbers.

    An algorithm that names points is derived by Lagrange interpolation, one that names moduli by the Chinese remainder
    theorem; both give a product of polynomials, s = u w, which is transposed into the FIR filter. Where products are
    in another order or on another scale, a step says so. An algorithm that names neither, or whose matrices do not
    follow from what it names, is explained by multiplying its matrices out.

    Parameters
    ----------
    algorithm : BilinearAlgorithm or NestedAlgorithm
        Entries may be rational, algebraic or hold symbols. Every different axis of a nest is explained once.

    Returns
    -------
    Explanation
        ``print`` it, take ``.latex``, or let a notebook show it.

    Raises
    ------
    TypeError
        If it is neither.

    References
    ----------
    R. E. Blahut, Fast Algorithms for Signal Processing, Cambridge 2010, chapter 5.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> explanation = explain(toom_cook(2, 2, "0,1,inf"))
    >>> explanation
    <explanation of F(2,2) at 0,1,inf, 3 multiplications, 5 steps>
    >>> print("\n".join(str(explanation).splitlines()[7:14]))
    2. Lagrange interpolation
       A polynomial of this degree is determined by its values at the points.
         M(x) = x^2 - x
         a_0 = 0,  M_0(x) = M(x) / (x - a_0) = x - 1,  N_0 = M_0(a_0) = -1
         a_1 = 1,  M_1(x) = M(x) / (x - a_1) = x,  N_1 = M_1(a_1) = 1
         a_2 = inf,  the highest coefficients u_1 w_1, times M(x)
         s(x) = sum_t M_t(x) u(a_t) w(a_t) / N_t + M(x) u_1 w_1
    """
    axes = as_nested(algorithm).axes
    if len(axes) == 1:
        return Explanation(_title(axes[0]), tuple(_steps(axes[0])))
    places: dict[BilinearAlgorithm, list[str]] = {}
    for number, axis in enumerate(axes):
        places.setdefault(axis, []).append(str(number))
    steps = (
        Step(f"Axis {' and '.join(numbers)}: {step.title}", step.words, step.formulas)
        for axis, numbers in places.items()
        for step in _steps(axis)
    )
    return Explanation(repr(algorithm)[1:-1], (*steps, _nesting(as_nested(algorithm))))


def _title(algorithm: BilinearAlgorithm) -> str:
    return repr(algorithm)[1:-1]


def _steps(algorithm: BilinearAlgorithm) -> Iterator[Step]:
    aligned = ((derivation, align(algorithm, derivation)) for derivation in _derivations(algorithm))
    follows = [(derivation, alignment) for derivation, alignment in aligned if alignment is not None]
    found = min(follows, key=lambda pair: not pair[1].is_identity, default=None)
    yield _problem(algorithm)
    yield from _given(algorithm) if found is None else _derived(algorithm, *found)
    yield _proof(algorithm)


def _derivations(algorithm: BilinearAlgorithm) -> Iterator[Derivation]:
    """Yield what the algorithm may come from by what it names; nothing where that gives no algorithm of its size."""
    m, r = algorithm.m, algorithm.r
    try:
        if algorithm.moduli:
            for inverses in Inverses:
                yield chinese(m, r, algorithm.moduli, algorithm.products, inverses)
        elif algorithm.points:
            yield lagrange(m, r, algorithm.points)
    except (TypeError, ValueError, ZeroDivisionError):
        return


def _problem(algorithm: BilinearAlgorithm) -> Step:
    x = _variable(algorithm)
    m, r = algorithm.m, algorithm.r
    return Step(
        "The problem",
        "The FIR filter is the transpose of a product of polynomials, which is what is derived.",
        (
            Formula(
                f"y_i = sum_k w_k d_(i+k),  i < {m}, k < {r}",
                rf"y_i &= \sum_k w_k \, d_{{i+k}}, \quad i < {m},\ k < {r}",
            ),
            Formula(
                f"s({x}) = u({x}) w({x}),  coefficients u_i, w_k and s_j, j < {algorithm.tile}",
                rf"s({x}) &= u({x}) \, w({x}), \quad u_0, \dots, u_{{{m - 1}}};\ w_0, \dots, w_{{{r - 1}}};\ "
                rf"s_0, \dots, s_{{{algorithm.tile - 1}}}",
            ),
        ),
    )


def _derived(algorithm: BilinearAlgorithm, derivation: Derivation, alignment: Alignment) -> Iterator[Step]:
    x = _variable(algorithm)
    if algorithm.moduli:
        yield from _remainders(derivation, x)
    else:
        yield _interpolation(algorithm, derivation, x)
    yield Step(
        "As matrices",
        "Evaluate, multiply, interpolate: one row of A and B and one column of C for each multiplication.",
        (
            statement("s = C ((A u) * (B w))"),
            equation("A", derivation.a),
            equation("B", derivation.b),
            equation("C", derivation.c),
        ),
    )
    yield _transposition(algorithm, alignment)


def _interpolation(algorithm: BilinearAlgorithm, derivation: Derivation, x: sympy.Symbol) -> Step:
    shares = cast("tuple[PointShare, ...]", derivation.shares)
    top = f"u_{algorithm.m - 1} w_{algorithm.r - 1}"
    finite = [share for share in shares if isinstance(share.point, sympy.Expr)]
    whole = f"s({x}) = sum_t M_t({x}) u(a_t) w(a_t) / N_t"
    whole_latex = rf"s({x}) &= \sum_t M_t({x}) \frac{{u(a_t) \, w(a_t)}}{{N_t}}"
    formulas = [polynomial("M", derivation.master, x)]
    formulas += [_point(t, share, x) for t, share in enumerate(finite)]
    if len(finite) < len(shares):
        t = len(finite)
        formulas.append(
            Formula(
                f"a_{t} = inf,  the highest coefficients {top}, times M({x})",
                rf"a_{{{t}}} &= \infty, \quad {latex_name(top)} \, M({x})",
            )
        )
        whole += f" + M({x}) {top}"
        whole_latex += rf" + M({x}) \, {latex_name(top)}"
    words = "A polynomial of this degree is determined by its values at the points."
    return Step("Lagrange interpolation", words, (*formulas, Formula(whole, whole_latex)))


def _point(t: int, share: PointShare, x: sympy.Symbol) -> Formula:
    cofactor, cofactor_latex = polynomial_text(share.cofactor, x), polynomial_latex(share.cofactor, x)
    return Formula(
        f"a_{t} = {spelled(share.point)},  M_{t}({x}) = M({x}) / ({x} - a_{t}) = {cofactor},  "
        f"N_{t} = M_{t}(a_{t}) = {spelled(share.scale)}",
        rf"a_{{{t}}} &= {sympy.latex(share.point)}, \quad M_{{{t}}}({x}) = \frac{{M({x})}}{{{x} - a_{{{t}}}}} = "
        rf"{cofactor_latex}, \quad N_{{{t}}} = M_{{{t}}}(a_{{{t}}}) = {sympy.latex(share.scale)}",
    )


def _remainders(derivation: Derivation, x: sympy.Symbol) -> Iterator[Step]:
    shares = cast("tuple[ResidueShare, ...]", derivation.shares)
    finite = [share for share in shares if not share.modulus.is_infinite]
    more, more_latex = (f" + M({x}) q({x})", rf" + M({x}) \, q({x})") if len(finite) < len(shares) else ("", "")
    whole = Formula(
        f"s({x}) = (sum_i e_i({x}) u({x}) w({x}) mod M({x})){more}",
        rf"s({x}) &= \Bigl( \sum_i e_i({x}) \, u({x}) \, w({x}) \bmod M({x}) \Bigr){more_latex}",
    )
    yield Step(
        "Chinese remainders",
        "Modulo M, the product is determined by its residues: each idempotent e is 1 modulo one modulus, 0 modulo the "
        "others.",
        (
            *(polynomial(f"M_{i}", share.modulus.coefficients, x) for i, share in enumerate(finite)),
            polynomial("M", derivation.master, x),
            *(polynomial(f"e_{i}", share.idempotent, x) for i, share in enumerate(finite)),
            whole,
        ),
    )
    start = 0
    for i, share in enumerate(shares):
        yield _residue(i, share, range(start, start + share.a.rows), x)
        start += share.a.rows


def _residue(i: int, share: ResidueShare, products: range, x: sympy.Symbol) -> Step:
    numbers = f"product {products[0]}" if len(products) == 1 else f"products {products[0]} to {products[-1]}"
    single = share.inside[0].shape == (1, 1)
    count = "1 multiplication" if len(products) == 1 else f"{len(products)} multiplications"
    way = "a single coefficient each" if single else str(share.product)
    if share.modulus.is_infinite:
        place, words = "Infinity", "The highest coefficients, highest first, are residues of the reversed polynomials"
    else:
        place, words = f"Modulus {i}", "Reduce u and w, multiply the residues and by v, put the result in place"
    formulas = (*_inverse(i, share, x), *(_single(i, share) if single else _several(i, share)))
    return Step(f"{place}: {numbers}", f"{words}; {way}: {count}.", formulas)


def _inverse(i: int, share: ResidueShare, x: sympy.Symbol) -> tuple[Formula, Formula]:
    """Return what is left of M for this modulus, and its inverse."""
    cofactor, known = polynomial_text(share.cofactor, x), polynomial_text(share.known, x)
    cofactor_latex, known_latex = polynomial_latex(share.cofactor, x), polynomial_latex(share.known, x)
    if share.modulus.is_infinite:
        k = share.modulus.degree
        return (
            Formula(
                f"M*({x}) = {x}^n M(1/{x}) mod {x}^{k} = {cofactor}, n = deg M",
                rf"M^*({x}) &= {x}^n M(1/{x}) \bmod {x}^{{{k}}} = {cofactor_latex}, \quad n = \deg M",
            ),
            Formula(
                f"v_{i}({x}) = 1 / M*({x}) mod {x}^{k} = {known}",
                rf"v_{{{i}}}({x}) &= M^*({x})^{{-1}} \bmod {x}^{{{k}}} = {known_latex}",
            ),
        )
    return (
        Formula(f"M({x}) / M_{i}({x}) = {cofactor}", rf"M({x}) / M_{{{i}}}({x}) &= {cofactor_latex}"),
        Formula(
            f"v_{i}({x}) = 1 / (M({x}) / M_{i}({x})) mod M_{i}({x}) = {known}",
            rf"v_{{{i}}}({x}) &= (M({x}) / M_{{{i}}}({x}))^{{-1}} \bmod M_{{{i}}}({x}) = {known_latex}",
        ),
    )


def _single(i: int, share: ResidueShare) -> Iterator[Formula]:
    yield equation(f"A_{i}", share.a)
    yield equation(f"B_{i}", share.b)
    yield equation(f"C_{i}^T", share.c.T)


def _several(i: int, share: ResidueShare) -> Iterator[Formula]:
    yield equation(f"R_{i}", share.reductions[0])
    yield equation(f"S_{i}", share.reductions[1])
    yield equation(f"V_{i}", share.multiplication)
    for name, matrix in zip("abc", share.inside, strict=True):
        yield equation(f"{name}_{i}", matrix)
    yield equation(f"L_{i}", share.lift)
    of_filter, of_result = (f"V_{i} ", "") if share.known_in_filter else ("", f"V_{i} ")
    yield equation(f"A_{i} = a_{i} R_{i}", share.a)
    yield equation(f"B_{i} = b_{i} {of_filter}S_{i}", share.b)
    yield equation(f"C_{i} = L_{i} {of_result}c_{i}", share.c)


def _transposition(algorithm: BilinearAlgorithm, alignment: Alignment) -> Step:
    matrices = (equation("at", algorithm.at), equation("g", algorithm.g), equation("bt", algorithm.bt))
    law = statement("y = at ((g w) * (bt d))")
    if alignment.is_identity:
        names = (statement("at = A^T"), statement("g = B"), statement("bt = C^T"))
        words = "Data and output change places; the products stay."
        return Step("Transposition into the FIR form", words, (law, *names, *matrices))
    if alignment.moves_signs:
        signs = equation("D", sympy.ImmutableMatrix(sympy.diag(*alignment.scales[1])))
        moved = (statement("at = A^T"), statement("g = D B"), statement("bt = D C^T"), signs)
        words = "Data and output change places; where the filter would only be negated, the data is instead."
        return Step("Transposition into the FIR form", words, (law, *moved, *matrices))
    scales = [
        equation(f"D_{name}", sympy.ImmutableMatrix([factors]))
        for name, factors in zip(("at", "g", "bt"), alignment.scales, strict=True)
    ]
    order = equation("order", sympy.ImmutableMatrix([alignment.order]))
    words = (
        "Data and output change places. This algorithm lists the products in an order of its own, and scales them "
        "by factors of product 1: its rows are those of the transposes, reordered, times the factors."
    )
    return Step("Transposition into the FIR form, order and scale", words, (law, order, *scales, *matrices))


def _given(algorithm: BilinearAlgorithm) -> Iterator[Step]:
    named = algorithm.moduli or algorithm.points
    words = (
        "The matrices do not follow from the points or moduli that the algorithm names, so they are taken as given."
        if named
        else "The algorithm names no points and no moduli, so its matrices are taken as given."
    )
    yield Step(
        "Given matrices",
        words,
        (
            statement("y = at ((g w) * (bt d))"),
            equation("at", algorithm.at),
            equation("g", algorithm.g),
            equation("bt", algorithm.bt),
        ),
    )
    u, w = (_vector(name, size) for name, size in (("u", algorithm.m), ("w", algorithm.r)))
    evaluated = zip(algorithm.at.T * u, algorithm.g * w, strict=True)
    formulas = [
        Formula(f"p_{t} = ({spelled(a)}) * ({spelled(b)})", f"p_{{{t}}} &= ({sympy.latex(a)}) ({sympy.latex(b)})")
        for t, (a, b) in enumerate(evaluated)
    ]
    results = algorithm.bt.T * _vector("p", algorithm.rank)
    expanded = _multiplied_out(algorithm, u, w)
    for j, (result, sums) in enumerate(zip(results, expanded, strict=True)):
        formulas.append(
            Formula(
                f"s_{j} = {spelled(result)} = {spelled(sums)}",
                f"s_{{{j}}} &= {sympy.latex(result)} = {sympy.latex(sums)}",
            )
        )
    words = "The transpose computes a product of polynomials; multiplied out, all that is superfluous cancels."
    yield Step("Multiplied out", words, tuple(formulas))


def _multiplied_out(algorithm: BilinearAlgorithm, u: sympy.Matrix, w: sympy.Matrix) -> list[sympy.Expr]:
    """Return the coefficients s_j as the matrices compute them."""
    sums = [sympy.Integer(0)] * algorithm.tile
    for i, k, j, value in tensor_entries(algorithm.at, algorithm.g, algorithm.bt):
        if value:
            sums[j] += sympy.sympify(value) * u[i] * w[k]
    return sums


def _proof(algorithm: BilinearAlgorithm) -> Step:
    equations = algorithm.m * algorithm.r * algorithm.tile
    return Step(
        "Proof",
        f"The algorithm was proved when it was made: these are {equations} equations, all hold exactly.",
        (
            Formula(
                "sum_t at[i,t] g[t,k] bt[t,j] = 1 if j = i + k else 0",
                r"\sum_t \mathtt{at}_{it} \, \mathtt{g}_{tk} \, \mathtt{bt}_{tj} &= [\, j = i + k \,]",
            ),
        ),
    )


def _nesting(nested: NestedAlgorithm) -> Step:
    ranks = " * ".join(map(str, nested.ranks))
    return Step(
        "Nesting",
        "Every transform is applied along its own axis, and every product of one axis meets every product of another.",
        (
            Formula(
                f"{ranks} = {nested.rank} multiplications",
                rf"{ranks.replace('*', chr(92) + 'cdot')} &= {nested.rank} \text{{ multiplications}}",
            ),
        ),
    )


def _vector(name: str, size: int) -> sympy.Matrix:
    return sympy.Matrix([sympy.Symbol(f"{name}_{number}") for number in range(size)])


def _variable(algorithm: BilinearAlgorithm) -> sympy.Symbol:
    """Return x, or x0, x1, ... if the algorithm's own numbers hold that symbol."""
    taken = set().union(*(matrix.free_symbols for matrix in (algorithm.at, algorithm.g, algorithm.bt)))
    names = chain([sympy.Symbol("x")], sympy.numbered_symbols("x"))
    return next(symbol for symbol in names if symbol not in taken)
