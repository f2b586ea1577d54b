"""PyTorch's databases of its convolutions, with ours in their place, and with samples of 3 taps an axis beside theirs.

In: OpInfo and ModuleInfo of torch's own tests: samples, errors, dtypes, tolerances, decorators. Out: copies of them for
`winograd.conv1d` and so on and for `winograd.nn.Conv1d` and so on, as planned and with an algorithm forced.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

import torch
from torch.testing import make_tensor
from torch.testing._internal.common_methods_invocations import SampleInput, op_db

import winograd
from tests.upstream.forcing import Forced, algorithm_for, read
from winograd.conv.geometry.phases import phases_of

OWN_SAMPLES: Final = {
    1: (
        ((2, 4, 9), (5, 4, 3), (5,), {"padding": 1}),
        ((1, 8, 10), (8, 8, 3), None, {}),
    ),
    2: (
        ((2, 4, 7, 8), (5, 4, 3, 3), (5,), {"padding": 1}),
        ((1, 8, 12, 12), (8, 8, 3, 3), None, {"padding": "same"}),
    ),
    3: (
        ((2, 3, 5, 6, 5), (4, 3, 3, 3, 3), (4,), {"padding": 1}),
        ((1, 8, 6, 6, 6), (8, 8, 3, 3, 3), None, {}),
    ),
}
"""By axes: sizes of input, weight and bias, and the arguments. Theirs hold no 3x3x3 with stride and dilation 1."""

FEW: Final = 6
"""Of their samples, one in so many is taken where there are to be few: batched ones of every kind of argument."""


def called(op: Callable[..., torch.Tensor], sample: SampleInput, **more: Any) -> torch.Tensor:
    """Return what an operator makes of a sample."""
    return op(sample.input, *sample.args, **sample.kwargs, **more)


def tensors_of(sample: SampleInput) -> list[torch.Tensor]:
    """Return input, weight and bias of a sample, as far as they are tensors that require a gradient."""
    given = (sample.input, *sample.args)
    return [tensor for tensor in given if isinstance(tensor, torch.Tensor) and tensor.requires_grad]


def gradients_of(output: torch.Tensor, sample: SampleInput) -> tuple[torch.Tensor, ...]:
    """Return the gradients of the sum of an output."""
    return torch.autograd.grad(output, tensors_of(sample), torch.ones_like(output))


def must_engage(op: Any, sample: SampleInput) -> bool:
    """Return whether an algorithm is forced on this sample that needs no phases."""
    if not isinstance(op.op, Forced):
        return False
    shape = read(sample.input, sample.args[0], sample.kwargs)
    return shape is not None and phases_of(shape) is None and algorithm_for(shape) is not None


def own_samples(op: Any, device: Any, dtype: Any, *, requires_grad: bool = False) -> list[SampleInput]:
    """Return the samples that are ours."""
    return [sample for sample in op.sample_inputs(device, dtype, requires_grad) if sample.name == "ours"]


def _samples(
    theirs: Callable[..., Any],
    ndim: int,
    step: int,
    info: Any,
    device: Any,
    dtype: Any,
    requires_grad: bool,
    **more: Any,
) -> Iterator[SampleInput]:
    """Yield every so many of their samples and the last of them, then ours in the same way; fewer of complex128."""
    every = max(step, FEW) if dtype is torch.complex128 else step
    samples = list(theirs(info, device, dtype, requires_grad, **more))
    yield from samples[:-1:every]
    yield samples[-1]
    own = list(_own(ndim, partial(make_tensor, device=device, dtype=dtype, requires_grad=requires_grad)))
    yield from own[:: 1 if every == 1 else len(own) - 1]


def _own(ndim: int, make: Callable[..., torch.Tensor]) -> Iterator[SampleInput]:
    for sizes, weight, bias, arguments in OWN_SAMPLES[ndim]:
        for used in (sizes, sizes[1:]):
            rest = (make(weight), None if bias is None else make(bias))
            yield SampleInput(make(used), args=rest, kwargs=dict(arguments), name="ours")


def _ops(step: int = 1) -> Iterator[tuple[Any, Any]]:
    stock = {info.name: info for info in op_db if not info.variant_test_name}
    for ndim in OWN_SAMPLES:
        theirs = stock[f"nn.functional.conv{ndim}d"]
        planned, forced = copy.copy(theirs), copy.copy(theirs)
        planned.op = getattr(winograd, f"conv{ndim}d")
        planned.variant_test_name = "planned"
        planned.sample_inputs_func = partial(_samples, theirs.sample_inputs_func, ndim, step)
        forced.op = Forced(planned.op)
        forced.variant_test_name = "forced"
        forced.sample_inputs_func = planned.sample_inputs_func
        forced.dtypes = theirs.dtypes - {torch.int64}
        yield planned, forced


OPS: Final = [info for both in _ops() for info in both]
"""OpInfo of our convolutions: as users call them, and with an algorithm forced (none can be on integers)."""

FEW_OPS: Final = [info for both in _ops(FEW) for info in both]
"""The same with a few of the samples, for tests that run each of them many times."""
