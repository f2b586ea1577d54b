"""What the tests of this folder share: our convolutions beside torch's, random tensors, and how far both may differ.

A convolution is called in three ways: by the plan ("planned"), by F(2, r) on every axis that has more than one tap
("forced"), and through a converted module. Torch's own result of the same input is what each of them must give.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

import winograd
from winograd import conv1d, conv2d, conv3d, nest, toom_cook
from winograd.algebra.nesting import NestedAlgorithm
from winograd.conv.choosing.prediction import default_tolerance

OURS: dict[int, Callable[..., Any]] = {1: conv1d, 2: conv2d, 3: conv3d}
TORCHS: dict[int, Callable[..., Any]] = {1: torch.conv1d, 2: torch.conv2d, 3: torch.conv3d}
OUR_MODULES: dict[int, Any] = {1: winograd.nn.Conv1d, 2: winograd.nn.Conv2d, 3: winograd.nn.Conv3d}
TORCHS_MODULES: dict[int, Any] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
LAST = {2: torch.channels_last, 3: torch.channels_last_3d}
SIZES = (7, 6, 5)

VARIANTS = ("planned", "forced")
NDIMS = (1, 2, 3)

ROUNDOFF = {torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8}


@lru_cache(maxsize=64)
def f2(taps: tuple[int, ...]) -> NestedAlgorithm:
    """Return F(2, r) for each axis, F(1, 1) where there is one tap."""
    return nest(*(toom_cook(2 if count > 1 else 1, count) for count in taps))


def algorithm(variant: str, taps: Sequence[int]) -> NestedAlgorithm | None:
    return f2(tuple(taps)) if variant == "forced" else None


def core_taps(taps: Sequence[int], stride: int, dilation: int) -> tuple[int, ...]:
    """Return the taps of the phases of a convolution, for which an algorithm is forced."""
    step = stride // math.gcd(stride, dilation)
    return tuple(-(-count // step) for count in taps)


def normal(*sizes: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Return independent zero-mean numbers, for which errors are predicted."""
    drawn = torch.randn(sizes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return drawn.to(dtype)


def operands(
    ndim: int, *, batch: int = 2, channels: int = 3, outputs: int = 4, taps: int = 3, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor, Tensor]:
    """Return an input, a weight and a bias."""
    input = normal(batch, channels, *SIZES[:ndim], dtype=dtype)
    weight = normal(outputs, channels, *(taps,) * ndim, seed=1, dtype=dtype)
    return input, weight, normal(outputs, seed=2, dtype=dtype)


def allowed(dtype: torch.dtype) -> float:
    """Return how far two results may be apart, relative L2: each keeps the tolerance, and rounds to 16 bits."""
    name = str(dtype).removeprefix("torch.").replace("complex64", "float32").replace("complex128", "float64")
    return 2 * (default_tolerance(name) + ROUNDOFF.get(dtype, 0.0))


def distance(ours: Tensor, torchs: Tensor) -> float:
    """Return the relative L2 distance; 0 where both are 0."""
    wide = torch.complex128 if torchs.is_complex() else torch.float64
    apart = (ours.detach().to(wide) - torchs.detach().to(wide)).norm().item()
    return apart / torchs.detach().to(wide).norm().item() if apart else 0.0


def assert_same(ours: Tensor, torchs: Tensor) -> None:
    """Compare kind, sizes and values: exactly for integers, else within what the tolerance promises."""
    assert (ours.dtype, ours.device, ours.shape) == (torchs.dtype, torchs.device, torchs.shape)
    if ours.is_floating_point() or ours.is_complex():
        assert distance(ours, torchs) <= allowed(ours.dtype)
    else:
        assert torch.equal(ours, torchs)


def outcome(call: Callable[[], Any]) -> Any:
    """Return what a call returns, or the type and the text of what it raises."""
    try:
        return call()
    except Exception as error:
        return type(error), str(error)


def assert_same_error(ours: Callable[[], Any], torchs: Callable[[], Any]) -> None:
    """Check that both raise, the same type with the same words."""
    expected = outcome(torchs)
    assert isinstance(expected, tuple), "torch raises nothing"
    assert outcome(ours) == expected


def module_pair(ndim: int, *args: Any, variant: str = "planned", **options: Any) -> tuple[nn.Module, nn.Module]:
    """Return our module and torch's, with the same parameters."""
    torch.manual_seed(0)
    torchs = TORCHS_MODULES[ndim](*args, **options)
    ours = OUR_MODULES[ndim](*args, algorithm=algorithm(variant, torchs.kernel_size), **options)
    ours.load_state_dict(torchs.state_dict())
    return ours, torchs
