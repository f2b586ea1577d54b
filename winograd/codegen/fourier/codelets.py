"""Codelets: discrete Fourier transforms of one line of a tile, real or complex, as straight-line programs.

In: lengths. Out: exact programs; cosines of rational angles are their constants. A length falls into coprime factors
without twiddle factors (Good and Thomas), a power of a prime p by p interleaved lines (Cooley and Tukey), and a prime
length into cosines and sines of sums and differences. A twiddle factor is a rotation whose larger number waits, as a
common factor, for the sum after it (Linzer and Feig): the whole butterfly of length 2 takes six multiply-adds.

A real line has n real numbers before and after the transform, then in *half-complex* order: real parts of the numbers
0 .. n / 2, then the imaginary parts of those that are not real, backwards, so that they stand where the conjugated
numbers would. Number k is sum_j x[j] e^(-2 pi i jk/n).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import sympy

from winograd.codegen.fourier.combinations import NOTHING, Combiner, Multiple
from winograd.codegen.passes.scheduling import schedule
from winograd.codegen.program import Program
from winograd.codegen.transposition import transpose_program

MAX_LENGTH: Final = 64
"""Longest line: that of a tile."""

Complex = tuple[Multiple, Multiple]
"""Real and imaginary part."""


def real_count(length: int) -> int:
    """Return how many numbers of a real line's transform are real: the first one, and that in the middle."""
    return 2 - length % 2 if length > 1 else 1


def complex_count(length: int) -> int:
    """Return how many complex numbers decide the others of a real line's transform.

    Examples
    --------
    >>> [(real_count(length), complex_count(length)) for length in (1, 2, 5, 8)]
    [(1, 0), (2, 0), (1, 2), (2, 3)]
    """
    return (length - real_count(length)) // 2


@lru_cache(maxsize=256)
def real_codelet(length: int, inputs: int) -> Program:
    """Return the transform of a real line, of which the first ``inputs`` are given and the others zero.

    Returns
    -------
    Program
        ``inputs`` values to ``length`` in half-complex order.

    Examples
    --------
    >>> real_codelet(8, 8).counts
    Counts(additions=16, multiplications=0, fused=4)
    """
    combiner = Combiner(inputs)
    line = [(combiner.input(number), NOTHING) for number in range(inputs)] + [(NOTHING, NOTHING)] * (length - inputs)
    found = _transform(combiner, line, -1)
    half = length // 2
    parts = [number[0] for number in found[: half + 1]]
    parts += [found[number][1] for number in range(complex_count(length), 0, -1)]
    return schedule(combiner.program(parts))


@lru_cache(maxsize=256)
def real_inverse_codelet(length: int, outputs: int) -> Program:
    """Return the transpose of `real_codelet`: half-complex order to the first ``outputs`` of a line.

    It is the inverse where complex numbers were multiplied by 2 / length and real ones by 1 / length before.
    """
    return schedule(transpose_program(real_codelet(length, outputs)))


@lru_cache(maxsize=256)
def complex_codelet(length: int, inputs: int) -> Program:
    """Return the transform of a complex line, of which the first ``inputs`` are given and the others zero.

    Returns
    -------
    Program
        Real parts, then imaginary parts, before and after.

    Examples
    --------
    >>> complex_codelet(8, 8).counts.instructions  # 56 with multiplications and additions by themselves
    52
    """
    return _complex(length, inputs, length, -1)


@lru_cache(maxsize=256)
def complex_inverse_codelet(length: int, outputs: int) -> Program:
    """Return ``length`` times the inverse of `complex_codelet`: a transform to the first ``outputs`` of a line."""
    return _complex(length, length, outputs, 1)


def _complex(length: int, inputs: int, outputs: int, sign: int) -> Program:
    combiner = Combiner(2 * inputs)
    line = [(combiner.input(number), combiner.input(inputs + number)) for number in range(inputs)]
    found = _transform(combiner, [*line, *[(NOTHING, NOTHING)] * (length - inputs)], sign)[:outputs]
    return schedule(combiner.program([part for parts in zip(*found, strict=True) for part in parts]))


