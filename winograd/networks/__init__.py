"""Networks: the 3D video networks by name, their initial values and checkpoints, and the clips they look at.

The names of the networks are here at once; what needs torch is loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from winograd.extras import load as _load
from winograd.networks.registry import create, list_networks

if TYPE_CHECKING:
    from winograd.networks.c3d import C3D
    from winograd.networks.checkpoints import load_weights, pretrained
    from winograd.networks.description.describing import describe
    from winograd.networks.description.record import Description
    from winograd.networks.initialise import initialise_he
    from winograd.networks.video_network import VideoNetwork

_HOMES = {
    "C3D": "winograd.networks.c3d",
    "Description": "winograd.networks.description.record",
    "VideoNetwork": "winograd.networks.video_network",
    "describe": "winograd.networks.description.describing",
    "initialise_he": "winograd.networks.initialise",
    "load_weights": "winograd.networks.checkpoints",
    "pretrained": "winograd.networks.checkpoints",
}

__all__ = [
    "C3D",
    "Description",
    "VideoNetwork",
    "create",
    "describe",
    "initialise_he",
    "list_networks",
    "load_weights",
    "pretrained",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'winograd.networks' has no attribute {name!r}")
    value = getattr(_load(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
