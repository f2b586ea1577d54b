"""`ConversionReport`: what became of each convolution of a model, filled as its plans are made.

In: one entry per convolution. Out: rows, a table as text and HTML, JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from winograd.conv.gradient.record import GradientPlan
from winograd.conv.plan import Plan
from winograd.conv.shape import ConvShape
from winograd.nn.state import LayerState
from winograd.nn.table import html_table, mebibytes, scientific, text_table

_HEADER = (
    "layer", "class", "input", "computes", "algorithm", "schedule", "predicted error", "U MiB", "work MiB",
    "folds", "reason",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class LayerEntry:
    """One convolution of the model.

    Parameters
    ----------
    name : str
        In the model.
    kind : str
        Name of its class.
    state : LayerState or None
        Where its plans appear; None if the layer was not converted.
    reason : str
        Why it was not converted; empty if it was.
    """

    name: str
    kind: str
    state: LayerState | None
    reason: str

    @property
    def plans(self) -> tuple[Plan, ...]:
        """The plans made so far."""
        return self.state.plans if self.state is not None else ()

    @property
    def gradient_plans(self) -> tuple[GradientPlan, ...]:
        """The plans of gradients of input and weight made so far."""
        return self.state.gradient_plans if self.state is not None else ()

    @property
    def folds(self) -> str:
        """What is folded into it."""
        return self.state.folds if self.state is not None else ""


@dataclass(frozen=True, slots=True)
class ReportRow:
    """What one layer computes at one input shape, or a layer without a plan, whose ``input`` is empty.

    Parameters
    ----------
    layer, kind : str
        Name in the model and name of the class.
    input : tuple of int
        (N, C, sizes...).
    computes : str
        "output"; where the layer was differentiated also "input gradient" and "weight gradient".
    algorithm : str
        "direct", or backend and algorithm such as "native F(4x4x4,3x3x3)"; "not converted" or "no forward yet".
    schedule : str
        In which order the native backend works, such as "fused blocks of 9 tiles"; empty for others.
    predicted_error : float or None
        Relative L2, for independent zero-mean inputs; None for direct convolution.
    filter_bytes, workspace_bytes : int
        Memory of the transformed filter U, and of what a call holds beside it.
    folds : str
        Norm and ReLU that it computes beside itself, or why nothing; empty if that was not asked for.
    reason : str
        Why this algorithm.
    """

    layer: str
    kind: str
    input: tuple[int, ...]
    computes: str
    algorithm: str
    schedule: str
    predicted_error: float | None
    filter_bytes: int
    workspace_bytes: int
    folds: str
    reason: str


@dataclass(frozen=True, slots=True, repr=False)
class ConversionReport:
    """What became of the convolutions of a model; read it after a forward to see the plans.

    Parameters
    ----------
    layers : tuple of LayerEntry
        In the order of the model, shared modules once.
    """

    layers: tuple[LayerEntry, ...]

    @property
    def converted(self) -> int:
        """Number of layers that choose their algorithm by plan."""
        return sum(layer.state is not None for layer in self.layers)

    @property
    def skipped(self) -> int:
        """Number of layers that were left as they were."""
        return len(self.layers) - self.converted

    @property
    def rows(self) -> tuple[ReportRow, ...]:
        """One row for each layer and shape, and one for each gradient that was planned, as of now."""
        return tuple(row for layer in self.layers for row in _rows(layer))

    def to_json(self) -> str:
        """Return counts and rows as JSON text."""
        rows = [asdict(row) for row in self.rows]
        return json.dumps({"converted": self.converted, "skipped": self.skipped, "rows": rows}, indent=2)

    def __repr__(self) -> str:
        plans = sum(len(layer.plans) for layer in self.layers)
        return f"<ConversionReport: {self.converted} of {len(self.layers)} convolutions converted, {plans} plans made>"

    def __str__(self) -> str:
        if not self.layers:
            return "0 converted: the model has no convolution"
        return f"{text_table(_HEADER, [_cells(row) for row in self.rows], left=6)}\n{self._summary}"

    @property
    def _summary(self) -> str:
        return f"{self.converted} converted, {self.skipped} left as they were"

    def _repr_html_(self) -> str:
        return html_table(self._summary, _HEADER, [_cells(row) for row in self.rows])


def _rows(layer: LayerEntry) -> Iterator[ReportRow]:
    if not layer.plans:
        what = ("not converted", layer.reason) if layer.state is None else ("no forward yet", "no input shape is known")
        yield ReportRow(layer.name, layer.kind, (), "output", what[0], "", None, 0, 0, layer.folds, what[1])
    for plan in layer.plans:
        yield ReportRow(
            layer=layer.name,
            kind=layer.kind,
            input=_input(plan.shape),
            computes="output",
            algorithm=spell_plan(plan),
            schedule=plan.schedule_label,
            predicted_error=plan.predicted_error,
            filter_bytes=plan.filter_bytes,
            workspace_bytes=plan.workspace_bytes,
            folds=layer.folds,
            reason=plan.reason,
        )
    for gradient in layer.gradient_plans:
        yield ReportRow(
            layer=layer.name,
            kind=layer.kind,
            input=_input(gradient.shape),
            computes=f"{gradient.wanted.value} gradient",
            algorithm=gradient.label,
            schedule="" if gradient.convolution is None else gradient.convolution.schedule_label,
            predicted_error=gradient.predicted_error,
            filter_bytes=gradient.filter_bytes,
            workspace_bytes=gradient.workspace_bytes,
            folds="",
            reason=gradient.reason,
        )


def _input(shape: ConvShape) -> tuple[int, ...]:
    return (shape.batch, shape.channels, *shape.sizes)


def spell_plan(plan: Plan) -> str:
    """Return the backend and, where there is one, the algorithm of a plan."""
    return plan.algorithm_label


def _cells(row: ReportRow) -> tuple[str, ...]:
    return (
        row.layer,
        row.kind,
        "x".join(map(str, row.input)) or "-",
        row.computes,
        row.algorithm,
        row.schedule or "-",
        scientific(row.predicted_error),
        mebibytes(row.filter_bytes),
        mebibytes(row.workspace_bytes),
        row.folds or "-",
        row.reason,
    )