def _transform(combiner: Combiner, line: Sequence[Complex], sign: int) -> list[Complex]:
    """Return sum_j line[j] e^(sign 2 pi i jk/n) for every k."""
    length = len(line)
    factors = sorted(prime**power for prime, power in sympy.factorint(length).items())
    if not factors:
        return list(line)
    if len(factors) > 1:
        return _coprime(combiner, line, factors[-1], sign)
    prime = min(sympy.primefactors(length))
    if prime == length:
        return _prime(combiner, line, sign)
    parts = [_transform(combiner, line[first::prime], sign) for first in range(prime)]
    found: list[Complex] = [(NOTHING, NOTHING)] * length
    step = length // prime
    for k in range(step):
        turned = [_turned(combiner, parts[j][k], sympy.Rational(sign * j * k, length)) for j in range(prime)]
        found[k::step] = _prime(combiner, turned, sign)
    return found


def _coprime(combiner: Combiner, line: Sequence[Complex], a: int, sign: int) -> list[Complex]:
    """Return the transform of a line as one of a lines by b, where a and b are coprime."""
    length = len(line)
    b = length // a
    rows = [[line[(b * i + a * j) % length] for i in range(a)] for j in range(b)]
    across = [_transform(combiner, row, sign) for row in rows]
    columns = [_transform(combiner, [across[j][k] for j in range(b)], sign) for k in range(a)]
    return [columns[k % a][k % b] for k in range(length)]


def _prime(combiner: Combiner, line: Sequence[Complex], sign: int) -> list[Complex]:
    """Return the transform of a line of prime length."""
    length = len(line)
    if length == 2:
        return [_sum(combiner, *line), _difference(combiner, *line)]
    pairs = [(line[j], line[length - j]) for j in range(1, (length + 1) // 2)]
    sums = [_sum(combiner, *pair) for pair in pairs]
    differences = [_difference(combiner, *pair) for pair in pairs]
    found: list[Complex] = [(NOTHING, NOTHING)] * length
    found[0] = _weighted(combiner, [line[0], *sums], [sympy.Integer(1)] * (len(sums) + 1))
    for k in range(1, (length + 1) // 2):
        angles = [2 * sympy.pi * j * k / length for j in range(1, len(pairs) + 1)]
        even = _weighted(combiner, [line[0], *sums], [sympy.Integer(1), *map(sympy.cos, angles)])
        odd = _weighted(combiner, differences, [sign * sympy.sin(angle) for angle in angles])
        turned = (odd[1].times(-1), odd[0])  # i times odd
        found[k], found[length - k] = _sum(combiner, even, turned), _difference(combiner, even, turned)
    return found


def _weighted(combiner: Combiner, terms: Sequence[Complex], weights: Sequence[sympy.Expr]) -> Complex:
    real, imaginary = (
        combiner.total([term[part].times(weight) for term, weight in zip(terms, weights, strict=True)])
        for part in range(2)
    )
    return real, imaginary


def _turned(combiner: Combiner, number: Complex, turns: sympy.Rational) -> Complex:
    """Return a complex number times e^(2 pi i turns)."""
    cosine, sine = sympy.cos(2 * sympy.pi * turns), sympy.sin(2 * sympy.pi * turns)
    real, imaginary = number
    return (
        combiner.subtract(real.times(cosine), imaginary.times(sine)),
        combiner.add(real.times(sine), imaginary.times(cosine)),
    )


def _sum(combiner: Combiner, a: Complex, b: Complex) -> Complex:
    return combiner.add(a[0], b[0]), combiner.add(a[1], b[1])


def _difference(combiner: Combiner, a: Complex, b: Complex) -> Complex:
    return combiner.subtract(a[0], b[0]), combiner.subtract(a[1], b[1])
