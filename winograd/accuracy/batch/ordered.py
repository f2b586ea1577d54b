"""Transforms that add every row by a tree, each product and sum rounded, proportional parts of two rows with one error.

In: matrices. Out: a `Transform`. Every candidate may have trees of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from winograd.accuracy.batch.constants import rounding_change
from winograd.accuracy.batch.equality import equal_classes, mantissas, powers_of_two
from winograd.accuracy.batch.names import Names, mixed, product_names, same_error, sum_names
from winograd.accuracy.batch.trees import Steps, summation_steps
from winograd.accuracy.formats import FloatFormat
from winograd.accuracy.linear import Matrix
from winograd.accuracy.modelling.exactness import rounded_forms, rounded_products
from winograd.accuracy.orders import Order
from winograd.accuracy.protocol import Inputs


@dataclass(frozen=True, slots=True, eq=False)
class OrderedTransform:
    """What is rounded in each row of each candidate.

    Parameters
    ----------
    matrix : ndarray of shape (candidates, rows, columns)
    forms : ndarray of shape (candidates, rows, 2 columns - 1, columns)
        Of the products and sums that are rounded; 0 elsewhere.
    summands : ndarray of shape (2, candidates, rows, 2 columns - 1, columns)
        What each sum is of; 0 elsewhere.
    names, factors : ndarray of shape (candidates, rows, 2 columns - 1)
        Of all products and sums; what has one name in a candidate has one relative error. 0 for nothing.
    """

    matrix: Matrix
    forms: Matrix
    summands: Matrix
    names: Names
    factors: Matrix

    @classmethod
    def of(cls, matrix: Matrix, order: Order) -> OrderedTransform:
        """Return the transform; every row is added in this order."""
        return cls(matrix, *_rounded(matrix, summation_steps(matrix, order)))

    def covariances(self, inputs: Inputs, spare: int) -> tuple[Matrix, Matrix]:
        """See `Transform`."""
        columns = self.matrix.shape[2]
        variances = rounded_forms(self.forms, self.summands, inputs, spare)
        entries = (self.names[..., :columns].swapaxes(1, 2), self.factors[..., :columns].swapaxes(1, 2))
        same_products = same_error(*entries, *entries)
        names, factors = self.names[..., columns:], self.factors[..., columns:]
        same_sums = same_error(names[:, :, None], factors[:, :, None], names[:, None, :], factors[:, None, :])
        first, later = (
            np.einsum("njab,naj->nab", same_products, part[..., :columns])
            + np.einsum("nabij,nai->nab", same_sums, part[..., columns:])
            for part in variances
        )
        return first, later

    def variances(self, covariance: Matrix) -> Matrix:
        """See `Transform`."""
        found = rounded_products(self.forms, self.summands, covariance[:, None])
        return np.asarray(found.sum(axis=(1, 2)) / self.matrix.shape[1])

    def change(self, fmt: FloatFormat) -> Matrix:
        """See `Transform`."""
        return rounding_change(self.matrix, fmt)


def _entry_names(matrix: Matrix) -> tuple[Names, Matrix]:
    """Return names and factors of the products of entries and inputs, 0 and 1 for none."""
    count, _, columns = matrix.shape
    sizes, factors = mantissas(matrix)
    labels = equal_classes(np.concatenate([np.ones((count, 1)), sizes.reshape(count, -1)], axis=1))[:, 1:]
    places = mixed(np.arange(columns, dtype=np.uint64))
    names = product_names(labels.reshape(matrix.shape), np.broadcast_to(places, matrix.shape))
    return np.where(matrix == 0, np.uint64(0), names), np.where(matrix == 0, 1.0, factors)


def _rounded(matrix: Matrix, steps: Steps) -> tuple[Matrix, Matrix, Names, Matrix]:
    """Return forms and summands of all that is rounded, and names and factors of all products and sums."""
    count, rows, columns = matrix.shape
    forms = np.zeros((count, rows, 2 * columns - 1, columns))
    forms[:, :, np.arange(columns), np.arange(columns)] = matrix
    summands = np.zeros((2, *forms.shape))
    names = np.zeros((count, rows, 2 * columns - 1), dtype=np.uint64)
    factors = np.ones((count, rows, 2 * columns - 1))
    names[:, :, :columns], factors[:, :, :columns] = _entry_names(matrix)
    rounded = np.zeros(names.shape, dtype=bool)
    rounded[:, :, :columns] = (matrix != 0) & ~powers_of_two(matrix)
    for step in range(columns - 1):
        chosen = steps[:, :, step]
        parts = np.take_along_axis(forms, chosen[..., None], axis=2)
        (a, b), (a_factor, b_factor) = (
            np.moveaxis(np.take_along_axis(part, chosen, axis=2), 2, 0) for part in (names, factors)
        )
        place = columns + step
        names[:, :, place], factors[:, :, place] = sum_names((a, a_factor), (b, b_factor))
        forms[:, :, place] = parts.sum(axis=2)
        rounded[:, :, place] = (a != 0) & (b != 0)
        summands[:, :, :, place] = np.moveaxis(parts, 2, 0) * rounded[:, :, place, None]
    names[:, :, columns:] *= rounded[:, :, columns:]
    return forms * rounded[..., None], summands, names, factors
