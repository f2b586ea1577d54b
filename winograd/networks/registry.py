"""The networks by name.

In: a name and the network's options. Out: a module. Refused: unknown names, with the nearest ones.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, Final

from winograd.networks.c3d import C3D
from winograd.networks.video_network import VideoNetwork

_BUILDERS: Final[dict[str, Callable[..., VideoNetwork]]] = {"c3d": C3D}


class UnknownNetworkError(ValueError):
    """No network has that name; the message gives the nearest ones."""


def list_networks(pattern: str | None = None) -> list[str]:
    """Return the sorted names that `create` knows, or those that match a shell pattern such as ``"r2plus1d_*"``.

    Examples
    --------
    >>> list_networks("c*d")
    ['c3d']
    """
    return sorted(name for name in _BUILDERS if pattern is None or fnmatchcase(name, pattern))


def create(name: str, *, num_classes: int = 400, **options: Any) -> VideoNetwork:
    """Build the network of that name, with torch's default initial values.

    Parameters
    ----------
    name : str
        One of `list_networks`.
    num_classes : int
        Number of scores, at least 1.
    **options
        Passed to the network's class, for example ``dropout`` or ``conv``.

    Raises
    ------
    TypeError
        If num_classes is not an integer, or an option is unknown to the network.
    UnknownNetworkError
        If the name is unknown: a ValueError that gives the nearest names.
    ValueError
        If num_classes is below 1.

    Examples
    --------
    >>> create("c3d_")
    Traceback (most recent call last):
    ...
    winograd.networks.registry.UnknownNetworkError: network 'c3d_' is unknown; nearest: c3d
    """
    if name not in _BUILDERS:
        nearest = get_close_matches(str(name), _BUILDERS, n=3, cutoff=0.4)
        near = f"nearest: {', '.join(nearest)}" if nearest else f"known: {', '.join(list_networks())}"
        raise UnknownNetworkError(f"network {name!r} is unknown; {near}")
    if isinstance(num_classes, bool) or not isinstance(num_classes, int):
        raise TypeError(f"num_classes is {num_classes!r}, must be an integer of at least 1")
    if num_classes < 1:
        raise ValueError(f"num_classes is {num_classes}, must be at least 1")
    return _BUILDERS[name](num_classes=num_classes, **options)
