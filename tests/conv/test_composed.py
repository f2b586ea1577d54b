"""The composed backend: equal to torch's convolution up to derived rounding, through every transformation of torch."""

from __future__ import annotations

from itertools import product
from math import prod

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import nested_algorithms, shapes
from winograd import error_bound, nest, toom_cook
from winograd.algebra.nesting import NestedAlgorithm
from winograd.conv import composed
from winograd.conv.composed import convolve_composed
from winograd.conv.direct.convolve import FUNCTIONS

F23, F43 = toom_cook(2, 3), toom_cook(4, 3)
F43_3D = nest(F43, F43, F43)
PLAIN = ((1, 1),) * 3


def uniform(seed: int, *sizes: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.rand(*sizes, generator=generator, dtype=torch.float64) - 1).to(dtype)


def bound(nested: NestedAlgorithm, dtype: str, channels: int) -> float:
    """Worst case for data and taps within 1; 3 since no FMA is promised and the filter transform rounds too."""
    return 3 * error_bound(nested, dtype=dtype, channels=channels).max_abs


def direct(input_: torch.Tensor, weight: torch.Tensor, padding: tuple[tuple[int, int], ...]) -> torch.Tensor:
    margins = [side for pair in reversed(padding) for side in pair]
    return FUNCTIONS[len(padding)](torch.constant_pad_nd(input_, margins), weight)


@settings(max_examples=40)
@given(data=st.data(), seed=st.integers(0, 2**31))
def test_float64_equals_torch_within_the_bound(data: st.DataObject, seed: int) -> None:
    nested = data.draw(nested_algorithms())
    shape = data.draw(shapes(nested))
    input_ = uniform(seed, shape.batch, shape.channels, *shape.sizes)
    weight = uniform(seed + 1, shape.outputs, shape.channels, *nested.r)
    difference = convolve_composed(input_, weight, algorithm=nested, padding=shape.padding) - direct(
        input_, weight, shape.padding
    )
    products = prod(nested.r) * shape.channels
    torchs_own = products * products * 2.0**-53  # as many roundings of a sum of as many products of at most 1
    assert difference.abs().max() <= bound(nested, "float64", shape.channels) + torchs_own


def test_a_wrong_transform_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = composed.load_transforms(nest(F43))
    wrong = composed.Transforms(right.filter, lambda d: right.data(d.flip(-1)), right.inverse)
    monkeypatch.setattr(composed, "load_transforms", lambda _: wrong)
    input_, weight = uniform(0, 1, 1, 6), uniform(1, 1, 1, 3)
    difference = convolve_composed(input_, weight, algorithm=F43, padding=[(0, 0)]) - direct(input_, weight, ((0, 0),))
    assert difference.abs().max() > bound(nest(F43), "float64", 1)


GRADIENTS = [(F23,), (F43, F23), (F23, toom_cook(1, 2), F23)]


@pytest.mark.parametrize("axes", GRADIENTS, ids=len)
def test_first_second_and_forward_derivatives(axes: tuple[object, ...]) -> None:
    nested = NestedAlgorithm(axes)  # type: ignore[arg-type]
    input_ = uniform(0, 1, 2, *(3,) * nested.ndim).requires_grad_()
    weight, bias = uniform(1, 2, 2, *nested.r).requires_grad_(), uniform(2, 2).requires_grad_()

    def convolve(*tensors: torch.Tensor) -> torch.Tensor:
        return convolve_composed(*tensors, algorithm=nested, padding=[(1, 0)] * nested.ndim)

    assert torch.autograd.gradcheck(convolve, (input_, weight, bias), check_forward_ad=True, fast_mode=nested.ndim > 1)
    assert torch.autograd.gradgradcheck(convolve, (input_, weight, bias), fast_mode=True)


def test_gradients_equal_those_of_torch() -> None:
    input_, weight = uniform(0, 2, 3, 5, 6, 7).requires_grad_(), uniform(1, 4, 3, 3, 3, 3).requires_grad_()
    ours = convolve_composed(input_, weight, algorithm=F43_3D, padding=PLAIN)
    cotangent = uniform(2, *ours.shape)
    torchs = torch.conv3d(input_, weight, padding=1)
    for mine, theirs in zip(
        torch.autograd.grad(ours, (input_, weight), cotangent),
        torch.autograd.grad(torchs, (input_, weight), cotangent),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-11, atol=1e-11)


