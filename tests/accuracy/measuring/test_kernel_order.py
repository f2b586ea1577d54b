from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from winograd.accuracy.experiment import measure_error, sample_errors
from winograd.accuracy.measuring.compiled_kernel import CompiledKernel
from winograd.accuracy.measuring.kernel_order import kernel_order
from winograd.accuracy.protocol import LAYER, Experiment, FilterRounding
from winograd.algebra.nesting import nest
from winograd.algebra.toom_cook import toom_cook
from winograd.codegen.build import load
from winograd.codegen.emit import emit
from winograd.codegen.interpret import interpret
from winograd.codegen.lower import Lowering, lower_axis

F23, F45 = toom_cook(2, 3), toom_cook(4, 5)
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
        described = sample_errors(LINE, dtype, experiment, 20, _by_programs)
        np.testing.assert_array_equal(sample_errors(LINE, dtype, experiment, 20, emitted), described)


def _by_programs(data: np.ndarray, filters: np.ndarray) -> np.ndarray:
    """Run the programs that are made without fused multiply-add, and sum channel after channel."""
    programs = lower_axis(LINE.axes[0], Lowering(fma=False))
    v, u = (np.stack(interpret(one, list(x))) for one, x in ((programs.data, data), (programs.filter, filters)))
    total = u[:, 0] * v[:, 0]
    for channel in range(1, u.shape[1]):
        total = total + u[:, channel] * v[:, channel]
    return np.stack(interpret(programs.inverse, list(total)))


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


def test_what_is_no_kernel_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^kernel is a NestedAlgorithm, must be a Kernel, as winograd\.emit returns$"):
        kernel_order(LINE)  # type: ignore[arg-type]


@pytest.mark.parametrize("target", ["c", "numpy"])
@pytest.mark.parametrize(
    ("made_for", "measured"),
    [(F23, LINE), (LINE, F23), (F45, LINE), (PLANE, LINE), (toom_cook(4, 3, "0,1,-1,2,-2,inf"), LINE)],
    ids=["smaller tile", "larger tile", "more taps", "more axes", "other points"],
)
def test_a_kernel_is_not_measured_as_another_algorithm(target: str, made_for: Any, measured: Any) -> None:
    kernel = kernel_order(emit(made_for, target))
    with pytest.raises(
        ValueError, match=r"^order computes <F\(.*\) at .*>, must compute the algorithm, <F\(.*\) at .*>$"
    ):
        measure_error(measured, experiment="layer", trials=2, order=kernel)


@pytest.mark.parametrize("target", ["c", "numpy"])
@pytest.mark.parametrize(
    ("data", "filters", "message"),
    [
        ((4, 2, 3), (3, 2, 3), r"data has shape \(4, 2, 3\), must be \(6, channels, trials\) for .* of F\(4,3\)"),
        ((8, 2, 3), (3, 2, 3), r"data has shape \(8, 2, 3\), must be \(6, channels, trials\)"),
        ((6, 2, 3), (5, 2, 3), r"filters has shape \(5, 2, 3\), must be \(3, channels, trials\)"),
        ((6, 6, 2, 3), (3, 2, 3), r"data has shape \(6, 6, 2, 3\), must be \(6, channels, trials\)"),
        ((6,), (3,), r"data has shape \(6,\), must be \(6, channels, trials\)"),
        ((6, 2, 3), (3, 1, 3), r"filters has shape \(3, 1, 3\), must end in \(2, 3\) as data does"),
        ((6, 2, 3), (3, 2, 4), r"filters has shape \(3, 2, 4\), must end in \(2, 3\) as data does"),
    ],
)
def test_arrays_that_a_kernel_would_read_beyond_are_refused(
    monkeypatch: pytest.MonkeyPatch, target: str, data: tuple[int, ...], filters: tuple[int, ...], message: str
) -> None:
    order = kernel_order(COMPILED_LINE if target == "c" else emit(LINE, target))
    monkeypatch.setattr(CompiledKernel, "__call__", None)  # before any C is called
    with pytest.raises(ValueError, match=f"^{message}"):
        order(np.ones(data, np.float32), np.ones(filters, np.float32))


def test_filters_in_another_dtype_are_refused() -> None:
    with pytest.raises(ValueError, match="dtype is float64, must be float32 for a compiled kernel"):
        kernel_order(COMPILED_LINE)(np.ones((6, 1, 2), np.float32), np.ones((3, 1, 2)))


def test_a_library_in_use_elsewhere_is_called_as_ever() -> None:
    before = kernel_order(COMPILED_LINE)
    shared = load(COMPILED_LINE)
    shared.line_filter.argtypes = [ctypes.POINTER(ctypes.c_float)]
    data, filters = np.ones((6, 2, 3), np.float32), np.ones((3, 2, 3), np.float32)
    np.testing.assert_array_equal(kernel_order(COMPILED_LINE)(data, filters), before(data, filters))
    assert shared.line_filter_floats.restype is ctypes.c_int
