"""What was measured of training steps: figures by layer and of networks, ready for JSON.

In: rounds of timing and errors. Out: ratios with intervals. Errors are relative L2 errors against float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from winograd.benching.statistics import LAYER_INTERVAL, Rounds, gflops


@dataclass(frozen=True, slots=True)
class StepMeasurement:
    """The training step of one layer, ours and torch's own.

    Parameters
    ----------
    layer : str
        Name in the network.
    count : int
        How often the network has this shape.
    input, weight : tuple of int
        (N, C, sizes...) and (K, C / groups, taps...).
    stride, dilation, padding, groups
        As in `winograd.conv.geometry.shape.ConvShape`.
    macs : int
        Of a direct step: output and both gradients.
    layout, direct_layout : str
        The faster memory format of ours and of torch's own.
    engaged : mapping of str to str
        What computed each tensor, such as "native F(4x4x4,3x3x3)" or "direct".
    errors, direct_errors : mapping of str to float
        By the name of the tensor, see `winograd.benching.training.step.NAMES`; the worst over the memory formats.
    rounds : Rounds
        Times of the whole step.
    parts : mapping of str to Rounds
        Times of output, input gradient and weight gradient, each for itself; empty unless asked for.
    """

    layer: str
    count: int
    input: tuple[int, ...]
    weight: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    groups: int
    macs: int
    layout: str
    direct_layout: str
    engaged: Mapping[str, str]
    errors: Mapping[str, float]
    direct_errors: Mapping[str, float]
    rounds: Rounds
    parts: Mapping[str, Rounds]

    def as_dict(self) -> dict[str, Any]:
        """Return all figures under their names, ready for JSON."""
        own = {name: getattr(self, name) for name in _PLAIN}
        return {
            **{name: dict(value) if isinstance(value, Mapping) else value for name, value in own.items()},
            **rounds_dict(self.rounds),
            "effective_gflops": gflops(self.macs, self.rounds.ours_median_ms),
            "direct_gflops": gflops(self.macs, self.rounds.direct_median_ms),
            "parts": {name: rounds_dict(rounds) for name, rounds in self.parts.items()},
        }


_PLAIN = (
    "layer", "count", "input", "weight", "stride", "dilation", "padding", "groups", "macs", "layout", "direct_layout",
    "engaged", "errors", "direct_errors",
)  # fmt: skip


def rounds_dict(rounds: Rounds) -> dict[str, Any]:
    """Return medians, the ratio with its interval, and every round."""
    return {
        "direct_ms": rounds.direct_median_ms,
        "ours_ms": rounds.ours_median_ms,
        "ratio": asdict(rounds.ratio),
        "rounds": {"direct_ms": list(rounds.direct_ms), "ours_ms": list(rounds.ours_ms)},
    }


@dataclass(frozen=True, slots=True)
class GradientErrors:
    """Errors of the gradients of all parameters of a network after one step, at some size.

    Parameters
    ----------
    input : tuple of int
        (N, C, frames, height, width).
    loss : float
        In float64.
    all, direct_all : float
        Relative L2 error of all gradients, taken as one vector: ours, and torch's own in float32.
    worst, direct_worst : tuple of (str, float)
        The parameter with the greatest error, and that error.
    """

    input: tuple[int, ...]
    loss: float
    all: float
    direct_all: float
    worst: tuple[str, float]
    direct_worst: tuple[str, float]


@dataclass(frozen=True, slots=True)
class NetworkMeasurement:
    """The training step of a whole network: zeroed gradients, forward, loss, backward, the optimiser's step.

    Parameters
    ----------
    network : str
        Its name in the registry.
    input : tuple of int
        (N, C, frames, height, width) that is timed.
    layout, direct_layout : str
        The faster memory format of ours and of torch's own.
    rounds : Rounds
        Times of the whole step.
    layers : tuple of StepMeasurement
        Errors of each shape of convolution, on the tensors that it meets in the network; not timed apart.
    gradients : GradientErrors
        Of all parameters, at a size that float64 can be run at.
    """

    network: str
    input: tuple[int, ...]
    layout: str
    direct_layout: str
    rounds: Rounds
    layers: tuple[LayerErrors, ...]
    gradients: GradientErrors

    def as_dict(self) -> dict[str, Any]:
        """Return all figures under their names, ready for JSON."""
        return {
            "network": self.network,
            "input": self.input,
            "layout": self.layout,
            "direct_layout": self.direct_layout,
            **rounds_dict(self.rounds),
            "layers": [asdict(layer) for layer in self.layers],
            "gradients": asdict(self.gradients),
        }


@dataclass(frozen=True, slots=True)
class LayerErrors:
    """Errors of one convolution of a network on the tensors that it met there.

    Parameters
    ----------
    layer : str
        Of the first one of this shape.
    engaged : mapping of str to str
        What computed each tensor.
    errors, direct_errors : mapping of str to float
        As in `StepMeasurement`.
    """

    layer: str
    engaged: Mapping[str, str]
    errors: Mapping[str, float]
    direct_errors: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class TrainingBenchmark:
    """Training steps with everything they were measured on.

    Parameters
    ----------
    layers : tuple of StepMeasurement
    networks : tuple of NetworkMeasurement
    batch, repeats, seed, threads : int
    tolerance : float
    machine : mapping
        See `winograd.conv.measuring.timing.measured_on`.
    environment : mapping
        See `winograd.benching.surroundings`.
    """

    layers: tuple[StepMeasurement, ...]
    networks: tuple[NetworkMeasurement, ...]
    batch: int
    repeats: int
    seed: int
    threads: int
    tolerance: float
    machine: Mapping[str, str | int]
    environment: Mapping[str, str]

    @property
    def above_tolerance(self) -> tuple[str, ...]:
        """Tensors whose measured error is above the tolerance, as "conv2 bias_gradient": torch has computed them."""
        measured: list[tuple[str, StepMeasurement | LayerErrors]] = [(layer.layer, layer) for layer in self.layers]
        measured += [(f"{one.network}.{layer.layer}", layer) for one in self.networks for layer in one.layers]
        return tuple(
            f"{layer} {name}"
            for layer, found in measured
            for name, error in found.errors.items()
            if error > self.tolerance
        )

    def as_dict(self) -> dict[str, Any]:
        """Return all figures under their names, ready for JSON."""
        return {
            "step": "forward, gradients of input, weight and bias; weights transformed within it",
            "batch": self.batch,
            "tolerance": self.tolerance,
            "repeats": self.repeats,
            "seed": self.seed,
            "threads": self.threads,
            "machine": dict(self.machine),
            "environment": dict(self.environment),
            "interval": LAYER_INTERVAL,
            "layers": [layer.as_dict() for layer in self.layers],
            "networks": [network.as_dict() for network in self.networks],
            "above_tolerance": list(self.above_tolerance),
        }
