"""Sums over layers: of all, and of each kind of them, as often as their network has them.

In: measured layers. Out: times, ratios with intervals, rates, the worst error, memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from winograd.benching.layers import Part
from winograd.benching.statistics import Ratio, gflops, stack_ratio, summed_ms

if TYPE_CHECKING:
    from winograd.benching.result import LayerMeasurement


@dataclass(frozen=True, slots=True)
class StackMeasurement:
    """Sums over layers, each as often as its network has it.

    Parameters
    ----------
    direct_ms, ours_ms : float
        Sums of medians, the best variant and the better memory format of each layer.
    ratio : Ratio
        Of these sums.
    convolutions : int
        How many were summed up.
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
    convolutions: int
    effective_gflops: float
    executed_gflops: float
    worst_error: float
    filter_bytes: int
    workspace_bytes: int


def stack_of(layers: Sequence[LayerMeasurement], seed: int = 0) -> StackMeasurement:
    """Return the sums over at least one layer; the seed is that of the interval."""
    counts = [layer.count for layer in layers]
    rounds = [layer.rounds for layer in layers]
    ours_ms = summed_ms([each.ours_median_ms for each in rounds], counts)
    return StackMeasurement(
        direct_ms=summed_ms([each.direct_median_ms for each in rounds], counts),
        ours_ms=ours_ms,
        ratio=stack_ratio(rounds, counts, seed),
        convolutions=sum(counts),
        effective_gflops=gflops(sum(layer.count * layer.macs for layer in layers), ours_ms),
        executed_gflops=gflops(sum(layer.count * layer.multiplications for layer in layers), ours_ms),
        worst_error=max(layer.measured_error for layer in layers),
        filter_bytes=sum(layer.count * layer.filter_bytes for layer in layers),
        workspace_bytes=max(layer.workspace_bytes for layer in layers),
    )


def parts_of(layers: Sequence[LayerMeasurement], seed: int = 0) -> dict[str, StackMeasurement]:
    """Return the sums over the layers of each kind that is there, by its name."""
    found = {part.value: [layer for layer in layers if layer.part == part.value] for part in Part}
    return {name: stack_of(some, seed) for name, some in found.items() if some}
