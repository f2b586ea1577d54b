"""Shapes that torch takes and shapes that it refuses: the same outputs, the same errors, with and without gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.torch_citizen.pairs import (
    NDIMS,
    OUR_MODULES,
    OURS,
    TORCHS,
    TORCHS_MODULES,
    VARIANTS,
    algorithm,
    assert_same,
    assert_same_error,
    module_pair,
    normal,
    operands,
    outcome,
)

every_variant = pytest.mark.parametrize("variant", VARIANTS)
every_ndim = pytest.mark.parametrize("ndim", NDIMS)


@every_variant
@every_ndim
@pytest.mark.parametrize("through", ["function", "module"])
def test_an_input_may_come_without_a_batch(ndim: int, variant: str, through: str) -> None:
    ours, torchs = module_pair(ndim, 3, 4, 3, padding=1, variant=variant, dtype=torch.float64)
    input = operands(ndim)[0]
    if through == "function":
        arguments = {"padding": 1, "algorithm": algorithm(variant, (3,) * ndim)}
        assert_same(OURS[ndim](input[0], ours.weight, ours.bias, **arguments), torchs(input[0]))
    assert_same(ours(input[0]), torchs(input)[0])
    with torch.no_grad():
        assert_same(ours(input[0]), ours(input)[0])


def gradients_of(convolve: Callable[..., Tensor], tensors: tuple[Tensor, ...], **options: Any) -> list[Any]:
    """Return the output and all gradients, as a caller sees them."""
    leaves = [tensor.clone().requires_grad_() for tensor in tensors]
    output = convolve(*leaves, **options)
    output.sum().backward()
    return [output, *(leaf.grad for leaf in leaves)]


EMPTY: dict[str, Callable[[Tensor, Tensor, Tensor], tuple[Tensor, ...]]] = {
    "batch 0": lambda input, weight, bias: (input[:0], weight, bias),
    "channels 0": lambda input, weight, bias: (input[:, :0], weight[:, :0], bias),
    "batch 0 and channels 0": lambda input, weight, bias: (input[:0, :0], weight[:, :0], bias),
    "channels 0 without a batch": lambda input, weight, bias: (input[0, :0], weight[:, :0], bias),
    "spatial 0": lambda input, weight, bias: (input[..., :0], weight, bias),
    "batch 0 and spatial 0": lambda input, weight, bias: (input[:0, ..., :0], weight, bias),
    "no outputs": lambda input, weight, bias: (input, weight[:0], bias[:0]),
    "no taps": lambda input, weight, bias: (input, weight[..., :0], bias),
    "batch 0 of the wrong channels": lambda input, weight, bias: (input[:0, :2], weight, bias),
    "batch 0 smaller than the kernel": lambda input, weight, bias: (input[:0, ..., :1], weight[..., :3], bias),
}


@every_variant
@every_ndim
@pytest.mark.parametrize("padding", [0, 2])
@pytest.mark.parametrize("case", EMPTY)
def test_empty_tensors_have_torchs_outcome(case: str, padding: int, ndim: int, variant: str) -> None:
    tensors = EMPTY[case](*operands(ndim))
    taps = tensors[1].shape[2:]
    forced = algorithm(variant, taps) if min(taps) > 0 else None
    for call in (gradients_of, lambda convolve, tensors, **options: [convolve(*tensors, **options)]):
        expected = outcome(lambda call=call: call(TORCHS[ndim], tensors, padding=padding))
        found = outcome(lambda call=call: call(OURS[ndim], tensors, padding=padding, algorithm=forced))
        if isinstance(expected, tuple):
            assert found == expected
            continue
        for ours, torchs in zip(found, expected, strict=True):
            assert_same(ours, torchs)


REFUSED: dict[str, Callable[[Tensor, Tensor, Tensor], tuple[tuple[Any, ...], dict[str, Any]]]] = {
    "one axis too few": lambda input, weight, bias: ((input[0, 0], weight, bias), {}),
    "one axis too many": lambda input, weight, bias: ((input[None], weight, bias), {}),
    "too few channels": lambda input, weight, bias: ((input[:, :2], weight, bias), {}),
    "too many channels": lambda input, weight, bias: ((torch.cat([input] * 2, 1), weight, bias), {}),
    "too few channels without a batch": lambda input, weight, bias: ((input[0, :2], weight, bias), {}),
    "a bias of another size": lambda input, weight, bias: ((input, weight, bias[:3]), {}),
    "a bias of two axes": lambda input, weight, bias: ((input, weight, bias[None]), {}),
    "a bias of no axes": lambda input, weight, bias: ((input, weight, bias[0]), {}),
    "a weight of fewer axes": lambda input, weight, bias: ((input, weight[0], bias), {}),
    "a weight of more axes": lambda input, weight, bias: ((input, weight[None], bias), {}),
    "an input smaller than the kernel": lambda input, weight, bias: ((input[..., :2], weight, bias), {}),
    "an input smaller than a dilated kernel": lambda input, weight, bias: (
        (input[..., :1], weight[..., :3], bias),
        {"dilation": 5},
    ),
    "a weight of another dtype": lambda input, weight, bias: ((input, weight.float(), bias), {}),
    "a bias of another dtype": lambda input, weight, bias: ((input, weight, bias.float()), {}),
    "an integer input": lambda input, weight, bias: ((input.long(), weight, bias), {}),
    "a complex weight": lambda input, weight, bias: ((input, weight.cdouble(), bias), {}),
    "a sparse input": lambda input, weight, bias: ((input.to_sparse(), weight, bias), {}),
    "a sparse weight": lambda input, weight, bias: ((input, weight.to_sparse(), bias), {}),
    "groups that do not divide": lambda input, weight, bias: ((input, weight, bias), {"groups": 2}),
    "groups that do not divide the outputs": lambda input, weight, bias: ((input, weight[:, :1], bias), {"groups": 3}),
    "groups 0": lambda input, weight, bias: ((input, weight, bias), {"groups": 0}),
    "groups -1": lambda input, weight, bias: ((input, weight, bias), {"groups": -1}),
    "groups True": lambda input, weight, bias: ((input, weight, bias), {"groups": True}),
    "a stride beyond 64 bits": lambda input, weight, bias: ((input, weight, bias), {"stride": 2**63}),
    "stride 0": lambda input, weight, bias: ((input, weight, bias), {"stride": 0}),
    "stride -1": lambda input, weight, bias: ((input, weight, bias), {"stride": -1}),
    "strides of four axes": lambda input, weight, bias: ((input, weight, bias), {"stride": (1, 1, 1, 1)}),
    "no strides": lambda input, weight, bias: ((input, weight, bias), {"stride": ()}),
    "dilation 0": lambda input, weight, bias: ((input, weight, bias), {"dilation": 0}),
    "padding -1": lambda input, weight, bias: ((input, weight, bias), {"padding": -1}),
    "padding 1.5": lambda input, weight, bias: ((input, weight, bias), {"padding": 1.5}),
    "padding None": lambda input, weight, bias: ((input, weight, bias), {"padding": None}),
    "padding 'same' with a stride": lambda input, weight, bias: (
        (input, weight, bias),
        {"padding": "same", "stride": 2},
    ),
    "padding 'SAME'": lambda input, weight, bias: ((input, weight, bias), {"padding": "SAME"}),
    "a stride as text": lambda input, weight, bias: ((input, weight, bias), {"stride": "2"}),
    "a weight that is an array": lambda input, weight, bias: ((input, weight.numpy(), bias), {}),
    "no weight": lambda input, _, bias: ((input, None, bias), {}),
    "a bias that is a number": lambda input, weight, _: ((input, weight, 1.0), {}),
}


def in_order(input: Any, weight: Any, bias: Any, **options: Any) -> tuple[Any, ...]:
    """Return all arguments by position, as some of torch's messages list them."""
    defaults = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
    return input, weight, bias, *({**defaults, **options}.values())


