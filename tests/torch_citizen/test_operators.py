"""The three operators of torch: every check of opcheck on fifty random convolutions, and each other's derivatives."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.library import opcheck

import winograd.conv.library.operators  # noqa: F401 - registers the operators
from tests.torch_citizen.pairs import assert_same, normal
from tests.torch_citizen.random_convolutions import RandomConvolution, description, drawn
from winograd.conv.library.written import algorithm_text

DRAWN = drawn()
OPERATORS = torch.ops.winograd

each = pytest.mark.parametrize("one", DRAWN, ids=description)


def geometry(one: RandomConvolution) -> tuple[Any, ...]:
    """Return stride, padding, dilation and groups as the operators take them."""
    axes = len(one.taps)
    return [one.stride] * axes, [one.padding] * 2 * axes, [one.dilation] * axes, one.groups


def arguments(one: RandomConvolution) -> dict[str, tuple[Any, ...]]:
    """Return what each operator is called with for this convolution."""
    input, weight, bias = one.tensors()
    output = one.torchs(input, weight, bias).detach()
    given = normal(*output.shape, seed=9).requires_grad_()
    asked = (*geometry(one), None, algorithm_text(one.forced))
    last = bool(one.number % 4 == 0 and len(one.taps) > 1)
    return {
        "convolution": (input, weight, bias, *asked),
        "input_gradient": (given, weight, list(input.shape), last, *asked),
        "weight_gradient": (input, given, list(weight.shape), last, *asked),
    }


@each
def test_opcheck(one: RandomConvolution) -> None:
    """One operator in turn, so that each is checked on a third of them; `convolution` on all."""
    given = arguments(one)
    names = ["convolution", ("input_gradient", "weight_gradient")[one.number % 2]]
    for name in names:
        results = opcheck(getattr(OPERATORS, name).default, given[name])
        assert set(results.values()) == {"SUCCESS"}
        assert set(results) == {
            "test_schema",
            "test_autograd_registration",
            "test_faketensor",
            "test_aot_dispatch_dynamic",
        }


@each
def test_each_has_torchs_values(one: RandomConvolution) -> None:
    given = arguments(one)
    input, weight, bias = (None if tensor is None else tensor.detach() for tensor in given["convolution"][:3])
    output = one.torchs(input, weight, bias)
    cotangent = given["input_gradient"][0].detach()
    mask = [True, True, False]
    stride, padding, dilation, groups = geometry(one)
    taken = (stride, padding[::2], dilation, False, [0] * len(stride), groups, mask)
    expected = torch.ops.aten.convolution_backward(cotangent, input, weight, None, *taken)
    found = {name: getattr(OPERATORS, name)(*detached(call)) for name, call in given.items()}
    assert_same(found["convolution"], output)
    for name, torchs in zip(("input_gradient", "weight_gradient"), expected, strict=False):
        assert found[name].shape == torchs.shape
        torch.testing.assert_close(found[name], torchs, rtol=1e-11, atol=1e-11)


def detached(call: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(one.detach() if isinstance(one, Tensor) else one for one in call)


@pytest.mark.parametrize("name", ["convolution", "input_gradient", "weight_gradient"])
def test_each_is_differentiated_twice_by_the_others(name: str) -> None:
    for one in DRAWN[:12]:
        call = arguments(one)[name]
        tensors = [tensor for tensor in call if isinstance(tensor, Tensor)]

        def operate(*given: Tensor, call: tuple[Any, ...] = call) -> Tensor:
            values = iter(given)
            filled = [next(values) if isinstance(entry, Tensor) else entry for entry in call]
            result: Tensor = getattr(OPERATORS, name)(*filled)
            return result

        assert torch.autograd.gradcheck(operate, tensors, fast_mode=True)
        assert torch.autograd.gradgradcheck(operate, tensors, fast_mode=True)


def test_a_wrong_operator_is_noticed() -> None:
    @torch.library.custom_op("winograd_tests::aliased", mutates_args=())
    def aliased(input: Tensor) -> Tensor:
        return input.T.contiguous()

    @aliased.register_fake
    def _(input: Tensor) -> Tensor:
        return torch.empty_like(input)

    with pytest.raises(Exception, match=r"test_faketensor|shape|[Mm]ismatch"):
        opcheck(aliased, (normal(2, 3),))
