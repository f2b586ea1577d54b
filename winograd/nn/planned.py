"""The planned class of every convolution class: those of this package, and subclasses made when they are asked for.

In: a class of torch's convolutions or a subclass of one. Out: the class that does the same with planned convolution.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any, ClassVar, Final, SupportsIndex, cast

from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin

from winograd.nn import lazy, modules, transposed
from winograd.nn.modules import PlannedConvolution, PlannedDense
from winograd.nn.state import Convolution, LayerState
from winograd.nn.transposed import PlannedTransposed

PLANNED: Final[dict[type[Convolution], type[PlannedConvolution]]] = {
    nn.Conv1d: modules.Conv1d,
    nn.Conv2d: modules.Conv2d,
    nn.Conv3d: modules.Conv3d,
    nn.ConvTranspose1d: transposed.ConvTranspose1d,
    nn.ConvTranspose2d: transposed.ConvTranspose2d,
    nn.ConvTranspose3d: transposed.ConvTranspose3d,
}
"""The planned class of each of torch's convolutions whose weight has a shape."""

_LAZY: Final[dict[type[Convolution], type[PlannedConvolution]]] = {
    nn.LazyConv1d: lazy.LazyConv1d,
    nn.LazyConv2d: lazy.LazyConv2d,
    nn.LazyConv3d: lazy.LazyConv3d,
    nn.LazyConvTranspose1d: lazy.LazyConvTranspose1d,
    nn.LazyConvTranspose2d: lazy.LazyConvTranspose2d,
    nn.LazyConvTranspose3d: lazy.LazyConvTranspose3d,
}

_OURS: Final = tuple(name for name, one in vars(PlannedConvolution).items() if isinstance(one, property))
"""The attributes that a planned convolution has beyond torch's."""

_made: Final[dict[type[Convolution], type[PlannedConvolution]]] = {**PLANNED, **_LAZY}


def planned_class(base: type[Convolution]) -> type[PlannedConvolution]:
    """Return the class that does what ``base`` does, with planned convolution.

    For torch's own classes these are `Conv3d` and its like; for a subclass of them it is made here, under the same
    name, and pickles as the recipe to make it again. Its constructor is that of ``base``.
    """
    if base not in _made:
        _made[base] = _make_planned(base)
    return _made[base]


def settled_class(layer: PlannedConvolution) -> type[Convolution] | None:
    """Return the class that a converted layer would have now had it not been converted, or None for other layers.

    That is the class before the conversion; for a lazy one whose weight got its shape since, the class it becomes.
    """
    original = layer._winograd.original
    if original is None or type(layer) is planned_class(original) or not issubclass(original, LazyModuleMixin):
        return original
    return _becomes(original)


def overridden(layer: Convolution) -> str | None:
    """Return the name of the method by which a layer computes the convolution itself, or None."""
    base = next(base for base in PLANNED if isinstance(layer, base))
    name = "forward" if issubclass(PLANNED[base], PlannedTransposed) else "_conv_forward"
    is_own = name in vars(layer) or getattr(type(layer), name) is not getattr(base, name)
    return name if is_own else None


def obstacle(layer: Convolution) -> str | None:
    """Return why a layer cannot be converted, or None."""
    attribute = hidden(layer)
    if attribute is not None:
        return f"it has an attribute {attribute!r} of its own, which that of a planned convolution would hide"
    method = overridden(layer)
    if method is not None:
        return f"its class computes the convolution itself: it overrides {method}"
    try:
        planned_class(type(layer))
    except Exception as error:  # a metaclass may refuse a subclass in any way
        return f"no subclass can be made of its class: {type(error).__name__}: {error}"
    return None


def hidden(layer: Convolution) -> str | None:
    """Return the name of an attribute that a planned convolution would hide, its own having the same name, or None."""
    return next((name for name in _OURS if hasattr(layer, name)), None)


def _becomes(base: Any) -> type[Convolution]:
    cls: type[Convolution] = base.cls_to_become
    return cls


class Converted(PlannedConvolution):
    """Mixed in first into a class that is made here: how it is derived and copied."""

    _winograd_base: ClassVar[Any]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        # What the base does with its subclasses, keep a table of them for example, is not for those of ours.
        if "_winograd_base" not in vars(cls):
            super().__init_subclass__(**kwargs)

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        original = cast("type[Convolution]", settled_class(self))
        if original.__reduce__ is object.__reduce__ and original.__reduce_ex__ is object.__reduce_ex__:
            return _blank, (original,), object.__reduce_ex__(self, 2)[2]
        made: Any = original.__reduce_ex__(self, protocol)
        if isinstance(made, str):
            return made
        make, arguments, *state = (_plain(original, part) for part in made)
        return _convert_again, (self._winograd, make, arguments), *state


def _plain(original: type[Convolution], part: Any) -> Any:
    """Return a part of a recipe with the class before the conversion, which is found by its name."""
    if isinstance(part, tuple):
        return tuple(_plain(original, one) for one in part)
    return original if part is planned_class(original) else part


def _convert_again(state: LayerState, make: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Make a layer by the recipe of its own class, and convert it."""
    layer = make(*arguments)
    if type(layer) is state.original:
        vars(layer)["_winograd"] = state
        object.__setattr__(layer, "__class__", planned_class(type(layer)))
    return layer


def _make_planned(base: type[Convolution]) -> type[PlannedConvolution]:
    mixin = PlannedTransposed if issubclass(base, nn.modules.conv._ConvTransposeNd) else PlannedDense

    @functools.wraps(base.__init__)
    def build(layer: PlannedConvolution, *args: Any, **kwargs: Any) -> None:
        # A method of a converted layer makes another one of its class.
        vars(layer)["_winograd"] = layer._state_class(original=base)
        base.__init__(layer, *args, **kwargs)

    body: dict[str, Any] = {"__init__": build, "_winograd_base": base}
    body |= {"__doc__": base.__doc__, "__module__": base.__module__}
    if issubclass(base, LazyModuleMixin):
        body["cls_to_become"] = planned_class(_becomes(base))
    made: type[PlannedConvolution] = types.new_class(
        base.__name__, (Converted, mixin, base), exec_body=lambda namespace: namespace.update(body)
    )
    return made


def _blank(original: type[Convolution]) -> PlannedConvolution:
    """Make an uninitialised module of the planned class, which its state will fill."""
    cls = planned_class(original)
    return cls.__new__(cls)
