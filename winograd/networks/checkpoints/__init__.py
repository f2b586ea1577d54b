"""Checkpoints: files of weights, read by name into the networks."""

from __future__ import annotations

from winograd.networks.checkpoints.loading import load_state, load_weights, read_weights

__all__ = ["load_state", "load_weights", "read_weights"]
