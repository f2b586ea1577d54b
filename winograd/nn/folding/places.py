"""Places of modules in a model: the module that holds another, and the name under which it does.

In: a model. Out: the places of each module in it. A place refers to the holder weakly; a copy or pickle of a place that
goes without its holder, or whose holder is copied by a recipe of its own, holds nothing.
"""

from __future__ import annotations

import weakref
from typing import Any

from torch import nn

from winograd.nn.recipes import from_recipe


class Place:
    """Where a module is found in a model.

    Parameters
    ----------
    holder : torch.nn.Module or None
        None if it is no more.
    name : str
        Of the attribute.

    Examples
    --------
    >>> model = nn.Sequential(nn.ReLU())
    >>> place, relu = Place(model, "0"), model[0]
    >>> model[0] = nn.Identity()
    >>> place.holds(relu), place.holds(model[0])
    (False, True)
    """

    __slots__ = ("_holder", "_name")

    def __init__(self, holder: nn.Module | None, name: str) -> None:
        self._holder = None if holder is None else weakref.ref(holder)
        self._name = name

    def __reduce__(self) -> tuple[Any, ...]:
        holder = self._find_holder()
        return from_recipe, ("Place", None if holder is None or _has_own_copy(holder) else holder, self._name)

    def holds(self, module: nn.Module) -> bool:
        """Return whether this very module is there."""
        holder = self._find_holder()
        return holder is not None and holder._modules.get(self._name) is module

    def _find_holder(self) -> nn.Module | None:
        return None if self._holder is None else self._holder()


def _has_own_copy(holder: nn.Module) -> bool:
    """Return whether a module, such as a graph of torch.fx, copies by a recipe that wants what it holds before itself.

    A copy of what it holds then cannot refer to the copy of the holder, which is not there yet.
    """
    cls = type(holder)
    return cls.__reduce__ is not object.__reduce__ or hasattr(cls, "__deepcopy__")


def places_of(model: nn.Module) -> dict[nn.Module, tuple[Place, ...]]:
    """Return where in a model each of its modules is, all of its places."""
    places: dict[nn.Module, tuple[Place, ...]] = {}
    for holder in model.modules():
        for name, module in holder._modules.items():
            if module is not None:
                places[module] = (*places.get(module, ()), Place(holder, name))
    return places