@every_variant
@every_ndim
@pytest.mark.parametrize("case", REFUSED)
def test_what_torch_refuses_is_refused_in_its_words(case: str, ndim: int, variant: str) -> None:
    arguments, options = REFUSED[case](*operands(ndim))
    forced = algorithm(variant, (3,) * ndim)
    for asks in (False, True):
        given = [one.clone().requires_grad_() if asks and is_leaf_to_be(one) else one for one in arguments]
        assert_same_error(
            lambda given=given: OURS[ndim](*given, **options, algorithm=forced),
            lambda given=given: TORCHS[ndim](*in_order(*given, **options)),
        )


def is_leaf_to_be(one: Any) -> bool:
    return isinstance(one, Tensor) and one.is_floating_point() and one.layout is torch.strided


@pytest.mark.parametrize("case", ["one axis too few", "too few channels", "a weight of another dtype"])
@every_variant
@every_ndim
def test_a_module_refuses_in_the_words_of_torchs_module(ndim: int, variant: str, case: str) -> None:
    ours, torchs = module_pair(ndim, 3, 4, 3, variant=variant, dtype=torch.float64)
    input = operands(ndim)[0]
    wrong = {"one axis too few": input[0, 0], "too few channels": input[:, :2]}.get(case, input.float())
    assert_same_error(lambda: ours(wrong), lambda: torchs(wrong))
    with torch.no_grad():
        assert_same_error(lambda: ours(wrong), lambda: torchs(wrong))


