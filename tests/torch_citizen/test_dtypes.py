"""Every dtype that torch convolves, mixtures that it refuses, and autocast: the same dtype out, the same errors."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import winograd
from tests.torch_citizen.pairs import (
    NDIMS,
    OURS,
    TORCHS,
    VARIANTS,
    algorithm,
    allowed,
    assert_same,
    assert_same_error,
    distance,
    module_pair,
    normal,
    operands,
    outcome,
)

every_variant = pytest.mark.parametrize("variant", VARIANTS)
every_ndim = pytest.mark.parametrize("ndim", NDIMS)

FLOATING = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
COMPLEX = (torch.complex64, torch.complex128)
INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
OTHERS = (torch.bool, torch.float8_e4m3fn, torch.float8_e5m2, torch.complex32, torch.uint16, torch.uint32)


def in_dtype(ndim: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    if dtype.is_complex:
        return tuple(torch.complex(one, one.flip(0)).to(dtype) for one in operands(ndim))  # type: ignore[return-value]
    factor = 1 if dtype.is_floating_point else 5
    given: Any = tuple((factor * one.abs()).to(dtype) for one in operands(ndim))
    return given if not dtype.is_floating_point else operands(ndim, dtype=dtype)


@every_variant
@every_ndim
@pytest.mark.parametrize("dtype", [*FLOATING, *COMPLEX], ids=str)
def test_values_and_gradients_are_torchs(dtype: torch.dtype, ndim: int, variant: str) -> None:
    forced = algorithm(variant, (3,) * ndim)
    assert_same(
        OURS[ndim](*in_dtype(ndim, dtype), padding=1, algorithm=forced), TORCHS[ndim](*in_dtype(ndim, dtype), padding=1)
    )
    found = []
    for convolve, more in ((OURS[ndim], {"algorithm": forced}), (TORCHS[ndim], {})):
        leaves = [one.requires_grad_() for one in in_dtype(ndim, dtype)]
        output = convolve(*leaves, padding=1, **more)
        assert output.dtype == dtype
        found.append([output, *torch.autograd.grad(output, leaves, normal(*output.shape, seed=4).to(dtype))])
    for ours, torchs in zip(*found, strict=True):
        assert_same(ours, torchs)


@every_ndim
@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
@pytest.mark.parametrize("dtype", [*INTEGERS, *OTHERS], ids=str)
def test_other_dtypes_have_torchs_outcome(dtype: torch.dtype, ndim: int) -> None:
    given = in_dtype(ndim, dtype)
    found, expected = (outcome(lambda call=call: call(*given)) for call in (OURS[ndim], TORCHS[ndim]))
    if isinstance(expected, tuple):
        assert found == expected
    else:
        assert found.dtype == dtype
        comparable = torch.complex64 if dtype is torch.complex32 else dtype
        assert torch.equal(found.to(comparable), expected.to(comparable))


@every_ndim
@pytest.mark.parametrize("dtype", [torch.int64, torch.bool], ids=str)
def test_integers_are_never_forced(dtype: torch.dtype, ndim: int) -> None:
    with pytest.raises(NotImplementedError, match="leave algorithm out"):
        OURS[ndim](*in_dtype(ndim, dtype), algorithm=algorithm("forced", (3,) * ndim))


MIXED = [
    (0, torch.float32, torch.float64),
    (1, torch.float32, torch.float64),
    (2, torch.float32, torch.float64),
    (0, torch.float32, torch.float16),
    (1, torch.bfloat16, torch.float16),
    (1, torch.float32, torch.complex64),
    (0, torch.float32, torch.int64),
    (2, torch.float32, torch.int64),
    (1, torch.int64, torch.float32),
]


@every_variant
@every_ndim
@pytest.mark.parametrize(("which", "most", "one"), MIXED, ids=str)
def test_mixtures_are_refused_in_torchs_words(
    which: int, most: torch.dtype, one: torch.dtype, ndim: int, variant: str
) -> None:
    given = [tensor.to(one if place == which else most) for place, tensor in enumerate(operands(ndim))]
    forced = algorithm(variant, (3,) * ndim)
    assert_same_error(lambda: OURS[ndim](*given, algorithm=forced), lambda: TORCHS[ndim](*given))


@every_ndim
@pytest.mark.filterwarnings("ignore:Complex modules are a new feature")
def test_modules_follow_their_dtype(ndim: int) -> None:
    ours, torchs = module_pair(ndim, 3, 4, 3)
    for change in ("double", "bfloat16", "half", "float"):
        getattr(ours, change)()
        getattr(torchs, change)()
        dtype = torchs.weight.dtype
        for grad in (torch.no_grad, torch.enable_grad):
            with grad():
                assert_same(ours(operands(ndim, dtype=dtype)[0]), torchs(operands(ndim, dtype=dtype)[0]))
    found = [layer.to(torch.complex64)(in_dtype(ndim, torch.complex64)[0]) for layer in (ours, torchs)]
    assert_same(*found)


def test_the_default_dtype_is_that_of_new_modules() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        ours, torchs = module_pair(2, 3, 4, 3)
    finally:
        torch.set_default_dtype(torch.float32)
    assert ours.weight.dtype == torchs.weight.dtype == torch.float64
    assert_same(ours(operands(2)[0]), torchs(operands(2)[0]))


AUTOCAST = (torch.bfloat16, torch.float16)


@every_variant
@every_ndim
@pytest.mark.parametrize("given", FLOATING, ids=str)
@pytest.mark.parametrize("narrow", AUTOCAST, ids=str)
@pytest.mark.parametrize("asks", [False, True], ids=["inference", "training"])
def test_autocast_has_torchs_dtypes(
    narrow: torch.dtype, given: torch.dtype, asks: bool, ndim: int, variant: str
) -> None:
    found = []
    for convolve, more in ((OURS[ndim], {"algorithm": algorithm(variant, (3,) * ndim)}), (TORCHS[ndim], {})):
        leaves = [one.requires_grad_(asks) for one in operands(ndim, dtype=given)]
        with torch.autocast("cpu", dtype=narrow):
            output = convolve(*leaves, **more)
        results = [output]
        if asks:
            results += torch.autograd.grad(output.float().square().sum(), leaves)
        found.append(results)
    for ours, torchs in zip(*found, strict=True):
        assert (ours.dtype, ours.shape) == (torchs.dtype, torchs.shape)
        # Torch narrows the operands, the output and each gradient; ours need not: as many roundings of either at most.
        assert distance(ours, torchs) <= 6 * (allowed(narrow) if given != torch.float64 else allowed(given))


@every_variant
@pytest.mark.parametrize("given", [(torch.float32, torch.bfloat16), (torch.bfloat16, torch.float32)], ids=str)
def test_mixed_dtypes_are_one_under_autocast(given: tuple[torch.dtype, torch.dtype], variant: str) -> None:
    input, weight = operands(2)[0].to(given[0]), operands(2)[1].to(given[1])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours, torchs = (call(input, weight) for call in (OURS[2], torch.conv2d))
    assert ours.dtype == torchs.dtype == torch.bfloat16
    assert distance(ours, torchs) <= allowed(torch.bfloat16)


@every_variant
@every_ndim
def test_a_training_step_under_autocast(ndim: int, variant: str) -> None:
    layers = module_pair(ndim, 3, 4, 3, variant=variant)
    dtypes = []
    for layer in layers:
        input = operands(ndim, dtype=torch.float32)[0].requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = layer(layer(input)[:, :3])
            with torch.autocast("cpu", enabled=False):
                assert layer(input).dtype == torch.float32
        output.float().square().mean().backward()
        dtypes.append([output.dtype, input.grad.dtype, *(one.grad.dtype for one in layer.parameters())])
    assert dtypes[0] == dtypes[1] == [torch.bfloat16, *[torch.float32] * 3]
    for ours, torchs in zip(*(layer.parameters() for layer in layers), strict=True):
        # Two layers, each with three roundings of operands and one of the output, there and back.
        assert distance(ours.grad, torchs.grad) <= 16 * 2.0**-8


@every_variant
def test_autocast_and_frozen_weights(variant: str) -> None:
    ours, torchs = module_pair(2, 3, 4, 3, variant=variant)
    winograd.freeze(ours)
    with torch.no_grad():
        for _ in range(2):
            assert_same(ours(operands(2, dtype=torch.float32)[0]), torchs(operands(2, dtype=torch.float32)[0]))
            with torch.autocast("cpu", dtype=torch.bfloat16):
                found = [layer(operands(2, dtype=torch.float32)[0]) for layer in (ours, torchs)]
            assert found[0].dtype == found[1].dtype == torch.bfloat16
            assert distance(*found) <= 3 * allowed(torch.bfloat16)


UNUSUAL: dict[str, Callable[[Tensor], Tensor]] = {
    "conjugated": lambda one: torch.complex(one, one).conj(),
    "negated": lambda one: torch.complex(one, one).conj().imag,
    "real part": lambda one: torch.complex(one, -one).real,
    "read-only memory": lambda one: torch.from_numpy(one.numpy().copy()),
}


@every_variant
@every_ndim
@pytest.mark.parametrize("kind", UNUSUAL)
def test_lazily_changed_numbers_are_read_right(kind: str, ndim: int, variant: str) -> None:
    input, weight, bias = (UNUSUAL[kind](one) for one in operands(ndim))
    forced = algorithm(variant, (3,) * ndim)
    assert_same(OURS[ndim](input, weight, bias, algorithm=forced), TORCHS[ndim](input, weight, bias))


@every_variant
@every_ndim
def test_onednn_tensors_have_torchs_outcome(ndim: int, variant: str) -> None:
    input, weight, bias = operands(ndim, dtype=torch.float32)
    forced = algorithm(variant, (3,) * ndim)
    for given in ((input.to_mkldnn(), weight, bias), (input.to_mkldnn(), weight.to_mkldnn(), bias.to_mkldnn())):
        found, expected = (
            outcome(lambda: call(*given, **more))  # noqa: B023 - called at once
            for call, more in ((OURS[ndim], {"algorithm": forced}), (TORCHS[ndim], {}))
        )
        if isinstance(expected, tuple):
            assert found == expected
        else:
            assert found.layout == expected.layout
            assert_same(found.to_dense(), expected.to_dense())


def test_a_wrong_dtype_is_noticed() -> None:
    expected = torch.conv2d(*operands(2)[:2])
    with pytest.raises(AssertionError):
        assert_same(expected.float(), expected)
    with pytest.raises(AssertionError):
        assert_same(copy.deepcopy(expected) * (1 + 1e-12), expected)
