"""What was measured: figures by layer and for all of them, ready for JSON.

In: rounds of timing and errors. Out: ratios, rates, verdicts. Errors are relative L2 errors against float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from winograd.benching.statistics import LAYER_INTERVAL, STACK_INTERVAL, Rounds, gflops
from winograd.benching.sums import StackMeasurement, parts_of, stack_of


@dataclass(frozen=True, slots=True)
class LayerMeasurement:
    """One layer by its plan and by the best variant of direct convolution.

    Parameters
    ----------
    layer : str
        Name in the network.
    part : str
        Kind of convolution, see `winograd.benching.layers.Part`.
    count : int
        How often the network has this shape.
    input, weight : tuple of int
        (N, C, sizes...) and (K, C / groups, taps...).
    stride, dilation, padding, groups
        As in `winograd.conv.geometry.shape.ConvShape`.
    algorithm : str
        What the plan chose, such as "native F(4x4x4,3x3x3)" or "direct".
    phases : str
        By which phases that computes a stride, a dilation or groups; empty without.
    reason : str
        Why.
    layout, direct_variant : str
        The faster memory format of ours, and the fastest variant of direct convolution.
    predicted_error : float or None
        That the plan predicts; None for direct convolution.
    measured_error, direct_error : float
        Of ours, the greater one of both memory formats, and of that variant of direct convolution.
    verified_outputs : int
        Output channels that these errors are of; fewer than there are where verifying all of them would take long.
    macs, multiplications : int
        Of direct convolution, and those that the plan executes.
    filter_bytes, workspace_bytes : int
        Memory of the transformed filter, and of transformed data and products, as the plan states it.
    packed_bytes : int
        Memory of the filter as it was packed, 0 where each call reads the weight itself.
    predicted_ms : float or None
        What the plan predicts, for the nominal machine.
    bound_ms : float
        What the peaks of the nominal machine allow at least.
    rounds : Rounds
        Times of both; of the second measurement where the first one fell short.
    first_rounds : Rounds or None
        Times of the first measurement where there was a second one.
    """

    layer: str
    part: str
    count: int
    input: tuple[int, ...]
    weight: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    groups: int
    algorithm: str
    phases: str
    reason: str
    layout: str
    direct_variant: str
    predicted_error: float | None
    measured_error: float
    direct_error: float
    verified_outputs: int
    macs: int
    multiplications: int
    filter_bytes: int
    workspace_bytes: int
    packed_bytes: int
    predicted_ms: float | None
    bound_ms: float
    rounds: Rounds
    first_rounds: Rounds | None

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

    @property
    def is_winograd(self) -> bool:
        """Whether the plan takes an algorithm, and not torch's own convolution."""
        return self.algorithm != "direct"

    @property
    def of_bound(self) -> float:
        """How much of the roofline was reached: the time that the peaks allow, over that of ours."""
        return self.bound_ms / self.rounds.ours_median_ms

    def as_dict(self) -> dict[str, Any]:
        """Return all figures under their names, ready for JSON."""
        return {
            **asdict(self),
            "of_bound": self.of_bound,
            "added_us": self.rounds.added_us,
            "falls_short": self.rounds.falls_short,
            "direct_ms": self.rounds.direct_median_ms,
            "ours_ms": self.rounds.ours_median_ms,
            "ratio": asdict(self.rounds.ratio),
            "effective_gflops": self.effective_gflops,
            "executed_gflops": self.executed_gflops,
            "direct_gflops": self.direct_gflops,
        }


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
    dtype : str
        Of the tensors.
    filters : str
        "frozen" where they were transformed and packed beforehand, "live" where that is a part of the times.
    machine : mapping
        See `winograd.conv.measuring.timing.measured_on`.
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
    dtype: str
    filters: str
    machine: Mapping[str, str | int]
    environment: Mapping[str, str]

    @property
    def stack(self) -> StackMeasurement:
        """Sums over the layers."""
        return stack_of(self.layers, self.seed)

    @property
    def parts(self) -> dict[str, StackMeasurement]:
        """Sums over the layers of each kind."""
        return parts_of(self.layers, self.seed)

    @property
    def short(self) -> tuple[LayerMeasurement, ...]:
        """The layers that fall short of direct convolution, after the second measurement of each."""
        return tuple(layer for layer in self.layers if layer.rounds.falls_short)

    @property
    def most_added(self) -> LayerMeasurement | None:
        """Of the layers where direct convolution takes less than a millisecond, the one that ours adds most to."""
        short = [layer for layer in self.layers if layer.rounds.is_short]
        return max(short, key=lambda layer: layer.rounds.added_us, default=None)

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
            "dtype": self.dtype,
            "filters": self.filters,
            "repeats": self.repeats,
            "seed": self.seed,
            "threads": self.threads,
            "machine": dict(self.machine),
            "environment": dict(self.environment),
            "intervals": {"layers": LAYER_INTERVAL, "stack": STACK_INTERVAL},
            "layers": [layer.as_dict() for layer in self.layers],
            "stack": asdict(self.stack),
            "parts": {name: asdict(part) for name, part in self.parts.items()},
            "fall_short": [layer.layer for layer in self.short],
            "most_added_us": None if self.most_added is None else self.most_added.rounds.added_us,
            "above_tolerance": list(self.above_tolerance),
        }
