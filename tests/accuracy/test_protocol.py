from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from winograd.accuracy.bounds import error_bound
from winograd.accuracy.experiment import measure_error
from winograd.accuracy.model import predict_error
from winograd.accuracy.protocol import Experiment
from winograd.accuracy.ranges import safe_range
from winograd.algebra.toom_cook import toom_cook

MISFITS = [
    ("float32", {"interface": "float64"}, "interface of experiment x is float64, must be numbers of dtype float32"),
    ("float16", {"interface": "bfloat16"}, "interface of experiment x is bfloat16, must be numbers of dtype float16"),
    ("float16", {"storage": "bfloat16"}, "storage of experiment x is bfloat16, must be numbers of dtype float16"),
    ("bfloat16", {"storage": "tf32"}, "storage of experiment x is tf32, must be numbers of dtype bfloat16"),
    ("float32", {"transforms": "bfloat16"}, "transforms of experiment x are bfloat16, must hold dtype float32"),
    ("float16", {"transforms": "bfloat16"}, "transforms of experiment x are bfloat16, must hold dtype float16"),
]


@pytest.mark.parametrize("use", [measure_error, predict_error, error_bound, safe_range])
@pytest.mark.parametrize(("dtype", "fields", "message"), MISFITS)
def test_all_refuse_formats_that_do_not_hold_each_other(
    use: Callable[..., Any], dtype: str, fields: dict[str, str], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        use(toom_cook(2, 3), dtype, experiment=Experiment("x", **fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"transforms": "float8"}, "transforms is 'float8', must be one of float16, bfloat16, float32, float64"),
        ({"transforms": np.int8}, "transforms is int8, must be one of float16"),
        ({"interface": 3}, "interface is 3, must be one of float16"),
        ({"storage": "float32"}, "storage is 'float32', must be one of float16, bfloat16, tf32, or None"),
        ({"storage": ["tf32"]}, r"storage is \['tf32'\], must be one of"),
        ({"storage": np.ones(3)}, "storage is array"),
    ],
)
def test_formats_are_refused_under_their_own_names(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        Experiment("x", **fields)


@pytest.mark.parametrize("use", [measure_error, predict_error, error_bound, safe_range])
def test_no_dtype_is_not_float64(use: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=r"^dtype is None, must be one of float16, bfloat16, float32, float64$"):
        use(toom_cook(2, 3), None)
