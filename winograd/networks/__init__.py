"""Networks: the 3D video networks by name, their initial values and checkpoints, and the clips they look at."""

from __future__ import annotations

from winograd.networks.c3d import C3D
from winograd.networks.checkpoints import load_weights, pretrained
from winograd.networks.description.describing import describe
from winograd.networks.description.record import Description
from winograd.networks.initialise import initialise_he
from winograd.networks.registry import create, list_networks
from winograd.networks.video_network import VideoNetwork

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
