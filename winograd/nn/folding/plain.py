"""Folding of a model of torch's own modules, for inference and for comparison: a copy, which cannot be undone.

In: a model that was not converted. Out: a copy with folded weights, and ``Identity`` for the norms. Refused: what
`winograd.nn.folding.fold` refuses, and models with converted layers.
"""

from __future__ import annotations

import copy
from typing import Any, TypeVar

from torch import nn

from winograd.nn.folding.fold import pairs_of
from winograd.nn.folding.pairs import Fold
from winograd.nn.folding.weights import fold_weights
from winograd.nn.modules import PlannedConvolution
from winograd.nn.state import Convolution

_Model = TypeVar("_Model", bound=nn.Module)


def fold_norms(model: _Model, *, example: Any = None) -> _Model:
    """Return a copy of a plain model with its batch norms folded into the convolutions before them.

    The same norms are folded, in the same way, as `winograd.freeze` folds; those that cannot be are left.

    Parameters
    ----------
    model : torch.nn.Module
        In eval mode. It is not changed.
    example : Tensor, tuple, list or dict, optional
        As in `winograd.freeze`.

    Returns
    -------
    torch.nn.Module
        Of the same class, without the parameters of folded norms.

    Raises
    ------
    ValueError
        If a norm is in training mode.
    TypeError
        If a layer was converted.

    Examples
    --------
    >>> model = nn.Sequential(nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4)).eval()
    >>> fold_norms(model)
    Sequential(
      (0): Conv1d(2, 4, kernel_size=(3,), stride=(1,))
      (1): Identity()
    )
    """
    folded = copy.deepcopy(model)
    layers = [layer for layer in folded.modules() if isinstance(layer, Convolution)]
    converted = next((layer for layer in layers if isinstance(layer, PlannedConvolution)), None)
    if converted is not None:
        raise TypeError(f"a {type(converted).__name__} is converted, give freeze(model, fold='norms') this model")
    norms = set()
    for layer, pair in pairs_of(folded, layers, Fold.NORMS, example).items():
        if isinstance(pair, str) or pair.norm is None:
            continue
        weights = fold_weights(layer.weight, layer.bias, pair.norm)
        if weights is not None:
            layer.weight, layer.bias = (nn.Parameter(tensor, requires_grad=False) for tensor in weights)
            norms.add(pair.norm)
    for name, module in list(folded.named_modules(remove_duplicate=False)):
        if module in norms:
            folded.set_submodule(name, nn.Identity())
    return folded
