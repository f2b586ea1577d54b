"""Fifty random convolutions in float64: numerical first and second derivatives, forward mode, and torch's values."""

from __future__ import annotations

import pytest
import torch
from torch.autograd.gradcheck import GradcheckError

from tests.torch_citizen.pairs import assert_same
from tests.torch_citizen.random_convolutions import COUNT, RandomConvolution, description, drawn

DRAWN = drawn()

each = pytest.mark.parametrize("one", DRAWN, ids=description)


@each
def test_values_and_gradients_are_torchs(one: RandomConvolution) -> None:
    tensors = [tensor for tensor in one.tensors() if tensor is not None]
    outputs = one.ours(*tensors), one.torchs(*tensors)
    given = torch.linspace(-1, 1, outputs[0].numel(), dtype=torch.float64).reshape(outputs[0].shape)
    assert_same(*outputs)
    for ours, torchs in zip(*(torch.autograd.grad(output, tensors, given) for output in outputs), strict=True):
        torch.testing.assert_close(ours, torchs, rtol=1e-11, atol=1e-11)


@each
def test_gradcheck(one: RandomConvolution) -> None:
    tensors = [tensor for tensor in one.tensors() if tensor is not None]
    assert torch.autograd.gradcheck(one.ours, tensors, fast_mode=True)


@each
def test_gradgradcheck(one: RandomConvolution) -> None:
    tensors = [tensor for tensor in one.tensors() if tensor is not None]
    assert torch.autograd.gradgradcheck(one.ours, tensors, fast_mode=True)


@each
def test_forward_mode(one: RandomConvolution) -> None:
    tensors = [tensor for tensor in one.tensors() if tensor is not None]
    assert torch.autograd.gradcheck(one.ours, tensors, fast_mode=True, check_forward_ad=True, check_backward_ad=False)


def test_what_is_drawn() -> None:
    assert drawn() == DRAWN
    assert len(DRAWN) == COUNT
    assert sum(one.variant == "forced" for one in DRAWN) >= COUNT // 2
    for name in ("stride", "dilation", "groups", "padding", "batch"):
        assert len({getattr(one, name) for one in DRAWN}) == 2
    assert {len(one.taps) for one in DRAWN} == {1, 2, 3}
    # An algorithm is no pretence: sums in another order differ in the last bits of some output.
    engaged = [one for one in DRAWN if one.variant == "forced" and max(one.taps) > 1 and one.stride == one.groups == 1]
    differing = [one for one in engaged if not torch.equal(one.ours(*one.tensors()), one.torchs(*one.tensors()))]
    assert len(differing) >= len(engaged) // 2


def test_a_wrong_derivative_is_noticed() -> None:
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(_ctx, value):  # type: ignore[no-untyped-def]
            return value * 1

        @staticmethod
        def backward(_ctx, gradient):  # type: ignore[no-untyped-def]
            return 1.1 * gradient

    one = DRAWN[0]
    tensors = [tensor for tensor in one.tensors() if tensor is not None]
    with pytest.raises(GradcheckError):
        torch.autograd.gradcheck(lambda *given: Wrong.apply(one.ours(*given)), tensors, fast_mode=True)
