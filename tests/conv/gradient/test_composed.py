"""Composed gradients: equal to torch's own in float64 up to derived rounding, and exact where the arithmetic is."""

from __future__ import annotations

from math import prod

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import Shape, nested_algorithms, shapes
from winograd import error_bound, nest, toom_cook
from winograd.algebra.forms import transposed_nest
from winograd.algebra.nesting import NestedAlgorithm
from winograd.conv.composed import Transforms
from winograd.conv.direct.convolve import FUNCTIONS
from winograd.conv.gradient import composed as composed_gradients
from winograd.conv.gradient.composed import (
    input_gradient_composed,
    turned,
    weight_gradient_composed,
)

F23, F43 = toom_cook(2, 3), toom_cook(4, 3)


def uniform(seed: int, *sizes: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.rand(*sizes, generator=generator, dtype=torch.float64) - 1).to(dtype)


def torchs_own(
    input_: torch.Tensor, weight: torch.Tensor, padding: tuple[tuple[int, int], ...], seed: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return a gradient of the output, and what torch makes of it: those of input and weight."""
    with torch.enable_grad():
        leaves = [tensor.clone().requires_grad_() for tensor in (input_, weight)]
        padded = torch.constant_pad_nd(leaves[0], [side for pair in reversed(padding) for side in pair])
        output = FUNCTIONS[len(padding)](padded, leaves[1])
        slope = uniform(seed, *output.shape).to(output.dtype)
        found = torch.autograd.grad(output, leaves, slope)
    return slope, *found


def allowed(nested: NestedAlgorithm, sums: int) -> float:
    """Worst case of values within 1, 3 since no FMA is promised and all transforms round, and torch's own roundings."""
    products = prod(nested.r) * sums
    return 3 * error_bound(nested, dtype="float64", channels=sums).max_abs + products * products * 2.0**-53


@settings(max_examples=20)
@given(data=st.data(), seed=st.integers(0, 2**31))
def test_the_gradient_of_the_input_is_torchs(data: st.DataObject, seed: int) -> None:
    nested = data.draw(nested_algorithms())
    shape: Shape = data.draw(shapes(nested))
    input_ = uniform(seed, shape.batch, shape.channels, *shape.sizes)
    weight = uniform(seed + 1, shape.outputs, shape.channels, *nested.r)
    slope, expected, _ = torchs_own(input_, weight, shape.padding, seed + 2)
    found = input_gradient_composed(slope, weight, algorithm=nested, padding=shape.padding)
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= allowed(nested, shape.outputs)


@settings(max_examples=20)
@given(data=st.data(), seed=st.integers(0, 2**31))
def test_the_gradient_of_the_weight_is_torchs(data: st.DataObject, seed: int) -> None:
    nested = data.draw(nested_algorithms())
    shape: Shape = data.draw(shapes(nested))
    input_ = uniform(seed, shape.batch, shape.channels, *shape.sizes)
    weight = uniform(seed + 1, shape.outputs, shape.channels, *nested.r)
    slope, _, expected = torchs_own(input_, weight, shape.padding, seed + 2)
    found = weight_gradient_composed(input_, slope, algorithm=nested, padding=shape.padding)
    tiles = shape.batch * prod(-(-size // m) for size, m in zip(slope.shape[2:], nested.m, strict=True))
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= allowed(transposed_nest(nested), tiles)


def test_a_wrong_transform_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    nested, input_, weight = nest(F43), uniform(0, 1, 1, 6), uniform(1, 1, 1, 3)
    right = composed_gradients.load_transforms(transposed_nest(nested))
    wrong = Transforms(lambda m: right.filter(m.flip(-1)), right.data, right.inverse)
    monkeypatch.setattr(composed_gradients, "load_transforms", lambda _: wrong)
    slope, _, expected = torchs_own(input_, weight, ((0, 0),), 2)
    found = weight_gradient_composed(input_, slope, algorithm=nested, padding=[(0, 0)])
    assert (found - expected).abs().max() > allowed(transposed_nest(nested), 1)


def test_a_gradient_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"grad_output has sizes \(5,\), the output has \(4,\)"):
        weight_gradient_composed(torch.ones(1, 1, 6), torch.ones(1, 1, 5), algorithm=F23, padding=[(0, 0)])


def test_filters_are_turned_within_their_groups() -> None:
    weight = torch.arange(24.0).reshape(4, 3, 2)
    parts = [turned(part) for part in weight.chunk(2)]
    assert torch.equal(turned(weight, 2), torch.cat(parts))


@pytest.mark.parametrize("axes", [(F23,), (F43, F23)], ids=len)
def test_gradients_are_differentiable(axes: tuple[object, ...]) -> None:
    nested = NestedAlgorithm(axes)  # type: ignore[arg-type]
    input_ = uniform(0, 1, 2, *(3,) * nested.ndim).requires_grad_()
    slope, weight = (uniform(seed, 2 if seed == 2 else 1, 2, *nested.r).requires_grad_() for seed in (1, 2))

    def of_input(*tensors: torch.Tensor) -> torch.Tensor:
        return input_gradient_composed(*tensors, algorithm=nested, padding=[(1, 1)] * nested.ndim)

    def of_weight(*tensors: torch.Tensor) -> torch.Tensor:
        return weight_gradient_composed(*tensors, algorithm=nested, padding=[(1, 1)] * nested.ndim)

    assert torch.autograd.gradcheck(of_input, (slope, weight), check_forward_ad=True, fast_mode=True)
    assert torch.autograd.gradcheck(of_weight, (input_, slope), check_forward_ad=True, fast_mode=True)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_sixteen_bits_are_rounded_once(dtype: torch.dtype) -> None:
    input_, slope = uniform(0, 2, 3, 9, dtype=dtype), uniform(1, 2, 4, 9, dtype=dtype)
    found = weight_gradient_composed(input_, slope, algorithm=F23, padding=[(1, 1)])
    wide = weight_gradient_composed(input_.float(), slope.float(), algorithm=F23, padding=[(1, 1)])
    assert torch.equal(found, wide.to(dtype))
