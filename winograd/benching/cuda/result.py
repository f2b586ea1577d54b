"""What was measured on a GPU: figures by layer and way of computing it, ready for JSON.

In: times and errors. Out: ratios and rates. Errors are relative L2 errors against float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import fsum
from statistics import median
from typing import Any

from winograd.benching.cuda.published import LAN_2017

LAN: str = "lan2017"


@dataclass(frozen=True, slots=True)
class Timed:
    """One way of computing a layer.

    Parameters
    ----------
    name : str
    error : float
        Relative L2, of the images that were verified.
    times_ms : tuple of float
        One per round; empty where its error was no number, and nothing was timed.
    peak_bytes : int
        That a call allocates at most, its output among them; 0 on the CPU.
    """

    name: str
    error: float
    times_ms: tuple[float, ...]
    peak_bytes: int

    @property
    def median_ms(self) -> float:
        """Median over the rounds; infinite where nothing was timed."""
        return median(self.times_ms) if self.times_ms else float("inf")


@dataclass(frozen=True, slots=True)
class CudaLayer:
    """One layer by all ways of computing it.

    Parameters
    ----------
    layer : str
    count : int
        How often the network has this shape.
    input, weight : tuple of int
    plan, reason : str
        What the plan chose, and why.
    predicted_error, predicted_ms : float or None
    stages : tuple of (str, float, str)
        Predicted milliseconds of each stage, and what limits it.
    filter_bytes, workspace_bytes : int
        As the plan states them.
    macs : int
        Of direct convolution.
    timed : tuple of Timed
    """

    layer: str
    count: int
    input: tuple[int, ...]
    weight: tuple[int, ...]
    plan: str
    reason: str
    predicted_error: float | None
    predicted_ms: float | None
    stages: tuple[tuple[str, float, str], ...]
    filter_bytes: int
    workspace_bytes: int
    macs: int
    timed: tuple[Timed, ...]

    @property
    def ours(self) -> Timed:
        """The faster memory format of ours."""
        return min(self._of("ours"), key=lambda one: one.median_ms)

    @property
    def exact(self) -> Timed:
        """The fastest direct convolution in float32."""
        return min((*self._of("cudnn float32"), *self._of("compiled float32")), key=lambda one: one.median_ms)

    @property
    def tf32(self) -> Timed:
        """The fastest direct convolution with TF32."""
        return min((*self._of("cudnn tf32"), *self._of("compiled tf32")), key=lambda one: one.median_ms)

    @property
    def effective_tflops(self) -> float:
        """Rate of ours in operations of direct convolution."""
        return 2 * self.macs / self.ours.median_ms / 1e9

    def _of(self, beginning: str) -> tuple[Timed, ...]:
        return tuple(one for one in self.timed if one.name.startswith(beginning))

    def as_dict(self) -> dict[str, Any]:
        """Return all figures under their names, ready for JSON."""
        best = {name: getattr(self, name) for name in ("ours", "exact", "tf32")}
        return {
            **asdict(self),
            "ours_ms": _finite(best["ours"].median_ms),
            "float32_ms": _finite(best["exact"].median_ms),
            "tf32_ms": _finite(best["tf32"].median_ms),
            "fastest": {name: one.name for name, one in best.items()},
            "effective_tflops": self.effective_tflops,
        }


@dataclass(frozen=True, slots=True)
class CudaBenchmark:
    """All that was measured on a GPU, and how.

    Parameters
    ----------
    suite : str
    layers : tuple of CudaLayer
        At least one.
    batch, rounds, seed : int
    tolerance : float
    dtype, tuning : str
    surroundings : mapping
        Card, versions, the day; see `winograd.benching.cuda.measurement.cuda_surroundings`.
    """

    suite: str
    layers: tuple[CudaLayer, ...]
    batch: int
    rounds: int
    seed: int
    tolerance: float
    dtype: str
    tuning: str
    surroundings: Mapping[str, str]

    def total_ms(self, which: str) -> float:
        """Return the time of all layers, by "ours", "exact" or "tf32", each as often as the network has it."""
        return fsum(layer.count * getattr(layer, which).median_ms for layer in self.layers)

    @property
    def above_tolerance(self) -> tuple[str, ...]:
        """Names of the layers where an error of our kernels is above the tolerance."""
        planned = (layer for layer in self.layers if layer.predicted_error is not None)
        return tuple(one.layer for one in planned if not one.ours.error <= self.tolerance)

    def as_dict(self) -> dict[str, Any]:
        """Return all figures under their names, ready for JSON."""
        published = {name: asdict(figures) for name, figures in LAN_2017.items()} if self.suite == LAN else {}
        return {
            "suite": self.suite,
            "device": "cuda",
            "batch": self.batch,
            "rounds": self.rounds,
            "seed": self.seed,
            "tolerance": self.tolerance,
            "dtype": self.dtype,
            "tuning": self.tuning,
            "surroundings": dict(self.surroundings),
            "layers": [layer.as_dict() for layer in self.layers],
            "ours_ms": _finite(self.total_ms("ours")),
            "float32_ms": _finite(self.total_ms("exact")),
            "tf32_ms": _finite(self.total_ms("tf32")),
            "published": published,
            "above_tolerance": list(self.above_tolerance),
        }


def _finite(value: float) -> float | None:
    return value if value < float("inf") else None
