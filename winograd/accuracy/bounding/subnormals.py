"""Subnormal loss: what transformed filters lose where they are stored in a dtype of little range.

In: an algorithm, a storage dtype, the size of the weights. Out: a `SubnormalLoss`, for independent normal weights.
"""

from __future__ import annotations

import html
import math
from dataclasses import dataclass
from numbers import Real

import numpy as np

from winograd.accuracy.formats import FloatFormat, float_format
from winograd.accuracy.linear import Matrix
from winograd.accuracy.modelling.rounding import rounding_variance
from winograd.accuracy.modelling.variance import contracted, outer
from winograd.algebra.bilinear import BilinearAlgorithm, fraction_rows
from winograd.algebra.nesting import NestedAlgorithm, as_nested


@dataclass(frozen=True, slots=True)
class SubnormalLoss:
    """What storing transformed filters costs, with the range of the dtype and as if it had no end.

    Parameters
    ----------
    algorithm : NestedAlgorithm
    dtype : str
    weights_rms : float
        Standard deviation of the weights.
    share : float
        Expected share of the transformed weights that are below the least normal number.
    relative_l2 : float
        Relative L2 error of the outputs from this rounding alone.
    without_underflow : float
        The same if no number were too small.
    """

    algorithm: NestedAlgorithm
    dtype: str
    weights_rms: float
    share: float
    relative_l2: float
    without_underflow: float

    @property
    def _conditions(self) -> str:
        return f"{self.dtype}, weights of rms {self.weights_rms:g}"

    def __repr__(self) -> str:
        errors = f"relative_l2 {self.relative_l2:.3g}, {self.without_underflow:.3g} without"
        return f"<SubnormalLoss {self.algorithm.label}: {self.share:.2%} subnormal, {errors}; {self._conditions}>"

    def _repr_html_(self) -> str:
        figures = (("share", self.share), ("relative_l2", self.relative_l2), ("without", self.without_underflow))
        rows = "".join(f"<tr><td>{name}</td><td>{value:.3g}</td></tr>" for name, value in figures)
        caption = html.escape(f"{self.algorithm.label}: {self._conditions}")
        return f"<table><caption>{caption}</caption><tr><th>figure</th><th>value</th></tr>{rows}</table>"


def subnormal_loss(
    algorithm: BilinearAlgorithm | NestedAlgorithm, dtype: object = "float16", weights_rms: float = 0.05
) -> SubnormalLoss:
    """Return what it costs to store the transformed filters in a dtype, underflow included.

    Parameters
    ----------
    algorithm : BilinearAlgorithm or NestedAlgorithm
    dtype : dtype
        float16, bfloat16, float32 or float64.
    weights_rms : float
        Standard deviation of the weights, which are taken as normal, with mean 0; positive and finite.

    Returns
    -------
    SubnormalLoss

    Raises
    ------
    TypeError, ValueError
        For something that is no algorithm, another dtype, and a size that is no positive finite number.
    NotImplementedError
        If an entry of the matrices is not rational.

    Examples
    --------
    >>> from winograd import nest, toom_cook
    >>> axis = toom_cook(6, 3)
    >>> loss = subnormal_loss(nest(axis, axis, axis), weights_rms=0.02)
    >>> loss.relative_l2 > 2 * loss.without_underflow
    True
    """
    nested, fmt = as_nested(algorithm), float_format(dtype)
    if isinstance(weights_rms, bool) or not isinstance(weights_rms, Real):
        raise TypeError(f"weights_rms is {weights_rms!r}, must be a number")
    size = float(weights_rms)
    if not 0 < size < math.inf:
        raise ValueError(f"weights_rms is {size!r}, must be positive and finite")
    deviations = size * np.sqrt(outer([_row_squares(axis.g) for axis in nested.axes]))
    endless = FloatFormat(fmt.name, fmt.digits, -(10**6), 10**6)
    return SubnormalLoss(
        algorithm=nested,
        dtype=fmt.name,
        weights_rms=size,
        share=float(_share_below(fmt.least_normal / deviations).mean()),
        relative_l2=_relative_l2(nested, deviations, size, fmt),
        without_underflow=_relative_l2(nested, deviations, size, endless),
    )


def _share_below(sizes: Matrix) -> Matrix:
    """Return P(abs(v) < size) for standard normal numbers."""
    return np.asarray(np.vectorize(math.erf, otypes=[float])(sizes / math.sqrt(2)))


def _relative_l2(nested: NestedAlgorithm, deviations: Matrix, size: float, fmt: FloatFormat) -> float:
    """Return the error of the outputs for data of variance 1, relative to the outputs."""
    lost = rounding_variance(deviations, np.zeros_like(deviations), fmt)
    data = outer([_row_squares(axis.bt) for axis in nested.axes])
    inverse = [np.array(fraction_rows(axis.at), dtype=np.float64) ** 2 for axis in nested.axes]
    outputs = size**2 * math.prod(nested.r)
    return math.sqrt(float(contracted(inverse, lost * data).mean()) / outputs)


def _row_squares(matrix: object) -> Matrix:
    return np.asarray((np.array(fraction_rows(matrix), dtype=np.float64) ** 2).sum(axis=1))
