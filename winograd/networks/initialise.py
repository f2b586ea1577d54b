"""Initial values: seeded He initialisation.

In: a model and a seed. Out: the same model with other values, in place.
"""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

_Model = TypeVar("_Model", bound=nn.Module)


def initialise_he(model: _Model, seed: int = 0) -> _Model:
    """Draw the weights of all convolutions and linear layers from N(0, 2 / fan_in), and set their biases to zero.

    Zero-mean weights of this variance keep the mean square of the activations through layers with ReLU, so that the
    scores still depend on the input after many layers. Other layers keep their values.

    Parameters
    ----------
    model : torch.nn.Module
        Changed in place.
    seed : int
        Of a generator of its own; the global random state is not touched.

    Returns
    -------
    torch.nn.Module
        The same model.

    References
    ----------
    He, Zhang, Ren, Sun, arXiv 1502.01852, equation 10.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
                fan_in = max(1, module.weight[0].numel())
                drawn = torch.empty(module.weight.shape).normal_(0, (2 / fan_in) ** 0.5, generator=generator)
                module.weight.copy_(drawn)
                if module.bias is not None:
                    module.bias.zero_()
    return model
