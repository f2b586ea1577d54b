"""Benchmarks with times that nobody measured, so that every figure is known."""

from __future__ import annotations

from winograd.benching.layers import BenchLayer
from winograd.benching.result import Benchmark, LayerMeasurement
from winograd.benching.statistics import Rounds
from winograd.conv.arguments import ConvArguments

MACHINE = {"processor": "a processor", "torch": "2.0", "date": "2026-11-21"}


def layer(
    name: str, channels: int, outputs: int, *sizes: int, batch: int = 1, count: int = 1, has_bias: bool = True
) -> BenchLayer:
    weight = (outputs, channels, *[3] * len(sizes))
    shape = ConvArguments(padding=1).shape((batch, channels, *sizes), weight, dtype="float32")
    return BenchLayer(name, shape, has_bias, count)


def measurement(
    name: str,
    direct_ms: tuple[float, ...],
    ours_ms: tuple[float, ...],
    *,
    count: int = 1,
    measured_error: float = 1e-6,
    is_direct: bool = False,
    part: str = "stride1",
) -> LayerMeasurement:
    return LayerMeasurement(
        layer=name,
        part=part,
        count=count,
        input=(1, 64, 8, 16, 16),
        weight=(128, 64, 3, 3, 3),
        stride=(1, 1, 1),
        dilation=(1, 1, 1),
        padding=((1, 1),) * 3,
        groups=1,
        algorithm="direct" if is_direct else "native F(2x2x2,3x3x3)",
        phases="",
        reason="made up",
        layout="channels_last",
        direct_variant="onednn",
        predicted_error=None if is_direct else 1.2e-6,
        measured_error=measured_error,
        direct_error=5e-7,
        verified_outputs=128,
        macs=10**9,
        multiplications=10**9 if is_direct else 3 * 10**8,
        filter_bytes=0 if is_direct else 2**20,
        workspace_bytes=0 if is_direct else 3 * 2**20,
        packed_bytes=2**20,
        predicted_ms=1.5,
        bound_ms=1.0,
        rounds=Rounds(direct_ms, ours_ms),
        first_rounds=None,
    )


def benchmark(*layers: LayerMeasurement, tolerance: float = 1e-5) -> Benchmark:
    return Benchmark(
        suite="made_up",
        layers=layers,
        batch=1,
        repeats=len(layers[0].rounds.ours_ms),
        seed=0,
        threads=2,
        tolerance=tolerance,
        dtype="float32",
        filters="frozen",
        machine=MACHINE,
        environment={"OMP_NUM_THREADS": "2"},
    )
