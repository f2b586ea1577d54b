"""A suite measured on a GPU, layer by layer: what one layer breaks costs no figure of another.

In: a suite, a card, a device. Out: a `CudaBenchmark` after every layer, the last of which is complete. Refused:
nothing; a layer that cannot be measured is named in it, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch

from winograd.benching.cuda.clock import Clock
from winograd.benching.cuda.measurement import cuda_surroundings, measure_on_card
from winograd.benching.cuda.result import CudaBenchmark, why
from winograd.benching.layers import Suite
from winograd.conv.gpu.card import Card
from winograd.conv.planning.tuning_mode import TuningName


def measure_suite(
    suite: Suite,
    *,
    card: Card,
    device: torch.device,
    clock: Clock,
    batch: int,
    dtype: str,
    tolerance: float,
    rounds: int,
    seed: int,
    tuning: TuningName,
    compiled: bool,
    progress: Callable[[str, int, str], None] = lambda *_: None,
) -> Iterator[CudaBenchmark]:
    """Yield all that is known after each layer.

    Parameters
    ----------
    suite : Suite
    card : Card
    device : torch.device
    clock : Clock
    batch : int
        Of the suite, for the record.
    dtype : str
        Of the suite, for the record.
    tolerance, rounds, seed, tuning, compiled
        See `winograd.benching.cuda.measurement.measure_on_card`.
    progress : callable
        Called with the name of the layer, its number from 1, and a word, before each step.
    """
    known = CudaBenchmark(
        suite=suite.name,
        layers=(),
        batch=batch,
        rounds=rounds,
        seed=seed,
        tolerance=tolerance,
        dtype=dtype,
        tuning=tuning,
        surroundings=cuda_surroundings(device),
        is_complete=False,
    )
    for number, layer in enumerate(suite.layers, start=1):

        def tell(step: str, name: str = layer.name, number: int = number) -> None:
            progress(name, number, step)

        try:
            measured = measure_on_card(
                layer,
                card=card,
                device=device,
                clock=clock,
                tolerance=tolerance,
                rounds=rounds,
                seed=seed,
                tuning=tuning,
                compiled=compiled,
                progress=tell,
            )
        except Exception as failure:  # memory, a driver, a kernel: the next layer may do
            tell(f"failed: {why(failure)}")
            known = replace(known, failures={**known.failures, layer.name: why(failure)})
        else:
            known = replace(known, layers=(*known.layers, measured))
        known = replace(known, is_complete=number == len(suite.layers))
        yield known
