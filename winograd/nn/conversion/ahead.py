"""Plans before the first forward: for input shapes that were recorded before.

In: layers and their input shapes by name. Out: the same layers with their plans. Refused: names that no convolution
has, and shapes that are no input of the layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import index
from typing import Any

import torch
from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin

from winograd.nn.conversion.eligible import Candidate
from winograd.nn.conversion.settings import find_named, named_convolutions
from winograd.nn.modules import PlannedConvolution
from winograd.quoting import quote

Shape = Sequence[int]
Shapes = Mapping[str, Shape | Sequence[Shape]]


def checked_shapes(
    shapes: Shapes, model: nn.Module, layers: Iterable[Candidate]
) -> dict[nn.Module, tuple[tuple[int, ...], ...]]:
    """Return the input shapes of each layer.

    Raises
    ------
    TypeError
        If these are no mapping, or a shape is no sequence of integers.
    ValueError
        If a name is not that of a convolution, or a shape has no such number of axes.
    """
    if not isinstance(shapes, Mapping):
        raise TypeError(f"shapes is a {type(shapes).__name__}, must be a mapping from the names of layers")
    modules = named_convolutions(model, {one.layer for one in layers})
    found: dict[nn.Module, dict[tuple[int, ...], None]] = {}
    for name, given in shapes.items():
        layer: Any = find_named(modules, name, "shapes")
        for shape in _listed(given, name):
            _check_axes(shape, layer, name)
            found.setdefault(layer, {})[shape] = None
    return {layer: tuple(listed) for layer, listed in found.items()}


@torch.no_grad()
def plan_ahead(names: Mapping[nn.Module, str], shapes: Mapping[nn.Module, Iterable[tuple[int, ...]]]) -> None:
    """Make the plans of these layers for these input shapes; layers that are not planned, or lazy, have none.

    Raises
    ------
    ValueError
        If a shape is no input of its layer.
    """
    for layer, listed in shapes.items():
        if not isinstance(layer, PlannedConvolution) or isinstance(layer, LazyModuleMixin):
            continue
        for shape in listed:
            try:
                layer._winograd.plan_ahead(layer, shape)
            except (TypeError, ValueError) as error:
                why = str(error).partition("\n")[0]
                raise ValueError(f"shapes of {names[layer]!r}: {quote(shape)} is no input of it: {why}") from error


def _listed(given: Any, name: str) -> list[tuple[int, ...]]:
    """Return a shape or several as a list of tuples; a layer that was not run has none."""
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise TypeError(f"shapes of {name!r} is {quote(given)}, must be a shape or a list of shapes")
    nested = bool(given) and all(isinstance(one, Sequence) for one in given)
    listed: Any = given if nested else [given] if given else []
    return [_whole(shape, name) for shape in listed if shape]


def _whole(shape: Sequence[Any], name: str) -> tuple[int, ...]:
    """Return a shape as Python's integers; NumPy's are some, too."""
    try:
        if not any(isinstance(size, bool) for size in shape):
            return tuple(map(index, shape))
    except TypeError:
        pass
    raise TypeError(f"shapes of {name!r} has {quote(shape)}, must be integers")


def _check_axes(shape: tuple[int, ...], layer: Any, name: str) -> None:
    ndim = len(layer.kernel_size)
    if len(shape) not in {ndim + 1, ndim + 2} or min(shape) < 0:
        axes = ("length", "height, width", "depth, height, width")[ndim - 1]
        raise ValueError(f"shapes of {name!r} has {quote(shape)}, must be (N, C, {axes}) or (C, {axes}), none below 0")
