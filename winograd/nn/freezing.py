"""The promise that weights will not change: they are transformed once, and norms and ReLUs may be folded into layers.

In: a converted model. Out: the same one, with the promise given or taken back. Refused: folding norms that train.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from winograd.conv.choosing.selection import Filters
from winograd.conv.library.kept import hides_writes
from winograd.conv.planning.tuning_mode import Tuning
from winograd.nn.conversion.eligible import check_module, planned_layers
from winograd.nn.folding.fold import fold_, unfold_
from winograd.nn.folding.pairs import FoldName, checked_fold
from winograd.nn.modules import PlannedConvolution

_Model = TypeVar("_Model", bound=nn.Module)

REPLANNED: Final = 4
"""Plans of a layer that are made anew at once; others follow at the next forward of their shape."""


def freeze(model: _Model, *, fold: FoldName | None = None, example: Any = None) -> _Model:
    """Promise that the weights will not change: converted layers transform them once for each plan and keep the result.

    That serves inference: run the model under ``torch.no_grad()`` or ``torch.inference_mode()``; a weight that
    requires a gradient is transformed in every call. `thaw` and `revert_` take the promise back.

    Broken all the same, the promise is forgiven where torch shows it. After in-place operations, ``load_state_dict``,
    a move to other memory or another dtype, or a forward that requires a gradient of the weight, the weight is
    transformed again. While it has a gradient (``zero_grad`` removes it), and always if it was made under
    ``torch.inference_mode()``, it is transformed in every call. Not seen are writes through ``.data`` or from NumPy,
    those of a fused optimiser with gradients that neither came from this layer nor are still there, and those of
    ``F.batch_norm`` called by itself with the running statistics of a norm that is folded.

    What is folded is right for the forward as it was looked at: the path that it takes with default arguments, or with
    the example, and with the attributes that modules had. If another argument or a flag makes it use what a convolution
    gives in another way, call `freeze` again with it set, or fold nothing. Do not cut a model into pieces while it is
    folded, ``model[:2]`` for example, nor call a convolution by itself: it gives what the norm and the ReLU after it
    would, even if they are not called. `thaw` it first. A norm or ReLU that is exchanged, patched, hooked or compiled
    is seen; then all compute themselves. A folded convolution under ``torch.compiler.disable`` inside of a compiled
    model is not: its norm would be applied twice.

    Parameters
    ----------
    model : torch.nn.Module
        Changed in place, or not at all if an error is raised.
    fold : "norms" or "all", optional
        Compute batch norms inside of the convolutions before them, and with "all" ReLUs behind those, too: where one
        alone takes what a convolution gives, as torch.fx finds out. The report of the conversion names what a layer
        folds, or says why it is nothing. Weights are folded in float64 and rounded once, anew when parameters change,
        and kept beside the others. Norms and ReLUs stay where they are and pass on what was computed for them; in
        training mode, where weights are differentiated, where hooks look on, in checkpoints, and in compiled and
        exported programs they compute themselves. None folds nothing.
    example : Tensor, tuple, list or dict, optional
        Arguments of the model, as in `winograd.convert_`, for one forward that shows who takes what whom gave: for
        models that torch.fx cannot trace, because their forward reads sizes, for example. It leaves the model as it
        was.

    Returns
    -------
    torch.nn.Module
        The same model.

    Raises
    ------
    TypeError
        If the model is no module.
    ValueError
        If a norm is in training mode while something is to be folded, or fold is another word.

    Warns
    -----
    UserWarning
        If the model has no converted layer, weights that are transformed in every call, or nothing that can be folded.

    Examples
    --------
    >>> import torch, winograd
    >>> conv, norm = torch.nn.Conv3d(4, 4, 3, padding=1), torch.nn.BatchNorm3d(4)
    >>> model = torch.nn.Sequential(conv, norm, torch.nn.ReLU()).eval()
    >>> report = winograd.convert_(model)
    >>> _ = freeze(model, fold="all")
    >>> report.rows[0].folds, sorted(model.state_dict())[:4]
    ('1, 2', ['0.bias', '0.weight', '1.bias', '1.num_batches_tracked'])
    """
    check_module(model)
    asked = None if fold is None else checked_fold(fold)
    layers = list(planned_layers(model))
    if not layers:
        warnings.warn("no layer to freeze; convert_ the model first", UserWarning, stacklevel=2)
    weights = {name: layer._parameters.get("weight") for name, layer in layers}
    known = {name: weight for name, weight in weights.items() if weight is not None and not is_lazy(weight)}
    hidden = [name for name, weight in known.items() if hides_writes(weight)]
    if hidden:
        where = f"{len(hidden)} layers ({hidden[0]!r} first) transform their weight in every call"
        why = "it has a gradient (zero_grad removes it) or was made under inference_mode"
        warnings.warn(f"{where}: {why}", UserWarning, stacklevel=2)
    convolutions = [layer for _, layer in layers]
    if asked is None:
        unfold_(convolutions)
    else:
        fold_(model, convolutions, asked, example)
        if layers and not any(layer._winograd.folding for layer in convolutions):
            warnings.warn("nothing was folded; the report says why", UserWarning, stacklevel=2)
    _change(convolutions, Filters.FROZEN)
    return model


def thaw(model: _Model) -> _Model:
    """Take back the promise of `freeze`: drop the transformed weights, and let what was folded compute itself again.

    Raises
    ------
    TypeError
        If the model is no module.
    RuntimeError
        If a folded norm or ReLU was given another class since; nothing is changed then.

    Returns
    -------
    torch.nn.Module
        The same model.
    """
    check_module(model)
    layers = [layer for _, layer in planned_layers(model)]
    unfold_(layers)
    _change(layers, Filters.LIVE)
    return model


@torch.no_grad()
def _change(layers: Sequence[PlannedConvolution], filters: Filters) -> None:
    """Take other filters, and make the newest plans of each layer anew, so that a report has them.

    Measured plans are left to the next forward: they take seconds.
    """
    for layer in layers:
        state = layer._winograd
        shapes = {(plan.shape.batch, plan.shape.channels, *plan.shape.sizes): None for plan in state.plans[-REPLANNED:]}
        state.change(filters=filters)
        if state.tuning is Tuning.MODEL:
            for shape in shapes:
                with suppress(TypeError, ValueError):  # the weight may have other sizes since
                    state.plan_ahead(layer, shape)
