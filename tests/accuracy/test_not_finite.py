"""Values that are not finite: what is not finite directly is not finite here, and tiles that read none are as ever.

`winograd.testing.assert_within_bound` holds both; tests/testing shows that it notices when either is broken.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from winograd import conv1d, conv2d, conv3d, crt, nest, toom_cook
from winograd.testing import assert_within_bound

F23, F43 = toom_cook(2, 3), toom_cook(4, 3)
SUPERLINEAR = crt(4, 3, "x,x-1,x+1,x^2+1,inf")
OURS = {1: conv1d, 2: conv2d, 3: conv3d}


def uniform(seed: int, *sizes: int) -> torch.Tensor:
    return torch.rand(*sizes, generator=torch.Generator().manual_seed(seed)) * 2 - 1


NON_FINITE = {
    "nan": [float("nan")],
    "inf": [float("inf")],
    "-inf": [float("-inf")],
    "inf and -inf": [float("inf"), float("-inf")],
}
PLACES = {"centre": (5, 5, 5), "corner": (0, 0, 0), "edge": (0, 0, 6), "last": (10, 10, 10)}


@pytest.mark.parametrize("values", NON_FINITE)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])  # native, composed, composed, composed
def test_what_is_not_finite_stays_so_and_in_its_tiles(ndim: int, values: str, place: str, dtype: str) -> None:
    sizes = (11,) * ndim
    data = uniform(0, 2, 3, *sizes).to(getattr(torch, dtype))
    weights = uniform(1, 2, 3, *(3,) * ndim).to(data.dtype)
    for step, value in enumerate(NON_FINITE[values]):
        data[(0, 1 + step, *PLACES[place][:ndim])] = value
    algorithm = nest(*[F43] * ndim)
    result = OURS[ndim](data, weights, padding=1, algorithm=algorithm)
    assert_within_bound(result, data, weights, algorithm, padding=1)
    assert torch.isfinite(result[1]).all()  # the other image


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", PLACES)
def test_arrays_keep_the_same_policy(place: str, value: float) -> None:
    data, weights = uniform(0, 1, 2, 11, 11, 11).numpy(), uniform(1, 2, 2, 3, 3, 3).numpy()
    data[(0, 1, *PLACES[place])] = value
    algorithm = nest(SUPERLINEAR, F43, F23)
    with np.errstate(invalid="ignore"):
        result = conv3d(data, weights, padding=1, algorithm=algorithm)
    assert_within_bound(result, data, weights, algorithm, padding=1)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_tap_that_is_not_finite_reaches_its_own_outputs_only(value: float) -> None:
    data, weights = uniform(0, 1, 2, 9, 9, 9), uniform(1, 3, 2, 3, 3, 3)
    weights[1, 0, 1, 1, 1] = value
    algorithm = nest(F43, F43, F43)
    result = conv3d(data, weights, padding=1, algorithm=algorithm)
    assert_within_bound(result, data, weights, algorithm, padding=1)
    assert torch.isfinite(result[0, [0, 2]]).all()


def test_a_value_that_is_swallowed_or_spilt_is_noticed() -> None:
    data, weights = uniform(0, 1, 2, 11, 11, 11), uniform(1, 2, 2, 3, 3, 3)
    data[0, 0, 5, 5, 5] = float("nan")
    algorithm = nest(F43, F43, F43)
    result = conv3d(data, weights, padding=1, algorithm=algorithm)
    swallowed, spilt = torch.nan_to_num(result), result.clone()
    spilt[0, 0, 0, 0, 0] = float("nan")
    for wrong in (swallowed, spilt):
        with pytest.raises(AssertionError, match="off by inf"):
            assert_within_bound(wrong, data, weights, algorithm, padding=1)
