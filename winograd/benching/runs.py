"""Runs of a benchmark: layers of a suite, whole networks, or layers on a GPU, one after the other.

In: a suite or names of networks, `BenchSettings`. Out: measurements as they are made, and the record of them with the
machine that they were made on. Refused: nothing beyond what each measurement refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch

from winograd.benching.cuda.clock import clock_of
from winograd.benching.cuda.result import CudaBenchmark
from winograd.benching.cuda.showing import cuda_text
from winograd.benching.cuda.suite import measure_suite
from winograd.benching.layers import Suite
from winograd.benching.measurement import measure_layer
from winograd.benching.networks.measurement import measure_whole
from winograd.benching.networks.result import NetworksBenchmark, NetworkTimes
from winograd.benching.networks.showing import networks_text
from winograd.benching.result import Benchmark, LayerMeasurement
from winograd.benching.settings import BenchSettings
from winograd.benching.showing import benchmark_text
from winograd.benching.surroundings import speed_variables
from winograd.conv.gpu.card import Card
from winograd.conv.gpu.device import card_asked_for
from winograd.conv.measuring.timing import measured_on

Record = Benchmark | NetworksBenchmark | CudaBenchmark

Progress = Callable[[int, str, str], None]
"""Told the number of a layer or network from 1, its name and a word, before each step."""


def measure_layers(suite: Suite, settings: BenchSettings, progress: Progress) -> Iterator[LayerMeasurement]:
    """Yield the layers of a suite, measured on the CPU."""
    for number, layer in enumerate(suite.layers, start=1):
        yield measure_layer(
            layer,
            tolerance=settings.tolerance,
            repeats=settings.repeats,
            seed=settings.seed,
            filters=settings.filters,
            progress=partial(progress, number, layer.name),
        )


def measure_networks(names: Sequence[str], settings: BenchSettings, progress: Progress) -> Iterator[NetworkTimes]:
    """Yield whole networks, measured on the CPU."""
    for number, name in enumerate(names, start=1):
        yield measure_whole(
            name,
            tolerance=settings.tolerance,
            repeats=settings.repeats,
            seed=settings.seed,
            batch=settings.batch,
            compiled=settings.compiled,
            progress=partial(progress, number, name),
        )


def measure_layers_on_card(suite: Suite, settings: BenchSettings, progress: Progress) -> Iterator[CudaBenchmark]:
    """Yield all that is known of the layers of a suite on the current GPU, after each of them."""
    device, card = current_card()
    return measure_suite(
        suite,
        card=card,
        device=device,
        clock=clock_of(device),
        batch=settings.batch,
        dtype=settings.dtype,
        tolerance=settings.tolerance,
        rounds=settings.repeats,
        seed=settings.seed,
        tuning=settings.tuning,
        compiled=settings.compiled,
        progress=lambda name, number, step: progress(number, name, step),
    )


def current_card() -> tuple[torch.device, Card]:
    """Return the current GPU, as torch and as the cost model know it."""
    number = torch.cuda.current_device()
    card = card_asked_for(f"cuda:{number}")
    assert card is not None
    return torch.device("cuda", number), card


def layers_record(name: str, settings: BenchSettings, layers: Sequence[LayerMeasurement]) -> Benchmark:
    """Return the record of layers that were measured, of the suite of that name."""
    return Benchmark(
        suite=name,
        layers=tuple(layers),
        batch=settings.batch,
        repeats=settings.repeats,
        seed=settings.seed,
        threads=torch.get_num_threads(),
        tolerance=settings.tolerance,
        dtype=settings.dtype,
        filters=settings.filters.value,
        machine=measured_on(),
        environment=speed_variables(),
    )


def networks_record(settings: BenchSettings, networks: Sequence[NetworkTimes]) -> NetworksBenchmark:
    """Return the record of whole networks that were measured."""
    return NetworksBenchmark(
        networks=tuple(networks),
        repeats=settings.repeats,
        seed=settings.seed,
        threads=torch.get_num_threads(),
        tolerance=settings.tolerance,
        machine=measured_on(),
        environment=speed_variables(),
    )


def record_text(record: Record, *, wide: bool) -> str:
    """Return the table of a record, with all figures of layers where it may be wide."""
    if isinstance(record, CudaBenchmark):
        return cuda_text(record, wide=wide)
    return benchmark_text(record, wide=wide) if isinstance(record, Benchmark) else networks_text(record)
