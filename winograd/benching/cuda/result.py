"""What was measured on a GPU: figures by layer and way of computing it, ready for JSON.

In: times and errors. Out: ratios and rates. Errors are relative L2 errors against float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import fsum, inf, isfinite, nan
from statistics import median
from typing import Any

from winograd.benching.cuda.published import LAN_2017
from winograd.conv.gpu.card import Card

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
    most_error : float
        Above it the output is not what the name says, and its time no figure of that; infinite for ours.
    failure : str
        Why it did not run; empty where it did.
    """

    name: str
    error: float
    times_ms: tuple[float, ...]
    peak_bytes: int
    most_error: float = inf
    failure: str = ""

    @property
    def counts(self) -> bool:
        """Whether its output is what its name says."""
        return self.error <= self.most_error

    @property
    def median_ms(self) -> float:
        """Median over the rounds; infinite where nothing was timed."""
        return median(self.times_ms) if self.times_ms else inf


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
    rotated_bytes : int
        Of all inputs that take turns.
    timed : tuple of Timed
    padding : tuple of (int, int)
        Zeros before and behind every axis.
    form : mapping or None
        What the cost model predicts from: sizes of the algorithm, kind of kernels, products, their settings, and
        instructions of the transforms; None where the plan is direct.
    measured_stages : tuple of (str, float)
        Milliseconds of each stage on the card, without what Python takes; the filter's, which is kept, is the last.
    host_ms : float or None
        What a call takes to return.
    stage_failure : str
        Why the stages could not be timed; empty where they were, or there are none.
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
    rotated_bytes: int
    timed: tuple[Timed, ...]
    padding: tuple[tuple[int, int], ...] = ()
    form: Mapping[str, Any] | None = None
    measured_stages: tuple[tuple[str, float], ...] = ()
    host_ms: float | None = None
    stage_failure: str = ""

    @property
    def ours(self) -> Timed:
        """The faster memory format of ours."""
        return min(self._of("ours"), key=lambda one: one.median_ms)

    @property
    def exact(self) -> Timed:
        """The fastest direct convolution in float32, of those whose output is that."""
        return self._fastest("cudnn float32", "compiled float32")

    @property
    def tf32(self) -> Timed:
        """The fastest direct convolution with TF32, of those whose output is that."""
        return self._fastest("cudnn tf32", "compiled tf32")

    @property
    def graph_ours(self) -> Timed:
        """Ours in CUDA graphs."""
        return self._fastest("graph ours")

    @property
    def graph_exact(self) -> Timed:
        """The library's in float32, in CUDA graphs."""
        return self._fastest("graph cudnn float32")

    @property
    def graph_tf32(self) -> Timed:
        """The library's with TF32, in CUDA graphs."""
        return self._fastest("graph cudnn tf32")

    @property
    def wrong(self) -> tuple[Timed, ...]:
        """Those whose output is not what their name says: they count for nothing."""
        return tuple(one for one in self.timed if not one.failure and not one.counts)

    @property
    def failed(self) -> tuple[Timed, ...]:
        """Those that did not run."""
        return tuple(one for one in self.timed if one.failure)

    @property
    def effective_tflops(self) -> float:
        """Rate of ours in operations of direct convolution."""
        return 2 * self.macs / self.ours.median_ms / 1e9

    def _fastest(self, *beginnings: str) -> Timed:
        found = [one for beginning in beginnings for one in self._of(beginning) if one.counts]
        return min(found, key=lambda one: one.median_ms, default=Timed(beginnings[0], nan, (), 0))

    def _of(self, beginning: str) -> tuple[Timed, ...]:
        return tuple(one for one in self.timed if one.name.startswith(beginning))

    def as_dict(self) -> dict[str, Any]:
        """Return all figures under their names, ready for JSON."""
        best = {name: getattr(self, name) for name in ("ours", "exact", "tf32")}
        found = {
            **asdict(self),
            "ours_ms": best["ours"].median_ms,
            "float32_ms": best["exact"].median_ms,
            "tf32_ms": best["tf32"].median_ms,
            "graph_ours_ms": self.graph_ours.median_ms,
            "graph_float32_ms": self.graph_exact.median_ms,
            "graph_tf32_ms": self.graph_tf32.median_ms,
            "fastest": {name: one.name for name, one in best.items()},
            "wrong": [one.name for one in self.wrong],
            "effective_tflops": self.effective_tflops,
        }
        return {name: _plain(value) for name, value in found.items()}


@dataclass(frozen=True, slots=True)
class CudaBenchmark:
    """All that was measured on a GPU, and how.

    Parameters
    ----------
    suite : str
    layers : tuple of CudaLayer
        That could be measured.
    batch, rounds, seed : int
    tolerance : float
    dtype, tuning : str
    surroundings : mapping
        Card, versions, the day; see `winograd.benching.cuda.measurement.cuda_surroundings`.
    card : Card
        As the cost model knows it.
    failures : mapping of str to str
        Layers that could not be measured, and why.
    is_complete : bool
        Whether all layers have been tried.
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
    card: Card
    failures: Mapping[str, str] = field(default_factory=dict)
    is_complete: bool = True

    def total_ms(self, which: str) -> float:
        """Return the time of all layers, each as often as the network has it, by a property such as "ours"."""
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
            "card": asdict(self.card),
            "complete": self.is_complete,
            "failures": dict(self.failures),
            "layers": [layer.as_dict() for layer in self.layers],
            "ours_ms": _plain(self.total_ms("ours")),
            "float32_ms": _plain(self.total_ms("exact")),
            "tf32_ms": _plain(self.total_ms("tf32")),
            "published": published,
            "above_tolerance": list(self.above_tolerance),
        }


def why(failure: BaseException) -> str:
    """Return the first line of what went wrong."""
    return str(failure).strip().partition("\n")[0] or type(failure).__name__


def _plain(value: Any) -> Any:
    """Return the value as JSON can have it: what is no finite number becomes None, however deep it lies."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value
