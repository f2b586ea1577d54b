"""Names of values: what is equal in a candidate up to a sign and a power of two has one name, and one relative error.

In: labels of constants, names and factors of arguments. Out: names, as 64 bits, and factors, plus or minus powers of
two. `winograd.accuracy.modelling.proportions` is the same for one program, exactly. The name 0 is that of nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from winograd.accuracy.linear import Matrix

Names = NDArray[np.uint64]


def product_names(labels: NDArray[np.integer], names: Names) -> Names:
    """Return the names of constants times values, for constants of these labels."""
    return mixed(mixed(labels.astype(np.uint64) + np.uint64(1)) ^ names)


def sum_names(first: tuple[Names, Matrix], second: tuple[Names, Matrix]) -> tuple[Names, Matrix]:
    """Return names and factors of sums, given those of two summands in any order; of the other where one is nothing."""
    (a, a_factor), (b, b_factor) = first, second
    swap = b < a
    low, high = np.where(swap, b, a), np.where(swap, a, b)
    factor = np.where(swap, b_factor, a_factor)
    ratio = np.where(swap, a_factor, b_factor) / factor
    both = mixed(low + mixed(high ^ mixed(ratio.view(np.uint64))))
    single = low == 0
    other_factor = np.where(swap, a_factor, b_factor)
    return np.where(single, high, both), np.where(single, other_factor, factor)


def same_error(names: Names, factors: Matrix, others: Names, other_factors: Matrix) -> Matrix:
    """Return for every pair of values the ratio of their errors, the other by the one, 0 where they have two names.

    Parameters
    ----------
    names, factors : ndarray of shape (..., values)
    others, other_factors : ndarray of shape (..., others)
    """
    same = (names[..., :, None] == others[..., None, :]) & (names[..., :, None] != 0)
    return np.asarray(np.where(same, other_factors[..., None, :] / factors[..., :, None], 0.0))


def mixed(numbers: Names) -> Names:
    """Mix the bits of numbers so that sums of results tell their terms: the finaliser of SplitMix64."""
    found = (numbers + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    found = (found ^ (found >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    found = (found ^ (found >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(found ^ (found >> np.uint64(31)))
