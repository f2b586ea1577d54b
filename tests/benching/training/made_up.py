"""Training steps with times and errors that nobody measured, so that every figure is known."""

from __future__ import annotations

from winograd.benching.statistics import Rounds
from winograd.benching.training.result import (
    GradientErrors,
    LayerErrors,
    NetworkMeasurement,
    StepMeasurement,
    TrainingBenchmark,
)

ENGAGED = {"output": "native F(4x4x4,3x3x3)", "input_gradient": "native F(4x4x4,3x3x3)", "weight_gradient": "direct"}
ERRORS = {"output": 1e-6, "input_gradient": 2e-6, "weight_gradient": 3e-6, "bias_gradient": 4e-7}
DIRECT_ERRORS = {"output": 7e-7, "input_gradient": 6e-7, "weight_gradient": 5.5e-6, "bias_gradient": 5.6e-6}


def step(name: str, *, weight_error: float = 3e-6) -> StepMeasurement:
    return StepMeasurement(
        layer=name,
        count=1,
        input=(4, 64, 16, 56, 56),
        weight=(128, 64, 3, 3, 3),
        stride=(1, 1, 1),
        dilation=(1, 1, 1),
        padding=((1, 1),) * 3,
        groups=1,
        macs=3 * 10**9,
        layout="channels_last",
        direct_layout="contiguous",
        engaged=ENGAGED,
        errors=ERRORS | {"weight_gradient": weight_error},
        direct_errors=DIRECT_ERRORS,
        rounds=Rounds((6.0, 8.0, 10.0), (3.0, 4.0, 5.0)),
        parts={"output": Rounds((2.0,), (1.0,))},
    )


def network() -> NetworkMeasurement:
    return NetworkMeasurement(
        network="r3d_18",
        input=(4, 3, 16, 112, 112),
        layout="contiguous",
        direct_layout="channels_last",
        rounds=Rounds((3000.0,), (2000.0,)),
        layers=(LayerErrors("stem.0", {"output": "direct"}, {"output": 2e-7}, {"output": 3e-7}),),
        gradients=GradientErrors((2, 3, 8, 56, 56), 5.9, 4e-6, 3e-6, ("fc.weight", 9e-6), ("stem.0.weight", 8e-6)),
    )


def training(*layers: StepMeasurement, networks: tuple[NetworkMeasurement, ...] = ()) -> TrainingBenchmark:
    return TrainingBenchmark(
        layers=layers,
        networks=networks,
        batch=4,
        repeats=3,
        seed=0,
        threads=2,
        tolerance=5e-6,
        machine={"processor": "a processor", "torch": "2.0", "date": "2026-11-22"},
        environment={"OMP_NUM_THREADS": "2"},
    )
