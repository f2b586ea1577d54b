"""`ErrorReport`: what an error measurement found, with everything that is needed to repeat it."""

from __future__ import annotations

import hashlib
import html
from dataclasses import dataclass

from winograd.accuracy.protocol import Experiment
from winograd.algebra.nesting import NestedAlgorithm

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class ErrorReport:
    """Four norms of the error of one algorithm against exact results, each with an interval.

    All figures are inf where an output overflowed. Where all exact outputs are 0, ``relative_l2`` is nan if no error
    was made, and inf otherwise.

    Parameters
    ----------
    mean_abs : float
        Mean absolute error per output.
    mean_abs_interval : tuple of float
        95 % confidence interval, from the spread over the trials by Student's distribution: approximate below about
        100 trials, whose errors are skewed.
    max_abs : float
        Largest absolute error of any output.
    max_abs_interval : tuple of float
        From the largest error seen to the worst-case bound: no trial of this experiment can leave it. The bound is inf
        where none is known.
    rms : float
        Root mean square error per output.
    rms_interval : tuple of float
        Likewise.
    relative_l2 : float
        sqrt(sum of squared errors / sum of squared exact outputs) over all outputs and trials.
    relative_l2_interval : tuple of float
        Likewise.
    trials, seed : int
        Number of tiles, and the seed of their data.
    dtype, order : str
        In which arithmetic and order the transforms were evaluated.
    protocol : Experiment
        What one trial did.
    algorithm : NestedAlgorithm
        What was measured.
    """

    mean_abs: float
    mean_abs_interval: Interval
    max_abs: float
    max_abs_interval: Interval
    rms: float
    rms_interval: Interval
    relative_l2: float
    relative_l2_interval: Interval
    trials: int
    seed: int
    dtype: str
    order: str
    protocol: Experiment
    algorithm: NestedAlgorithm

    @property
    def experiment(self) -> str:
        """Name of the experiment."""
        return self.protocol.name

    @property
    def figures(self) -> tuple[tuple[str, float, Interval], ...]:
        """Norm, error and interval, for tables."""
        return (
            ("mean_abs", self.mean_abs, self.mean_abs_interval),
            ("max_abs", self.max_abs, self.max_abs_interval),
            ("rms", self.rms, self.rms_interval),
            ("relative_l2", self.relative_l2, self.relative_l2_interval),
        )

    @property
    def digest(self) -> str:
        """SHA-256 of everything in the report as hexadecimal text, the same in every process."""
        numbers = [x.hex() for _, value, interval in self.figures for x in (value, *interval)]
        conditions = [str(self.trials), str(self.seed), self.dtype, self.order, repr(self.protocol)]
        return hashlib.sha256("|".join([self.algorithm.digest, *numbers, *conditions]).encode()).hexdigest()

    @property
    def _conditions(self) -> str:
        return f"{self.dtype}, {self.order}, {self.experiment}, {self.trials} trials, seed {self.seed}"

    def __repr__(self) -> str:
        figures = ", ".join(f"{name} {value:.3g}" for name, value, _ in self.figures)
        return f"<ErrorReport {self.algorithm.label}: {figures}; {self._conditions}>"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{name}</td><td>{value:.3g}</td><td>{low:.3g} to {high:.3g}</td></tr>"
            for name, value, (low, high) in self.figures
        )
        caption = html.escape(f"{self.algorithm.label}: {self._conditions}")
        head = "<tr><th>norm</th><th>error</th><th>interval</th></tr>"
        return f"<table><caption>{caption}</caption>{head}{rows}</table>"
