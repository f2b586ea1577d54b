"""Plans whose tolerance lies just above what they predict: the measured error stays below it, with few channels too."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from winograd.benching.layers import BenchLayer  # noqa: E402
from winograd.benching.measurement import draw_tensors, planned_runs  # noqa: E402
from winograd.benching.verification import float64_reference, measured_errors  # noqa: E402
from winograd.conv.arguments import ConvArguments  # noqa: E402
from winograd.conv.choosing.prediction import float32_error, float32_tolerance  # noqa: E402
from winograd.conv.choosing.selection import Filters  # noqa: E402
from winograd.conv.geometry.shape import ConvShape  # noqa: E402
from winograd.conv.plan.record import Backend  # noqa: E402
from winograd.conv.planning.make import make_plan  # noqa: E402
from winograd.conv.running.packing import pack_for_plan  # noqa: E402

LAYERS = {
    "3 channels": (3, 64, (16, 112, 112)),
    "8 channels": (8, 32, (8, 56, 56)),
    "16 channels": (16, 32, (8, 28, 28)),
    "40 channels": (40, 32, (8, 28, 28)),
    "64 channels": (64, 32, (8, 28, 28)),
    "64 channels in 2D": (64, 64, (56, 56)),
}


def tightened(shape: ConvShape, tolerance: float) -> float:
    """Return the least tolerance at which what is planned at a tolerance is still allowed."""
    algorithm = make_plan(shape, tolerance=tolerance, filters=Filters.FROZEN).algorithm
    assert algorithm is not None
    return 1.0001 * float32_error(shape, algorithm) * tolerance / float32_tolerance(shape, tolerance)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("loose", [1e-6, 6e-7])
def test_the_error_stays_below_the_tolerance(name: str, loose: float) -> None:
    channels, outputs, sizes = LAYERS[name]
    weight = (outputs, channels, *[3] * len(sizes))
    shape = ConvArguments(padding=1).shape((1, channels, *sizes), weight, dtype="float32")
    tolerance = tightened(shape, loose)
    plan = make_plan(shape, tolerance=tolerance, filters=Filters.FROZEN)
    assert plan.backend is Backend.NATIVE
    for seed in range(2):
        input, drawn, bias = draw_tensors(BenchLayer(name, shape, has_bias=False), seed)
        runs = planned_runs(plan, input, drawn, bias, pack_for_plan(plan, drawn))
        errors = measured_errors(runs, float64_reference(input, drawn, bias, shape))
        assert max(errors.values()) <= tolerance
