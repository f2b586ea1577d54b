"""Transposed convolutions and lazy modules: what is true of convolutions above is true of them."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import winograd
from tests.torch_citizen.pairs import NDIMS, OURS, assert_same, assert_same_error, normal, operands

every_ndim = pytest.mark.parametrize("ndim", NDIMS)

TRANSPOSED: dict[int, Any] = {
    1: (winograd.nn.ConvTranspose1d, nn.ConvTranspose1d, winograd.conv_transpose1d, torch.conv_transpose1d),
    2: (winograd.nn.ConvTranspose2d, nn.ConvTranspose2d, winograd.conv_transpose2d, torch.conv_transpose2d),
    3: (winograd.nn.ConvTranspose3d, nn.ConvTranspose3d, winograd.conv_transpose3d, torch.conv_transpose3d),
}
GEOMETRIES: dict[str, dict[str, Any]] = {
    "stride 1": {},
    "stride 1, padding": {"padding": 1},
    "stride 2": {"stride": 2},
    "stride 2, padding": {"stride": 2, "padding": 1, "output_padding": 1},
    "stride 3": {"stride": 3, "padding": 1, "output_padding": 2},
    "dilation": {"dilation": 2, "padding": 1},
    "groups": {"groups": 2, "stride": 2},
}
every_geometry = pytest.mark.parametrize("case", GEOMETRIES)


def pair(ndim: int, case: str) -> tuple[nn.Module, nn.Module]:
    """Return our transposed module and torch's, with the same parameters."""
    ours, torchs = (kind(4, 6, 3, **GEOMETRIES[case], dtype=torch.float64) for kind in TRANSPOSED[ndim][:2])
    ours.load_state_dict(torchs.state_dict())
    return ours, torchs


def image(ndim: int) -> Tensor:
    return normal(2, 4, *(5, 4, 3)[:ndim])


@every_ndim
@every_geometry
def test_values_and_gradients_are_torchs(case: str, ndim: int) -> None:
    layers, found = pair(ndim, case), []
    with torch.no_grad():
        assert_same(*(layer(image(ndim)) for layer in layers))
        assert_same(*(layer(image(ndim)[0]) for layer in layers))
    for layer in layers:
        input = image(ndim).requires_grad_()
        output = layer(input)
        first = torch.autograd.grad(output.square().sum(), [input, *layer.parameters()], create_graph=True)
        second = torch.autograd.grad(sum(one.square().sum() for one in first), [input, *layer.parameters()])
        found.append([output, *first, *second])
    for ours, torchs in zip(*found, strict=True):
        torch.testing.assert_close(ours, torchs, rtol=1e-10, atol=1e-11 * torchs.abs().max().item())


@every_ndim
@every_geometry
def test_functions_and_sizes_of_the_output(case: str, ndim: int) -> None:
    _, torchs = pair(ndim, case)
    function, torchs_function = TRANSPOSED[ndim][2:]
    given = (image(ndim), torchs.weight.detach(), torchs.bias.detach())
    assert_same(function(*given, **GEOMETRIES[case]), torchs_function(*given, **GEOMETRIES[case]))
    if GEOMETRIES[case].get("stride", 1) > 1:
        ours, torchs = pair(ndim, case)
        wanted = [size + 1 for size in torchs(image(ndim)).shape[2:]]
        if not GEOMETRIES[case].get("output_padding"):
            assert_same(ours(image(ndim), output_size=wanted), torchs(image(ndim), output_size=wanted))
    for wrong in ([image(ndim)[:, :3]], [image(ndim).float()]):
        assert_same_error(
            lambda wrong=wrong: pair(ndim, case)[0](*wrong), lambda wrong=wrong: pair(ndim, case)[1](*wrong)
        )


@every_ndim
@pytest.mark.parametrize("case", ["stride 1, padding", "stride 2, padding"])
def test_compiled_exported_mapped_and_copied(case: str, ndim: int) -> None:
    ours, torchs = pair(ndim, case)
    expected = torchs(image(ndim))
    torch._dynamo.reset()
    assert_same(torch.compile(ours, backend="aot_eager", fullgraph=True)(image(ndim)), expected)
    assert_same(torch.export.export(ours, (image(ndim),)).module()(image(ndim)), expected)
    images = torch.stack([image(ndim), -image(ndim)])
    assert_same(torch.func.vmap(ours)(images), torch.func.vmap(torchs)(images))
    tangents = (image(ndim).cos(),)
    derivatives = [torch.func.jvp(layer, (image(ndim),), tangents)[1] for layer in (ours, torchs)]
    assert_same(*derivatives)
    for twin in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert_same(twin(image(ndim)), expected)


@every_ndim
@pytest.mark.parametrize("case", ["stride 1", "stride 2"])
def test_gradcheck(case: str, ndim: int) -> None:
    function, options = TRANSPOSED[ndim][2], GEOMETRIES[case]
    given = [normal(1, 2, *(3,) * ndim), normal(2, 2, *(3,) * ndim, seed=1), normal(2, seed=2)]
    for one in given:
        one.requires_grad_()

    def transpose(*tensors: Tensor) -> Tensor:
        result: Tensor = function(*tensors, **options)
        return result

    assert torch.autograd.gradcheck(transpose, given, fast_mode=True)
    assert torch.autograd.gradgradcheck(transpose, given, fast_mode=True)


@every_ndim
def test_lazy_modules_become_ours(ndim: int) -> None:
    lazy = {1: winograd.nn.LazyConv1d, 2: winograd.nn.LazyConv2d, 3: winograd.nn.LazyConv3d}[ndim](4, 3, padding=1)
    lazy = lazy.double()
    assert copy.deepcopy(lazy).has_uninitialized_params()
    output = lazy(operands(ndim)[0])
    assert type(lazy) is {1: winograd.nn.Conv1d, 2: winograd.nn.Conv2d, 3: winograd.nn.Conv3d}[ndim]
    assert_same(output, OURS[ndim](operands(ndim)[0], lazy.weight, lazy.bias, padding=1))
    output.sum().backward()
    assert lazy.weight.grad.shape == lazy.weight.shape


def test_a_wrong_geometry_is_noticed() -> None:
    ours, _ = pair(2, "stride 2")
    _, torchs = pair(2, "dilation")
    with pytest.raises(AssertionError):
        assert_same(ours(image(2)), torchs(image(2)))
