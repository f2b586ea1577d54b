"""Training steps as text. In: a `TrainingBenchmark`. Out: tables, with how they were made above."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from winograd.accuracy.showing.table import scientific, text_table
from winograd.benching.statistics import LAYER_INTERVAL, Ratio, Rounds
from winograd.benching.training.result import (
    GradientErrors,
    LayerErrors,
    NetworkMeasurement,
    StepMeasurement,
    TrainingBenchmark,
)
from winograd.benching.training.step import DIRECT, NAMES

_SHORT: Final = {"output": "y", "input_gradient": "dX", "weight_gradient": "dW", "bias_gradient": "db"}

_ERRORS: Final = tuple(f"{_SHORT[name]} error" for name in NAMES)

_HEADER: Final = ("layer", "by", "torch ms", "ours ms", "ratio", "interval", *_ERRORS, "torch's worst")

_NETWORK_HEADER: Final = ("layer", "by", *_ERRORS, "torch's worst")

_PARTS_HEADER: Final = ("layer", "part", "torch ms", "ours ms", "ratio")


def training_text(benchmark: TrainingBenchmark) -> str:
    """Return heading, a table of the layers, one of their parts if they were timed, and each network."""
    lines = _heading(benchmark)
    if benchmark.layers:
        lines += ["", text_table(_HEADER, [_layer_cells(layer) for layer in benchmark.layers], left=2)]
    parts = [_part_cells(layer.layer, *part) for layer in benchmark.layers for part in layer.parts.items()]
    if parts:
        lines += ["", text_table(_PARTS_HEADER, parts, left=2)]
    for network in benchmark.networks:
        lines += ["", *_network_lines(network)]
    lines += ["", f"above the tolerance: {', '.join(benchmark.above_tolerance) or 'none'}"]
    return "\n".join(lines)


def _heading(benchmark: TrainingBenchmark) -> list[str]:
    machine = benchmark.machine
    return [
        f"training steps, batch {benchmark.batch}, float32, tolerance {benchmark.tolerance:g}, "
        "weights transformed within each step",
        f"{machine['processor']}, {benchmark.threads} threads, torch {machine['torch']}, {machine['date']}, "
        f"seed {benchmark.seed}; medians of {benchmark.repeats} interleaved rounds",
        *([f"environment: {_variables(benchmark.environment)}"] if benchmark.environment else []),
        "errors: relative L2 against float64, of all elements, the worse of both memory formats",
        "ratio: median over the rounds of torch's own in its better memory format / ours",
        f"interval: {LAYER_INTERVAL}",
    ]


def _variables(environment: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in environment.items())


def _layer_cells(layer: StepMeasurement) -> tuple[str, ...]:
    return (
        layer.layer,
        spelled(layer.engaged),
        *_time_cells(layer.rounds),
        *_error_cells(layer.errors, layer.direct_errors),
    )


def _time_cells(rounds: Rounds) -> tuple[str, ...]:
    ratio = rounds.ratio
    return f"{rounds.direct_median_ms:.1f}", f"{rounds.ours_median_ms:.1f}", f"{ratio.value:.2f}", interval(ratio)


def interval(ratio: Ratio) -> str:
    """Return the ends of the interval."""
    return f"{ratio.low:.2f}-{ratio.high:.2f}"


def _error_cells(errors: Mapping[str, float], direct_errors: Mapping[str, float]) -> tuple[str, ...]:
    return (*(scientific(errors.get(name)) for name in NAMES), scientific(max(direct_errors.values())))


def _part_cells(layer: str, part: str, rounds: Rounds) -> tuple[str, ...]:
    return layer, part.replace("_", " "), *_time_cells(rounds)[:3]


def _network_lines(network: NetworkMeasurement) -> list[str]:
    torch_ms, ours_ms, ratio, ends = _time_cells(network.rounds)
    return [
        f"{network.network}, whole step on {_sizes(network.input)}, gradients zeroed, forward, loss, backward, SGD: "
        f"torch {torch_ms} ms ({network.direct_layout}), ours {ours_ms} ms ({network.layout}), ratio {ratio} ({ends})",
        "its convolutions, on the tensors that they meet in it:",
        text_table(_NETWORK_HEADER, [_met_cells(layer) for layer in network.layers], left=2),
        *_gradient_lines(network.gradients),
    ]


def _met_cells(layer: LayerErrors) -> tuple[str, ...]:
    return layer.layer, spelled(layer.engaged), *_error_cells(layer.errors, layer.direct_errors)


def _gradient_lines(gradients: GradientErrors) -> list[str]:
    return [
        f"gradients of all parameters against the network in float64, on {_sizes(gradients.input)}: "
        f"ours {gradients.all:.1e}, torch's own {gradients.direct_all:.1e}; "
        f"worst parameter: ours {gradients.worst[1]:.1e} ({gradients.worst[0]}), "
        f"torch's own {gradients.direct_worst[1]:.1e} ({gradients.direct_worst[0]})",
    ]


def _sizes(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))


def spelled(engaged: Mapping[str, str]) -> str:
    """Return what computed the tensors of a step in a few words.

    Examples
    --------
    >>> spelled({"output": "native F(4x4x4,3x3x3)", "input_gradient": "direct", "weight_gradient": "direct"})
    'y F(4x4x4,3x3x3); dX, dW direct'
    >>> spelled({})
    'direct'
    """
    by: dict[str, list[str]] = {}
    for name, algorithm in engaged.items():
        by.setdefault(algorithm.removeprefix("native "), []).append(_SHORT[name])
    if not by or list(by) == [DIRECT]:
        return DIRECT
    return "; ".join(f"{', '.join(names)} {algorithm}" for algorithm, names in by.items())
