from __future__ import annotations

import pytest
import torch
from torch import Tensor

from winograd.benching.training.reference import float64_step
from winograd.benching.training.step import Step
from winograd.conv.arguments import ConvArguments
from winograd.conv.direct.convolve import FUNCTIONS
from winograd.conv.geometry.shape import ConvShape

CASES = {
    "row": (ConvArguments(padding=1), (2, 3, 7), (4, 3, 3)),
    "strided picture": (ConvArguments(stride=(2, 3), padding=(0, 2)), (2, 4, 9, 8), (6, 4, 3, 2)),
    "dilated picture in groups": (ConvArguments(dilation=2, groups=2, padding=1), (1, 4, 9, 8), (6, 2, 3, 2)),
    "one zero more after the last": (ConvArguments(padding="same"), (1, 2, 5, 6), (3, 2, 4, 2)),
    "video": (ConvArguments(padding=1), (2, 3, 4, 5, 6), (5, 3, 3, 3, 3)),
}


def integers(*sizes: int, seed: int) -> Tensor:
    """Small integers: float64 computes with them exactly, in any order."""
    return torch.randint(-4, 5, sizes, generator=torch.Generator().manual_seed(seed)).to(torch.float64)


def drawn(name: str) -> tuple[Tensor, Tensor, Tensor, Tensor, ConvShape]:
    arguments, input_sizes, weight_sizes = CASES[name]
    shape = arguments.shape(input_sizes, weight_sizes, dtype="float64")
    grad_output = integers(shape.batch, shape.outputs, *shape.output, seed=3)
    return (
        integers(*input_sizes, seed=0),
        integers(*weight_sizes, seed=1),
        integers(shape.outputs, seed=2),
        grad_output,
        shape,
    )


def by_autograd(input: Tensor, weight: Tensor, bias: Tensor, grad_output: Tensor, shape: ConvShape) -> Step:
    leaves = [tensor.clone().requires_grad_() for tensor in (input, weight, bias)]
    padded = torch.constant_pad_nd(leaves[0], [side for pair in reversed(shape.padding) for side in pair])
    output = FUNCTIONS[shape.ndim](padded, leaves[1], leaves[2], shape.stride, 0, shape.dilation, shape.groups)
    return Step(output.detach(), *torch.autograd.grad(output, leaves, grad_output))


@pytest.mark.parametrize("name", CASES)
def test_a_step_of_integers_is_that_of_autograd_exactly(name: str) -> None:
    tensors = drawn(name)
    assert float64_step(*tensors).errors(by_autograd(*tensors)) == {
        "output": 0.0,
        "input_gradient": 0.0,
        "weight_gradient": 0.0,
        "bias_gradient": 0.0,
    }


def test_a_changed_weight_changes_output_and_input_gradient_alone() -> None:
    input, weight, bias, grad_output, shape = drawn("video")
    before = float64_step(input, weight, bias, grad_output, shape)
    weight[4, 2, 0, 1, 2] += 1
    errors = float64_step(input, weight, bias, grad_output, shape).errors(before)
    assert [name for name, error in errors.items() if error] == ["output", "input_gradient"]


def test_without_a_bias_there_is_no_gradient_of_one() -> None:
    input, weight, _, grad_output, shape = drawn("row")
    assert float64_step(input, weight, None, grad_output, shape).bias_gradient is None


def test_tensors_of_float32_are_widened_first() -> None:
    input, weight, bias, grad_output, shape = drawn("video")
    narrow = float64_step(input.float() / 3, weight.float(), bias.float(), grad_output.float(), shape)
    wide = float64_step((input.float() / 3).double(), weight, bias, grad_output, shape)
    assert narrow.output.dtype is torch.float64
    assert narrow.errors(wide) == dict.fromkeys(wide.errors(wide), 0.0)
