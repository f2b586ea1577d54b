from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import t

from winograd.accuracy.experiment import measure_error, sample_errors
from winograd.accuracy.measuring.intervals import mean, root_mean, root_ratio, student_95
from winograd.algebra.toom_cook import toom_cook


@pytest.mark.parametrize("degrees", [*range(1, 40), 99, 10**3, 10**6])
def test_quantiles_are_student_s(degrees: int) -> None:
    assert student_95(degrees) == pytest.approx(t.ppf(0.975, degrees), rel=2e-4)


@pytest.mark.parametrize("trials", [2, 3, 5, 20, 100])
@pytest.mark.parametrize("norm", ["mean_abs", "rms", "relative_l2"])
def test_intervals_of_few_trials_hold_their_share_of_normal_figures(trials: int, norm: str) -> None:
    count, size = 20_000, 50.0
    drawn = np.random.default_rng(trials).normal(size, 1, (count, trials))
    estimate: Any = {"mean_abs": mean, "rms": root_mean, "relative_l2": lambda x: root_ratio(x, np.ones(trials))}[norm]
    truth = size if norm == "mean_abs" else size**0.5
    held = sum(low <= truth <= high for _, (low, high) in map(estimate, drawn))
    # Five standard deviations of a count of 20,000.
    assert abs(held / count - 0.95) <= 5 * (0.95 * 0.05 / count) ** 0.5


@pytest.mark.parametrize(("trials", "share"), [(2, 0.93), (5, 0.9), (10, 0.9), (100, 0.94)])
def test_intervals_of_measurements_hold_a_little_less(trials: int, share: float) -> None:
    # Absolute errors are skewed; what the normal quantile would hold is 63 % of the time for 2, 82 % for 5 trials.
    count = 3000
    truth = measure_error(toom_cook(4, 3), trials=200_000, seed=1).mean_abs
    errors = np.abs(sample_errors(toom_cook(4, 3), trials=trials * count, seed=2)).mean(axis=1)
    held = sum(low <= truth <= high for _, (low, high) in map(mean, errors.reshape(count, trials)))
    assert share - 4 * (share * (1 - share) / count) ** 0.5 <= held / count <= 0.97
