"""A study of one algorithm: its error measured, predicted and bounded, and its range. What ``winograd.error`` prints.

In: an algorithm and how it is measured. Out: an `ErrorStudy` with tables, JSON and text; the same for the same
arguments. Refused: what `winograd.measure_error` refuses.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any, Final

from winograd.accuracy.bounds import ErrorBound, error_bound
from winograd.accuracy.experiment import measure_error
from winograd.accuracy.model import Prediction, predict_error
from winograd.accuracy.orders import Order
from winograd.accuracy.protocol import Experiment
from winograd.accuracy.ranges import SafeRange, safe_range
from winograd.accuracy.report import ErrorReport
from winograd.accuracy.showing.table import text_table
from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import NestedAlgorithm

SHARES: Final = (0.5, 0.9, 0.99, 0.999)
"""Shares of tiles whose largest errors are predicted."""

HEADER: Final = ("error", "measured", "interval", "predicted", "worst case")
"""Of the table of errors. The interval of max_abs runs from what was seen to the worst case."""


@dataclass(frozen=True, slots=True)
class ErrorStudy:
    """The error of one algorithm: what was measured, what the model says of the same experiment, and the worst case.

    Parameters
    ----------
    report : ErrorReport
    prediction : Prediction
        For the same dtype, experiment and order.
    bound : ErrorBound
        For the same dtype, experiment and order.
    range : SafeRange
        Likewise, for weights up to 1.
    """

    report: ErrorReport
    prediction: Prediction
    bound: ErrorBound
    range: SafeRange

    @property
    def conditions(self) -> str:
        """Everything that the figures hold for, on one line."""
        report = self.report
        channels = f"{report.protocol.channels} channel{'' if report.protocol.channels == 1 else 's'}"
        return (
            f"{report.experiment} experiment, {report.dtype}, {report.order} order, {channels}, "
            f"{report.trials} trials, seed {report.seed}"
        )

    @property
    def cost(self) -> str:
        """Multiplications of a tile and of an output, as text."""
        nested = self.report.algorithm
        return f"{nested.rank} multiplications a tile, {nested.rank / math.prod(nested.m):.4g} an output"

    @property
    def rows(self) -> tuple[tuple[str, ...], ...]:
        """Cells of the table of errors, one row per norm; see `HEADER`."""
        predicted = {"mean_abs": self.prediction.mean_abs, "rms": self.prediction.rms}
        predicted["relative_l2"] = self.prediction.relative_l2
        return tuple(
            (
                name,
                f"{value:.3e}",
                f"{low:.3e} to {high:.3e}",
                f"{predicted[name]:.3e}" if name in predicted else "",
                f"{self.bound.max_abs:.3e}" if name == "max_abs" else "",
            )
            for name, value, (low, high) in self.report.figures
        )

    @property
    def quantile_rows(self) -> tuple[tuple[str, str], ...]:
        """Shares of tiles, and what their largest error is predicted to stay under."""
        return tuple((f"{100 * share:g} %", f"{self.prediction.quantile(share):.3e}") for share in SHARES)

    @property
    def range_rows(self) -> tuple[tuple[str, str], ...]:
        """Stages, and the largest absolute input (weight, for the filter transform) that overflows in none."""
        return tuple((_STAGES[name], f"{limit:.3e}") for name, limit in self.range.limits)

    def as_dict(self) -> dict[str, Any]:
        """Return all figures as JSON has them; None where one is infinite."""
        nested, report, prediction = self.report.algorithm, self.report, self.prediction
        measured = {name: {"value": value, "interval": list(interval)} for name, value, interval in report.figures}
        predicted: dict[str, Any] = {name: getattr(prediction, name) for name in ("mean_abs", "rms", "relative_l2")}
        predicted["rms_by_output"] = prediction.rms_by_output.tolist()
        predicted["quantiles_of_largest_error"] = [[share, prediction.quantile(share)] for share in SHARES]
        algorithm = {
            "label": nested.label,
            "m": list(nested.m),
            "r": list(nested.r),
            "multiplications": nested.rank,
            "digest": nested.digest,
            "axes": [
                {name: [[str(entry) for entry in row] for row in getattr(axis, name).tolist()] for name in _MATRICES}
                for axis in nested.axes
            ],
        }
        conditions = {"dtype": report.dtype, "order": report.order, "trials": report.trials, "seed": report.seed}
        experiment = {
            name: value.value if isinstance(value, Enum) else value for name, value in asdict(report.protocol).items()
        }
        worst = {"max_abs": self.bound.max_abs, "norm_factor": self.bound.norm_factor, "kappa": self.bound.kappa}
        figures: dict[str, Any] = _finite(
            {
                "algorithm": algorithm,
                **conditions,
                "experiment": experiment,
                "measured": measured,
                "predicted": predicted,
                "bound": worst,
                "largest_without_overflow": dict(self.range.limits),
            }
        )
        return figures

    def __str__(self) -> str:
        """Return the tables of everything, as the command prints them."""
        return "\n".join(
            [
                f"{self.report.algorithm.label}, {self.cost}, kappa {self.bound.kappa:.4g}",
                self.conditions,
                "",
                text_table(HEADER, self.rows),
                "",
                text_table(("share of tiles", "largest error predicted"), self.quantile_rows),
                "",
                text_table(("no overflow in", "for inputs up to"), self.range_rows),
            ]
        )


_MATRICES: Final = ("at", "g", "bt")
_STAGES: Final = {
    "data": "data transform",
    "filter": "filter transform, of weights",
    "products": "products and their sum",
    "inverse": "inverse transform",
    "largest": "all, for weights up to 1",
}
"""What the limits of a `SafeRange` are called."""


def study_error(
    algorithm: BilinearAlgorithm | NestedAlgorithm,
    dtype: object = "float32",
    experiment: str | Experiment = "standard",
    trials: int = 5000,
    order: str | Order = "huffman",
    seed: int = 0,
    *,
    progress: bool = False,
) -> ErrorStudy:
    """Measure, predict and bound the error of an algorithm in one experiment.

    Parameters
    ----------
    algorithm, dtype, experiment, trials, order, seed, progress
        As `winograd.measure_error` has them.

    Returns
    -------
    ErrorStudy

    Raises
    ------
    TypeError, ValueError, NotImplementedError
        As `winograd.measure_error` does.

    Examples
    --------
    >>> from winograd import nest, toom_cook
    >>> axis = toom_cook(2, 3)
    >>> study = study_error(nest(axis, axis), trials=500)
    >>> study.rows[0][0], study.bound.max_abs > study.report.max_abs
    ('mean_abs', True)
    """
    report = measure_error(algorithm, dtype, experiment, trials, order, seed, progress=progress)
    prediction = predict_error(algorithm, dtype, report.protocol, order)
    bound = error_bound(algorithm, dtype, order=order, experiment=report.protocol)
    safe = safe_range(algorithm, dtype, order=order, experiment=report.protocol)
    return ErrorStudy(report, prediction, bound, safe)


def _finite(value: Any) -> Any:
    """Return JSON's values with None for numbers that it does not have."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
