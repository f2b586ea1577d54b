"""Transforms that add every row by a tree, each product and sum rounded, proportional parts of two rows with one error.

In: matrices. Out: a `Transform`. Every candidate may have trees of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from winograd.accuracy.batch.constants import rounding_change
from winograd.accuracy.batch.equality import equal_classes, mantissas, powers_of_two
from winograd.accuracy.batch.names import Names, mixed, product_names, same_error, sum_names
from winograd.accuracy.batch.transform import rounded_twice_over
from winograd.accuracy.batch.trees import Steps, summation_steps
from winograd.accuracy.formats import FloatFormat
from winograd.accuracy.linear import Matrix
from winograd.accuracy.modelling.rounding import PHI
from winograd.accuracy.orders import Order
from winograd.accuracy.protocol import Inputs


@dataclass(frozen=True, slots=True, eq=False)
class OrderedTransform:
    """What is rounded in each row of each candidate.

    Parameters
    ----------
    matrix : ndarray of shape (candidates, rows, columns)
    products : ndarray of the same shape
        Entries whose products are rounded; 0 elsewhere.
    sums : ndarray of shape (candidates, rows, columns - 1, columns)
        Forms of the sums that are rounded; 0 elsewhere.
    names, factors : ndarray of shape (candidates, rows, 2 columns - 1)
        Of all products and sums; what has one name in a candidate has one relative error. 0 for nothing.
    """

    matrix: Matrix
    products: Matrix
    sums: Matrix
    names: Names
    factors: Matrix

    @classmethod
    def of(cls, matrix: Matrix, order: Order) -> OrderedTransform:
        """Return the transform; every row is added in this order."""
        sums, names, factors = _sums(matrix, summation_steps(matrix, order))
        exact = powers_of_two(matrix) | (matrix == 0)
        return cls(matrix, np.where(exact, 0.0, matrix), sums, names, factors)

    def covariances(self, inputs: Inputs) -> tuple[Matrix, Matrix]:
        """See `Transform`."""
        columns = self.matrix.shape[2]
        of_products = rounded_twice_over(self.products**2, self.products**4, inputs)
        of_sums = rounded_twice_over((self.sums**2).sum(axis=3), (self.sums**4).sum(axis=3), inputs)
        entries = (self.names[..., :columns].swapaxes(1, 2), self.factors[..., :columns].swapaxes(1, 2))
        same_products = same_error(*entries, *entries)
        names, factors = self.names[..., columns:], self.factors[..., columns:]
        same_sums = same_error(names[:, :, None], factors[:, :, None], names[:, None, :], factors[:, None, :])
        first, later = (
            np.einsum("njab,naj->nab", same_products, products) + np.einsum("nabij,nai->nab", same_sums, sums)
            for products, sums in zip(of_products, of_sums, strict=True)
        )
        return first, later

    def variances(self, covariance: Matrix) -> Matrix:
        """See `Transform`."""
        of_products = (self.products**2 * np.einsum("njj->nj", covariance)[:, None, :]).sum(axis=(1, 2))
        count, rows, steps, columns = self.sums.shape
        forms = self.sums.reshape(count, rows * steps, columns)
        of_sums = ((forms @ covariance) * forms).sum(axis=(1, 2))
        return np.asarray(PHI * (of_products + of_sums) / rows)

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


def _sums(matrix: Matrix, steps: Steps) -> tuple[Matrix, Names, Matrix]:
    """Return the forms of all sums, 0 where a part is empty, and names and factors of all products and sums."""
    count, rows, columns = matrix.shape
    forms = np.zeros((count, rows, 2 * columns - 1, columns))
    forms[:, :, np.arange(columns), np.arange(columns)] = matrix
    names = np.zeros((count, rows, 2 * columns - 1), dtype=np.uint64)
    factors = np.ones((count, rows, 2 * columns - 1))
    names[:, :, :columns], factors[:, :, :columns] = _entry_names(matrix)
    sums = np.zeros((count, rows, columns - 1, columns))
    for step in range(columns - 1):
        chosen = steps[:, :, step]
        parts = np.take_along_axis(forms, chosen[..., None], axis=2)
        (a, b), (a_factor, b_factor) = (
            np.moveaxis(np.take_along_axis(part, chosen, axis=2), 2, 0) for part in (names, factors)
        )
        names[:, :, columns + step], factors[:, :, columns + step] = sum_names((a, a_factor), (b, b_factor))
        forms[:, :, columns + step] = parts.sum(axis=2)
        both = (a != 0) & (b != 0)
        sums[:, :, step] = np.where(both[:, :, None], forms[:, :, columns + step], 0.0)
    names[:, :, columns:] *= (sums != 0).any(axis=3)
    return sums, names, factors
