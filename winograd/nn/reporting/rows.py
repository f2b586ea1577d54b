"""The rows of a conversion report: what a convolution of the model computes at one input shape, and by what.

In: the state of a layer, with its plans, and what was measured. Out: rows, as of now.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from winograd.conv.geometry.shape import ConvShape
from winograd.conv.gradient.record import GradientPlan
from winograd.conv.plan.record import Plan
from winograd.nn.reporting.measurement import Measurement
from winograd.nn.state import LayerState

CONVERTED: Final = "converted"
SKIPPED: Final = "skipped"
REVERTED: Final = "reverted"

Place = tuple[str, str]
"""Name of a layer and digest of its plan, by which measurements are known: those of another plan say nothing."""


@dataclass(frozen=True, slots=True)
class ReportRow:
    """What one layer computes at one input shape, or a layer without a plan, whose ``input`` is empty.

    Parameters
    ----------
    layer, kind : str
        Name in the model and name of the class.
    status : str
        "converted"; "skipped" if the layer was left as it was; "reverted" if it got its former class back since.
    input : tuple of int
        (N, C, sizes...) as the convolution sees it: behind what pads in another way than with zeros.
    computes : str
        "output"; where the layer was differentiated also "input gradient" and "weight gradient".
    algorithm : str
        "direct", or backend and algorithm such as "native F(4x4x4,3x3x3)"; "not converted", "no forward yet" or
        "reverted".
    schedule : str
        In which order the native backend works, such as "fused blocks of 9 tiles"; empty for others.
    tolerance : float or None
        Allowed relative L2 error of the layer; None where there is no plan yet.
    predicted_error : float or None
        Relative L2, for independent zero-mean inputs; None for direct convolution.
    filter_bytes, workspace_bytes : int
        Memory of the transformed filter U, and of what a call holds beside it.
    folds : str
        Norm and ReLU that it computes beside itself, or why nothing; empty if that was not asked for.
    reason : str
        Why this algorithm.
    measured : Measurement or None
        Error and time on the real activations, see `winograd.nn.ConversionReport.measure`.
    weight : str
        "frozen" if the row is of calls after `winograd.freeze`, "live" if it is of others, which transform the weight
        each time, as do those that record gradients of a frozen one; empty where there is no such plan.
    """

    layer: str
    kind: str
    status: str
    input: tuple[int, ...]
    computes: str
    algorithm: str
    schedule: str
    tolerance: float | None
    predicted_error: float | None
    filter_bytes: int
    workspace_bytes: int
    folds: str
    reason: str
    measured: Measurement | None = None
    weight: str = ""

    @property
    def total_bytes(self) -> int:
        """Memory of the transformed filter and of the workspace."""
        return self.filter_bytes + self.workspace_bytes


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
        Where its plans appear; None if the layer was not converted, or is known by its rows only.
    reason : str
        Why it was not converted, or why a converted one has no plan; empty else.
    recorded : tuple of ReportRow
        Its rows, where they were read from a file.
    """

    name: str
    kind: str
    state: LayerState | None
    reason: str
    recorded: tuple[ReportRow, ...] = ()

    @property
    def status(self) -> str:
        """One of "converted", "skipped" and "reverted"."""
        if self.recorded:
            return self.recorded[0].status
        if self.state is None:
            return SKIPPED
        return REVERTED if self.state.reverted else CONVERTED

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

    def release(self) -> None:
        """Drop the transformed weights; they are made again where they are needed."""
        if self.state is not None:
            self.state._uses.drop_packed()

    def rows(self, measured: Mapping[Place, Measurement]) -> tuple[ReportRow, ...]:
        """Return one row for each shape and gradient that was planned, or one that says why there is none."""
        if self.recorded:
            return self.recorded
        made = _reverted(self) if self.status == REVERTED else (*_outputs(self, measured), *_gradients(self))
        return tuple(dict.fromkeys(made)) or (_without_plan(self),)


def input_of(shape: ConvShape) -> tuple[int, ...]:
    """Return (N, C, sizes...) of the input of a convolution."""
    return (shape.batch, shape.channels, *shape.sizes)


def _without_plan(layer: LayerEntry) -> ReportRow:
    words = {SKIPPED: ("not converted", ""), CONVERTED: ("no forward yet", "no input shape is known")}
    algorithm, reason = words.get(layer.status, ("reverted", "its class is its own again"))
    return ReportRow(
        layer=layer.name,
        kind=layer.kind,
        status=layer.status,
        input=(),
        computes="output",
        algorithm=algorithm,
        schedule="",
        tolerance=None,
        predicted_error=None,
        filter_bytes=0,
        workspace_bytes=0,
        folds=layer.folds,
        reason=layer.reason or reason,
    )


def _reverted(layer: LayerEntry) -> Iterator[ReportRow]:
    for plan in layer.plans:
        reason = f"its class is its own again; converted it was {plan.algorithm_label}"
        yield replace(_without_plan(layer), input=input_of(plan.shape), folds="", reason=reason)


def _outputs(layer: LayerEntry, measured: Mapping[Place, Measurement]) -> Iterator[ReportRow]:
    for plan in layer.plans:
        yield replace(
            _without_plan(layer),
            input=input_of(plan.shape),
            algorithm=plan.algorithm_label,
            schedule=plan.schedule_label,
            tolerance=None if plan.terms is None else plan.terms.tolerance,
            predicted_error=plan.predicted_error,
            filter_bytes=plan.filter_bytes,
            workspace_bytes=plan.workspace_bytes,
            reason=plan.reason,
            measured=measured.get((layer.name, plan.digest)),
            weight="" if plan.terms is None else plan.terms.filters.value,
        )


def _gradients(layer: LayerEntry) -> Iterator[ReportRow]:
    for plan in layer.gradient_plans:
        yield replace(
            _without_plan(layer),
            input=input_of(plan.shape),
            computes=f"{plan.wanted.value} gradient",
            algorithm=plan.label,
            schedule="" if plan.convolution is None else plan.convolution.schedule_label,
            tolerance=None if plan.terms is None else plan.terms.tolerance,
            predicted_error=plan.predicted_error,
            filter_bytes=plan.filter_bytes,
            workspace_bytes=plan.workspace_bytes,
            folds="",
            reason=plan.reason,
        )
