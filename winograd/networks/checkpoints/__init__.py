"""Checkpoints: files of weights, read by name into the networks, whoever named and wrote them."""

from __future__ import annotations

from winograd.networks.checkpoints.files import read_weights
from winograd.networks.checkpoints.loading import load_state, load_weights, pretrained

__all__ = ["load_state", "load_weights", "pretrained", "read_weights"]
