"""The networks by name.

In: a name and the network's options. Out: a module. Refused: unknown names, with the nearest ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase
from inspect import signature
from typing import TYPE_CHECKING, Any, Final

from winograd.extras import load
from winograd.quoting import quote

if TYPE_CHECKING:
    from winograd.networks.video_network import VideoNetwork


@dataclass(frozen=True, slots=True)
class _Family:
    """A function or class of a module of this room, which is imported when a network is built, and its arguments."""

    module: str
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, **options: Any) -> VideoNetwork:
        built: VideoNetwork = self.builder(**self.options, **options)
        return built

    @property
    def builder(self) -> Callable[..., Any]:
        found: Callable[..., Any] = getattr(load(f"winograd.networks.{self.module}"), self.name)
        return found


_SEPARATIONS: Final = {"resnet3d": "dense", "ip_csn": "interaction-preserved", "ir_csn": "interaction-reduced"}

_STRUCTURES: Final = ("conv3d", "r2plus1d", "p3d_a", "p3d_b", "p3d_c", "rank1", "add", "cat")

_BUILDERS: Final[dict[str, Callable[..., VideoNetwork]]] = {
    "c3d": _Family("c3d", "C3D"),
    "i3d_rgb": _Family("i3d", "I3D", {"channels": 3}),
    "i3d_flow": _Family("i3d", "I3D", {"channels": 2}),
    "i3d_two_stream": _Family("i3d", "TwoStreamI3D"),
    "fused_two_stream": _Family("fused", "FusedTwoStream"),
    "lightweight_c3d": _Family("lightweight", "LightweightC3D"),
    "r2d_18": _Family("resnet3d", "r2d"),
    "fr2d_18": _Family("resnet3d", "fr2d"),
    **{f"mc{split}_18": _Family("resnet3d", "mc", {"split": split}) for split in range(2, 6)},
    **{f"rmc{split}_18": _Family("resnet3d", "rmc", {"split": split}) for split in range(2, 6)},
    **{f"r3d_{depth}": _Family("resnet3d", "r3d", {"depth": depth}) for depth in (10, 18, 34)},
    **{f"r2plus1d_{depth}": _Family("resnet3d", "r2plus1d", {"depth": depth}) for depth in (18, 34)},
    **{
        f"{name}_{depth}": _Family("csn", "bottleneck_network", {"depth": depth, "separation": separation})
        for name, separation in _SEPARATIONS.items()
        for depth in (50, 101, 152)
    },
    **{f"eco_lite_{structure}": _Family("eco", "ECOLite", {"structure": structure}) for structure in _STRUCTURES},
    **{f"p3d_{depth}": _Family("p3d", "P3D", {"depth": depth}) for depth in (63, 131, 199)},
}


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
        Passed to the network's class, for example ``dropout`` or ``conv``; see `network_options`.

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
    >>> create("r3d_19")
    Traceback (most recent call last):
    ...
    winograd.networks.registry.UnknownNetworkError: network 'r3d_19' is unknown; nearest: r3d_18, r3d_10, p3d_199
    """
    build = _builder(name)
    if isinstance(num_classes, bool) or not isinstance(num_classes, int):
        raise TypeError(f"num_classes is {quote(num_classes)}, must be an integer of at least 1")
    if num_classes < 1:
        raise ValueError(f"num_classes is {num_classes}, must be at least 1")
    unknown = sorted(options.keys() - network_options(name))
    if unknown:
        raise TypeError(
            f"option {quote(unknown[0])} is unknown, {name} takes {', '.join(network_options(name)) or 'none'}"
        )
    return build(num_classes=num_classes, **options)


def check_network(name: str) -> None:
    """Refuse a name that `create` does not know; nothing is loaded for that.

    Raises
    ------
    UnknownNetworkError
        With the nearest names.
    """
    _builder(name)


def network_options(name: str) -> tuple[str, ...]:
    """Return the names of the options that `create` takes for a network beside ``num_classes``.

    Raises
    ------
    UnknownNetworkError
        If the name is unknown: a ValueError that gives the nearest names.

    Examples
    --------
    >>> network_options("r2plus1d_18")
    ('mid_channels', 'conv', 'norm_eps')
    """
    family = _builder(name)
    builder, settled = (family.builder, family.options) if isinstance(family, _Family) else (family, {})
    return tuple(word for word in signature(builder).parameters if word not in settled and word != "num_classes")


def _builder(name: str) -> Callable[..., VideoNetwork]:
    if name not in _BUILDERS:
        nearest = get_close_matches(str(name), _BUILDERS, n=3, cutoff=0.4)
        near = f"nearest: {', '.join(nearest)}" if nearest else f"known: {', '.join(list_networks())}"
        raise UnknownNetworkError(f"network {quote(str(name))} is unknown; {near}")
    return _BUILDERS[name]
