"""The same image alone and among others: within what is promised, and bit for bit where the algorithm is the same."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import winograd
from tests.torch_citizen.pairs import (
    LAST,
    NDIMS,
    OURS,
    VARIANTS,
    algorithm,
    assert_same,
    core_taps,
    module_pair,
    normal,
)

every_variant = pytest.mark.parametrize("variant", VARIANTS)
every_ndim = pytest.mark.parametrize("ndim", NDIMS)

BATCH = 7
LAYERS: dict[str, tuple[tuple[int, int], tuple[int, int, int], dict[str, Any]]] = {
    # (channels, outputs), sizes, arguments
    "small": ((3, 4), (7, 6, 5), {}),
    "padded": ((8, 16), (7, 6, 5), {"padding": 1}),
    "strided": ((16, 16), (9, 8, 7), {"stride": 2, "padding": 1}),
    "dilated": ((16, 16), (9, 8, 7), {"dilation": 2, "padding": 2}),
    "one place": ((16, 16), (3, 3, 3), {}),
}


@every_variant
@every_ndim
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_an_image_is_within_the_bound_alone_and_among_others(
    name: str, dtype: torch.dtype, ndim: int, variant: str
) -> None:
    (channels, outputs), sizes, options = LAYERS[name]
    images = normal(BATCH, channels, *sizes[:ndim]).to(dtype)
    weight, bias = normal(outputs, channels, *(3,) * ndim, seed=1).to(dtype), normal(outputs, seed=2).to(dtype)
    taps = core_taps((3,) * ndim, options.get("stride", 1), options.get("dilation", 1))
    options = {**options, "algorithm": algorithm(variant, taps)}
    together = OURS[ndim](images, weight, bias, **options)
    alone = torch.stack([OURS[ndim](image, weight, bias, **options) for image in images])
    one_by_one = torch.cat([OURS[ndim](image[None], weight, bias, **options) for image in images])
    assert_same(alone, together)
    assert_same(one_by_one, together)
    assert torch.equal(alone, one_by_one)
    some = OURS[ndim](images[2:5], weight, bias, **options)
    assert_same(some, together[2:5])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@every_ndim
def test_a_forced_native_algorithm_gives_the_same_bits(dtype: torch.dtype, ndim: int) -> None:
    images, weight = normal(BATCH, 8, *(7, 6, 5)[:ndim]).to(dtype), normal(16, 8, *(3,) * ndim, seed=1).to(dtype)
    forced = algorithm("forced", (3,) * ndim)
    together = OURS[ndim](images, weight, algorithm=forced)
    for number, image in enumerate(images):
        assert torch.equal(OURS[ndim](image, weight, algorithm=forced), together[number])
    assert torch.equal(OURS[ndim](images.flip(0), weight, algorithm=forced).flip(0), together)


@every_variant
@every_ndim
def test_gradients_of_a_batch_are_those_of_its_images(ndim: int, variant: str) -> None:
    layer, _ = module_pair(ndim, 3, 4, 3, padding=1, variant=variant, dtype=torch.float64)
    images, given = normal(BATCH, 3, *(7, 6, 5)[:ndim]), normal(BATCH, 4, *(7, 6, 5)[:ndim], seed=1)

    def gradients(part: slice) -> tuple[Tensor, ...]:
        image = images[part].requires_grad_()
        return torch.autograd.grad(layer(image), [image, *layer.parameters()], given[part])

    together = gradients(slice(None))
    apart = [gradients(slice(number, number + 1)) for number in range(BATCH)]
    assert_same(torch.cat([one[0] for one in apart]), together[0])
    for place in (1, 2):
        assert_same(torch.stack([one[place] for one in apart]).sum(0), together[place])


@pytest.mark.parametrize("last", [False, True], ids=["channels first", "channels last"])
@pytest.mark.parametrize("frozen", [False, True], ids=["live", "frozen"])
def test_a_wide_layer_is_within_the_bound_whatever_is_planned(frozen: bool, last: bool) -> None:
    torch.manual_seed(0)
    layer = winograd.nn.Conv3d(64, 64, 3, padding=1)
    if frozen:
        winograd.freeze(layer)
    images = normal(BATCH, 64, 4, 14, 14).float()
    images = images.contiguous(memory_format=LAST[3]) if last else images
    with torch.no_grad():
        together = layer(images)
        assert_same(torch.cat([layer(image[None]) for image in images]), together)
    assert len({plan.shape.batch for plan in layer.plans}) == 2


def test_another_image_is_noticed() -> None:
    images, weight = normal(BATCH, 3, 7), normal(4, 3, 3, seed=1)
    images[3, 0, 0] += 1e-9
    with pytest.raises(AssertionError):
        assert_same(OURS[1](images[3], weight), OURS[1](normal(BATCH, 3, 7), weight)[3])
