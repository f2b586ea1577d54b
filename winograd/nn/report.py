"""`ConversionReport`: what became of each convolution of a model, filled as its plans are made.

In: one entry per convolution, and the model. Out: rows, as text, HTML and JSON; errors and times of each layer and of
the whole, once they are measured. Refused: measuring a model that is gone.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import InitVar, dataclass, field
from typing import TYPE_CHECKING, Any

from torch import nn

from winograd.conv.choosing.selection import Filters
from winograd.nn.recipes import from_recipe
from winograd.nn.reporting.measurement import Measurement
from winograd.nn.reporting.rows import CONVERTED, REVERTED, SKIPPED, LayerEntry, Place, ReportRow

if TYPE_CHECKING:
    from winograd.nn.budget.record import OutputBudget

__all__ = ["ConversionReport", "LayerEntry", "ReportRow"]

WIDTH = 160
"""Columns of text that a report takes at most, unless it is asked for others."""


@dataclass(slots=True, repr=False, eq=False)
class ConversionReport:
    """What became of the convolutions of a model; read it after a forward to see the plans.

    It stays readable when layers are turned back or the model is gone. Copied or pickled it is what it was then.

    Parameters
    ----------
    layers : tuple of LayerEntry
        In the order of the model, shared modules once.
    model : torch.nn.Module or None
        What `measure` runs. It is not kept alive.

    Examples
    --------
    >>> import torch, winograd
    >>> model = torch.nn.Sequential(torch.nn.Conv3d(4, 4, 3), torch.nn.ReLU())
    >>> report = winograd.convert_(model)
    >>> _ = model(torch.zeros(1, 4, 5, 5, 5))
    >>> print(report)  # doctest: +ELLIPSIS
    layer  class   input      algorithm  predicted error  U MiB  work MiB
    ---------------------------------------------------------------------
    0      Conv3d  1x4x5x5x5  direct                   -      -         -
    reasons:
      0: Winograd would take ...
    1 converted, 0 left as they were; tolerance 1e-05 each
    weights are transformed in every call: winograd.freeze(model) keeps them ...
    """

    layers: tuple[LayerEntry, ...]
    model: InitVar[nn.Module | None] = None
    whole: Measurement | None = field(default=None, init=False)
    _recorded: OutputBudget | None = field(default=None, init=False)
    _measured: dict[Place, Measurement] = field(default_factory=dict, init=False)
    _model: weakref.ReferenceType[nn.Module] | None = field(default=None, init=False)

    def __post_init__(self, model: nn.Module | None) -> None:
        layers = self.layers
        # Plans stay readable without the model; the weights transformed for them would be memory for nothing.
        self._model = None if model is None else weakref.ref(model, lambda _: _release(layers))

    def __reduce__(self) -> tuple[Any, ...]:
        return from_recipe, ("ConversionReport.from_json", self.to_json())

    @property
    def converted(self) -> int:
        """Number of layers that choose their algorithm by plan."""
        return self._count(CONVERTED)

    @property
    def skipped(self) -> int:
        """Number of layers that were left as they were."""
        return self._count(SKIPPED)

    @property
    def reverted(self) -> int:
        """Number of layers that got their former class back."""
        return self._count(REVERTED)

    @property
    def is_frozen(self) -> bool:
        """Whether `winograd.freeze` was called on a layer, and not taken back; False where the report was read."""
        return any(state.filters is Filters.FROZEN for layer in self.layers if (state := layer.state) is not None)

    def _count(self, status: str) -> int:
        return sum(layer.status == status for layer in self.layers)

    @property
    def budget(self) -> OutputBudget | None:
        """How the error of the model's output was divided among its layers, where that was asked for.

        None again when a tolerance or an algorithm of one of them was changed since, or the model converted again: the
        error that was measured is not that of the output any more.
        """
        shared = [state.budget for layer in self.layers if (state := layer.state) and state.budget]
        turned = {state.reverted for layer in self.layers if (state := layer.state) and state.original}
        if not shared:
            return self._recorded
        return shared[0].budget if shared == [shared[0]] * shared[0].holders and len(turned) < 2 else None

    @property
    def rows(self) -> tuple[ReportRow, ...]:
        """One row for each layer and shape, and one for each gradient that was planned, as of now."""
        return tuple(row for layer in self.layers for row in layer.rows(self._measured))

    @property
    def shapes(self) -> dict[str, list[tuple[int, ...]]]:
        """The input shapes that each layer was planned for, by its name.

        Examples
        --------
        >>> import torch, winograd
        >>> model = torch.nn.Sequential(torch.nn.Conv3d(4, 4, 3))
        >>> report = winograd.convert_(model)
        >>> _ = model(torch.zeros(1, 4, 5, 5, 5))
        >>> report.shapes
        {'0': [(1, 4, 5, 5, 5)]}
        """
        found: dict[str, dict[tuple[int, ...], None]] = {}
        for row in self.rows:
            if row.input and row.computes == "output":
                found.setdefault(row.layer, {})[row.input] = None
        return {name: list(inputs) for name, inputs in found.items()}

    def measure(
        self, example: Any, *, repeats: int = 5, progress: Callable[[str], None] = lambda _: None
    ) -> ConversionReport:
        """Measure errors and times of each converted layer on the activations that it sees, and of the whole model.

        The model runs in evaluation mode and without gradients, and is left as it was. Errors are against the same
        computation in float64. Times before the conversion are those of the fastest variant of direct convolution that
        is known (a layer with a forward of its own runs as it is, in the faster memory format), times after it those of
        the faster memory format: medians of the rounds, with the least and the largest of them. Norms and ReLUs that a
        layer folds are left out of its own figures, and are in those of the whole. Figures belong to the plans that
        were measured: a row with another plan has none.

        Parameters
        ----------
        example : Tensor, tuple or dict
            The input of the model, its arguments, or its arguments by name.
        repeats : int
            Rounds of timing; 0 measures errors only.
        progress : callable
            Called with a line of text before each step.

        Returns
        -------
        ConversionReport
            This one.

        Raises
        ------
        RuntimeError
            If the model is gone, or the report was read from a file or copied.
        ValueError
            If repeats is negative, or the model gives no floating tensor, or one that is not finite.

        Examples
        --------
        >>> import torch, winograd
        >>> model = torch.nn.Sequential(torch.nn.Conv3d(4, 4, 3), torch.nn.ReLU())
        >>> report = winograd.convert_(model).measure(torch.randn(1, 4, 5, 5, 5), repeats=0)
        >>> 0 < report.whole.error < 1e-5, 0 < report.rows[0].measured.error < 1e-5
        (True, True)
        """
        from winograd.nn.reporting.measuring import measure_model

        model = None if self._model is None else self._model()
        if model is None:
            raise RuntimeError("the model of this report is gone; convert_ it again, or ask for its conversion_report")
        names = [layer.name for layer in self.layers if layer.status == CONVERTED]
        layers, self.whole = measure_model(model, names, example, repeats, progress)
        self._measured.update(layers)
        return self

    def to_text(self, width: int = WIDTH) -> str:
        """Return a table that fits into so many columns, with reasons below it where they do not fit beside."""
        from winograd.nn.reporting.text import report_text

        return report_text(self, width)

    def to_html(self) -> str:
        """Return a page of its own, with all columns and sums, which loads nothing."""
        from winograd.nn.reporting.page import report_page

        return report_page(self)

    def to_json(self) -> str:
        """Return counts, rows and what was measured as JSON text; `from_json` reads it."""
        from winograd.nn.reporting.record import report_json

        return report_json(self)

    @staticmethod
    def from_json(text: str | bytes) -> ConversionReport:
        """Return the report that `to_json` wrote; its rows stay as they are.

        Raises
        ------
        ValueError
            If the text is no report.

        Examples
        --------
        >>> import torch, winograd
        >>> report = winograd.convert_(torch.nn.Sequential(torch.nn.Conv3d(4, 4, 3)))
        >>> ConversionReport.from_json(report.to_json()).rows == report.rows
        True
        """
        from winograd.nn.reporting.record import read_report

        return read_report(text)

    def __repr__(self) -> str:
        plans = sum(bool(row.input) and row.computes == "output" for row in self.rows)
        counts = f"{self.converted} of {len(self.layers)} convolutions converted, {plans} plans made"
        return f"<ConversionReport: {counts}{'' if (budget := self.budget) is None else f', {budget.state}'}>"

    def __str__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        from winograd.nn.reporting.page import report_parts

        return "".join(report_parts(self))


def _release(layers: tuple[LayerEntry, ...]) -> None:
    for layer in layers:
        layer.release()
