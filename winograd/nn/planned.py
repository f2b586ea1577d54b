"""The planned class of every convolution class: those of this package, and subclasses made when they are asked for.

In: a class of torch's convolutions or a subclass of one. Out: the class that does the same with planned convolution.
"""

from __future__ import annotations

import types
from typing import Any, Final, SupportsIndex

from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin

from winograd.nn import lazy, modules, transposed
from winograd.nn.modules import PlannedConvolution, PlannedDense
from winograd.nn.state import Convolution
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


def _becomes(base: Any) -> type[Convolution]:
    cls: type[Convolution] = base.cls_to_become
    return cls


def _make_planned(base: type[Convolution]) -> type[PlannedConvolution]:
    mixin = PlannedTransposed if issubclass(base, nn.modules.conv._ConvTransposeNd) else PlannedDense
    body: dict[str, Any] = {"__reduce_ex__": _reduce_converted, "__doc__": base.__doc__, "__module__": base.__module__}
    if issubclass(base, LazyModuleMixin):
        body["cls_to_become"] = planned_class(_becomes(base))
    made: type[PlannedConvolution] = types.new_class(
        base.__name__, (mixin, base), exec_body=lambda namespace: namespace.update(body)
    )
    return made


def _reduce_converted(layer: PlannedConvolution, _protocol: SupportsIndex) -> tuple[Any, ...]:
    state = object.__reduce_ex__(layer, 2)[2]
    return _blank, (settled_class(layer),), state


def _blank(original: type[Convolution]) -> PlannedConvolution:
    """Make an uninitialised module of the planned class, which its state will fill."""
    cls = planned_class(original)
    return cls.__new__(cls)
