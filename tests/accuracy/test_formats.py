from __future__ import annotations

import math
import sys
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from winograd.accuracy.formats import FloatFormat, float_format, stored_format, tf32
from winograd.accuracy.protocol import ChannelSum, Experiment, Inputs, as_experiment

FORMATS = [float_format(name) for name in ("float16", "bfloat16", "float32", "float64")] + [tf32()]
wide = st.floats(-1e4, 1e4).filter(lambda value: value == 0 or abs(value) > 1e-4)


def nearest_ref(value: float, digits: int) -> float:
    """Round to so many binary digits, half to even, in exact arithmetic."""
    if value == 0:
        return value
    unit = Fraction(2) ** (math.frexp(value)[1] - digits)
    return float(round(Fraction(value) / unit) * unit)


@given(wide, st.sampled_from(FORMATS))
def test_rounding_is_to_the_nearest_number_once(value: float, fmt: FloatFormat) -> None:
    rounded = fmt.round(np.array([value]))
    assert rounded.dtype == fmt.dtype
    assert float(rounded[0]) == nearest_ref(value, fmt.digits)


@pytest.mark.parametrize("fmt", [fmt for fmt in FORMATS if fmt.name != "float64"], ids=lambda fmt: fmt.name)
def test_ties_go_to_even_and_what_is_just_beyond_does_not(fmt: FloatFormat) -> None:
    half = fmt.roundoff
    beyond = 1 + half + 2.0**-50
    assert fmt.round(np.array([1 + half, beyond])).astype(float).tolist() == [1, 1 + 2 * half]


def test_a_cast_through_float32_would_round_twice() -> None:
    beyond = np.array([1 + 2.0**-8 + 2.0**-40])
    assert float(beyond.astype(ml_dtypes.bfloat16)[0]) == 1
    assert float(float_format("bfloat16").round(beyond)[0]) == 1 + 2.0**-7


@pytest.mark.parametrize("fmt", FORMATS, ids=lambda fmt: fmt.name)
def test_formats_are_those_of_numpy(fmt: FloatFormat) -> None:
    if fmt.name == "tf32":
        assert (fmt.dtype, fmt.digits, fmt.least_normal) == (np.dtype(np.float32), 11, 2.0**-126)
        return
    about = ml_dtypes.finfo(fmt.dtype)
    assert fmt.roundoff == float(about.eps) / 2
    assert fmt.largest == float(about.max)
    assert fmt.least_normal == float(about.smallest_normal)
    assert fmt.underflow in {float(about.smallest_subnormal) / 2, 5e-324}


@pytest.mark.parametrize("fmt", FORMATS, ids=lambda fmt: fmt.name)
def test_what_is_not_finite_stays_so(fmt: FloatFormat) -> None:
    rounded = fmt.round(np.array([np.inf, -np.inf, np.nan, -0.0])).astype(float)
    assert rounded[:2].tolist() == [math.inf, -math.inf]
    assert math.isnan(rounded[2])
    assert math.copysign(1, rounded[3]) == -1


def test_formats_are_named_and_others_refused() -> None:
    assert float_format(ml_dtypes.bfloat16) is float_format("bfloat16")
    assert float_format(np.float32) is float_format("float32")
    with pytest.raises(ValueError, match="dtype is int32, must be one of float16, bfloat16, float32, float64"):
        float_format("int32")
    with pytest.raises(ValueError, match="dtype is 'bfloat'"):
        float_format("bfloat")
    with pytest.raises(ValueError, match="dtype is 'tf32'"):
        float_format("tf32")
    with pytest.raises(ValueError, match="storage is 'float32', must be one of float16, bfloat16, tf32, or None"):
        stored_format("float32")
    with pytest.raises(ValueError, match="constant 65536 of a transform overflows float16"):
        float_format("float16").rounded(Fraction(65536))


def test_missing_ml_dtypes_is_one_line_that_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(ModuleNotFoundError, match=r"bfloat16 needs ml_dtypes.*pip install 'winograd\[search\]'"):
        _ = float_format("bfloat16").dtype


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"channels": 0}, ValueError, "channels is 0, must be at least 1"),
        ({"channels": True}, TypeError, "channels is True, must be an integer"),
        ({"channel_block": -1}, ValueError, "channel_block is -1, must be at least 1"),
        ({"storage": "float8"}, ValueError, "storage is 'float8', must be one of"),
        ({"transforms": "int32"}, ValueError, "transforms is int32, must be one of"),
        ({"interface": "int8"}, ValueError, "interface is int8, must be one of"),
        ({"channel_sum": "blocked"}, ValueError, "channel_sum is 'blocked', must be one of 'sequential', 'pairwise'"),
        ({"inputs": 3}, ValueError, "inputs is 3, must be one of 'uniform', 'normal'"),
    ],
)
def test_impossible_experiments_are_refused(fields: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Experiment("impossible", **fields)


def test_blocks_cover_the_channels_in_order() -> None:
    blocks = Experiment("blocks", channels=10, channel_block=4, channel_sum=ChannelSum.PAIRWISE).blocks
    assert [list(block) for block in blocks] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert Experiment("one", channels=3).blocks == (range(3),)


def test_kinds_may_be_given_by_their_values() -> None:
    by_text = Experiment("x", channel_sum="pairwise", inputs="normal")  # type: ignore[arg-type]
    assert by_text == Experiment("x", channel_sum=ChannelSum.PAIRWISE, inputs=Inputs.NORMAL)


def test_presets_are_named() -> None:
    assert as_experiment("layer").channels == 64
    with pytest.raises(ValueError, match="experiment is 'hard', must be one of standard, layer, or an Experiment"):
        as_experiment("hard")
