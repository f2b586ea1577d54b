"""What must hold of a converted model: laws that the tests of this folder share.

In: models. Out: nothing, or an AssertionError.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvTransposeNd

from tests.torch_citizen.pairs import allowed, distance, f2
from winograd.nn.modules import PlannedConvolution

STAGES = 8
"""Most convolutions after each other; the error that one adds passes through the others as its output does."""


def planned(model: nn.Module) -> list[str]:
    """Return the names of the converted layers, a shared one once."""
    return [name for name, module in model.named_modules() if isinstance(module, PlannedConvolution)]


def kinds(model: nn.Module) -> list[tuple[str, tuple[type, ...]]]:
    """Return the classes of all modules: what torch makes of each, for a parametrization, by what it made it of."""
    return [(type(one).__name__, type(one).__mro__[1:]) for one in model.modules()]


def force(model: nn.Module) -> None:
    """Make converted layers of 3 taps an axis compute by F(2, 3), which no plan would choose for layers so small.

    Others keep their plans: what is forced is compiled, and each kernel takes seconds.
    """
    for module in model.modules():
        if not isinstance(module, PlannedConvolution) or isinstance(module, _ConvTransposeNd):
            continue
        if set(module.kernel_size) == {3} and set(module.stride) == set(module.dilation) == {1}:
            module._winograd.change(algorithm=f2(module.kernel_size))


def leaves(output: Any) -> Iterator[Tensor]:
    """Yield the tensors of an output, in order."""
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, Mapping):
        for one in output.values():
            yield from leaves(one)
    else:
        for one in output:
            yield from leaves(one)


def assert_close(got: Any, expected: Any) -> None:
    """Compare kind and values of outputs: each layer and torch's own keep the tolerance of the dtype."""
    pairs = list(zip(leaves(got), leaves(expected), strict=True))
    assert pairs
    for ours, torchs in pairs:
        assert (ours.dtype, ours.shape, ours.is_contiguous()) == (torchs.dtype, torchs.shape, torchs.is_contiguous())
        assert distance(ours, torchs) <= STAGES * allowed(ours.dtype)


def assert_gradients_close(ours: nn.Module, torchs: nn.Module) -> None:
    """Compare the gradients of all parameters: the error of each with the largest, for some are zero but for rounding.

    So is that of a bias before a norm of batch statistics.
    """
    pairs = list(zip(ours.parameters(), torchs.parameters(), strict=True))
    assert all((mine.grad is None) == (theirs.grad is None) for mine, theirs in pairs)
    grads = [(mine.grad, theirs.grad) for mine, theirs in pairs if theirs.grad is not None]
    largest = max(theirs.norm().item() for _, theirs in grads)
    for mine, theirs in grads:
        assert (mine.dtype, mine.shape) == (theirs.dtype, theirs.shape)
        assert (mine - theirs).norm().item() <= STAGES * allowed(theirs.dtype) * largest


def assert_equal(got: Any, expected: Any) -> None:
    """Compare outputs bit for bit."""
    for ours, torchs in zip(leaves(got), leaves(expected), strict=True):
        assert ours.dtype == torchs.dtype
        assert torch.equal(ours, torchs)


def snapshot(model: nn.Module) -> list[tuple[object, ...]]:
    """Return all that reverting must restore: identities, classes, attributes, hooks, flags, and every bit."""
    facts: list[tuple[object, ...]] = []
    for name, module in model.named_modules(remove_duplicate=False):
        facts.append((name, id(module), type(module), repr(module), module.training))
        for key, value in vars(module).items():
            facts.append((name, key, _identity(value)))
    for name, tensor in (*model.named_parameters(remove_duplicate=False), *model.named_buffers()):
        facts.append((name, id(tensor), type(tensor), tensor.requires_grad, tensor.stride(), bits(tensor)))
    facts.extend((name, bits(tensor)) for name, tensor in model.state_dict().items())
    return facts


def _identity(value: object) -> object:
    """Return what tells an attribute from others: what a tensor that is no parameter holds, of tables their entries."""
    if isinstance(value, Tensor):
        return bits(value)
    return [(key, id(one)) for key, one in value.items()] if isinstance(value, dict) else id(value)


def bits(tensor: Tensor) -> bytes:
    """Return the bytes of a tensor."""
    return tensor.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes()