CONSTRUCTED: dict[str, dict[str, Any]] = {
    "groups that do not divide the channels": {"groups": 2},
    "groups that do not divide the outputs": {"groups": 3},
    "groups 0": {"groups": 0},
    "padding 'full'": {"padding": "full"},
    "padding 'same' with a stride": {"padding": "same", "stride": 2},
    "an unknown padding mode": {"padding_mode": "mirror"},
    "an unknown argument": {"dilatation": 2},
}


@every_ndim
@pytest.mark.parametrize("case", CONSTRUCTED)
def test_a_module_that_torch_does_not_build_is_not_built(case: str, ndim: int) -> None:
    options = CONSTRUCTED[case]
    expected = outcome(lambda: TORCHS_MODULES[ndim](3, 4, 3, **options))
    found = outcome(lambda: OUR_MODULES[ndim](3, 4, 3, **options))
    assert isinstance(expected, tuple)
    assert found[0] is expected[0]
    assert found[1] == expected[1]


WRITTEN: dict[str, dict[str, Any]] = {
    "integers": {"stride": 2, "padding": 1, "dilation": 2},
    "tuples of one": {"stride": (2,), "padding": (1,)},
    "lists": {"stride": [1], "padding": [1], "dilation": [2]},
    "integers of NumPy": {"stride": np.int64(2), "padding": np.int32(1)},
    "a size": {"padding": torch.Size([2])},
    "a tensor of one integer": {"stride": torch.tensor(2)},
    "'valid'": {"padding": "valid"},
}


@every_ndim
@pytest.mark.parametrize("case", WRITTEN)
def test_arguments_may_be_written_as_for_torch(case: str, ndim: int) -> None:
    tensors, options = operands(ndim), WRITTEN[case]
    for _ in range(2):  # the second call finds what was decided for the first
        assert_same(OURS[ndim](*tensors, **options), TORCHS[ndim](*tensors, **options))
    input, weight, bias = tensors
    assert_same(OURS[ndim](input=input, weight=weight, bias=bias), TORCHS[ndim](input=input, weight=weight, bias=bias))


def test_another_error_is_noticed() -> None:
    input, weight = normal(1, 3, 5), normal(4, 3, 3)
    with pytest.raises(AssertionError):
        assert_same_error(lambda: OURS[1](input[:, :2], weight), lambda: TORCHS[1](input[:, :1], weight))
    with pytest.raises(AssertionError, match="torch raises nothing"):
        assert_same_error(lambda: OURS[1](input[:, :2], weight), lambda: TORCHS[1](input, weight))
