"""How a benchmark measures. In: what was asked for. Out: one record of it, the same for layers and whole networks."""

from __future__ import annotations

from dataclasses import dataclass

from winograd.conv.choosing.selection import Filters
from winograd.conv.planning.tuning_mode import TuningName


@dataclass(frozen=True, slots=True)
class BenchSettings:
    """What all layers or networks of a benchmark have in common.

    Parameters
    ----------
    batch : int
        Images, or clips.
    repeats : int
        Rounds of timing.
    seed : int
        Of inputs and weights.
    tolerance : float
        Relative L2 error allowed, predicted and measured.
    dtype : str
        Of the tensors.
    filters : Filters
        Whether they are transformed beforehand.
    compiled : bool
        Whether torch.compile is one of the rivals, of whole networks and on a GPU.
    tuning : str
        How plans are made on a GPU: "model" or "measure".
    """

    batch: int
    repeats: int
    seed: int
    tolerance: float
    dtype: str
    filters: Filters
    compiled: bool
    tuning: TuningName
