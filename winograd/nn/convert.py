"""Conversion of a model in place: its convolutions change their class and nothing else, and can change it back.

In: a model. Out: a `ConversionReport`, which fills as the model runs. Refused, before anything changes: scripted and
compiled models. Layers that cannot be converted stay as they are, and the report says why.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from winograd.conv.library.kept import hides_writes
from winograd.conv.limits import limits_or_default
from winograd.conv.plan import Filters
from winograd.conv.prediction import checked_tolerance
from winograd.conv.tuning_mode import Tuning, TuningName, checked_tuning
from winograd.nn.folding.fold import fold_, unfold_
from winograd.nn.folding.pairs import FoldName, checked_fold
from winograd.nn.modules import PlannedConvolution
from winograd.nn.planned import PLANNED, obstacle, planned_class, settled_class
from winograd.nn.report import ConversionReport, LayerEntry
from winograd.nn.state import Convolution, LayerState

_Model = TypeVar("_Model", bound=nn.Module)

_CONVOLUTIONS = tuple(PLANNED)


def convert_(
    model: nn.Module,
    tolerance: float | None = None,
    filter_fn: Callable[[nn.Module, str], bool] | None = None,
    *,
    workspace_cap: int | None = None,
    filter_cap: int | None = None,
    tuning: TuningName = "model",
) -> ConversionReport:
    """Make the convolutions of a model choose Winograd algorithms, in place; `revert_` undoes it.

    Only the class of each layer changes: parameters, buffers, hooks, flags, names and the identity of every module
    stay, and so does the state_dict. Algorithms are chosen at the first forward of each shape.

    Parameters
    ----------
    model : torch.nn.Module
        Changed in place, or not at all if an error is raised.
    tolerance : float, optional
        Largest predicted relative L2 error of one layer, positive; see `winograd.conv3d`. None takes that of the dtype
        that a layer runs with: 1e-5, and 1.9e-14 for float64.
    filter_fn : callable, optional
        Called with the module and the name of each convolution; those for which it returns False stay as they are.
    workspace_cap, filter_cap : int, optional
        Bytes that a layer may take at most: for the workspace of a call, and for a transformed weight that is kept (see
        `freeze`). Beyond, tiles are taken in smaller blocks, and the weight is transformed by a smaller algorithm or in
        every call; the report says so. None takes the limits of the process, `winograd.conv.limits.set_memory_limits`:
        64 MiB and 512 MiB unless they were set.
    tuning : "model" or "measure"
        "measure" compiles and times the best candidates of every layer at its first forward of a shape, which takes
        seconds each, unless this machine has done so before; see `winograd.conv.tuning`.

    Returns
    -------
    ConversionReport
        What became of each convolution; plans are added as they are made.

    Raises
    ------
    TypeError
        If the model is no module, or is scripted or compiled, tolerance is no number, or a cap is no integer.
    ValueError
        If tolerance is not a positive number, a cap is below 1, or tuning is another word.

    Warns
    -----
    UserWarning
        If no layer was converted.

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Conv3d(4, 4, 3, padding=1), torch.nn.ReLU())
    >>> convert_(model)
    <ConversionReport: 1 of 1 convolutions converted, 0 plans made>
    >>> type(model[0]).__module__, sorted(model.state_dict())
    ('winograd.nn.modules', ['0.bias', '0.weight'])
    >>> type(revert_(model)[0]).__module__
    'torch.nn.modules.conv'
    """
    _check_model(model)
    tolerance, settled = checked_tolerance(tolerance), checked_tuning(tuning)
    layers = [(name, layer, _refusal(name, layer, filter_fn)) for name, layer in _convolutions(model)]
    limits_or_default(workspace_cap, filter_cap)  # refuses what are no limits, before anything changes
    _convert_all(
        [layer for _, layer, reason in layers if reason is None], tolerance, workspace_cap, filter_cap, settled
    )
    if all(reason is not None for _, _, reason in layers):
        warnings.warn("no convolution was converted; the report says why", UserWarning, stacklevel=2)
    return ConversionReport(
        tuple(
            LayerEntry(name, type(layer).__name__, vars(layer)["_winograd"] if reason is None else None, reason or "")
            for name, layer, reason in layers
        )
    )


def revert_(model: _Model) -> _Model:
    """Give the layers that `convert_` changed their former class back, in place, and drop their plans.

    Raises
    ------
    RuntimeError
        If a converted layer, or a norm or ReLU folded into one, was given another class since, by a parametrization for
        example; nothing is changed then.

    Returns
    -------
    torch.nn.Module
        The same model.
    """
    layers = [
        (name, layer, original) for name, layer in _planned(model) if (original := settled_class(layer)) is not None
    ]
    for name, layer, original in layers:
        if type(layer) is not planned_class(original):
            raise RuntimeError(
                f"layer {name!r} became a {type(layer).__qualname__} after conversion; "
                "remove what changed its class (a parametrization?) first"
            )
    unfold_([layer for _, layer in _planned(model)])
    for _, layer, _ in layers:
        _restore(layer)
    return model


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
        training mode, where weights are differentiated, where hooks look on, and in compiled and exported programs they
        compute themselves. None folds nothing.
    example : Tensor or tuple, optional
        Arguments of the model, for one forward that shows who takes what whom gave: for models that torch.fx cannot
        trace, because their forward reads sizes, for example.

    Returns
    -------
    torch.nn.Module
        The same model.

    Raises
    ------
    ValueError
        If a norm is in training mode while something is to be folded, or fold is another word.

    Warns
    -----
    UserWarning
        If the model has no converted layer, weights that are transformed in every call, or nothing that can be folded.

    Examples
    --------
    >>> import torch
    >>> conv, norm = torch.nn.Conv3d(4, 4, 3, padding=1), torch.nn.BatchNorm3d(4)
    >>> model = torch.nn.Sequential(conv, norm, torch.nn.ReLU()).eval()
    >>> report = convert_(model)
    >>> _ = freeze(model, fold="all")
    >>> report.rows[0].folds, sorted(model.state_dict())[:4]
    ('1, 2', ['0.bias', '0.weight', '1.bias', '1.num_batches_tracked'])
    """
    asked = None if fold is None else checked_fold(fold)
    layers = list(_planned(model))
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
    for layer in convolutions:
        layer._winograd.change(filters=Filters.FROZEN)
    return model


