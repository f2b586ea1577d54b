"""What was measured of whole networks: times, errors and ratios, ready for JSON.

In: rounds of timing and errors. Out: ratios with intervals. Errors are relative L2, of the scores, against float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

from winograd.benching.networks.rivals import Rival
from winograd.benching.statistics import LAYER_INTERVAL, Ratio, Rounds

PAIRS: Final = {
    "unfolded": (Rival.DIRECT, Rival.OURS),
    "folded": (Rival.DIRECT_FOLDED, Rival.OURS_FOLDED),
    "compiled": (Rival.COMPILED, Rival.OURS_FOLDED),
}
"""Who is compared with whom: batch norm is folded on both sides or on neither, and torch.compile folds by itself."""


@dataclass(frozen=True, slots=True)
class Run:
    """A network by one rival, in the faster of its memory formats.

    Parameters
    ----------
    layout : str
        Of weights and clip.
    milliseconds : tuple of float
        One per round, round i of all rivals from the same stretch of time.
    error : float
        Relative L2 error of the scores.
    """

    layout: str
    milliseconds: tuple[float, ...]
    error: float

    @property
    def median_ms(self) -> float:
        """Median over the rounds."""
        return median(self.milliseconds)


@dataclass(frozen=True, slots=True)
class Costs:
    """What ours holds beside the network, in its fastest form.

    Parameters
    ----------
    convolutions, by_winograd : int
        Of the network, and those of them that Winograd computes.
    weight_bytes : int
        Parameters of the network.
    packed_bytes : int
        Weights transformed and packed beforehand.
    workspace_bytes : int
        Of the convolution that takes most, as its plan states it.
    """

    convolutions: int
    by_winograd: int
    weight_bytes: int
    packed_bytes: int
    workspace_bytes: int


@dataclass(frozen=True, slots=True)
class NetworkTimes:
    """One network by all rivals.

    Parameters
    ----------
    network : str
    input : tuple of int
        (N, C, frames, height, width).
    folded_norms : int
        Batch norms that were folded; without any torch's own has no folded form, and the other one stands for it.
    runs : mapping of Rival to Run
        Eager torch and ours always.
    costs : Costs
    """

    network: str
    input: tuple[int, ...]
    folded_norms: int
    runs: Mapping[Rival, Run]
    costs: Costs

    @property
    def ratios(self) -> dict[str, Ratio]:
        """How many times faster ours is, by the names of `PAIRS` whose rivals both ran.

        Examples
        --------
        >>> runs = {Rival.DIRECT: Run("contiguous", (3.0,), 1e-7), Rival.OURS: Run("contiguous", (1.0,), 1e-6)}
        >>> NetworkTimes("made_up", (1, 3, 4, 8, 8), 0, runs, Costs(1, 1, 8, 8, 8)).ratios
        {'unfolded': Ratio(value=3.0, low=3.0, high=3.0)}
        """
        runs = {Rival.DIRECT_FOLDED: self.runs[Rival.DIRECT], **self.runs}  # without norms there is nothing to fold
        return {
            name: Rounds(runs[theirs].milliseconds, runs[ours].milliseconds).ratio
            for name, (theirs, ours) in PAIRS.items()
            if theirs in runs and ours in runs
        }

    def as_dict(self) -> dict[str, Any]:
        """Return all figures under their names, ready for JSON."""
        return {
            "network": self.network,
            "input": list(self.input),
            "folded_norms": self.folded_norms,
            "runs": {rival.value: {**asdict(run), "median_ms": run.median_ms} for rival, run in self.runs.items()},
            "ratios": {name: asdict(ratio) for name, ratio in self.ratios.items()},
            "costs": asdict(self.costs),
        }


@dataclass(frozen=True, slots=True)
class NetworksBenchmark:
    """All networks that were measured, and how.

    Parameters
    ----------
    networks : tuple of NetworkTimes
        At least one.
    repeats, seed, threads : int
    tolerance : float
        Of each convolution.
    machine : mapping
        See `winograd.conv.measuring.timing.measured_on`.
    environment : mapping
        See `winograd.benching.surroundings`.
    """

    networks: tuple[NetworkTimes, ...]
    repeats: int
    seed: int
    threads: int
    tolerance: float
    machine: Mapping[str, str | int]
    environment: Mapping[str, str]

    def as_dict(self) -> dict[str, Any]:
        """Return all figures under their names, ready for JSON."""
        return {
            "tolerance": self.tolerance,
            "repeats": self.repeats,
            "seed": self.seed,
            "threads": self.threads,
            "machine": dict(self.machine),
            "environment": dict(self.environment),
            "interval": LAYER_INTERVAL,
            "networks": [network.as_dict() for network in self.networks],
        }
