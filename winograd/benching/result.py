"""What was measured: figures by layer and for the stack, as text and as JSON.

In: rounds of timing and errors. Out: ratios, rates, tables. Errors are relative L2 errors against float64, times in ms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from winograd.benching.statistics import LAYER_INTERVAL, STACK_INTERVAL, Ratio, Rounds, gflops, stack_ratio, summed_ms


@dataclass(frozen=True, slots=True)
class LayerMeasurement:
    """One layer by its plan and by the best variant of direct convolution.

    Parameters
    ----------
    layer : str
        Name in the network.
    count : int
        How often the network has this shape.
    input, weight : tuple of int
        (N, C, sizes...) and (K, C, taps...).
    algorithm : str
        What the plan chose, such as "native F(4x4x4,3x3x3)" or "direct".
    reason : str
        Why.
    layout, direct_variant : str
        The faster memory format of ours, and the fastest variant of direct convolution.
    predicted_error : float or None
        That the plan predicts; None for direct convolution.
    measured_error, direct_error : float
        Of ours, the greater one of both memory formats, and of that variant of direct convolution.
    macs, multiplications : int
        Of direct convolution, and those that the plan executes.
    filter_bytes, workspace_bytes : int
        Memory of the transformed filter, and of transformed data and products, as the plan states it.
    rounds : Rounds
        Times of both.
    """

    layer: str
    count: int
    input: tuple[int, ...]
    weight: tuple[int, ...]
    algorithm: str
    reason: str
    layout: str
    direct_variant: str
    predicted_error: float | None
    measured_error: float
    direct_error: float
    macs: int
    multiplications: int
    filter_bytes: int
    workspace_bytes: int
    rounds: Rounds

    @property
    def effective_gflops(self) -> float:
        """Rate of ours in operations of direct convolution."""
        return gflops(self.macs, self.rounds.ours_median_ms)

    @property
    def executed_gflops(self) -> float:
        """Rate of ours in operations that it executes."""
        return gflops(self.multiplications, self.rounds.ours_median_ms)

    @property
    def direct_gflops(self) -> float:
        """Rate of direct convolution."""
        return gflops(self.macs, self.rounds.direct_median_ms)

    def as_dict(self) -> dict[str, Any]:
        """Return all figures under their names, ready for JSON."""
        return {
            **asdict(self),
            "direct_ms": self.rounds.direct_median_ms,
            "ours_ms": self.rounds.ours_median_ms,
            "ratio": asdict(self.rounds.ratio),
            "effective_gflops": self.effective_gflops,
            "executed_gflops": self.executed_gflops,
            "direct_gflops": self.direct_gflops,
        }


@dataclass(frozen=True, slots=True)
class StackMeasurement:
    """Sums over layers, each as often as its network has it.

    Parameters
    ----------
    direct_ms, ours_ms : float
        Sums of medians, the best variant and the better memory format of each layer.
    ratio : Ratio
        Of these sums.
    effective_gflops, executed_gflops : float
        Rates of ours, in operations of direct convolution and in those that it executes.
    worst_error : float
        The greatest measured error of a layer.
    filter_bytes, workspace_bytes : int
        Memory of all transformed filters, and of the largest workspace.
    """

    direct_ms: float
    ours_ms: float
    ratio: Ratio
    effective_gflops: float
    executed_gflops: float
    worst_error: float
    filter_bytes: int
    workspace_bytes: int


def stack_of(layers: tuple[LayerMeasurement, ...], seed: int = 0) -> StackMeasurement:
    """Return the sums over at least one layer; the seed is that of the interval."""
    counts = [layer.count for layer in layers]
    rounds = [layer.rounds for layer in layers]
    ours_ms = summed_ms([each.ours_median_ms for each in rounds], counts)
    return StackMeasurement(
        direct_ms=summed_ms([each.direct_median_ms for each in rounds], counts),
        ours_ms=ours_ms,
        ratio=stack_ratio(rounds, counts, seed),
        effective_gflops=gflops(sum(layer.count * layer.macs for layer in layers), ours_ms),
        executed_gflops=gflops(sum(layer.count * layer.multiplications for layer in layers), ours_ms),
        worst_error=max(layer.measured_error for layer in layers),
        filter_bytes=sum(layer.count * layer.filter_bytes for layer in layers),
        workspace_bytes=max(layer.workspace_bytes for layer in layers),
    )


@dataclass(frozen=True, slots=True)
class Benchmark:
    """All that was measured, and how.

    Parameters
    ----------
    suite : str
    layers : tuple of LayerMeasurement
        At least one.
    batch, repeats, seed, threads : int
    tolerance : float
    machine : mapping
        See `winograd.conv.timing.measured_on`.
    environment : mapping
        See `winograd.benching.surroundings`.
    """

    suite: str
    layers: tuple[LayerMeasurement, ...]
    batch: int
    repeats: int
    seed: int
    threads: int
    tolerance: float
    machine: Mapping[str, str | int]
    environment: Mapping[str, str]

    @property
    def stack(self) -> StackMeasurement:
        """Sums over the layers."""
        return stack_of(self.layers, self.seed)

    @property
    def above_tolerance(self) -> tuple[str, ...]:
        """Names of the layers whose measured error is above the tolerance: by torch's own convolution, all of them."""
        return tuple(layer.layer for layer in self.layers if layer.measured_error > self.tolerance)

    def as_dict(self) -> dict[str, Any]:
        """Return all figures under their names, ready for JSON."""
        return {
            "suite": self.suite,
            "batch": self.batch,
            "tolerance": self.tolerance,
            "repeats": self.repeats,
            "seed": self.seed,
            "threads": self.threads,
            "machine": dict(self.machine),
            "environment": dict(self.environment),
            "intervals": {"layers": LAYER_INTERVAL, "stack": STACK_INTERVAL},
            "layers": [layer.as_dict() for layer in self.layers],
            "stack": asdict(self.stack),
            "above_tolerance": list(self.above_tolerance),
        }