def test_vmap_over_images_and_over_weights() -> None:
    images, weights = uniform(0, 3, 2, 4, 5, 4), uniform(1, 3, 5, 2, 3, 3, 3)

    def convolve(image: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return convolve_composed(image[None], weight, algorithm=F43_3D, padding=PLAIN)[0]

    mapped = torch.vmap(convolve)(images, weights)
    looped = torch.stack([convolve(image, weight) for image, weight in zip(images, weights, strict=True)])
    torch.testing.assert_close(mapped, looped, rtol=0, atol=2 * bound(F43_3D, "float64", 2))
    one = torch.vmap(convolve, in_dims=(0, None))(images, weights[0])
    torch.testing.assert_close(one[0], mapped[0], rtol=0, atol=2 * bound(F43_3D, "float64", 2))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_16_bits_are_computed_in_float32_and_rounded_once(dtype: torch.dtype) -> None:
    input_ = 70 * uniform(0, 1, 4, 6, 6, 6).sign().to(dtype)
    weight = uniform(1, 3, 4, 3, 3, 3, dtype=dtype)
    result = convolve_composed(input_, weight, algorithm=F43_3D, padding=PLAIN)
    exact = torch.conv3d(input_.double(), weight.double(), padding=1)
    allowed = 70 * bound(F43_3D, "float32", 4) + torch.finfo(dtype).eps / 2 * exact.abs()
    assert result.dtype == dtype
    assert ((result.double() - exact).abs() <= allowed).all()


def test_autocast_gives_the_dtype_of_torchs_own_and_keeps_the_products_in_float32() -> None:
    input_, weight = uniform(0, 1, 2, 5, 5, 5, dtype=torch.float32), uniform(1, 2, 2, 3, 3, 3, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = convolve_composed(input_, weight, algorithm=F43_3D, padding=PLAIN)
        assert result.dtype == torch.conv3d(input_, weight).dtype == torch.bfloat16
        double = convolve_composed(input_.double(), weight.double(), algorithm=F43_3D, padding=PLAIN)
        assert double.dtype == torch.float64
    plain = convolve_composed(input_, weight, algorithm=F43_3D, padding=PLAIN)
    assert torch.equal(result, plain.bfloat16())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("place", [(5, 5), (0, 0), (0, 6), (10, 10)], ids=["centre", "corner", "edge", "last"])
def test_non_finite_values_reach_what_they_reach_directly_and_stay_in_their_tiles(
    value: float, place: tuple[int, int]
) -> None:
    input_, weight = uniform(0, 1, 1, 11, 11), uniform(1, 1, 1, 3, 3)
    input_[0, 0, *place] = value
    ours = convolve_composed(input_, weight, algorithm=nest(F43, F43), padding=PLAIN[:2])[0, 0].numpy()
    directly = torch.conv2d(input_, weight, padding=1)[0, 0].numpy()
    assert not np.isfinite(ours[~np.isfinite(directly)]).any()
    axes = [[tile for tile in range(3) if 4 * tile - 1 <= index < 4 * tile + 5] for index in place]
    touched = set(product(*axes))
    assert all(np.isfinite(ours[i, j]) or (i // 4, j // 4) in touched for i, j in product(range(11), repeat=2))


def test_meta_tensors_have_a_shape_and_no_values() -> None:
    result = convolve_composed(
        torch.empty(2, 3, 8, 9, 10, device="meta"), torch.empty(4, 3, 3, 3, 3, device="meta"),
        algorithm=F43_3D, padding=PLAIN,
    )  # fmt: skip
    assert (result.device.type, result.shape) == ("meta", (2, 4, 8, 9, 10))


def test_transforms_are_made_once() -> None:
    assert composed.load_transforms(nest(F43)) is composed.load_transforms(nest(toom_cook(4, 3)))
