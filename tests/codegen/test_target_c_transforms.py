"""Transforms in C: the interpreter's bits at every width, the model's bound with FMA, arguments that are refused."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from tests.codegen.c_files import BUILDS, Transforms, flags_of
from winograd import nest, toom_cook
from winograd.codegen.interpret import interpret
from winograd.codegen.lower import Lowering, SumOrder
from winograd.codegen.nested import AxisPass, lower_nested
from winograd.codegen.tolerance import transform_tolerance

F4X2 = nest(toom_cook(4, 3), toom_cook(2, 3))
STAGES = ("data", "filter", "inverse")
UNITS = {"float32": Fraction(1, 2**24), "float64": Fraction(1, 2**53)}
COUNT = 71  # more than two vectors, and a part of one, at every width


def interpreted(passes: tuple[AxisPass, ...], x: np.ndarray) -> np.ndarray:
    for step in passes:
        x = np.stack(interpret(step.program, list(np.moveaxis(x, step.axis, 0))), axis=step.axis)
    return x


def expected(passes: tuple[AxisPass, ...], stage: str, x: np.ndarray) -> np.ndarray:
    """What C must return: filters go through float64 and are rounded once."""
    return interpreted(passes, x.astype(np.float64) if stage == "filter" else x).astype(x.dtype)


def tiles(passes: tuple[AxisPass, ...], dtype: str) -> np.ndarray:
    shape = [step.program.inputs for step in sorted(passes, key=lambda step: step.axis)]
    x = np.random.default_rng(1).standard_normal((*shape, COUNT)).astype(dtype)
    x[..., 0], x[..., 1] = 0.0, -0.0
    return x


@pytest.mark.parametrize(
    ("build", "dtype"), [*((build, "float32") for build in BUILDS), ("avx512", "float64"), ("128 bits", "float64")]
)
def test_without_fma_the_bits_are_the_interpreters(tmp_path, build: str, dtype: str) -> None:
    lowering = Lowering(SumOrder.BALANCED, fma=False)
    compiled = Transforms(F4X2, tmp_path, *flags_of(build), dtype=dtype, lowering=lowering)
    for stage in STAGES:
        passes = getattr(lower_nested(F4X2, lowering), stage)
        x = tiles(passes, dtype)
        right = expected(passes, stage, x)
        assert compiled.run(stage, x, right.shape[:-1], dtype).tobytes() == right.tobytes()


@pytest.mark.parametrize("dtype", UNITS)
def test_transposed_transforms_have_the_interpreters_bits(tmp_path, dtype: str) -> None:
    lowering = Lowering(fma=False, transposed=True)
    compiled = Transforms(F4X2, tmp_path, dtype=dtype, lowering=lowering)
    for stage in STAGES:
        passes = getattr(lower_nested(F4X2, lowering), stage)
        x = tiles(passes, dtype)
        right = expected(passes, stage, x)
        assert compiled.run(stage, x, right.shape[:-1], dtype).tobytes() == right.tobytes()


def test_the_forward_bits_are_not_the_transposed_ones(tmp_path) -> None:
    """The comparison can fail: another program of the same matrix has other bits."""
    compiled = Transforms(F4X2, tmp_path, lowering=Lowering(fma=False))
    passes = lower_nested(F4X2, Lowering(SumOrder.BALANCED, fma=True)).data
    x = tiles(passes, "float32")
    right = expected(passes, "data", x)
    assert compiled.run("data", x, right.shape[:-1], "float32").tobytes() != right.tobytes()


@pytest.mark.parametrize("dtype", UNITS)
def test_with_fma_the_error_stays_within_the_bound(tmp_path, dtype: str) -> None:
    compiled = Transforms(F4X2, tmp_path, "-march=native", dtype=dtype)
    for stage in ("data", "inverse"):
        passes = getattr(lower_nested(F4X2), stage)
        x = np.clip(tiles(passes, dtype)[..., :9], -4, 4)
        exact = interpreted(passes, np.vectorize(Fraction, otypes=[object])(x.astype(np.float64)))
        y = compiled.run(stage, x, exact.shape[:-1], dtype)
        error = max(abs(Fraction(float(a)) - b) for a, b in zip(y.ravel(), exact.ravel(), strict=True))
        assert 0 < error <= Fraction(transform_tolerance(passes, 4, UNITS[dtype]))


def test_wrong_arguments_are_told_and_nothing_is_written(tmp_path) -> None:
    compiled = Transforms(nest(toom_cook(2, 3)), tmp_path)
    x, y = np.ones((4, 8), np.float32), np.full((4, 8), 7, np.float32)
    assert (
        compiled.call("data", None, 8, y, 8, 8)
        == "x is NULL, must be the address of the first element of the first tile"
    )
    assert (
        compiled.call("data", x, 8, None, 8, 8)
        == "y is NULL, must be the address of the first element of the first tile"
    )
    assert compiled.call("inverse", x, 7, y, 8, 8) == "x_stride is smaller than count, must be at least count"
    assert compiled.call("filter", x, 8, y, 7, 8) == "y_stride is smaller than count, must be at least count"
    assert compiled.call("data", x, 8, y, 8, -1) == "count is negative, must be at least 0"
    assert compiled.call("data", None, 0, None, 0, 0) is None
    assert (y == 7).all()


def test_strides_may_be_larger_than_the_count(tmp_path) -> None:
    compiled = Transforms(nest(toom_cook(2, 3)), tmp_path)
    x, y = np.arange(4 * 50, dtype=np.float32).reshape(4, 50), np.full((4, 60), 7, np.float32)
    assert compiled.call("data", x, 50, y, 60, 40) is None
    passes = lower_nested(nest(toom_cook(2, 3))).data
    assert (y[:, :40] == interpreted(passes, x[:, :40])).all()
    assert (y[:, 40:] == 7).all()


def test_tiles_too_large_for_the_stack(tmp_path) -> None:
    large = nest(*[toom_cook(10, 3, [0, *(s * p for p in (1, 2, 3, 4, 5) for s in (1, -1)), "inf"])] * 3)
    lowering = Lowering(fma=False)
    compiled = Transforms(large, tmp_path, lowering=lowering)
    passes = lower_nested(large, lowering).data
    x = tiles(passes, "float32")[..., :17]
    assert compiled.run("data", x, (12, 12, 12), "float32").tobytes() == interpreted(passes, x).tobytes()
