"""Copies of models and layers to measure with: in another dtype, with parameters of others, without what is around.

In: models and layers. Out: copies, and what those give in float64. Refused: models that cannot be copied, and those
that do not run in float64.
"""

from __future__ import annotations

import copy
import pickle
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Final, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm
from torch.utils._pytree import tree_leaves, tree_map_only

from winograd.nn.budget.outputs import Outputs, outputs_of, with_dtype
from winograd.nn.modules import PlannedConvolution

_Module = TypeVar("_Module", bound=nn.Module)

_HOOKS: Final = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")

_COMPUTES_WEIGHT: Final = (BasePruningMethod, SpectralNorm, WeightNorm)
"""Hooks of torch's that compute a weight or bias before each forward."""


def copied(model: _Module, sharing: Iterable[Tensor] = ()) -> _Module:
    """Return a copy that shares these tensors; what was computed with gradients is copied as numbers.

    Raises
    ------
    TypeError
        If something in the model cannot be copied.
    """
    memo = {id(tensor): tensor for tensor in sharing}
    for value in tree_leaves([vars(module) for module in model.modules()]):
        if isinstance(value, Tensor) and not value.is_leaf:
            memo.setdefault(id(value), value.detach().clone())
    try:
        return copy.deepcopy(model, memo)
    except (AttributeError, RuntimeError, TypeError, pickle.PickleError) as error:
        raise TypeError(f"model must be one that copy.deepcopy can copy, to be measured: {_line(error)}") from error


def in_dtype(model: _Module, dtype: torch.dtype) -> _Module:
    """Return a copy in another dtype, whose parts take inputs that the model itself casts."""
    twin = copied(model).to(dtype)
    for module in twin.modules():
        # A weight that a hook computed is an attribute like any other.
        own = {name: value for name, value in vars(module).items() if isinstance(value, Tensor)}
        vars(module).update(with_dtype(own, dtype))
        if next(module.parameters(recurse=False), None) is not None and not isinstance(module, torch.jit.ScriptModule):
            module.register_forward_pre_hook(partial(_cast_inputs, dtype), with_kwargs=True)
    return twin


def exact_outputs(wide: nn.Module, example: Any) -> Outputs:
    """Return what a model in float64 gives for an example.

    Raises
    ------
    ValueError
        If it does not run in float64, or its output has no floating tensor or is not finite.
    """
    try:
        return outputs_of(wide, with_dtype(example, torch.float64))
    except RuntimeError as error:
        raise ValueError(
            f"model does not run in float64, so that no error of its output is known: {_line(error)}"
        ) from error


def alone(layer: Any) -> Any:
    """Return a layer with the same parameters and settings that no hook looks at and that folds nothing.

    A weight that hooks of torch's compute is that of now.
    """
    own = object.__new__(type(layer))
    vars(own).update(vars(layer))
    for hook in layer._forward_pre_hooks.values():
        if isinstance(hook, _COMPUTES_WEIGHT):
            hook(own, ())
    vars(own).update({name: OrderedDict() for name in _HOOKS})
    if isinstance(layer, PlannedConvolution):
        state = copy.copy(layer._winograd)
        state.folding = None
        vars(own)["_winograd"] = state
    return own


def _cast_inputs(
    dtype: torch.dtype, _: nn.Module, arguments: tuple[Any, ...], named: Mapping[str, Any]
) -> tuple[Any, Any]:
    cast = tree_map_only(Tensor, partial(with_dtype, dtype=dtype), (arguments, dict(named)))
    return cast[0], cast[1]


def _line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
