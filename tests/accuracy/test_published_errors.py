"""The published table of Barabasz et al., met by `measure_error` with a fixed seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from winograd.accuracy.experiment import measure_error
from winograd.accuracy.formats import FloatFormat
from winograd.accuracy.measuring import samples
from winograd.accuracy.protocol import Experiment, Inputs
from winograd.algebra.nesting import nest
from winograd.algebra.toom_cook import toom_cook
from winograd.codegen.interpret import Contraction

TRIALS = 20_000
"""Standard error of every row: 0.3 to 0.5 %."""

# F(m x m, 3 x 3), float32, Huffman order, mean absolute error per output. B. Barabasz et al., arXiv 1803.10986,
# "2D best points", as quoted in apache/tvm, python/tvm/topi/nn/winograd_util.py.
ROWS = {
    2: ("0,-1,1,inf", 7.65e-8),
    3: ("0,-1,1,1/2,inf", 2.35e-7),
    4: ("0,-1,1,1/2,-2,inf", 3.29e-7),
    6: ("0,-1,1,1/2,-1/2,2,-2,inf", 8.79e-7),
    8: ("0,-1,1,1/2,-1/2,2,-2,-1/4,4,inf", 7.35e-6),
    10: ("0,-1,1,1/2,-1/2,2,-2,-1/4,4,3/4,-4/3,inf", 3.22e-5),
}


def ratio_to_published(m: int, order: str) -> float:
    points, published = ROWS[m]
    axis = toom_cook(m, 3, points)
    return measure_error(nest(axis, axis), trials=TRIALS, order=order, seed=1).mean_abs / published


@pytest.mark.parametrize(("m", "tolerance"), [(2, 0.03), (3, 0.03), (4, 0.03), (6, 0.03), (8, 0.05), (10, 0.05)])
def test_published_row_is_met(m: int, tolerance: float) -> None:
    assert ratio_to_published(m, "huffman") == pytest.approx(1, abs=tolerance)


def test_another_order_misses_the_published_row() -> None:
    assert ratio_to_published(10, "sequential") > 1.2


def test_another_grid_misses_the_published_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def everywhere(rng: np.random.Generator, shape: tuple[int, ...], fmt: FloatFormat) -> NDArray[Any]:
        return fmt.round(rng.uniform(-1, 1, shape))

    monkeypatch.setitem(samples._DRAWN, Inputs.UNIFORM, (everywhere, 1.0))
    assert ratio_to_published(2, "huffman") > 1.06


def test_direct_convolution_alone_is_more_accurate_than_every_row() -> None:
    # The published direct figure, 4.63e-8, sums from left to right: m = 1 does the same.
    axis = toom_cook(1, 3)
    report = measure_error(nest(axis, axis), trials=TRIALS, order="sequential", seed=1)
    np.testing.assert_allclose(report.mean_abs, 4.63e-8, rtol=0.1)


# Channels of VGG-E's layers 1.2 and 2.2, then the largest errors. A. Lavin and S. Gray, arXiv 1509.09308, Table 4.
LARGEST = [(64, 2, "0,1,-1,inf", 1.53e-5), (128, 2, "0,1,-1,inf", 2.86e-5), (64, 4, "0,1,-1,2,-2,inf", 2.84e-4)]


def largest_to_published(channels: int, m: int, points: str, published: float, dtype: str = "float32") -> float:
    axis = toom_cook(m, 3, points)
    experiment = Experiment("VGG-E", channels, contraction=Contraction.FUSED)
    trials = 2**15 // m**2
    return measure_error(nest(axis, axis), dtype, experiment, trials, "lowered").max_abs / published


@pytest.mark.parametrize(("channels", "m", "points", "published"), LARGEST)
def test_largest_errors_of_vgg_are_of_the_published_order(channels: int, m: int, points: str, published: float) -> None:
    # Another number of outputs, generator and order of sums: docs/published-errors.md. Half a power of ten each way.
    assert 10**-0.5 < largest_to_published(channels, m, points, published) < 10**0.5


def test_another_precision_is_not_of_the_published_order() -> None:
    assert largest_to_published(*LARGEST[0], dtype="float16") > 100
