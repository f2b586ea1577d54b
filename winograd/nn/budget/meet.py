"""The whole-network mode: the tolerances of the layers that keep the error of a model's output under a figure.

In: a model with converted layers, the error that its output may have, an example. Out: an `OutputBudget`, and layers
with these tolerances. Refused: what is no error, and models of which no error of the output is known.

What a layer adds to the error of the output is its predicted error, times what the layer was measured to be off of that
on the example, times how much of it reaches the output; see `winograd.nn.budget.sensitivity`. Errors of layers and that
of direct convolution are taken for independent: their squares add up. Of all choices of one option for each layer that
stay under the figure the one with the least predicted time is taken, and the error of the output is measured; where
it is above the figure, or far below, all shares are corrected by the same factor, and another choice is made.
"""

from __future__ import annotations

import math
from typing import Any, Final

import torch
from torch import nn

from winograd.conv.choosing.prediction import DEFAULT_TOLERANCE, checked_tolerance, default_tolerance
from winograd.nn.budget.record import OutputBudget
from winograd.nn.budget.search import Search
from winograd.nn.budget.setting import modelled
from winograd.nn.budget.trial import Layers, Trial

LEAST_MARGIN: Final = 1.25
"""By how much the error on the example has to stay below the figure at least: other clips have been up to 1.2 times as
far off, see ``benchmarks/whole_network.py``."""

_DEVIATIONS: Final = 3
"""Standard deviations by which errors may differ by chance."""

_IMPOSSIBLE: Final = "no choice keeps the output within the tolerance and its margin: all layers stay direct"
_NO_CHOICE: Final = "no layer has a choice: those built as planned ones keep their tolerances, and what is forced stays"


def meet_output_tolerance(
    model: nn.Module, layers: Layers, output_tolerance: float, example: Any, *, margin: float | None = None
) -> OutputBudget:
    """Choose tolerances of layers so that the output of their model stays within an error, and set them.

    Parameters
    ----------
    model : torch.nn.Module
        In evaluation mode. A copy of it runs in float64.
    layers : mapping of str to PlannedConvolution
        Those of its converted layers whose tolerance is to be chosen, by name. A tolerance that is set is the largest
        that the layer may get; None sets no limit.
    output_tolerance : float
        Relative L2 error that the output may have, of the example, against the model in float64: of each floating
        tensor in it, where there are several.
    example : Tensor, tuple, list or mapping
        Arguments of the model. Its shapes are those that times are predicted for.
    margin : float, optional
        By how much the error on the example has to stay below that, so that other inputs stay below it, too. None takes
        1.25, and more where the output has few numbers, K: 1 + 3 / sqrt(K), since the ratio of two errors of K
        independent numbers has a standard deviation of 1 / sqrt(K).

    Returns
    -------
    OutputBudget
        What was chosen and measured. Where even direct convolution is further off, all layers are left to it.

    Raises
    ------
    TypeError
        If output_tolerance is no number.
    ValueError
        If output_tolerance is not above 0 or margin is below 1, or the output has no floating tensor or is not finite.
    """
    asked = _checked(output_tolerance, margin)
    limits = {name: layer._winograd.tolerance for name, layer in layers.items()}
    with torch.no_grad():
        with modelled(layers.values()):
            trial = Trial(model, layers, example)
            kept = _margin(trial.numbers) if margin is None else float(margin)
            search = Search(trial, limits, asked / kept, _default(layers))
            choice = search.cheapest()
        measured = trial.error({share.layer: share.tolerance for share in choice})
    return OutputBudget(
        output_tolerance=asked,
        margin=kept,
        direct_error=trial.direct_error,
        other_error=search.other_error,
        measured_error=measured,
        layers=choice,
        runs=search.runs,
        reason="" if search.is_met else _reason(layers, trial.direct_error, asked),
    )


def _reason(layers: Layers, direct_error: float, asked: float) -> str:
    if not layers:
        return _NO_CHOICE
    dtypes = " and ".join(sorted({str(layer.weight.dtype).removeprefix("torch.") for layer in layers.values()}))
    beyond = f"; direct convolution in {dtypes} is off by {direct_error:.1e} already" if direct_error > asked else ""
    return f"{_IMPOSSIBLE}{beyond}"


def _margin(numbers: int) -> float:
    return max(LEAST_MARGIN, 1 + _DEVIATIONS / math.sqrt(max(numbers, 1)))


def _default(layers: Layers) -> float:
    """Return the tolerance of the dtype that the layers have; the largest where they differ."""
    dtypes = {str(layer.weight.dtype).removeprefix("torch.") for layer in layers.values()}
    return max(map(default_tolerance, dtypes), default=DEFAULT_TOLERANCE)


def _checked(output_tolerance: float, margin: float | None) -> float:
    if output_tolerance is None:
        raise TypeError("output_tolerance is None, must be a number above 0")
    try:
        checked = checked_tolerance(output_tolerance)
    except (TypeError, ValueError) as error:
        raise type(error)(f"output_{error}") from None
    assert checked is not None
    if margin is not None and not margin >= 1:
        raise ValueError(f"margin is {margin}, must be at least 1")
    return checked
