"""Parameters of a network by what they do. In: a module. Out: counts, each parameter once."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd


@dataclass(frozen=True, slots=True)
class Parameters:
    """How many parameters there are.

    Parameters
    ----------
    convolutions, linear : int
        Weights; published counts often mean the sum of these two.
    biases : int
        Of convolutions and linear layers.
    normalisations : int
        Factors and terms of batch normalisations.
    other : int
        All the rest.
    statistics : int
        Means, variances and counters of normalisations, which are kept and not trained: no part of the total.

    Examples
    --------
    >>> Parameters(convolutions=27, linear=0, biases=1, normalisations=2, other=0, statistics=3).total
    30
    """

    convolutions: int
    linear: int
    biases: int
    normalisations: int
    other: int
    statistics: int

    @property
    def weights(self) -> int:
        """Weights of convolutions and linear layers."""
        return self.convolutions + self.linear

    @property
    def total(self) -> int:
        """All that is trained."""
        return self.weights + self.biases + self.normalisations + self.other


def count_parameters(model: nn.Module) -> Parameters:
    """Return the counts of a module and all in it.

    Examples
    --------
    >>> count_parameters(nn.Sequential(nn.Conv3d(2, 4, 3), nn.BatchNorm3d(4), nn.Linear(4, 5)))
    Parameters(convolutions=216, linear=20, biases=9, normalisations=8, other=0, statistics=9)
    """
    found = dict.fromkeys(("convolutions", "linear", "biases", "normalisations", "other"), 0)
    seen: set[int] = set()
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) not in seen:
                found[_role(module, name)] += parameter.numel()
            seen.add(id(parameter))
    return Parameters(**found, statistics=sum(buffer.numel() for buffer in model.buffers()))


def _role(module: nn.Module, name: str) -> str:
    if isinstance(module, _BatchNorm):
        return "normalisations"
    roles = {_ConvNd: "convolutions", nn.Linear: "linear"}
    role = next((role for base, role in roles.items() if isinstance(module, base)), "other")
    return "biases" if role != "other" and name == "bias" else role
