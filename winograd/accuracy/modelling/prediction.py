"""`Prediction`: what the error of one tile is expected to be, by output, on average and at most.

In: what is computed, from `winograd.accuracy.model`. Out: figures; those that need a sample of tiles when asked for.
"""

from __future__ import annotations

import html
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from winograd.accuracy.formats import FloatFormat, float_format
from winograd.accuracy.linear import Matrix
from winograd.accuracy.modelling.moments import DEVIATIONS
from winograd.accuracy.modelling.quantiles import largest_errors, mean_to_rms
from winograd.accuracy.modelling.variance import variances
from winograd.accuracy.orders import Order, as_order
from winograd.accuracy.protocol import Experiment
from winograd.algebra.nesting import NestedAlgorithm

LARGEST_SHARE = 0.9999
"""Of the quantiles: beyond it the sample that they are taken from says nothing."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the error of one tile is expected to be, for independent zero-mean inputs.

    Parameters
    ----------
    algorithm : NestedAlgorithm
    dtype, order : str
        In which arithmetic and order the transforms are evaluated.
    experiment : Experiment
        What one trial does.
    rms : float
        Root mean square error per output.
    relative_l2 : float
        sqrt(E |error|^2 / E |output|^2).
    """

    algorithm: NestedAlgorithm
    dtype: str
    order: str
    experiment: Experiment
    rms: float
    relative_l2: float

    @property
    def rms_by_output(self) -> Matrix:
        """Root mean square error of every output, of shape (*m,)."""
        return rms_by_output(self.algorithm, float_format(self.dtype), self.experiment, as_order(self.order))

    @property
    def mean_abs(self) -> float:
        """Mean absolute error per output; computed from a sample of tiles when it is first asked for."""
        return _mean_abs(self.algorithm, float_format(self.dtype), self.experiment, as_order(self.order))

    def quantile(self, share: float) -> float:
        """Return what the largest |error| of a tile stays under in this share of all tiles: a tolerance for tests.

        Computed from a sample of tiles when it is first asked for, for all shares at once.

        Parameters
        ----------
        share : float
            Between 0 and 0.9999, beyond which the sample says nothing.

        Raises
        ------
        ValueError
            If it is not.

        Examples
        --------
        >>> from winograd import toom_cook
        >>> from winograd.accuracy.model import predict_error
        >>> prediction = predict_error(toom_cook(2, 3))
        >>> prediction.mean_abs < prediction.rms < prediction.quantile(0.9) < prediction.quantile(0.999)
        True
        """
        if not 0 < share <= LARGEST_SHARE:
            raise ValueError(f"share is {share!r}, must be above 0 and at most {LARGEST_SHARE}")
        found = _largest(self.algorithm, float_format(self.dtype), self.experiment, as_order(self.order))
        return float(np.quantile(found, share))

    @property
    def _conditions(self) -> str:
        return f"{self.dtype}, {self.order}, {self.experiment.name}, {self.experiment.channels} channels"

    def __repr__(self) -> str:
        figures = f"rms {self.rms:.3g}, relative_l2 {self.relative_l2:.3g}"
        return f"<Prediction {self.algorithm.label}: {figures}; {self._conditions}>"

    def _repr_html_(self) -> str:
        figures = (("mean_abs", self.mean_abs), ("rms", self.rms), ("relative_l2", self.relative_l2))
        rows = "".join(f"<tr><td>{name}</td><td>{value:.3g}</td></tr>" for name, value in figures)
        caption = html.escape(f"{self.algorithm.label}, predicted: {self._conditions}")
        return f"<table><caption>{caption}</caption><tr><th>norm</th><th>error</th></tr>{rows}</table>"


def scale(experiment: Experiment) -> float:
    """Return the standard deviation of a sum over the channels of products of one input and one tap."""
    return math.sqrt(experiment.channels) * DEVIATIONS[experiment.inputs] ** 2


@lru_cache(maxsize=1024)
def rms_by_output(nested: NestedAlgorithm, fmt: FloatFormat, experiment: Experiment, order: Order) -> Matrix:
    """Return the root mean square error of every output, of shape (*m,), not to be written."""
    found = scale(experiment) * np.sqrt(variances(nested, fmt, experiment, order).by_output)
    found.flags.writeable = False
    return found


@lru_cache(maxsize=1024)
def _mean_abs(nested: NestedAlgorithm, fmt: FloatFormat, experiment: Experiment, order: Order) -> float:
    ratio = mean_to_rms(nested, variances(nested, fmt, experiment, order), fmt, experiment)
    return float((ratio * rms_by_output(nested, fmt, experiment, order)).mean())


@lru_cache(maxsize=32)
def _largest(nested: NestedAlgorithm, fmt: FloatFormat, experiment: Experiment, order: Order) -> Matrix:
    return largest_errors(nested, variances(nested, fmt, experiment, order), fmt, experiment)
