"""What a transform does to errors, for many candidates at once: one interface for all orders.

In: matrices. Out: second moments of what its roundings add, per unit variance of its inputs.
"""

from __future__ import annotations

from typing import Protocol

from winograd.accuracy.formats import FloatFormat
from winograd.accuracy.linear import Matrix
from winograd.accuracy.protocol import Inputs


class Transform(Protocol):
    """The same transform of every candidate, evaluated in some order."""

    def covariances(self, inputs: Inputs, spare: int) -> tuple[Matrix, Matrix]:
        """Return the covariances of the outputs from the roundings, where inputs are drawn so, and of any numbers.

        Both of shape (candidates, rows, rows), in units of u^2 / 3, for independent inputs of variance 1, which have
        ``spare`` digits less than the format.
        """

    def variances(self, covariance: Matrix) -> Matrix:
        """Return the mean over the outputs of their variance from the roundings, of shape (candidates,).

        ``covariance`` is that of the inputs, of shape (candidates, columns, columns); in units of u^2 / 3.
        """

    def change(self, fmt: FloatFormat) -> Matrix:
        """Return what rounding the constants adds to the matrices, of shape (candidates, rows, columns)."""
