"""Transforms that add every row by a tree, each product and sum rounded, equal parts of two rows computed once.

In: matrices. Out: a `Transform`. Every candidate may have trees of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from winograd.accuracy.batch.constants import rounding_change
from winograd.accuracy.batch.equality import equal_classes, powers_of_two
from winograd.accuracy.batch.transform import rounded_twice_over
from winograd.accuracy.batch.trees import Steps, summation_steps
from winograd.accuracy.formats import FloatFormat
from winograd.accuracy.linear import Matrix
from winograd.accuracy.orders import Order
from winograd.accuracy.protocol import Inputs
from winograd.accuracy.rounding import PHI

Hashes = NDArray[np.uint64]


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
    product_names, sum_names : ndarray of uint64
        What is computed once in a candidate has one name.
    """

    matrix: Matrix
    products: Matrix
    sums: Matrix
    product_names: Hashes
    sum_names: Hashes

    @classmethod
    def of(cls, matrix: Matrix, order: Order) -> OrderedTransform:
        """Return the transform; every row is added in this order."""
        names = _entry_names(matrix)
        sums, sum_names = _sums(matrix, names, summation_steps(matrix, order))
        exact = powers_of_two(matrix) | (matrix == 0)
        return cls(matrix, np.where(exact, 0.0, matrix), sums, names, sum_names)

    def covariances(self, inputs: Inputs) -> tuple[Matrix, Matrix]:
        """See `Transform`."""
        of_products = rounded_twice_over(self.products**2, self.products**4, inputs)
        of_sums = rounded_twice_over((self.sums**2).sum(axis=3), (self.sums**4).sum(axis=3), inputs)
        same_products = self.product_names[:, :, None, :] == self.product_names[:, None, :, :]
        same_sums = self.sum_names[:, :, None, :, None] == self.sum_names[:, None, :, None, :]
        first, later = (
            np.einsum("nabj,naj->nab", same_products, products) + np.einsum("nabij,nai->nab", same_sums, sums)
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


def _entry_names(matrix: Matrix) -> Hashes:
    """Name every product by its column and constant, 0 for none."""
    count, _, columns = matrix.shape
    labels = equal_classes(np.abs(matrix).reshape(count, -1)).reshape(matrix.shape).astype(np.uint64)
    signs = (matrix < 0).astype(np.uint64)
    places = np.arange(1, columns + 1, dtype=np.uint64)
    numbers: Hashes = (labels * np.uint64(2) + signs) * np.uint64(columns) + places
    return np.where(matrix == 0, np.uint64(0), _mixed(numbers))


def _sums(matrix: Matrix, names: Hashes, steps: Steps) -> tuple[Matrix, Hashes]:
    """Return the forms of all sums, 0 where a part is empty, and their names."""
    count, rows, columns = matrix.shape
    forms = np.zeros((count, rows, 2 * columns - 1, columns))
    forms[:, :, np.arange(columns), np.arange(columns)] = matrix
    named = np.zeros((count, rows, 2 * columns - 1), dtype=np.uint64)
    named[:, :, :columns] = names
    sums = np.zeros((count, rows, columns - 1, columns))
    for step in range(columns - 1):
        first, second = (np.take_along_axis(named, steps[:, :, step, side, None], axis=2)[:, :, 0] for side in range(2))
        both = (first != 0) & (second != 0)
        named[:, :, columns + step] = np.where(both, _mixed(first + second), first + second)
        parts = np.take_along_axis(forms, steps[:, :, step, :, None], axis=2)
        forms[:, :, columns + step] = parts.sum(axis=2)
        sums[:, :, step] = np.where(both[:, :, None], forms[:, :, columns + step], 0.0)
    sum_names = np.where((sums != 0).any(axis=3), named[:, :, columns:], np.uint64(0))
    return sums, sum_names


def _mixed(numbers: Hashes) -> Hashes:
    """Mix the bits of numbers so that sums of results tell their terms: the finaliser of SplitMix64."""
    mixed = numbers * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))
