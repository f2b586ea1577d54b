"""How outputs lie in memory: as torch's do, for inputs and weights in every format; nothing is shared or written."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
import torch
from torch import Tensor

from tests.torch_citizen.pairs import LAST, NDIMS, OURS, TORCHS, VARIANTS, algorithm, assert_same, module_pair, normal

every_variant = pytest.mark.parametrize("variant", VARIANTS)
every_ndim = pytest.mark.parametrize("ndim", NDIMS)

FORMATS = ("first", "last")
SHAPES: dict[str, tuple[tuple[int, int, int], tuple[int, int, int], int]] = {
    # (batch, channels, outputs), the first sizes, taps
    "usual": ((2, 8, 16), (7, 6, 5), 3),
    "one channel": ((2, 1, 16), (7, 6, 5), 3),
    "one output channel": ((2, 8, 1), (7, 6, 5), 3),
    "one output place": ((2, 8, 16), (3, 3, 3), 3),
    "one output row": ((2, 8, 16), (3, 6, 5), 3),
    "one tap": ((2, 8, 16), (7, 6, 5), 1),
    "one of everything": ((2, 1, 1), (3, 3, 3), 3),
}


def in_format(tensor: Tensor, kind: str) -> Tensor:
    return tensor.contiguous(memory_format=LAST[tensor.ndim - 2]) if kind == "last" else tensor


@pytest.mark.parametrize(("ndim", "asks"), list(product((2, 3), (False, True))), ids=str)
@pytest.mark.parametrize("formats", list(product(FORMATS, FORMATS)), ids=str)
@pytest.mark.parametrize("case", SHAPES)
def test_strides_are_torchs(case: str, formats: tuple[str, str], ndim: int, asks: bool) -> None:
    (batch, channels, outputs), sizes, taps = SHAPES[case]
    input = in_format(normal(batch, channels, *sizes[:ndim]).float(), formats[0]).requires_grad_(asks)
    weight = in_format(normal(outputs, channels, *(taps,) * ndim, seed=1).float(), formats[1])
    ours, torchs = OURS[ndim](input, weight), TORCHS[ndim](input, weight)
    assert_same(ours, torchs)
    assert ours.stride() == torchs.stride()
    if asks:
        given = normal(*ours.shape, seed=3).float()
        gradients = [torch.autograd.grad(output, input, given)[0] for output in (ours, torchs)]
        assert gradients[0].stride() == gradients[1].stride()


@pytest.mark.parametrize(("ndim", "asks"), list(product((2, 3), (False, True))), ids=str)
@pytest.mark.parametrize("formats", list(product(FORMATS, FORMATS)), ids=str)
def test_a_forced_algorithm_keeps_torchs_strides(formats: tuple[str, str], ndim: int, asks: bool) -> None:
    input = in_format(normal(2, 8, *(7, 6, 5)[:ndim]).float(), formats[0]).requires_grad_(asks)
    weight = in_format(normal(16, 8, *(3,) * ndim, seed=1).float(), formats[1])
    ours, torchs = OURS[ndim](input, weight, algorithm=algorithm("forced", (3,) * ndim)), TORCHS[ndim](input, weight)
    assert_same(ours, torchs)
    assert not torch.equal(ours, torchs)  # so that it is the algorithm which was asked
    assert ours.stride() == torchs.stride()


@every_variant
@pytest.mark.parametrize("ndim", [2, 3])
def test_float64_and_single_images_stay_channels_last(ndim: int, variant: str) -> None:
    """Torch's own kernels of float64 in 3D, and of one small image, forget channels last; ours keep it or do alike."""
    for batch, dtype in ((2, torch.float64), (1, torch.float32)):
        input = in_format(normal(batch, 8, *(7, 6, 5)[:ndim]).to(dtype), "last")
        weight = normal(16, 8, *(3,) * ndim, seed=1).to(dtype)
        ours, torchs = OURS[ndim](input, weight, algorithm=algorithm(variant, (3,) * ndim)), TORCHS[ndim](input, weight)
        assert_same(ours, torchs)
        assert ours.stride() == torchs.stride() or ours.is_contiguous(memory_format=LAST[ndim])


