"""`Comparison`: algorithms side by side, what each costs and how wrong it is, as text and in a notebook."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from winograd.accuracy.protocol import Experiment
from winograd.accuracy.report import ErrorReport
from winograd.accuracy.showing.table import html_table, text_table
from winograd.algebra.nesting import NestedAlgorithm
from winograd.algebra.origin import made_of


@dataclass(frozen=True, slots=True)
class ComparedAlgorithm:
    """One algorithm of a comparison.

    Parameters
    ----------
    algorithm : NestedAlgorithm
    products_per_output : Fraction
        Multiplications per output.
    instructions : tuple of int
        Of the generated transforms of one tile, all axes: data, filter, inverse.
    kappa : float
        Mean squared amplification of independent relative errors of the products.
    relative_l2 : float
        Predicted.
    bound : float
        What no absolute error exceeds for inputs in [-1, 1].
    measured : ErrorReport, optional
    """

    algorithm: NestedAlgorithm
    products_per_output: Fraction
    instructions: tuple[int, int, int]
    kappa: float
    relative_l2: float
    bound: float
    measured: ErrorReport | None = None

    @property
    def cells(self) -> tuple[str, ...]:
        """Texts of a table's row, those of a measurement last."""
        figures = (
            self.algorithm.label,
            str(self.algorithm.rank),
            f"{float(self.products_per_output):.4g}",
            "/".join(map(str, self.instructions)),
            f"{self.kappa:.4g}",
            f"{self.relative_l2:.3g}",
            f"{self.bound:.3g}",
        )
        origin = "; ".join(dict.fromkeys(map(made_of, self.algorithm.axes)))
        if self.measured is None:
            return *figures, origin
        low, high = self.measured.relative_l2_interval
        return *figures, f"{self.measured.relative_l2:.3g}", f"{low:.3g} to {high:.3g}", origin


@dataclass(frozen=True, slots=True)
class Comparison:
    """Algorithms side by side, in the order they were given.

    Parameters
    ----------
    rows : tuple of ComparedAlgorithm
    dtype, order : str
        In which arithmetic and order everything is evaluated.
    experiment : Experiment
        What one trial does.
    """

    rows: tuple[ComparedAlgorithm, ...]
    dtype: str
    order: str
    experiment: Experiment

    @property
    def best(self) -> ComparedAlgorithm:
        """The one with the least predicted error, the first of several."""
        return min(self.rows, key=lambda row: row.relative_l2)

    @property
    def header(self) -> tuple[str, ...]:
        """Titles of the columns."""
        figures = ("algorithm", "products", "per output", "instructions", "kappa", "relative_l2", "bound")
        measured = () if self._report is None else ("measured", "interval")
        return *figures, *measured, "points or moduli"

    @property
    def _report(self) -> ErrorReport | None:
        return self.rows[0].measured

    @property
    def _conditions(self) -> str:
        trials = "" if self._report is None else f", {self._report.trials} trials, seed {self._report.seed}"
        experiment = f"{self.experiment.name}, {self.experiment.channels} channels"
        return f"{self.dtype}, {self.order}, {experiment}{trials}"

    def __repr__(self) -> str:
        figures = ", ".join(f"{row.algorithm.label} {row.relative_l2:.3g}" for row in self.rows)
        return f"<Comparison, predicted relative_l2: {figures}; {self._conditions}>"

    def __str__(self) -> str:
        return f"{text_table(self.header, [row.cells for row in self.rows])}\n{self._conditions}"

    def _repr_html_(self) -> str:
        return html_table(self._conditions, self.header, [row.cells for row in self.rows])
