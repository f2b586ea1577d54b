"""Normalisations of an untrained network, so that its scores depend on what it sees and rounding stays rounding.

In: a network with batch normalisations, and clips. Out: the same network with other means, variances and scales.
Refused: clips that the network refuses.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, Final, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

_Model = TypeVar("_Model", bound=nn.Module)

_SHORTCUT: Final = "downsample"


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


def damp_residuals(model: _Model) -> _Model:
    """Scale the normalisations on the long way through each of n residual blocks by 1 / sqrt(n).

    With scales of 1 an untrained network of 50 blocks is chaotic: what float32 rounds in the first layers grows to 1e-3
    of the scores of P3D-199, whatever algorithm convolves, and to 2e-6 with these: ``python -m winograd.run p3d_199
    --undamped`` and without. Where one normalisation follows another, it undoes the scale of the one before.

    Parameters
    ----------
    model : torch.nn.Module
        Changed in place. Its residual blocks are the modules that have a shortcut named ``downsample``, or None there.

    Returns
    -------
    torch.nn.Module
        The same model.

    References
    ----------
    De, Smith, "Batch normalization biases residual blocks towards the identity function in deep networks",
    arXiv 2002.10444: the factor 1 / sqrt(n).

    Examples
    --------
    >>> from winograd.networks import create
    >>> model = damp_residuals(create("r3d_10"))  # four blocks
    >>> [float(norm.weight[0].detach()) for norm in (model.layer1[0].conv2[1], model.stem[1])]
    [0.5, 1.0]
    """
    blocks = residual_blocks(model)
    with torch.no_grad():
        for block in blocks:
            for name, module in block.named_modules():
                if isinstance(module, _BatchNorm) and module.affine and name.split(".")[0] != _SHORTCUT:
                    module.weight.fill_(len(blocks) ** -0.5)
    return model


def residual_blocks(model: nn.Module) -> list[nn.Module]:
    """Return the blocks that `damp_residuals` damps."""
    return [module for module in model.modules() if hasattr(module, _SHORTCUT)]


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
