"""Classes that torch makes around the class of a module while it runs: of parametrizations, of sharding.

In: such a class and what becomes of the class inside. Out: the same around another class. Torch finds a parametrized
weight, and takes it away, in the outermost class, so that a planned class must be inside.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

from torch import nn

Module = type[nn.Module]

_MAKERS: Final = ("torch.nn.utils.parametrize", "torch.distributed.fsdp", "torch.distributed._composable")

_FORMER: Final = "_winograd_former"
"""Attribute of a class made here: the class of torch's that it was made after.

Not in a table: properties of either hold the layer, which no table would ever let go.
"""

_LEFT_BEHIND: Final = frozenset({"__dict__", "__weakref__", "__doc__", "__signature__", "__slotnames__", _FORMER})
"""What every class gets of its own."""


def is_wrapper(cls: Module) -> bool:
    """Return whether torch made this class around another one.

    Examples
    --------
    >>> layer = nn.utils.parametrizations.weight_norm(nn.Conv1d(2, 2, 3))
    >>> type(layer).__name__, is_wrapper(type(layer)), is_wrapper(nn.Conv1d)
    ('ParametrizedConv1d', True, False)
    """
    made = cls.__module__.startswith(_MAKERS) and not hasattr(sys.modules[cls.__module__], cls.__name__)
    return made and issubclass(cls.__bases__[-1], nn.Module)


def inside(cls: Module) -> Module:
    """Return the class in the middle of those that torch made around it."""
    while is_wrapper(cls):
        cls = cls.__bases__[-1]
    return cls


def wrap_alike(cls: Module, turn: Callable[[Module], Module]) -> Module:
    """Return the class with the one in the middle turned into another.

    A class that was made here is turned back into the one that it was made after, unless either changed since.
    """
    if not is_wrapper(cls):
        return turn(cls)
    bases = (*cls.__bases__[:-1], wrap_alike(cls.__bases__[-1], turn))
    former: Module | None = vars(cls).get(_FORMER)
    if former is not None and former.__bases__ == bases and _own(former).keys() == _own(cls).keys():
        return former
    maker: Any = type(cls)
    made: Module = maker(cls.__name__, bases, {**_own(cls), _FORMER: cls})
    return made


def _own(cls: Module) -> dict[str, Any]:
    return {name: value for name, value in vars(cls).items() if name not in _LEFT_BEHIND}
