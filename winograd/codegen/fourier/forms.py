"""How complex numbers are multiplied, as programs around the codelets of the axis that is transformed last.

In: a codelet, what it transforms. Out: the program that goes on to the numbers which are multiplied, or comes from
their products. With v of the data and u of the filter, conjugated, so that the product is a correlation: REGULAR
multiplies vr + i vi by ur + i ui in four multiplications; GAUSS multiplies (vr + vi, vr, vi) by (ur, ui - ur, ur + ui),
three of them: the real part is the first product minus the third, the imaginary part the first plus the second.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from fractions import Fraction

import sympy

from winograd.codegen.fourier.codelets import complex_count, real_count
from winograd.codegen.fourier.combinations import Combiner, Multiple
from winograd.codegen.passes.scheduling import schedule
from winograd.codegen.program import Program


class FftForm(StrEnum):
    """How complex numbers are multiplied; names of arXiv 1809.07851."""

    REGULAR = "regular"
    """By four real multiplications."""
    GAUSS = "gauss"
    """By three, and more additions in the transforms."""

    @property
    def width(self) -> int:
        """Real numbers, planes, that stand for a complex one."""
        return 2 if self is FftForm.REGULAR else 3

    @property
    def multiplications(self) -> int:
        """Real multiplications of a complex one."""
        return 4 if self is FftForm.REGULAR else 3


def of_data(form: FftForm, codelet: Program, length: int, is_real: bool) -> Program:
    """Return a codelet that goes on to the numbers of V: real ones, then those of each complex one."""
    combiner, outputs = _begun(codelet)
    reals, pairs = _split(outputs, length, is_real)
    found = list(reals)
    for real, imaginary in pairs:
        sums = () if form is FftForm.REGULAR else (combiner.add(real, imaginary),)
        found += [*sums, real, imaginary]
    return schedule(combiner.program(found))


def of_filter(form: FftForm, factor: Fraction, codelet: Program, length: int, is_real: bool) -> Program:
    """Return a codelet that goes on to the numbers of U: conjugated, times the factor of the inverse transform.

    That of complex numbers is twice as large, for each stands for two.
    """
    combiner, outputs = _begun(codelet)
    reals, pairs = _split(outputs, length, is_real)
    exact = sympy.Rational(factor.numerator, factor.denominator)
    found = [real.times(exact) for real in reals]
    for given in pairs:
        real, imaginary = given[0].times(2 * exact), given[1].times(-2 * exact)
        if form is FftForm.REGULAR:
            found += [real, imaginary]
        else:
            found += [real, combiner.subtract(imaginary, real), combiner.add(imaginary, real)]
    return schedule(combiner.program(found))


def of_inverse(form: FftForm, codelet: Program, length: int, is_real: bool) -> Program:
    """Return a codelet that comes from products in the order of `of_data`."""
    reals = real_count(length) if is_real else 0
    numbers = complex_count(length) if is_real else length
    combiner = Combiner(reals + form.width * numbers)
    found = [combiner.input(number) for number in range(reals)]
    pairs = []
    for first in range(reals, reals + form.width * numbers, form.width):
        given = [combiner.input(first + place) for place in range(form.width)]
        if form is FftForm.GAUSS:
            given = [combiner.subtract(given[0], given[2]), combiner.add(given[0], given[1])]
        pairs.append(given)
    return schedule(combiner.program(combiner.inlined(codelet, _joined(found, pairs, is_real))))


def _begun(codelet: Program) -> tuple[Combiner, list[Multiple]]:
    combiner = Combiner(codelet.inputs)
    return combiner, combiner.inlined(codelet, [combiner.input(number) for number in range(codelet.inputs)])


def _split(
    outputs: Sequence[Multiple], length: int, is_real: bool
) -> tuple[list[Multiple], list[tuple[Multiple, Multiple]]]:
    """Return the real numbers of a transformed line, and the parts of its complex ones."""
    if not is_real:
        return [], list(zip(outputs[:length], outputs[length:], strict=True))
    reals = [outputs[number * (length // 2)] for number in range(real_count(length))]
    return reals, [(outputs[k], outputs[length - k]) for k in range(1, complex_count(length) + 1)]


def _joined(reals: Sequence[Multiple], pairs: Sequence[Sequence[Multiple]], is_real: bool) -> list[Multiple]:
    """Return what `_split` took apart."""
    if not is_real:
        return [*(pair[0] for pair in pairs), *(pair[1] for pair in pairs)]
    first = [*reals[:1], *(pair[0] for pair in pairs), *reals[1:]]
    return [*first, *(pair[1] for pair in reversed(pairs))]
