from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from winograd.accuracy.experiment import measure_error, sample_errors
from winograd.accuracy.measuring.kernel_order import kernel_order
from winograd.accuracy.protocol import LAYER, Experiment, FilterRounding
from winograd.algebra.nesting import nest
from winograd.algebra.toom_cook import toom_cook
from winograd.codegen.emit import emit

LINE = nest(toom_cook(4, 3))
COMPILED_LINE = emit(LINE, "c", name="line")
PLANE = nest(toom_cook(4, 3), toom_cook(4, 3))


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("kernels")
    directory.chmod(0o700)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WINOGRAD_CACHE_DIR", str(directory))
        yield directory


def test_compiled_kernel_does_what_the_layer_experiment_describes_bit_for_bit() -> None:
    compiled = kernel_order(COMPILED_LINE)
    described = sample_errors(LINE, "float32", "layer", 400, "lowered", seed=3)
    np.testing.assert_array_equal(sample_errors(LINE, "float32", "layer", 400, compiled, seed=3), described)
    # Without fused multiply-add, or with another block of channels, it is another arithmetic.
    for other in (Experiment("separate", 64, filter_rounding=FilterRounding.ONCE), replace(LAYER, channel_block=16)):
        assert (sample_errors(LINE, "float32", other, 400, "lowered", seed=3) != described).any()


def test_compiled_kernel_of_more_axes_has_the_error_of_the_described_one() -> None:
    compiled = kernel_order(emit(PLANE, "c"))
    measured = measure_error(PLANE, "float32", "layer", 2000, compiled, seed=3)
    described = measure_error(PLANE, "float32", "layer", 2000, "lowered", seed=3)
    # The kernel transforms the last axis first: the same inputs are rounded elsewhere. Both intervals hold 95 %.
    assert measured.relative_l2_interval[0] <= described.relative_l2_interval[1]
    assert described.relative_l2_interval[0] <= measured.relative_l2_interval[1]
    assert measured != described
    assert measured.order == "c kernel winograd"
    assert measured.max_abs_interval == (measured.max_abs, np.inf)


def test_blocks_of_channels_are_those_of_the_kernel() -> None:
    experiment = replace(LAYER, channels=150)
    compiled = kernel_order(COMPILED_LINE)
    described = sample_errors(LINE, "float32", experiment, 100, "lowered")
    np.testing.assert_array_equal(sample_errors(LINE, "float32", experiment, 100, compiled), described)


def test_emitted_numpy_code_rounds_like_the_interpreter() -> None:
    experiment = Experiment("numpy", channels=5)
    emitted = kernel_order(emit(LINE, "numpy"))
    for dtype in ("float32", "float64"):
        described = sample_errors(LINE, dtype, experiment, 20, "lowered")
        np.testing.assert_array_equal(sample_errors(LINE, dtype, experiment, 20, emitted), described)


def test_a_broken_kernel_is_noticed() -> None:
    kernel = emit(LINE, "numpy")
    constant = re.search(r"c\(\d+, \d+\) \* ", kernel.source)
    assert constant is not None
    broken = replace(kernel, source=kernel.source.replace(constant.group(), "", 1))
    report = measure_error(LINE, "float32", trials=50, order=kernel_order(broken))
    assert report.relative_l2 > 1e-3


def test_other_targets_and_dtypes_are_refused() -> None:
    with pytest.raises(ValueError, match="kernel is torch code, must be c or numpy"):
        kernel_order(emit(LINE, "torch"))
    with pytest.raises(ValueError, match="dtype is float64, must be float32 for a compiled kernel"):
        measure_error(LINE, "float64", trials=2, order=kernel_order(COMPILED_LINE))
