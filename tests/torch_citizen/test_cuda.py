"""On a GPU: another stream, another device, two devices at once. Skipped where there is none."""

from __future__ import annotations

import pytest
import torch

from tests.torch_citizen.pairs import NDIMS, OURS, TORCHS, VARIANTS, algorithm, allowed, distance, operands

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU of NVIDIA")

every_variant = pytest.mark.parametrize("variant", VARIANTS)
every_ndim = pytest.mark.parametrize("ndim", NDIMS)


@every_variant
@every_ndim
def test_another_stream_has_torchs_values_and_gradients(ndim: int, variant: str) -> None:
    stream = torch.cuda.Stream()
    leaves = [one.requires_grad_() for one in operands(ndim)]
    with torch.cuda.stream(stream):
        on_gpu = [one.cuda() for one in leaves]
        output = OURS[ndim](*on_gpu, padding=1, algorithm=algorithm(variant, (3,) * ndim))
        gradients = torch.autograd.grad(output.square().sum(), leaves)
    stream.synchronize()
    expected = TORCHS[ndim](*leaves, padding=1)
    assert distance(output.cpu(), expected) <= allowed(torch.float64)
    for ours, torchs in zip(gradients, torch.autograd.grad(expected.square().sum(), leaves), strict=True):
        assert distance(ours, torchs) <= 2 * allowed(torch.float64)


@every_variant
@every_ndim
def test_two_devices_at_once_are_refused(ndim: int, variant: str) -> None:
    input, weight, bias = operands(ndim)
    with pytest.raises(RuntimeError):
        TORCHS[ndim](input.cuda(), weight, bias)
    with pytest.raises((RuntimeError, ValueError)):
        OURS[ndim](input.cuda(), weight, bias, algorithm=algorithm(variant, (3,) * ndim))


@every_variant
@every_ndim
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one GPU only")
def test_the_second_device_while_the_first_is_current(ndim: int, variant: str) -> None:
    given = [one.to("cuda:1") for one in operands(ndim)]
    output = OURS[ndim](*given, algorithm=algorithm(variant, (3,) * ndim))
    assert output.device == torch.device("cuda:1")
    assert distance(output.cpu(), TORCHS[ndim](*operands(ndim))) <= allowed(torch.float64)


@every_variant
@pytest.mark.parametrize("narrow", [torch.float16, torch.bfloat16], ids=str)
def test_autocast_has_torchs_dtype(narrow: torch.dtype, variant: str) -> None:
    given = [one.float().cuda() for one in operands(2)]
    with torch.autocast("cuda", dtype=narrow):
        ours, torchs = OURS[2](*given, algorithm=algorithm(variant, (3, 3))), torch.conv2d(*given)
    assert ours.dtype == torchs.dtype == narrow
    assert distance(ours, torchs) <= 3 * allowed(narrow)
