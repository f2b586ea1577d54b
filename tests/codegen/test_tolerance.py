"""The bound of the self-tests: not below any error that correct code makes, and not useless."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import algorithms, nested_algorithms
from winograd.algebra.bilinear import BilinearAlgorithm, fraction_rows
from winograd.algebra.nesting import NestedAlgorithm, nest
from winograd.algebra.toom_cook import toom_cook
from winograd.codegen.emit import emit
from winograd.codegen.interpret import interpret
from winograd.codegen.lower import Lowering, SumOrder, lower_axis
from winograd.codegen.module import python_module
from winograd.codegen.nested import AxisPass, lower_nested
from winograd.codegen.tolerance import float64_tolerance, longest_path, transform_tolerance, without_signs


def error_of_a_tile(algorithm: BilinearAlgorithm, w: np.ndarray, d: np.ndarray) -> float:
    programs = lower_axis(algorithm)
    products = [
        u * v for u, v in zip(interpret(programs.filter, list(w)), interpret(programs.data, list(d)), strict=True)
    ]
    y = interpret(programs.inverse, products)
    exact_w, exact_d = ([Fraction(float(x)) for x in values] for values in (w, d))
    exact = [sum(exact_w[k] * exact_d[i + k] for k in range(algorithm.r)) for i in range(algorithm.m)]
    return max(abs(float(Fraction(float(a)) - b)) for a, b in zip(y, exact, strict=True))


@given(algorithms(), st.integers(0, 999))
def test_no_tile_leaves_the_bound(algorithm: BilinearAlgorithm, seed: int) -> None:
    generator = np.random.default_rng(seed)
    w, d = generator.uniform(-1, 1, algorithm.r), generator.uniform(-1, 1, algorithm.tile)
    assert error_of_a_tile(algorithm, w, d) <= float64_tolerance(nest(algorithm), 1)


@pytest.mark.parametrize("algorithm", [toom_cook(2, 3), toom_cook(4, 3), toom_cook(6, 3)])
def test_the_bound_is_within_reach(algorithm: BilinearAlgorithm) -> None:
    generator = np.random.default_rng(0)
    worst = max(
        error_of_a_tile(algorithm, generator.uniform(-1, 1, algorithm.r), generator.uniform(-1, 1, algorithm.tile))
        for _ in range(200)
    )
    # Roundings partly cancel and no random input has all signs at their worst; a factor of 1000 would be useless.
    assert float64_tolerance(nest(algorithm), 1) / 1000 < worst


@settings(max_examples=20)
@given(nested_algorithms(), st.sampled_from(SumOrder), st.booleans(), st.integers(0, 999))
def test_no_transform_leaves_its_bound(nested: NestedAlgorithm, order: SumOrder, transposed: bool, seed: int) -> None:
    for fma in (False, True):
        programs = lower_nested(nested, Lowering(order, fma, transposed))
        for passes in (programs.data, programs.filter, programs.inverse):
            x = np.random.default_rng(seed).uniform(-1, 1, passes[0].extents)
            errors = np.abs(along_axes(passes, x) - along_axes(passes, exactly(x)))
            assert errors.max() <= transform_tolerance(passes, 1)


def test_the_bound_of_a_transform_notices_a_lost_digit() -> None:
    passes = lower_nested(nest(toom_cook(4, 3))).filter
    x = np.random.default_rng(0).uniform(-1, 1, (3, 16))
    rounded = along_axes(passes, x.astype(np.float32)).astype(float)
    assert np.abs(rounded - along_axes(passes, exactly(x))).max() > transform_tolerance(passes, 1)


def exactly(x: np.ndarray) -> np.ndarray:
    return np.vectorize(lambda value: Fraction(float(value)), otypes=[object])(x)


def along_axes(passes: Sequence[AxisPass], x: np.ndarray) -> np.ndarray:
    for step in passes:
        x = np.stack(interpret(step.program, list(np.moveaxis(x, step.axis, 0))), step.axis)
    return x


@pytest.mark.parametrize("channels", [1, 2, 50])
def test_no_sum_over_channels_leaves_the_bound(channels: int) -> None:
    programs, generator = lower_axis(toom_cook(4, 3)), np.random.default_rng(0)
    w, d = generator.uniform(-1, 1, (3, channels, 20)), generator.uniform(-1, 1, (6, channels, 20))

    def convolved(w: np.ndarray, d: np.ndarray) -> np.ndarray:
        u, v = np.stack(interpret(programs.filter, list(w))), np.stack(interpret(programs.data, list(d)))
        return np.stack(interpret(programs.inverse, list(np.cumsum(u * v, axis=1)[:, -1])))

    errors = np.abs(convolved(w, d) - convolved(exactly(w), exactly(d))).max()
    bound = float64_tolerance(nest(toom_cook(4, 3)), 1, channels)
    assert bound / 10_000 < errors <= bound
    assert bound >= channels * float64_tolerance(nest(toom_cook(4, 3)), 1)


@given(algorithms())
def test_without_signs_magnitudes_add(algorithm: BilinearAlgorithm) -> None:
    for program, matrix in zip(
        (lower_axis(algorithm).data, lower_axis(algorithm).inverse), (algorithm.bt, algorithm.at), strict=True
    ):
        sums = interpret(without_signs(program), [Fraction(1)] * program.inputs)
        for total, row in zip(sums, fraction_rows(matrix), strict=True):
            assert total >= sum(map(abs, row))


def test_longer_programs_have_longer_paths() -> None:
    paths = [longest_path(lower_axis(toom_cook(m, 3)).data) for m in (2, 4, 8)]
    assert paths == sorted(set(paths))
    assert longest_path(lower_axis(toom_cook(1, 3)).data) == 0


def test_tiles_that_leave_float64_have_no_bound() -> None:
    assert np.isfinite(float64_tolerance(nest(toom_cook(6, 3)), 1))
    assert float64_tolerance(nest(*[toom_cook(30, 3)] * 3), 10**200) == np.inf


def test_a_self_test_that_cannot_decide_does_not_pass(capsys: pytest.CaptureFixture[str]) -> None:
    module = python_module(emit(nest(*[toom_cook(16, 3)] * 3), "torch"))
    assert not module._self_test()
    assert "undecided" in capsys.readouterr().out
