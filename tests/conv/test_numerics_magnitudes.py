"""Very large and very small inputs through the compiled kernels: finite and right where direct convolution is.

16 bits are transformed in float32, so that nothing between input and output overflows that the output could hold. Near
the largest float32 the transforms do overflow: then outputs are not finite, and never finite and wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf
from typing import Any

import pytest
import torch

from winograd import conv1d, conv2d, conv3d, nest, safe_range, toom_cook
from winograd.testing import assert_within_bound

OURS: dict[int, Callable[..., Any]] = {1: conv1d, 2: conv2d, 3: conv3d}
DIRECT: dict[int, Callable[..., Any]] = {1: torch.conv1d, 2: torch.conv2d, 3: torch.conv3d}
F43, F63 = toom_cook(4, 3), toom_cook(6, 3)
ALGORITHMS = [F43, F63]
LARGEST = {torch.float16: 65504.0, torch.bfloat16: 2.0**100}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny convolutions, and results do not depend on it: see native/test_kernel.py."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def signs(dtype: torch.dtype, ndim: int, channels: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(ndim)
    drawn = torch.randint(0, 2, (2, channels, *(13,) * ndim), generator=generator) * 2 - 1
    return drawn.to(dtype)


def middle(dtype: torch.dtype, ndim: int) -> torch.Tensor:
    """Return a filter that passes its input through."""
    weight = torch.zeros(1, 1, *(3,) * ndim, dtype=dtype)
    weight[(0, 0, *(1,) * ndim)] = 1
    return weight


@pytest.mark.parametrize("axis", ALGORITHMS, ids=lambda axis: f"F({axis.m},3)")
@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("dtype", LARGEST)
def test_what_16_bits_can_hold_comes_out_as_it_went_in(dtype: torch.dtype, ndim: int, axis: Any) -> None:
    # The float32 result is off by less than half a step of 16 bits: 1e-5 of the inputs, 2^-12 and 2^-9 are the steps.
    for magnitude in (20, 70, 1000, 60000, LARGEST[dtype]):
        data = signs(dtype, ndim) * magnitude
        ours = OURS[ndim](data, middle(dtype, ndim), padding=1, algorithm=nest(*[axis] * ndim))
        assert torch.equal(ours, data)


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize(("second", "rounded"), [(8, 65504.0), (24, inf), (65504, inf)])
def test_a_float16_result_overflows_where_torchs_own_does(ndim: int, second: float, rounded: float) -> None:
    # 65504 + 16 is the first number that rounds to Inf. Both channels come with the same sign.
    pattern = signs(torch.float16, ndim).expand(2, 2, *(13,) * ndim)
    magnitudes = torch.tensor([65504, second], dtype=torch.float16).reshape(2, *(1,) * ndim)
    data = pattern * magnitudes
    weight = middle(torch.float16, ndim).expand(1, 2, *(3,) * ndim)
    ours = OURS[ndim](data, weight, padding=1, algorithm=nest(*[F43] * ndim))
    assert torch.equal(ours, DIRECT[ndim](data.double(), weight.double(), padding=1).half())
    assert torch.equal(ours, pattern[:, :1] * rounded)


@pytest.mark.parametrize("axis", ALGORITHMS, ids=lambda axis: f"F({axis.m},3)")
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_subnormal_float16_is_not_lost(ndim: int, axis: Any) -> None:
    counts = torch.arange(13**ndim).reshape(1, 1, *(13,) * ndim) % 1024
    data = signs(torch.float16, ndim) * (counts * 2.0**-24).half()
    ours = OURS[ndim](data, middle(torch.float16, ndim), padding=1, algorithm=nest(*[axis] * ndim))
    assert data.count_nonzero() > 10
    assert torch.equal(ours, data)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_subnormal_float32_stays_within_the_bound(ndim: int, dtype: str) -> None:
    generator = torch.Generator().manual_seed(0)
    sizes, algorithm = (13,) * ndim, nest(*[F43] * ndim)
    data = ((torch.rand(1, 3, *sizes, generator=generator) * 2 - 1) * 2.0**-127).to(getattr(torch, dtype))
    weight = (torch.rand(2, 3, *(3,) * ndim, generator=generator) * 2 - 1).to(data.dtype)
    ours = OURS[ndim](data, weight, padding=1, algorithm=algorithm)
    assert ours.count_nonzero() > ours.numel() // 2
    assert_within_bound(ours, data, weight, algorithm, padding=1)


@pytest.mark.parametrize("axis", ALGORITHMS, ids=lambda axis: f"F({axis.m},3)")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_inside_the_safe_range_nothing_overflows(ndim: int, dtype: str, axis: Any) -> None:
    algorithm = nest(*[axis] * ndim)
    data = signs(getattr(torch, dtype), ndim) * (0.99 * safe_range(algorithm, dtype).largest)
    weight = middle(data.dtype, ndim)
    ours = OURS[ndim](data, weight, padding=1, algorithm=algorithm)
    assert ours.isfinite().all()
    assert_within_bound(ours, data, weight, algorithm, padding=1)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("magnitude", [1e37, 1e38, 3e38])
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_beyond_the_safe_range_no_output_is_finite_and_wrong(ndim: int, magnitude: float, dtype: str) -> None:
    data = signs(getattr(torch, dtype), ndim) * magnitude
    for axis in ALGORITHMS:
        ours = OURS[ndim](data, middle(data.dtype, ndim), padding=1, algorithm=nest(*[axis] * ndim))
        kept = ours.isfinite()
        # 2e-5 of the input is twice what F(6,3) in 3D was ever seen to be off by here; a lost summand is off by 1.
        assert ((ours.double() - data.double()).abs()[kept] <= 2e-5 * magnitude).all()


def test_overflow_begins_somewhere_beyond_the_safe_range() -> None:
    algorithm = nest(F63, F63, F63)
    data = signs(torch.float32, 3) * (1e3 * safe_range(algorithm, "float32").largest)
    assert not conv3d(data, middle(data.dtype, 3), padding=1, algorithm=algorithm).isfinite().all()


def test_a_transform_in_float16_would_overflow() -> None:
    """The magnitudes of the first test are beyond what is safe where everything is float16."""
    for axis, magnitude in ((toom_cook(4, 3, "0,1,-1,2,-2,inf"), 70), (F63, 20)):
        assert safe_range(nest(axis, axis, axis), "float16").data < magnitude
