"""The table in Markdown of training steps. In: figures as ``benchmarks/training.py`` writes them. Out: a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from winograd.benching.tables import markdown
from winograd.benching.training.showing import spelled
from winograd.benching.training.step import NAMES

TRAINING: Final = "training"
"""Name of the table."""

_HEADER: Final = (
    "training step", "torch, ms", "ours, ms", "ratio", "by", "error of output, dX, dW, db", "torch's own",
)  # fmt: skip


def training_table(figures: Mapping[str, Any]) -> str:
    """Return a row for each layer and each network.

    Errors of a network are those of all its gradients as one vector, against the network in float64 at the size that
    the JSON says.
    """
    return markdown(_HEADER, [*_layer_rows(figures), *_network_rows(figures)])


def _layer_rows(figures: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for layer in figures["layers"]:
        name = f"{layer['layer']}, batch {layer['input'][0]}"
        errors = (_errors(layer[key]) for key in ("errors", "direct_errors"))
        yield name, *_times(layer), spelled(layer["engaged"]), *errors


def _network_rows(figures: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for network in figures["networks"]:
        gradients = network["gradients"]
        errors = (f"{gradients[key]:.1e}, all gradients" for key in ("all", "direct_all"))
        yield f"{network['network']}, batch {network['input'][0]}", *_times(network), "", *errors


def _times(measured: Mapping[str, Any]) -> tuple[str, str, str]:
    ratio = measured["ratio"]
    ends = f"{ratio['value']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})"
    return f"{measured['direct_ms']:.0f}", f"{measured['ours_ms']:.0f}", ends


def _errors(errors: Mapping[str, float]) -> str:
    return ", ".join(f"{errors[name]:.1e}" for name in NAMES if name in errors)
