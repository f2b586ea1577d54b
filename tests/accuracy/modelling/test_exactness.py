"""Which sums of numbers on a grid are rounded, and by how much: the formulas meet simulations on the real grid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from winograd.accuracy.experiment import measure_error
from winograd.accuracy.formats import float_format
from winograd.accuracy.measuring.samples import draw_uniform
from winograd.accuracy.model import predict_error
from winograd.accuracy.modelling.exactness import Grid, rounded_forms, squares_and_peaks
from winograd.accuracy.modelling.rounding import DEVIATIONS, KURTOSES, PHI, phi
from winograd.accuracy.modelling.variance import outer
from winograd.accuracy.protocol import LAYER, STANDARD, Inputs
from winograd.algebra.nesting import nest
from winograd.algebra.toom_cook import toom_cook

HALF = float_format("float16")
SAMPLE = 200_000
UNIFORM = Inputs.UNIFORM


@pytest.mark.parametrize("form", [(1, 1), (1, -1), (1, 1, 1), (1, -1, 1), (0.5, 0.5), (1, 0.25), (4, -5, 1), (0.3, 1)])
def test_roundings_of_sums_meet_a_simulation(form: tuple[float, ...]) -> None:
    forms = np.array([form], dtype=float)
    values = forms @ draw_uniform(np.random.default_rng(0), (len(form), SAMPLE), HALF).astype(np.float64)
    measured = ((HALF.round(values).astype(np.float64) - values) ** 2).mean()
    first, _ = rounded_forms(forms, None, UNIFORM, 0)
    found = float(first[0]) * HALF.roundoff**2 / 3 * DEVIATIONS[UNIFORM] ** 2
    # The share of even sums is exact in the second moment only, where large sums decide: up to 12 % of a variance.
    assert found == pytest.approx(measured, rel=0.14)


@pytest.mark.parametrize("form", [(1.0, 1.0), (1.0, -1.0), (0.5, 0.5)])
def test_without_a_grid_short_sums_would_be_rounded_more(form: tuple[float, ...]) -> None:
    forms = np.array([form])
    squares, peaks = squares_and_peaks(forms)
    without = phi(DEVIATIONS[UNIFORM] * np.sqrt(squares), KURTOSES[UNIFORM] * peaks) * squares
    assert without[0] > 1.14 * rounded_forms(forms, None, UNIFORM, 0)[0][0]


def test_what_a_wider_format_holds_is_not_rounded() -> None:
    forms = np.array([[1.0, -1.0, 0.0], [4.0, -5.0, 1.0], [0.75, 2.0, 0.0], [1 / 3, 1.0, 0.0]])
    first, later = rounded_forms(forms, None, UNIFORM, 13)
    squares = (forms**2).sum(axis=1)
    assert first[:3].tolist() == [0, 0, 0]
    assert first[3] == pytest.approx(float(phi(np.sqrt(squares[3:] / 3), np.array([-1.0]))[0]) * squares[3], rel=0.05)
    assert later.tolist() == (PHI * squares).tolist()


def test_multiples_by_powers_of_two_of_normal_numbers_are_exact() -> None:
    forms = np.array([[4.0, 0.0], [3.0, 0.0], [1.0, 1.0]])
    squares, _ = squares_and_peaks(forms)
    assert Grid.of(forms).limits(squares, 0, Inputs.NORMAL).tolist() == [np.inf, -np.inf, -np.inf]
    assert Grid.of(forms).limits(squares, -1, Inputs.NORMAL).tolist() == [-np.inf] * 3


def test_sums_of_rounded_numbers_are_rounded_more() -> None:
    parts = np.array([[[3.0, 0.0, 0.0]], [[0.0, 3.0, 0.0]]])
    alone, twice = (
        rounded_forms(parts.sum(axis=0), summands, UNIFORM, 0) for summands in (np.zeros_like(parts), parts)
    )
    assert twice[0] > alone[0]
    assert twice[1] == pytest.approx(1.181 * alone[1], rel=1e-6)
    exact = np.array([[[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]]])  # inputs themselves are on the grid, not rounded
    assert (
        rounded_forms(exact.sum(axis=0), exact, UNIFORM, 0)[0] == rounded_forms(exact.sum(axis=0), None, UNIFORM, 0)[0]
    )


def test_grids_of_axes_are_that_of_the_products_of_their_rows() -> None:
    first, second = np.array([[1.0, -0.5], [0.0, 3.0]]), np.array([[2.0, 6.0, 1.5]])
    found = Grid.nested([Grid.of(first), Grid.of(second)], outer)
    expected = Grid.of(np.array([[np.outer(a, b).ravel() for b in second] for a in first]))
    for name in ("power", "odd", "total", "squares"):
        assert getattr(found, name).tolist() == getattr(expected, name).tolist()


@pytest.mark.parametrize("channels", [1, 64])
@pytest.mark.parametrize(("m", "r"), [(2, 2), (2, 3), (3, 2), (6, 3)])
@pytest.mark.parametrize("storage", ["float16", "tf32"])
def test_sixteen_bit_networks_are_predicted_as_measured(m: int, r: int, channels: int, storage: str) -> None:
    experiment = replace(LAYER, channels=channels, interface="float16", storage=storage)
    nested = nest(toom_cook(m, r))
    measured = measure_error(nested, "float32", experiment, 40_000 if channels == 1 else 6000, "lowered")
    low, high = measured.relative_l2_interval
    ratio = predict_error(nested, "float32", experiment).relative_l2 / measured.relative_l2
    # The tolerance of the model, and four standard errors.
    assert abs(ratio - 1) <= 0.03 + (high - low) / measured.relative_l2


@pytest.mark.parametrize(("m", "ndim"), [(2, 1), (3, 2), (4, 1), (6, 2)])
def test_the_standard_protocol_has_no_bias(m: int, ndim: int) -> None:
    nested = nest(*[toom_cook(m, 3)] * ndim)
    measured = measure_error(nested, "float32", STANDARD, 40_000, "huffman", 1)
    low, high = measured.relative_l2_interval
    ratio = predict_error(nested, "float32", STANDARD, "huffman").relative_l2 / measured.relative_l2
    # Where every sum rounds as one of unrounded numbers the ratio is about 0.955.
    assert abs(ratio - 1) <= 0.02 + (high - low) / measured.relative_l2
