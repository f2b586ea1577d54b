"""The planned class of every convolution class: those of this package, and subclasses made when they are asked for.

In: a class of torch's convolutions or a subclass of one. Out: the class that does the same with planned convolution,
and the way back.
"""

from __future__ import annotations

import types
import weakref
from collections.abc import Callable
from typing import Any, Final, SupportsIndex

from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin

from winograd.nn import lazy, modules, transposed
from winograd.nn.modules import PlannedConvolution
from winograd.nn.recipes import from_recipe
from winograd.nn.state import Convolution, LayerState
from winograd.nn.wrapped import inside, wrap_alike

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

_KNOWN: Final = {**PLANNED, **_LAZY}

_Reference = weakref.ReferenceType[type[PlannedConvolution]]

_made: Final[weakref.WeakKeyDictionary[type[Convolution], _Reference]] = weakref.WeakKeyDictionary()
"""The planned class of other classes, while there are layers of it: neither class stays for being in here."""


def planned_class(base: Any) -> type[PlannedConvolution]:
    """Return the class that does what ``base`` does, with planned convolution.

    For torch's own classes these are `Conv3d` and its like; for a subclass of them it is made here, under the same
    name, and pickles as the recipe to make it again. Its methods come first: where they call those of torch's class by
    ``super()``, they come to the planned ones. What torch made around a class stays around it.
    """
    planned: Any = wrap_alike(base, _planned)
    return planned  # type: ignore[no-any-return]


def settled_class(layer: PlannedConvolution) -> type[Convolution] | None:
    """Return the class that a converted layer would have now had it not been converted, or None for other layers.

    That is the class before the conversion; for a lazy one whose weight got its shape since, the class it becomes. What
    torch made around the class meanwhile stays around it.

    Raises
    ------
    TypeError
        If the layer was given a class that neither the conversion nor torch made.
    """
    original = layer._winograd.original
    if original is None:
        return None
    settled: Any = wrap_alike(type(layer), lambda cls: _former(cls, original))
    return settled  # type: ignore[no-any-return]


def torchs_class(layer: Convolution) -> type[Convolution]:
    """Return the convolution of torch's that a layer is."""
    return next(base for base in PLANNED if isinstance(layer, base))


def _former(cls: Any, original: type[Convolution]) -> type[Convolution]:
    if cls is _planned(original):
        return original
    if issubclass(original, LazyModuleMixin) and cls is _planned(_becomes(original)):
        return _becomes(original)
    raise TypeError(f"a {original.__qualname__} became a {cls.__qualname__}")


def _planned(base: Any) -> Any:
    if base in _KNOWN:
        return _KNOWN[base]
    planned = _made[base]() if base in _made else None
    if planned is None:
        planned = _make_planned(base)
        _made[base] = weakref.ref(planned)
    return planned


def _becomes(base: Any) -> type[Convolution]:
    cls: type[Convolution] = base.cls_to_become
    return cls


class Converted(PlannedConvolution):
    """Mixed in first into a class that is made here: how it is derived and copied."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        # What the base does with its subclasses, keep a table of them for example, is not for those of ours.
        if "_plain_class" not in vars(cls):
            super().__init_subclass__(**kwargs)

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        made_class: Any = inside(type(self))
        original = made_class._plain_class
        if original.__reduce__ is object.__reduce__ and original.__reduce_ex__ is object.__reduce_ex__:
            return from_recipe, ("blank_planned", original), object.__reduce_ex__(self, 2)[2]
        recipe = original.__reduce_ex__(self, protocol)
        if isinstance(recipe, str):
            return recipe
        make, arguments, *state = (_plain(original, part) for part in recipe)
        return from_recipe, ("convert_again", self._winograd, make, arguments), *state


def _plain(original: type[Convolution], part: Any) -> Any:
    """Return a part of a recipe with the class before the conversion, which is found by its name."""
    if isinstance(part, tuple):
        return tuple(_plain(original, one) for one in part)
    return original if part is planned_class(original) else part


def convert_again(state: LayerState, make: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Make a layer by the recipe of its own class, and convert it."""
    layer = make(*arguments)
    if type(layer) is state.original:
        vars(layer)["_winograd"] = state
        object.__setattr__(layer, "__class__", planned_class(type(layer)))
    return layer


def _make_planned(base: type[Convolution]) -> type[PlannedConvolution]:
    nearest = next(parent for parent in base.__mro__ if parent in PLANNED or parent in _LAZY)
    body: dict[str, Any] = {
        "_plain_class": base,
        "__doc__": base.__doc__,
        "__module__": base.__module__,
        "__qualname__": base.__qualname__,
    }
    if issubclass(base, LazyModuleMixin):
        body["cls_to_become"] = planned_class(_becomes(base))
    made: type[PlannedConvolution] = types.new_class(
        base.__name__, (Converted, base, _KNOWN[nearest]), exec_body=lambda namespace: namespace.update(body)
    )
    return made


def blank_planned(original: type[Convolution]) -> PlannedConvolution:
    """Make an uninitialised module of the planned class, which its state will fill."""
    cls = planned_class(original)
    return cls.__new__(cls)
