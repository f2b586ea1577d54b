"""Which layers of a model can be converted, and why the others cannot.

In: a model. Out: its convolutions, a shared one once, and a reason for each that stays as it is. Refused: what is no
module, and models that are scripted as a whole.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any, Final

import torch
from torch import nn

from winograd.nn.modules import PlannedConvolution
from winograd.nn.planned import PLANNED, planned_class, torchs_class
from winograd.nn.state import Convolution
from winograd.nn.transposed import PlannedTransposed
from winograd.nn.wrapped import inside

Filter = Callable[[nn.Module, str], bool]

_NAMES: Final = ("tolerance", "algorithm", "plans", "gradient_plans", "_winograd")
"""What a planned convolution has and torch's has not."""

_SCRIPTED: Final = frozenset(base.__name__ for base in PLANNED)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One convolution of a model.

    Parameters
    ----------
    name : str
        In the model.
    kind : str
        Name of its class.
    layer : torch.nn.Module
        A convolution of torch's, or a scripted one.
    refusal : str
        Why it stays as it is; empty if it can be converted.
    """

    name: str
    kind: str
    layer: Any
    refusal: str


def check_module(model: object) -> None:
    """Refuse what is no module.

    Raises
    ------
    TypeError
        If it is none.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is a {type(model).__name__}, must be a torch.nn.Module")


def check_model(model: nn.Module) -> None:
    """Refuse what cannot be converted at all.

    Raises
    ------
    TypeError
        If the model is no module, or is scripted.
    """
    check_module(model)
    if isinstance(model, torch.jit.ScriptModule):
        raise TypeError("model is scripted and cannot be converted; convert it before torch.jit.script or trace")


def candidates(model: nn.Module, filter_fn: Filter | None = None) -> list[Candidate]:
    """Return the convolutions of a model in its order, a shared one once, under its first name.

    Raises
    ------
    TypeError
        If the filter is no function.
    """
    if filter_fn is not None and not callable(filter_fn):
        raise TypeError(f"filter_fn is a {type(filter_fn).__name__}, must be a function of module and name")
    return list(_candidates(model, filter_fn))


def planned_layers(model: nn.Module) -> Iterator[tuple[str, PlannedConvolution]]:
    """Yield name and module of each planned convolution, a shared one once."""
    return ((name, module) for name, module in model.named_modules() if isinstance(module, PlannedConvolution))


def _candidates(model: nn.Module, filter_fn: Filter | None) -> Iterator[Candidate]:
    for name, module in model.named_modules():
        if isinstance(module, Convolution) and isinstance(module, tuple(PLANNED)):
            left_out = filter_fn is not None and not filter_fn(module, name)
            refusal = _exclusion(module) if left_out else _refusal(module)
            yield Candidate(name, type(module).__name__, module, refusal)
        elif isinstance(module, torch.jit.ScriptModule) and getattr(module, "original_name", "") in _SCRIPTED:
            yield Candidate(name, str(module.original_name), module, "it is scripted: its code is settled")


def _exclusion(layer: Convolution) -> str:
    before = isinstance(layer, PlannedConvolution)
    return "it was converted before, and left as it is" if before else "excluded by filter_fn"


def _refusal(layer: Convolution) -> str:
    if isinstance(layer, PlannedConvolution):
        return ""
    return _hidden_attribute(layer) or _own_convolution(layer) or _unmakeable_class(layer)


def _hidden_attribute(layer: Convolution) -> str:
    known = {*vars(layer), *layer._parameters, *layer._buffers, *layer._modules}
    own = next((name for name in _NAMES if name in known or hasattr(type(layer), name)), None)
    return "" if own is None else f"its attribute {own!r} would be hidden by that of a planned convolution"


def _own_convolution(layer: Convolution) -> str:
    """Return by which method a layer computes the convolution itself, if it does.

    A method that calls torch's, by ``super()`` or by name, comes to the planned one in its place.
    """
    base = torchs_class(layer)
    transposed = issubclass(PLANNED[base], PlannedTransposed)
    narrow = "forward" if transposed else "_conv_forward"
    if narrow in vars(layer):
        return f"it overrides {narrow}, in this one layer"
    own = [name for name in ("forward", "_conv_forward") if hasattr(base, name) and _is_own(layer, base, name)]
    if not own:
        return ""
    wanted = {narrow} if transposed or "_conv_forward" in own else {"forward", "_conv_forward"}
    if any(_mentions(value, wanted) for cls in _own_classes(layer, base) for value in vars(cls).values()):
        return ""
    torchs = " or ".join(sorted(wanted, reverse=True))
    return f"its class computes the convolution itself: it overrides {own[-1]} and never calls torch's {torchs}"


def _is_own(layer: Convolution, base: type[Convolution], name: str) -> bool:
    return getattr(type(layer), name) is not getattr(base, name)


def _own_classes(layer: Convolution, base: type[Convolution]) -> list[type]:
    """Return what a class adds to torch's convolution."""
    return [cls for cls in type(layer).__mro__ if cls not in base.__mro__]


def _mentions(value: Any, names: set[str]) -> bool:
    """Return whether a function may call a method of one of these names; what cannot be read may call any."""
    function = inspect.unwrap(getattr(value, "__func__", value))
    if isinstance(function, FunctionType):
        closed = [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
        return _code_mentions(function.__code__, names) or any(isinstance(one, FunctionType) for one in closed)
    return getattr(value, "__name__", "") in names and callable(value)


def _is_filled(cell: Any) -> bool:
    try:
        return bool(cell.cell_contents) or True
    except ValueError:
        return False


def _code_mentions(code: CodeType, names: set[str]) -> bool:
    inner = (const for const in code.co_consts if isinstance(const, CodeType))
    return not names.isdisjoint(code.co_names) or any(_code_mentions(one, names) for one in inner)


def _unmakeable_class(layer: Convolution) -> str:
    try:
        planned_class(inside(type(layer)))
    except Exception as error:  # a class may refuse subclasses by raising anything
        return f"no subclass can be made of its class: {type(error).__name__}: {str(error).partition(chr(10))[0]}"
    return ""