def thaw(model: _Model) -> _Model:
    """Take back the promise of `freeze`: drop the transformed weights, and let what was folded compute itself again.

    Raises
    ------
    RuntimeError
        If a folded norm or ReLU was given another class since; nothing is changed then.

    Returns
    -------
    torch.nn.Module
        The same model.
    """
    layers = [layer for _, layer in _planned(model)]
    unfold_(layers)
    for layer in layers:
        layer._winograd.change(filters=Filters.LIVE)
    return model


def _check_model(model: nn.Module) -> None:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is a {type(model).__name__}, must be a torch.nn.Module")
    for name, module in model.named_modules():
        where = f"module {name!r}" if name else "model"
        if isinstance(module, torch.jit.ScriptModule):
            raise TypeError(f"{where} is scripted and cannot be converted; convert it before torch.jit.script or trace")
        if _is_compiled(module):
            raise TypeError(f"{where} is compiled and cannot be converted; convert the original, then compile it")


def _is_compiled(module: nn.Module) -> bool:
    eval_frame = sys.modules.get("torch._dynamo.eval_frame")  # slow to import; loaded where something was compiled
    wrapped = eval_frame is not None and isinstance(module, eval_frame.OptimizedModule)
    return wrapped or module._compiled_call_impl is not None


def _convolutions(model: nn.Module) -> Iterator[tuple[str, Convolution]]:
    """Yield name and module of each convolution, a shared one once."""
    for name, module in model.named_modules():
        if isinstance(module, _CONVOLUTIONS):
            yield name, module


def _planned(model: nn.Module) -> Iterator[tuple[str, PlannedConvolution]]:
    return ((name, module) for name, module in model.named_modules() if isinstance(module, PlannedConvolution))


def _refusal(name: str, module: Convolution, filter_fn: Callable[[nn.Module, str], bool] | None) -> str | None:
    """Return why the layer stays as it is, or None."""
    if filter_fn is not None and not filter_fn(module, name):
        return "excluded by filter_fn"
    if isinstance(module, PlannedConvolution):
        return None
    if parametrize.is_parametrized(module):
        return "parametrized: its weight is computed anew at each access"
    return obstacle(module)


def _convert_all(
    layers: list[Convolution],
    tolerance: float | None,
    workspace_cap: int | None,
    filter_cap: int | None,
    tuning: Tuning,
) -> None:
    """Convert all of the layers, or none if an error is raised on the way."""
    fresh = [layer for layer in layers if not isinstance(layer, PlannedConvolution)]
    try:
        for layer in fresh:
            _convert(layer, tolerance)
    except BaseException:
        for layer in fresh:
            _restore(layer)
        raise
    for layer in layers:
        # A layer that was built as a planned one keeps the tolerance and the tuning it was built with.
        state: LayerState = vars(layer)["_winograd"]
        if state.original and state.tolerance != tolerance:
            state.tolerate(tolerance)
        if state.original and state.tuning is not tuning:
            state.change(tuning=tuning)
        if (state.workspace_cap, state.filter_cap) != (workspace_cap, filter_cap):
            state.limit(workspace_cap, filter_cap)


def _convert(layer: Convolution, tolerance: float | None) -> None:
    original = type(layer)
    planned = planned_class(original)
    vars(layer)["_winograd"] = planned._state_class(tolerance, original=original)
    object.__setattr__(layer, "__class__", planned)  # a class may look at what is set


def _restore(layer: Convolution) -> None:
    original = settled_class(layer) if isinstance(layer, PlannedConvolution) else type(layer)
    if original is not None:
        vars(layer).pop("_winograd", None)
        object.__setattr__(layer, "__class__", original)
