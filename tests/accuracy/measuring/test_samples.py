from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from winograd.accuracy.formats import float_format
from winograd.accuracy.measuring.samples import Source, draw_normal, draw_uniform, open_source
from winograd.accuracy.protocol import STANDARD, Experiment, Inputs
from winograd.algebra.nesting import nest
from winograd.algebra.toom_cook import toom_cook

F23 = nest(toom_cook(2, 3), toom_cook(2, 3))


def test_grid_is_that_of_the_standard_library_of_cpp() -> None:
    single = draw_uniform(np.random.default_rng(0), (100_000,), float_format("float32"))
    assert single.dtype == np.float32
    assert -1 <= single.min() < -0.999
    assert 0.999 < single.max() < 1
    positive = single[single > 0]
    np.testing.assert_array_equal(positive * 2.0**23, np.round(positive * 2.0**23))
    assert abs(float(single.mean(dtype=np.float64))) < 5 / math.sqrt(3 * single.size)
    half = draw_uniform(np.random.default_rng(0), (100_000,), float_format("float16"))
    assert half.max() == 1 - 2.0**-10
    double = draw_uniform(np.random.default_rng(0), (1000,), float_format("float64"))
    assert np.any(double != double.astype(np.float32))


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32"])
def test_uniform_numbers_are_a_rounded_one_mapped_in_the_dtype(name: str) -> None:
    fmt = float_format(name)
    drawn = draw_uniform(np.random.default_rng(3), (5000,), fmt)
    bits = np.random.default_rng(3).integers(2**32, size=5000, dtype=np.uint32)
    below = np.minimum(fmt.round(bits * 2.0**-32).astype(np.float64), 1 - fmt.roundoff)
    np.testing.assert_array_equal(drawn.astype(np.float64), fmt.round(2 * below - 1).astype(np.float64))


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "float64"])
def test_normal_numbers_are_normal_and_rounded_once(name: str) -> None:
    fmt = float_format(name)
    drawn = draw_normal(np.random.default_rng(3), (20_000,), fmt)
    wide = np.random.default_rng(3).standard_normal(20_000)
    assert drawn.dtype == fmt.dtype
    assert np.all(np.abs(drawn.astype(np.float64) - wide) <= fmt.roundoff * np.abs(wide) + fmt.underflow)
    assert abs(float(drawn.astype(np.float64).std()) - 1) < 5 / math.sqrt(2 * 20_000)


def opened(experiment: Experiment = STANDARD, dtype: str = "float32", **given: Any) -> Source:
    return open_source(F23, float_format(dtype), experiment, 11, **given)


@pytest.mark.parametrize("inputs", list(Inputs))
def test_streams_go_on_where_they_were(inputs: Inputs) -> None:
    experiment = Experiment("drawn", channels=3, inputs=inputs)
    whole, parts = opened(experiment), opened(experiment)
    drawn = whole.data(10)
    assert drawn.shape == (4, 4, 3, 10)
    assert drawn.flags.c_contiguous
    np.testing.assert_array_equal(drawn, np.concatenate([parts.data(3), parts.data(7)], axis=-1))
    assert whole.filters(10).shape == (3, 3, 3, 10)
    assert opened(experiment).magnitudes == ((1, 1) if inputs is Inputs.UNIFORM else (math.inf, math.inf))


def test_narrow_interfaces_are_the_grid_of_the_inputs() -> None:
    drawn = opened(Experiment("narrow", interface="float16")).data(100)
    assert drawn.dtype == np.float32
    np.testing.assert_array_equal(drawn, drawn.astype(np.float16))
    plain = opened().data(100)
    assert (plain != plain.astype(np.float16)).any()


def layer() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    return rng.uniform(0, 8, (2, 3, 6, 5)).astype(np.float32), rng.normal(size=(4, 3, 3, 3)).astype(np.float32)


def test_given_arrays_are_where_tiles_and_filters_come_from() -> None:
    data, weights = layer()
    source = opened(Experiment("given", channels=3), data=data, weights=weights)
    windows = {
        data[n, :, i : i + 4, j : j + 4].tobytes(): (n, i, j) for n in range(2) for i in range(3) for j in range(2)
    }
    tiles = source.data(500)
    places = [windows[np.ascontiguousarray(np.moveaxis(tiles[..., t], -1, 0)).tobytes()] for t in range(500)]
    assert set(places) == set(windows.values())
    kept = {values.tobytes() for values in weights}
    filters = source.filters(100)
    assert {np.ascontiguousarray(np.moveaxis(filters[..., t], -1, 0)).tobytes() for t in range(100)} == kept
    assert source.magnitudes == (float(data.max()), float(np.abs(weights).max()))


def test_given_streams_do_not_depend_on_how_many_are_taken_at_a_time() -> None:
    data, weights = layer()
    experiment = Experiment("given", channels=3)
    whole, parts = (opened(experiment, data=data, weights=weights) for _ in range(2))
    for name in ("data", "filters"):
        taken = [getattr(parts, name)(count) for count in (1, 4, 45)]
        np.testing.assert_array_equal(getattr(whole, name)(50), np.concatenate(taken, axis=-1))


def test_given_numbers_are_rounded_once_to_the_dtype() -> None:
    data, _ = layer()
    experiment = Experiment("given", channels=3)
    tiles = opened(experiment, "float16", data=data).data(200)
    assert tiles.dtype == np.float16
    assert set(tiles.ravel().tolist()) <= set(data.astype(np.float16).ravel().tolist())
    exact = opened(experiment, data=data.astype(np.float16)).data(200)
    np.testing.assert_array_equal(exact, tiles.astype(np.float32))


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"data": np.zeros((1, 1, 4))}, ValueError, r"data has shape \(1, 1, 4\), must be \(any, channels, 4, 4\), or"),
        ({"data": np.zeros((1, 1, 3, 9))}, ValueError, r"data has shape \(1, 1, 3, 9\)"),
        ({"data": np.zeros((0, 1, 4, 4))}, ValueError, r"data has shape \(0, 1, 4, 4\)"),
        ({"data": 3.0}, ValueError, r"data has shape \(\)"),
        ({"weights": np.zeros((1, 1, 4, 3))}, ValueError, r"weights has shape .* must be \(any, channels, 3, 3\)$"),
        ({"data": np.zeros((1, 2, 4, 4))}, ValueError, "data has 2 channels, must have those of the experiment, 1"),
        ({"data": np.zeros((1, 1, 4, 4), dtype=complex)}, TypeError, "data has dtype complex128, must be real numbers"),
        ({"data": [[1, 2], [3]]}, TypeError, "data is a list that is no array"),
        ({"weights": np.full((1, 1, 3, 3), "0")}, TypeError, "weights has dtype <U1"),
        ({"data": np.full((1, 1, 4, 4), np.nan)}, ValueError, "data holds numbers that are not finite in float32"),
        ({"data": np.full((1, 1, 4, 4), 1e39)}, ValueError, "data holds numbers that are not finite in float32"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_in_one_line(
    given: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as raised:
        opened(**given)
    assert "\n" not in str(raised.value)
