"""Which sums of inputs need no rounding: those of numbers on one grid that have few digits.

In: linear forms of the inputs of an experiment. Out: below which size their values are exact, and what rounding adds.
Uniform inputs of p digits are multiples of 2^-p. A form whose coefficients are multiples of 2^k is one of 2^(k - p),
and a format of q digits holds all of them below 2^(k - p + q).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from winograd.accuracy.formats import FloatFormat, float_format
from winograd.accuracy.linear import Matrix
from winograd.accuracy.modelling.accumulation import addition
from winograd.accuracy.modelling.rounding import DEVIATIONS, KURTOSES, PHI, phi
from winograd.accuracy.protocol import Experiment, Inputs

_DIGITS: Final = 40
"""Binary digits of a coefficient that count, so that a short rational known to 53 digits is one here."""

_EVEN, _SQUARE, _PAIR = 7 / 12, 0.0602, 0.3299
"""What `draw_uniform` makes odd multiples of 2^-p of. No positive x is one; of -x from 1 - 2^-j to 1 - 2^-j / 2 a share
(1 - 2^-j) / 2 is, j = 1, 2, ..., and of those below 1/2 half are. With f = 1 - 2 share a sum of n inputs is even more
often than odd by the product of their f: E[f] = 7/12, 3 E[f x^2] / E[f] = 1 + 0.0602, 3 (E[f x] / E[f])^2 = 0.3299."""


def grid_digits(experiment: Experiment, fmt: FloatFormat) -> int:
    """Return the digits of the inputs: those of the interface where there is one, else of the dtype."""
    return (float_format(experiment.interface) if experiment.interface else fmt).digits


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """The grid of the values of forms, by their coefficients; all arrays have the forms' shape without columns.

    Parameters
    ----------
    power : ndarray
        The largest k with all coefficients multiples of 2^k, 0 for a form of zeros. Where they are no short dyadic
        numbers it is about -40, below anything that counts.
    odd : ndarray
        How many coefficients are odd multiples of 2^k.
    total, squares : ndarray
        Sum of these, and of their squares.
    """

    power: Matrix
    odd: Matrix
    total: Matrix
    squares: Matrix

    @classmethod
    def of(cls, forms: Matrix) -> Grid:
        """Return the grid of forms of shape (..., columns).

        Examples
        --------
        >>> grid = Grid.of(np.array([[1.0, -2.0], [4.0, 0.0], [0.75, 1.25], [0.0, 0.0]]))
        >>> grid.power.tolist(), grid.odd.tolist(), grid.total.tolist()
        ([0.0, 2.0, -2.0, 0.0], [1.0, 1.0, 2.0, 0.0], [1.0, 4.0, 2.0, 0.0])
        """
        _, top = np.frexp(np.abs(forms).max(axis=-1, keepdims=True))
        whole = np.rint(np.ldexp(forms, _DIGITS - top)).astype(np.int64)
        bits = np.bitwise_or.reduce(whole, axis=-1, keepdims=True)
        lowest = bits & -bits
        odd = (whole & lowest) != 0
        _, place = np.frexp(lowest.astype(np.float64))
        power = np.where(lowest == 0, 0.0, place - 1.0 - _DIGITS + top)[..., 0]
        of_odd = np.where(odd, forms, 0.0)
        return cls(power, odd.sum(axis=-1).astype(np.float64), of_odd.sum(axis=-1), (of_odd**2).sum(axis=-1))

    @classmethod
    def nested(cls, grids: Sequence[Grid], outer: Callable[[list[Matrix]], Matrix]) -> Grid:
        """Return the grid of the products of forms of several axes; ``outer`` multiplies figures of axes likewise."""
        power = np.log2(outer([2.0**grid.power for grid in grids]))
        odd, total, squares = (outer([getattr(grid, name) for grid in grids]) for name in ("odd", "total", "squares"))
        return cls(power, odd, total, squares)

    def limits(self, squares: Matrix, spare: int, inputs: Inputs) -> Matrix:
        """Return the exponents of two below which values of forms are exact.

        Parameters
        ----------
        squares : ndarray
            Sum of the squares of each form.
        spare : int
            Digits of the format that the values are rounded to less those of the inputs.
        inputs : Inputs
            Of a uniform one few are odd multiples of 2^-p, so many of the sums lie on a grid twice as coarse, where
            the exponent is one higher: it is fractional. Normal numbers lie on no grid; of them, multiples by powers
            of two are exact, and nothing else is.
        """
        if inputs is Inputs.UNIFORM:
            pairs = self.total**2 - self.squares
            more = (_SQUARE * self.squares + _PAIR * pairs) / np.where(squares > 0, squares, 1.0)
            return np.asarray(self.power + spare + _EVEN**self.odd * (1 + more))
        alone = squares <= 4.0**self.power * (1 + 2.0**-_DIGITS)
        return np.where(alone & (spare >= 0), np.inf, -np.inf)


def rounded_forms(forms: Matrix, summands: Matrix | None, inputs: Inputs, spare: int) -> tuple[Matrix, Matrix]:
    """Return the variances, in units of u^2 / 3, of rounding forms of inputs that are drawn so, and of any numbers.

    Parameters
    ----------
    forms : ndarray of shape (..., columns)
    summands : ndarray of shape (2, ..., columns), optional
        The two forms that each is the unfused sum of; 0 for what is none.
    inputs : Inputs
    spare : int
        As for `Grid.limits`.
    """
    squares, relative = squares_and_peaks(forms)
    deviations, kurtoses = DEVIATIONS[inputs] * np.sqrt(squares), KURTOSES[inputs] * relative
    first = phi(deviations, kurtoses, Grid.of(forms).limits(squares, spare, inputs)) * squares
    later = PHI * squares
    if summands is None:
        return first, later
    parts, _ = squares_and_peaks(summands)
    more = addition(*parts)
    sizes = DEVIATIONS[inputs] ** 2 * parts * (1 + 2.0**-_DIGITS)
    rounded = (sizes >= 4.0 ** Grid.of(summands).limits(parts, spare, inputs)).all(axis=0)
    return np.where(rounded, more * phi(deviations, kurtoses) * squares, first), later * more


def rounded_products(forms: Matrix, summands: Matrix, covariance: Matrix) -> Matrix:
    """Return the variances, in units of u^2 / 3, of rounding forms of products of this covariance.

    Parameters
    ----------
    forms : ndarray of shape (..., roundings, columns)
    summands : ndarray of shape (2, ..., roundings, columns)
        As for `rounded_forms`.
    covariance : ndarray of shape (..., columns, columns)
    """
    squares, first, second = (((part @ covariance) * part).sum(axis=-1) for part in (forms, *summands))
    return np.asarray(PHI * addition(first, second) * squares)


def squares_and_peaks(forms: Matrix) -> tuple[Matrix, Matrix]:
    """Return the sum of the squares of each form, and that of its fourth powers relative to the square of that.

    A form of zeros has the peak of one input.
    """
    squares = np.asarray((forms**2).sum(axis=-1))
    peaks = (forms**4).sum(axis=-1) / np.where(squares > 0, squares, 1.0) ** 2
    return squares, np.where(squares > 0, peaks, 1.0)
