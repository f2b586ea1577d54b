"""Layers whose weight is computed: by hooks, parametrizations and masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune

from tests.nn.conversion.citizens import C, Citizen, Maker, conv, entering
from tests.nn.conversion.forwards import Causal
from tests.nn.conversion.subclasses import Conv3DSimple

KINDS: Final[dict[str, Maker]] = {}
"""Models by what is special about them."""

kind = entering(KINDS)


@kind("weight norm by hooks")
def _old_weight_norm() -> Citizen:
    return Citizen(nn.Sequential(nn.utils.weight_norm(conv()), nn.utils.weight_norm(conv(bias=False))), ["0", "1"])


@kind("spectral norm by hooks")
def _old_spectral_norm() -> Citizen:
    return Citizen(nn.Sequential(nn.utils.spectral_norm(conv())), ["0"])


class Symmetric(nn.Module):
    """Adds the mirror image in time."""

    def forward(self, weight: Tensor) -> Tensor:
        return weight + weight.flip(2)


def parametrized(register: Callable[[nn.Module], nn.Module]) -> Callable[[], Citizen]:
    """Return what makes a model of two such layers, and one of torchvision's subclasses."""
    return lambda: Citizen(nn.Sequential(register(conv()), nn.ReLU(), register(Causal(C, C, 3))), ["0", "2"])


kind("weight norm")(parametrized(parametrizations.weight_norm))
kind("spectral norm")(parametrized(parametrizations.spectral_norm))
kind("orthogonal weights")(parametrized(parametrizations.orthogonal))
kind("a symmetric weight")(parametrized(lambda one: parametrize.register_parametrization(one, "weight", Symmetric())))
kind("a computed bias")(parametrized(lambda one: parametrize.register_parametrization(one, "bias", nn.Softplus())))


@kind("pruned weights")
def _pruned() -> Citizen:
    model = nn.Sequential(conv(), Conv3DSimple(C, C))
    prune.l1_unstructured(model[0], "weight", amount=0.5)
    prune.random_unstructured(model[0], "bias", amount=1)
    prune.ln_structured(model[1], "weight", amount=0.3, n=2, dim=0)
    prune.l1_unstructured(model[1], "weight", amount=0.3)  # a container of two
    return Citizen(model, ["0", "1"])
