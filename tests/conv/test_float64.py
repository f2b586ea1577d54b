"""float64 in native kernels: errors as predicted against long doubles, its tolerance, its memory."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from winograd.accuracy.catalogue import best  # noqa: E402
from winograd.conv import scratch  # noqa: E402
from winograd.conv.arguments import ConvArguments  # noqa: E402
from winograd.conv.choosing.prediction import default_tolerance  # noqa: E402
from winograd.conv.choosing.selection import Filters  # noqa: E402
from winograd.conv.convolve import conv3d  # noqa: E402
from winograd.conv.geometry.shape import ConvShape  # noqa: E402
from winograd.conv.native import kernel  # noqa: E402
from winograd.conv.plan.record import Backend  # noqa: E402
from winograd.conv.planning.make import make_plan  # noqa: E402
from winograd.conv.reference.taps import convolve_taps  # noqa: E402
from winograd.conv.running.packing import pack_for_plan  # noqa: E402
from winograd.conv.running.run import run_plan  # noqa: E402

TOLERATED = 1.2
"""By what few channels and tiles exceed predictions; see `winograd.conv.choosing.prediction`."""


def operands(shape: ConvShape) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    sizes = (shape.batch, shape.channels, *shape.sizes), shape.weight_sizes
    input, weight = (torch.randn(size, generator=generator, dtype=torch.float64) for size in sizes)
    return input, weight


def error(output: torch.Tensor, shape: ConvShape, input: torch.Tensor, weight: torch.Tensor) -> float:
    """Return the relative L2 error against direct convolution in long double."""
    exact = convolve_taps(input.numpy().astype(np.longdouble), weight.numpy().astype(np.longdouble), None, shape)
    return float(np.sqrt(((output.numpy() - exact) ** 2).sum() / (exact**2).sum()))


@pytest.mark.skipif(np.finfo(np.longdouble).eps > 2.0**-60, reason="long double is no longer than double")
@pytest.mark.parametrize(("m", "stride"), [(2, 1), (4, 1), (6, 1), (4, 2)])
@pytest.mark.parametrize("channels", [8, 70])
def test_errors_are_as_predicted(m: int, stride: int, channels: int) -> None:
    shape = ConvArguments(padding=1, stride=stride).shape((1, channels, 26, 28), (8, channels, 3, 3), dtype="float64")
    plan = make_plan(shape, algorithm=best(m, 3 if stride == 1 else 2, ndim=2), filters=Filters.FROZEN)
    assert plan.backend is Backend.NATIVE
    input, weight = operands(shape)
    packed = pack_for_plan(plan, weight)
    found = error(run_plan(plan, input, weight, packed=packed), shape, input, weight)
    assert 0.5 * plan.predicted_error < found < TOLERATED * plan.predicted_error
    assert packed.nbytes == plan.filter_bytes
    # In float32 the same is off by 2^29 times as much: what is measured is not the rounding of the reference.
    single = run_plan(make_plan(ConvShape(**{**fields_of(shape), "dtype": "float32"}), algorithm=plan.algorithm),
                      input.float(), weight.float())  # fmt: skip
    assert error(single.double(), shape, input, weight) > 2**25 * found


def fields_of(shape: ConvShape) -> dict[str, object]:
    return {name: getattr(shape, name) for name in shape.__dataclass_fields__}


def test_the_default_tolerance_takes_the_algorithms_that_float32_takes() -> None:
    double, single = (
        ConvArguments(padding=1).shape((1, 64, 8, 28, 28), (64, 64, 3, 3, 3), dtype=dtype)
        for dtype in ("float64", "float32")
    )
    assert default_tolerance("float64") == 2.0**-29 * default_tolerance("float32")
    plan = make_plan(double, filters=Filters.FROZEN)
    assert plan.backend is Backend.NATIVE
    assert 0 < plan.predicted_error <= default_tolerance("float64")
    forced = make_plan(single, algorithm=plan.algorithm)
    assert plan.predicted_error == pytest.approx(2.0**-29 * forced.predicted_error, rel=0.05)
    assert make_plan(double, tolerance=1e-17).backend is Backend.DIRECT


def test_memory_is_stated_for_numbers_of_eight_bytes() -> None:
    shape = ConvArguments(padding=1).shape((1, 20, 9, 9, 9), (70, 20, 3, 3, 3), dtype="float64")
    plan = make_plan(shape, algorithm=best(4, 3, ndim=3), filters=Filters.FROZEN)
    input, weight = operands(shape)
    scratch.release_workspace()
    packed = pack_for_plan(plan, weight)
    run_plan(plan, input, weight, packed=packed)
    compiled = kernel.native_convolution(plan.algorithm, "float64")
    assert packed.nbytes == compiled.filter_bytes(20, 70) == plan.filter_bytes
    assert scratch.kept_bytes() == plan.workspace_bytes


def test_tensors_of_float64_are_convolved_natively() -> None:
    shape = ConvArguments(padding=1).shape((1, 32, 8, 20, 20), (32, 32, 3, 3, 3), dtype="float64")
    input, weight = operands(shape)
    plan = make_plan(shape)
    assert plan.backend is Backend.NATIVE
    output = conv3d(input, weight, padding=1)
    assert torch.equal(output, run_plan(plan, input, weight))
    assert error(output, shape, input, weight) <= default_tolerance("float64")
