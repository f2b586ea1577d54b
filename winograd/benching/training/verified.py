"""Errors of training steps against float64, before anything is timed.

In: the steps of one convolution, torch's own and ours. Out: errors of both, and what computed each tensor. Refused:
errors of ours above what is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping

from winograd.benching.training.engaged import engaged
from winograd.benching.training.reference import float64_step
from winograd.benching.training.rivals import LayerStep
from winograd.benching.training.step import Step, check_step
from winograd.conv.geometry.shape import ConvShape


def verified(
    layer: str, shape: ConvShape, direct: Mapping[str, LayerStep], ours: Mapping[str, LayerStep], tolerance: float
) -> tuple[dict[str, str], dict[str, float], dict[str, float]]:
    """Return what computed each tensor of ours, and the errors of ours and of torch's own against float64.

    Errors are the worst over the memory formats.

    Raises
    ------
    AboveToleranceError
        If one of ours is above what `check_step` allows.
    """
    one = direct["contiguous"]
    exact = float64_step(one.input, one.module.weight, one.module.bias, one.grad_output, shape)
    errors, direct_errors = _worst(ours, exact), _worst(direct, exact)
    algorithms = engaged(ours["contiguous"].module)
    check_step(layer, errors, direct_errors, algorithms, tolerance)
    return algorithms, errors, direct_errors


def _worst(steps: Mapping[str, LayerStep], exact: Step) -> dict[str, float]:
    found = [step().errors(exact) for step in steps.values()]
    return {name: max(errors[name] for errors in found) for name in found[0]}