VIEWS: dict[str, Callable[[Tensor], Tensor]] = {
    "transposed": lambda one: one.transpose(-1, 1).contiguous().transpose(-1, 1),
    "permuted batch": lambda one: one.transpose(0, 1).contiguous().transpose(0, 1),
    "sliced": lambda one: torch.stack([one, -one], -1)[..., 0],
    "every second": lambda one: torch.cat([one, one], -1)[..., ::2],
    "inside of more": lambda one: torch.nn.functional.pad(one, [1, 1])[..., 1:-1],
    "expanded over channels": lambda one: one[:, :1].expand_as(one),
    "expanded over the batch": lambda one: one[:1].expand_as(one),
    "expanded over a size": lambda one: one[..., :1].expand_as(one),
    "one number": lambda one: one.flatten()[:1].view([1] * one.ndim).expand_as(one),
    "overlapping": lambda one: one.flatten().as_strided(one.shape, [2, *[1] * (one.ndim - 1)]),
    "flipped": lambda one: one.flip(-1, 0),
    "behind an offset": lambda one: torch.cat([one.new_zeros(3), one.flatten()])[3:].view(one.shape),
}


@every_variant
@pytest.mark.parametrize(("ndim", "which"), [(2, "input"), (2, "weight"), (2, "both"), (1, "both"), (3, "both")])
@pytest.mark.parametrize("view", VIEWS)
def test_views_have_torchs_values(view: str, which: str, ndim: int, variant: str) -> None:
    given = [normal(2, 4, *(7, 6, 5)[:ndim]), normal(6, 4, *(3,) * ndim, seed=1)]
    for place, name in enumerate(("input", "weight")):
        if which in (name, "both"):
            given[place] = VIEWS[view](given[place])
    forced = algorithm(variant, (3,) * ndim)
    for asks in (False, True):
        tensors = [one.detach().requires_grad_(asks) for one in given]
        ours, torchs = OURS[ndim](*tensors, padding=1, algorithm=forced), TORCHS[ndim](*tensors, padding=1)
        # Equal values may cancel: both are held to rounding at the size of what is added up.
        scale = TORCHS[ndim](*(one.abs() for one in given), padding=1).max().item()
        torch.testing.assert_close(ours, torchs, rtol=0, atol=1e-13 * scale)


@every_variant
@every_ndim
@pytest.mark.parametrize("asks", [False, True], ids=["inference", "training"])
def test_nothing_is_written_but_the_output(asks: bool, ndim: int, variant: str) -> None:
    tensors = [normal(2, 4, *(7, 6, 5)[:ndim]), normal(6, 4, *(3,) * ndim, seed=1), normal(6, seed=2)]
    copies, versions = [one.clone() for one in tensors], [one._version for one in tensors]
    for one in tensors:
        one.requires_grad_(asks)
    output = OURS[ndim](*tensors, algorithm=algorithm(variant, (3,) * ndim))
    if asks:
        output.sum().backward()
    kept = output.detach().clone()
    OURS[ndim](*(2 * one for one in tensors), algorithm=algorithm(variant, (3,) * ndim))
    assert torch.equal(output, kept)  # a later call writes elsewhere
    assert all(torch.equal(*pair) for pair in zip(tensors, copies, strict=True))
    assert [one._version for one in tensors] == versions
    storages = {one.untyped_storage().data_ptr() for one in (*tensors, output)}
    assert len(storages) == 4
    assert (output.storage_offset(), output.untyped_storage().nbytes()) == (0, 8 * output.numel())


@every_variant
@pytest.mark.parametrize("ndim", [2, 3])
def test_a_module_moves_to_channels_last(ndim: int, variant: str) -> None:
    for layer in module_pair(ndim, 8, 16, 3, variant=variant):
        layer.to(memory_format=LAST[ndim])
        assert layer.weight.is_contiguous(memory_format=LAST[ndim])
        with torch.no_grad():
            assert layer(
                normal(2, 8, 7, 6, 5)[..., 0].float() if ndim == 2 else normal(2, 8, 7, 6, 5).float()
            ).is_contiguous(memory_format=LAST[ndim])


def test_another_format_is_noticed() -> None:
    input, weight = normal(2, 8, 7, 6).float(), normal(16, 8, 3, 3).float()
    last = OURS[2](in_format(input, "last"), weight)
    assert last.stride() != torch.conv2d(input, weight).stride()
