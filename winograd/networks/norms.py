"""Statistics of normalisations from a clip, so that an untrained network's scores depend on what it sees.

In: a network with batch normalisations, and clips. Out: the same network with their means and variances, in place.
Refused: clips that the network refuses.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

_Model = TypeVar("_Model", bound=nn.Module)


def initialise_norms(model: _Model, clips: Tensor) -> _Model:
    """Give every batch normalisation the mean and variance, by channel, of what reaches it from these clips.

    One pass does it: each normalisation gets its statistics just before it runs, so that the layers behind it see what
    they will see later. Without them, means of 0 and variances of 1 let the activations of a deep untrained network
    grow or vanish, and its scores hardly depend on the clip.

    Parameters
    ----------
    model : torch.nn.Module
        Changed in place: the running statistics only. It may be in training or evaluation mode, and runs in the latter.
    clips : Tensor of shape (N, C, T, H, W)
        Of the dtype of the model.

    Returns
    -------
    torch.nn.Module
        The same model. Channels of which a single value is seen keep their statistics, and so does a normalisation that
        keeps none.

    Examples
    --------
    >>> model = nn.Sequential(nn.BatchNorm3d(1)).eval()
    >>> clip = torch.tensor([1.0, 3.0]).reshape(1, 1, 2, 1, 1)
    >>> initialise_norms(model, clip)(clip).detach().flatten()
    tensor([-1.0000,  1.0000])
    """
    with ExitStack() as cleanup:
        for module in model.modules():
            cleanup.callback(setattr, module, "training", module.training)
            if isinstance(module, _BatchNorm) and module.running_mean is not None:
                cleanup.callback(module.register_forward_pre_hook(_measure).remove)
        cleanup.enter_context(torch.no_grad())
        model.eval()(clips)
    return model


def _measure(norm: nn.Module, inputs: tuple[Any, ...]) -> None:
    assert isinstance(norm, _BatchNorm)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    values = inputs[0].transpose(0, 1).flatten(1)
    if values.shape[1] < 2:
        return
    wide = torch.promote_types(values.dtype, torch.float32)
    variance, mean = torch.var_mean(values.to(wide), dim=1, correction=0)
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked.fill_(1)
