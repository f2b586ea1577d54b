"""The figures of each trial that norms are made of, scaled so that no square overflows or vanishes.

In: errors and exact outputs, chunk by chunk. Out: `Figures`. The scale is a power of two, so nothing is rounded by it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from winograd.accuracy.measuring.intervals import Estimate, mean, root_mean, root_ratio

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Figures:
    """One figure per trial, in units of 2^exponent.

    Parameters
    ----------
    absolute, squares, sizes : ndarray of shape (trials,)
        Means over the outputs of the absolute errors, of the squared errors and of the squared exact outputs.
    max_abs : float
        Largest absolute error of all trials, in units of 1.
    exponent : int
    """

    absolute: FloatArray
    squares: FloatArray
    sizes: FloatArray
    max_abs: float
    exponent: int

    @property
    def mean_abs(self) -> Estimate:
        """Mean absolute error, and its interval."""
        return _scaled(mean(self.absolute), self.exponent)

    @property
    def rms(self) -> Estimate:
        """Root mean square error, and its interval."""
        return _scaled(root_mean(self.squares), self.exponent)

    @property
    def relative_l2(self) -> Estimate:
        """Root of the sum of squared errors over that of squared outputs, and its interval."""
        return root_ratio(self.squares, self.sizes)


def figures_of(chunks: Iterable[tuple[FloatArray, FloatArray]]) -> Figures:
    """Return the figures of errors and exact outputs, each of shape (*m, count).

    Examples
    --------
    >>> errors, outputs = np.full((2, 3), 1e-200), np.full((2, 3), 1e-180)
    >>> found = figures_of([(errors, outputs)])
    >>> [float(f"{value:.3g}") for value, _ in (found.mean_abs, found.rms, found.relative_l2)]
    [1e-200, 1e-200, 1e-20]
    """
    parts = [_chunk_figures(errors, outputs) for errors, outputs in chunks]
    exponent = max(part.exponent for part in parts)

    def joined(name: str, power: int) -> FloatArray:
        scaled = [np.ldexp(getattr(part, name), power * (part.exponent - exponent)) for part in parts]
        return np.concatenate(scaled)

    return Figures(
        absolute=joined("absolute", 1),
        squares=joined("squares", 2),
        sizes=joined("sizes", 2),
        max_abs=max(part.max_abs for part in parts),
        exponent=exponent,
    )


def _chunk_figures(errors: FloatArray, outputs: FloatArray) -> Figures:
    flat, exact = (np.abs(values).reshape(-1, values.shape[-1]) for values in (errors, outputs))
    exponent = _exponent(exact) or _exponent(flat)
    with np.errstate(over="ignore", under="ignore"):
        small, size = np.ldexp(flat, -exponent), np.ldexp(exact, -exponent)
        return Figures(small.mean(axis=0), (small**2).mean(axis=0), (size**2).mean(axis=0), float(flat.max()), exponent)


def _exponent(values: FloatArray) -> int:
    """Return e with 2^(e - 1) <= max |values| < 2^e over the finite ones, 0 where that is 0."""
    return int(np.frexp(values.max(where=np.isfinite(values), initial=0.0))[1])


def _scaled(estimate: Estimate, exponent: int) -> Estimate:
    value, interval = estimate
    with np.errstate(over="ignore", under="ignore"):
        found, low, high = (float(np.ldexp(x, exponent)) for x in (value, *interval))
    return found, (low, high)
