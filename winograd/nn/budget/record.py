"""`OutputBudget`: how the error that a model's output may have was divided among its layers, and what came of it.

In: figures that were measured elsewhere. Out: tolerances by layer, a table as text, figures for JSON.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from winograd.accuracy.showing.table import scientific, text_table
from winograd.nn.recipes import from_recipe

_HEADER = (
    "layer",
    "tolerance",
    "algorithm",
    "predicted",
    "correction",
    "direct",
    "gain",
    "output",
    "ms",
    "direct ms",
    "note",
)


@dataclass(frozen=True, slots=True)
class LayerShare:
    """What one layer got of the budget.

    Parameters
    ----------
    layer : str
        Name in the model.
    tolerance : float
        What was chosen: the largest predicted relative L2 error of this layer.
    algorithm : str
        What that makes of it for the example once the model is frozen, such as "native F(4x4x4,3x3x3)" or "direct".
    predicted_error : float
        Of the layer; 0 for direct convolution.
    correction : float or None
        Measured over predicted error of the layer by Winograd, on what it sees; None where it was not measured.
    direct_error : float or None
        Measured error of the layer by direct convolution, on what it sees; None where it was not measured.
    gain : float or None
        Relative error of the output over that of this layer; None where it was not measured.
    milliseconds, direct_ms : float
        Predicted, of all its calls for the example once the model is frozen; weights that are transformed in each call
        take longer, and may make another plan.
    note : str
        Why the layer had no part in the choice; empty where it had.
    """

    layer: str
    tolerance: float
    algorithm: str
    predicted_error: float
    correction: float | None
    direct_error: float | None
    gain: float | None
    milliseconds: float
    direct_ms: float
    note: str = ""

    @property
    def error(self) -> float:
        """Expected of the layer on what it sees; 0 where it was not measured."""
        is_direct = self.predicted_error == 0
        return (self.direct_error or 0.0) if is_direct else self.predicted_error * (self.correction or 0.0)

    @property
    def share(self) -> float:
        """Relative error of the output that this layer is expected to make; 0 where it was not measured."""
        return self.error * (self.gain or 0.0)


@dataclass(frozen=True, slots=True, repr=False)
class OutputBudget:
    """The tolerances that were chosen so that the output of a model stays within an error, and what was measured.

    All errors are relative L2. Those of the output are against the same model in float64, on the example.

    Parameters
    ----------
    output_tolerance : float
        What was asked for.
    margin : float
        By how much the measured error had to stay below that, for other inputs than the example.
    direct_error : float
        Measured with all layers computed directly.
    other_error : float
        What of that is not by layers with a choice.
    measured_error : float
        Measured with the tolerances that were chosen; the larger one, frozen or not.
    layers : tuple of LayerShare
        In the order of the model, those that were converted; layers built as planned ones keep their tolerances.
    runs : int
        How many choices were tried out.
    reason : str
        Why layers stay direct though the model might be faster; empty where the budget could be met.

    Examples
    --------
    >>> share = LayerShare("conv1", 8e-6, "native F(4x4,3x3)", 8e-6, 0.5, 2e-7, 1.0, 2.0, 5.0)
    >>> budget = OutputBudget(1e-5, 1.25, 4e-7, 3e-7, 4.1e-6, (share,), 1)
    >>> budget
    <OutputBudget: error 4.1e-06 of 1e-05 allowed, 1 of 1 layers by Winograd>
    >>> budget.tolerances, f"{budget.predicted_error:.2e}", budget.is_met
    ({'conv1': 8e-06}, '4.01e-06', True)
    """

    output_tolerance: float
    margin: float
    direct_error: float
    other_error: float
    measured_error: float
    layers: tuple[LayerShare, ...]
    runs: int
    reason: str = ""

    def __reduce__(self) -> tuple[Any, ...]:
        return from_recipe, ("OutputBudget.from_dict", self.as_dict())

    @property
    def tolerances(self) -> dict[str, float]:
        """The tolerance of each layer by its name."""
        return {layer.layer: layer.tolerance for layer in self.layers}

    @property
    def predicted_error(self) -> float:
        """Expected of the output: what the layers and the rest of the model make of it, as if independent."""
        return math.hypot(self.other_error, *(layer.share for layer in self.layers))

    @property
    def is_met(self) -> bool:
        """Whether the measured error is within what was asked for."""
        return self.measured_error <= self.output_tolerance

    @property
    def milliseconds(self) -> float:
        """Predicted time of the layers once the model is frozen."""
        return math.fsum(layer.milliseconds for layer in self.layers)

    @property
    def direct_ms(self) -> float:
        """Predicted time of the layers if all were computed directly, frozen too."""
        return math.fsum(layer.direct_ms for layer in self.layers)

    def as_dict(self) -> dict[str, Any]:
        """Return all figures under their names, ready for JSON."""
        sums = ("predicted_error", "is_met", "milliseconds", "direct_ms")
        return {**asdict(self), **{name: getattr(self, name) for name in sums}}

    @classmethod
    def from_dict(cls, figures: Mapping[str, Any]) -> OutputBudget:
        """Return the budget that `as_dict` gave these figures."""
        own = {field.name: figures[field.name] for field in fields(cls)}
        return cls(**{**own, "layers": tuple(LayerShare(**layer) for layer in figures["layers"])})

    def to_json(self) -> str:
        """Return `as_dict` as JSON text."""
        return json.dumps(self.as_dict(), indent=2, allow_nan=False)

    @property
    def state(self) -> str:
        """Whether the output tolerance is met, in words."""
        return f"output tolerance {self.output_tolerance:g} {'met' if self.is_met else 'NOT met'}"

    @property
    def summary(self) -> str:
        """One line, and a second one where the budget could not be met."""
        errors = f"measured {self.measured_error:.1e}, predicted {self.predicted_error:.1e}"
        asked = f"{self.state}: error {errors}, all direct {self.direct_error:.1e}"
        times = f"layers, once frozen, {self.milliseconds:.3g} ms predicted, direct {self.direct_ms:.3g} ms"
        return "\n".join(filter(None, (f"{asked}; {times}", self.reason)))

    def __str__(self) -> str:
        return f"{text_table(_HEADER, [_cells(layer) for layer in self.layers])}\n{self.summary}"

    def __repr__(self) -> str:
        ours = sum(layer.predicted_error > 0 for layer in self.layers)
        error = f"error {self.measured_error:.1e} of {self.output_tolerance:g} allowed"
        return f"<OutputBudget: {error}, {ours} of {len(self.layers)} layers by Winograd>"


def excess(error: float, *parts: float) -> float:
    """Return what is left of an error without independent ones that are parts of it; 0 where these are larger.

    Examples
    --------
    >>> excess(5.0, 4.0), excess(1.0, 1.0, 1.0)
    (3.0, 0.0)
    """
    return math.sqrt(max(error**2 - math.fsum(part**2 for part in parts), 0.0))


def _cells(layer: LayerShare) -> tuple[str, ...]:
    return (
        layer.layer,
        scientific(layer.tolerance),
        layer.algorithm,
        scientific(layer.predicted_error or None),
        "-" if layer.correction is None else f"{layer.correction:.2f}",
        scientific(layer.direct_error),
        "-" if layer.gain is None else f"{layer.gain:.2f}",
        scientific(layer.share or None),
        _milliseconds(layer.milliseconds),
        _milliseconds(layer.direct_ms),
        layer.note or "-",
    )


def _milliseconds(value: float) -> str:
    return f"{value:.3g}" if value else "-"
