"""What computed each tensor of a training step. In: a module after one. Out: algorithms by the tensor's name."""

from __future__ import annotations

from torch import nn

from winograd.benching.training.step import DIRECT
from winograd.nn.modules import PlannedConvolution


def engaged(module: nn.Module) -> dict[str, str]:
    """Return the algorithms of a module's newest plans by the name of what they compute; empty before a forward."""
    if not isinstance(module, PlannedConvolution) or not module.plans:
        return {}
    of_gradients = {f"{plan.wanted.value}_gradient": plan.label for plan in module.gradient_plans}
    of_own = dict.fromkeys(("input_gradient", "weight_gradient"), DIRECT)
    return {"output": module.plans[-1].algorithm_label, **of_own, **of_gradients}
