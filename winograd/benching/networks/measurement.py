"""A whole network verified, then timed: ours beside eager torch and torch.compile, each in its better memory format.

In: a network of the registry, a tolerance, a seed, rounds. Out: a `NetworkTimes`. Refused: errors above what is
allowed; nothing was timed then.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from itertools import chain
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from winograd.benching.networks.result import Costs, NetworkTimes, Run
from winograd.benching.networks.rivals import Form, Forms, Rival, compiled_forms, direct_forms, our_forms
from winograd.benching.verification import AboveToleranceError
from winograd.conv.measuring.timing import fastest, race
from winograd.networks import create, initialise_he
from winograd.nn.compare import relative_l2
from winograd.nn.folding.plain import fold_norms

_WHOLE: Final = 10.0
"""The error of a whole network that is allowed, in tolerances of a layer: 1e-4 with the default of 1e-5."""

_OF_TORCH: Final = 1e-4
"""The error from which on what torch computes is another function: a norm folded where it must not be."""

_SCREENING_ROUNDS: Final = 1
"""A network takes up to seconds: one round shows which memory format is slower by a quarter."""


def measure_whole(
    name: str,
    *,
    tolerance: float,
    repeats: int,
    seed: int = 0,
    batch: int = 1,
    compiled: bool = True,
    progress: Callable[[str], None] = lambda _: None,
) -> NetworkTimes:
    """Verify a network in all forms against direct convolution in float64, then time them, interleaved.

    Parameters
    ----------
    name : str
        Of the registry.
    tolerance : float
        Relative L2 error that each layer's plan may predict; ten times as much is allowed for the scores.
    repeats : int
        Rounds of timing, at least 1.
    seed : int
        Of weights and clip.
    batch : int
        Clips, at least 1.
    compiled : bool
        Whether torch.compile takes part.
    progress : callable
        Called with a word before each step.

    Raises
    ------
    AboveToleranceError
        If the scores of ours are further from those in float64 than ten tolerances, or torch's than 1e-4.
    """
    model = initialise_he(create(name), seed).eval()
    clip = draw_clips(model.input_shape, batch, seed)
    return measure_network(
        name, model, clip, tolerance=tolerance, repeats=repeats, compiled=compiled, progress=progress
    )


def draw_clips(input_shape: tuple[int, ...], batch: int, seed: int) -> Tensor:
    """Return clips of independent normal numbers, (N, C, frames, height, width)."""
    return torch.randn(batch, *input_shape, generator=torch.Generator().manual_seed(seed))


def measure_network(
    name: str,
    model: nn.Module,
    clip: Tensor,
    *,
    tolerance: float,
    repeats: int,
    compiled: bool,
    progress: Callable[[str], None] = lambda _: None,
) -> NetworkTimes:
    """Verify and time a network in evaluation mode; see `measure_whole`."""
    progress("folding")
    folded = fold_norms(model, example=clip)
    count = _norms(model) - _norms(folded)
    rivals = _rivals(model, folded if count else None, clip, tolerance, compiled=compiled)
    progress("verifying" + (", after compiling" if compiled else ""))
    errors = _verified(name, rivals, _exact_scores(model, clip), tolerance)
    progress("timing")
    callables = {rival.value: forms for rival, forms in rivals.items()}
    times = race(callables, repeats, screening=_SCREENING_ROUNDS)
    runs = {}
    for rival in rivals:
        layout = fastest(times[rival.value])
        runs[rival] = Run(layout, tuple(times[rival.value][layout]), errors[rival, layout])
    return NetworkTimes(name, tuple(clip.shape), count, runs, _costs(model, rivals, runs))


def _rivals(
    model: nn.Module, folded: nn.Module | None, clip: Tensor, tolerance: float, *, compiled: bool
) -> dict[Rival, Forms]:
    """Return all forms; without batch norm torch's own has no folded ones, and ours folds ReLUs only."""
    rivals: dict[Rival, Forms] = {
        Rival.DIRECT: direct_forms(model, clip),
        Rival.OURS: our_forms(model, clip, tolerance),
        Rival.OURS_FOLDED: our_forms(model, clip, tolerance, fold="all"),
    }
    if folded is not None:
        rivals[Rival.DIRECT_FOLDED] = direct_forms(folded, clip)
    if compiled:
        rivals[Rival.COMPILED] = compiled_forms(model, clip)
    return rivals


def _norms(model: nn.Module) -> int:
    return sum(isinstance(module, _BatchNorm) for module in model.modules())


def _exact_scores(model: nn.Module, clip: Tensor) -> Tensor:
    wide = copy.deepcopy(model).double()
    with torch.no_grad():
        scores: Tensor = wide(clip.double())
    return scores


def _verified(
    name: str, rivals: Mapping[Rival, Forms], exact: Tensor, tolerance: float
) -> dict[tuple[Rival, str], float]:
    """Return the relative L2 error of the scores of every form; one that is too great ends the measurement."""
    errors = {}
    for rival, forms in rivals.items():
        allowed = _WHOLE * tolerance if rival.is_ours else _OF_TORCH
        for layout, form in forms.items():
            error = errors[rival, layout] = relative_l2(form(), exact)
            if not error <= allowed:
                raise AboveToleranceError(
                    f"{name} by {rival.value}, {layout}: error {error:.2e} of the scores, {allowed:.0e} is allowed"
                )
    return errors


def _costs(model: nn.Module, rivals: Mapping[Rival, Forms], runs: Mapping[Rival, Run]) -> Costs:
    """Return what ours, in its fastest form, holds beside the weights, and how many convolutions Winograd computes."""
    form: Form = rivals[Rival.OURS_FOLDED][runs[Rival.OURS_FOLDED].layout]
    assert form.report is not None
    states = [layer.state for layer in form.report.layers if layer.state is not None]
    plans = list(chain.from_iterable(state.plans for state in states))
    return Costs(
        convolutions=len(form.report.layers),
        by_winograd=sum(any(plan.algorithm is not None for plan in state.plans) for state in states),
        weight_bytes=sum(parameter.numel() * parameter.element_size() for parameter in model.parameters()),
        packed_bytes=sum(state.packed_bytes for state in states),
        workspace_bytes=max((plan.workspace_bytes for plan in plans), default=0),
    )
