"""Memory formats of whole models: weights in channels last, so that all that convolutions give is, too.

In: a model. Out: the same model, its weights lying otherwise in memory. Nothing else of it changes.
"""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

from winograd.conv.tensors.layout import FORMATS, as_channels_last

_Model = TypeVar("_Model", bound=nn.Module)


def channels_last_(model: _Model) -> _Model:
    """Lay the weights of four and five axes in channels last, in place, and return the model.

    A frozen convolution gives channels last where its input or its weight lies so, and torch's own does where oneDNN
    computes it. After this, a network runs in channels last from its first convolution on, whatever the format of its
    input: generated kernels, oneDNN and torch's poolings and norms on the CPU are faster so. What
    ``model.to(memory_format=...)`` does for models whose weights all have as many axes, and refuses for those with 2D
    and 3D convolutions.

    Parameters
    ----------
    model : torch.nn.Module
        Values, names and the identity of its parameters stay. Call it before `winograd.freeze`, which would transform
        the weights again.

    Raises
    ------
    TypeError
        If the model is no module.

    Examples
    --------
    >>> model = channels_last_(nn.Sequential(nn.Conv2d(2, 3, 1), nn.Conv3d(2, 3, (3, 1, 1))))
    >>> model[1].weight.stride()
    (6, 1, 2, 2, 2)
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is a {type(model).__name__}, must be a torch.nn.Module")
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim in FORMATS:
                parameter.data = as_channels_last(parameter.data)
    return model
