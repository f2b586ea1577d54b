from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from torch import nn

from winograd.nn.folding.weights import fold_weights


def normed(features: int, dtype: torch.dtype = torch.float32, **settings: object) -> nn.BatchNorm3d:
    torch.manual_seed(features)
    norm = nn.BatchNorm3d(features, **settings).to(dtype).eval()
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    if norm.affine:
        nn.init.uniform_(norm.weight, -1.5, 1.5)
        nn.init.normal_(norm.bias)
    return norm


def exact_entry(weight: float, norm: nn.BatchNorm3d, output: int) -> float:
    gamma = 1.0 if norm.weight is None else float(norm.weight[output])
    return weight * gamma / math.sqrt(float(norm.running_var[output]) + norm.eps)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_every_number_is_rounded_once(dtype: torch.dtype, affine: bool) -> None:
    weight, norm = torch.randn(6, 3, 1, 2, 2).to(dtype), normed(6, affine=affine)
    folded = fold_weights(weight, None, norm)
    assert folded is not None
    assert folded.weight.dtype is folded.bias.dtype is dtype
    half_ulp = Fraction(torch.finfo(dtype).eps) / 2 + Fraction(1, 2**48)  # float64 rounds five times before
    for output in range(6):
        for given, got in zip(weight[output].flatten().tolist(), folded.weight[output].flatten().tolist(), strict=True):
            exact = Fraction(exact_entry(given, norm, output))
            assert abs(Fraction(got) - exact) <= half_ulp * abs(exact)


@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_the_folded_convolution_is_convolution_and_norm(has_bias: bool, affine: bool) -> None:
    layer, norm = nn.Conv3d(4, 6, 3, groups=2, bias=has_bias).double(), normed(6, torch.float64, affine=affine)
    clip = torch.randn(2, 4, 4, 5, 5, dtype=torch.float64)
    with torch.no_grad():
        weight, bias = fold_weights(layer.weight, layer.bias, norm)
        expected, got = norm(layer(clip)), nn.functional.conv3d(clip, weight, bias, groups=2)
        assert (got - expected).abs().max() <= rounding(layer, norm, clip)
        assert (torch.zeros_like(got) - expected).abs().max() > rounding(layer, norm, clip)


def rounding(layer: nn.Conv3d, norm: nn.BatchNorm3d, clip: torch.Tensor) -> float:
    """What float64 can lose: each of some sixty operations half a unit of the largest number on the way, both ways."""
    wide = nn.functional.conv3d(clip.abs(), layer.weight.abs(), None, groups=layer.groups)
    before = largest(wide) + largest(norm.running_mean) + largest(layer.bias, 0)
    scale = largest((norm.running_var + norm.eps).rsqrt()) * largest(norm.weight, 1)
    after = before * scale + largest(norm.bias, 0)
    return 2 * (layer.weight[0].numel() + 8) * 2.0**-53 * after


def largest(tensor: torch.Tensor | None, otherwise: float = 0) -> float:
    return otherwise if tensor is None else float(tensor.abs().max())


def test_a_mean_of_the_wrong_sign_is_noticed() -> None:
    layer, norm = nn.Conv3d(4, 6, 3).double(), normed(6, torch.float64)
    clip = torch.randn(2, 4, 4, 5, 5, dtype=torch.float64)
    with torch.no_grad():
        expected = norm(layer(clip))
        norm.running_mean.neg_()
        weight, bias = fold_weights(layer.weight, layer.bias, norm)
        got = nn.functional.conv3d(clip, weight, bias)
        assert (got - expected).abs().max() > rounding(layer, norm, clip)


def test_what_the_dtype_cannot_hold_is_not_folded() -> None:
    norm = normed(2, eps=0.0)
    norm.running_var[1] = 1e-12
    with torch.no_grad():
        norm.weight.fill_(1)
    weight = torch.ones(2, 1, 1, 1, 1)
    assert fold_weights(weight, None, norm) is not None
    assert fold_weights(weight.half(), None, norm) is None  # a million is beyond float16


@pytest.mark.parametrize("format", [torch.contiguous_format, torch.channels_last_3d])
def test_the_memory_format_of_the_weight_stays(format: torch.memory_format) -> None:
    weight = torch.randn(6, 3, 2, 2, 2).to(memory_format=format)
    folded = fold_weights(weight, None, normed(6))
    assert folded is not None
    assert folded.weight.stride() == weight.stride()


def test_folded_weights_can_be_differentiated_through_where_they_were_made_under_inference_mode() -> None:
    layer, norm = nn.Conv3d(4, 6, 3), normed(6)
    with torch.inference_mode():
        folded = fold_weights(layer.weight, layer.bias, norm)
    assert folded is not None
    assert not folded.weight.is_inference()
    assert not folded.weight.requires_grad
