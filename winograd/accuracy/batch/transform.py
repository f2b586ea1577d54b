"""What a transform does to errors, for many candidates at once: one interface for all orders.

In: matrices. Out: second moments of what its roundings add, per unit variance of its inputs.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from winograd.accuracy.formats import FloatFormat
from winograd.accuracy.linear import Matrix
from winograd.accuracy.modelling.moments import DEVIATIONS, KURTOSES
from winograd.accuracy.modelling.rounding import PHI, phi
from winograd.accuracy.protocol import Inputs


class Transform(Protocol):
    """The same transform of every candidate, evaluated in some order."""

    def covariances(self, inputs: Inputs) -> tuple[Matrix, Matrix]:
        """Return the covariances of the outputs from the roundings, where inputs are drawn so, and on average.

        Both of shape (candidates, rows, rows), in units of u^2 / 3, for independent inputs of variance 1.
        """

    def variances(self, covariance: Matrix) -> Matrix:
        """Return the mean over the outputs of their variance from the roundings, of shape (candidates,).

        ``covariance`` is that of the inputs, of shape (candidates, columns, columns); in units of u^2 / 3.
        """

    def change(self, fmt: FloatFormat) -> Matrix:
        """Return what rounding the constants adds to the matrices, of shape (candidates, rows, columns)."""


def rounded_twice_over(squares: Matrix, peaks: Matrix, inputs: Inputs) -> tuple[Matrix, Matrix]:
    """Return the variances, in units of u^2 / 3, of rounding forms of inputs that are drawn so, and on average.

    Parameters
    ----------
    squares, peaks : ndarray
        Sum of the squares of each form, and of its fourth powers.
    inputs : Inputs
    """
    relative = peaks / np.where(squares > 0, squares, 1.0) ** 2
    first = phi(DEVIATIONS[inputs] * np.sqrt(squares), KURTOSES[inputs] * relative)
    return first * squares, PHI * squares
