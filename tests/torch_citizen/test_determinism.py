"""Deterministic algorithms: the same bits in every run, there and back; no memory is read before it is written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.torch_citizen.pairs import (
    NDIMS,
    OURS,
    TORCHS,
    VARIANTS,
    algorithm,
    assert_same,
    module_pair,
    normal,
    operands,
)

every_variant = pytest.mark.parametrize("variant", VARIANTS)
every_ndim = pytest.mark.parametrize("ndim", NDIMS)


@pytest.fixture
def deterministic() -> Iterator[None]:
    """Torch's switch, which also fills new memory with NaN, or with the largest integer."""
    torch.use_deterministic_algorithms(True)
    assert torch.utils.deterministic.fill_uninitialized_memory
    yield
    torch.use_deterministic_algorithms(False)


def step(variant: str, tensors: tuple[Tensor, ...], **options: Any) -> list[Tensor]:
    """Return an output, its gradients, and gradients of those."""
    leaves = [one.clone().requires_grad_() for one in tensors]
    ndim = leaves[1].ndim - 2
    output = OURS[ndim](*leaves, algorithm=algorithm(variant, leaves[1].shape[2:]), **options)
    first = torch.autograd.grad(output.square().sum(), leaves, create_graph=True)
    second = torch.autograd.grad(sum(one.square().sum() for one in first), leaves)
    return [one.detach() for one in (output, *first, *second)]


@every_variant
@every_ndim
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.usefixtures("deterministic")
def test_every_run_gives_the_same_bits(dtype: torch.dtype, ndim: int, variant: str) -> None:
    tensors = operands(ndim, batch=3, channels=8, outputs=16, dtype=dtype)
    first, *others = (step(variant, tensors, padding=1) for _ in range(3))
    assert all(torch.equal(*pair) for other in others for pair in zip(first, other, strict=True))
    with torch.no_grad():
        outputs = [OURS[ndim](*tensors, algorithm=algorithm(variant, (3,) * ndim)) for _ in range(3)]
    assert torch.equal(outputs[0], outputs[1])
    assert torch.equal(outputs[0], outputs[2])


@every_variant
@every_ndim
@pytest.mark.usefixtures("deterministic")
def test_memory_that_was_never_written_is_never_read(ndim: int, variant: str) -> None:
    """New memory is NaN here: whatever is read of it shows. Ragged tiles, odd channels and padding are what may."""
    for options in ({"padding": 1}, {"padding": 4}, {}, {"stride": 2}, {"dilation": 2, "padding": 1}, {"groups": 1}):
        tensors = (normal(2, 5, *(7, 6, 5)[:ndim]), normal(17, 5, *(3,) * ndim, seed=1), normal(17, seed=2))
        chosen = variant if not {"stride", "dilation"} & set(options) else "planned"
        forced = algorithm(chosen, (3,) * ndim)
        with torch.no_grad():
            assert_same(OURS[ndim](*tensors, **options, algorithm=forced), TORCHS[ndim](*tensors, **options))
        assert all(one.isfinite().all() for one in step(chosen, tensors, **options))


@every_variant
@pytest.mark.usefixtures("deterministic")
def test_a_wide_layer_has_the_same_bits_in_every_run(variant: str) -> None:
    torch.set_num_threads(2)
    tensors = (normal(2, 64, 4, 12, 12).float(), normal(64, 64, 3, 3, 3, seed=1).float())
    first, second = (step(variant, tensors, padding=1)[:3] for _ in range(2))
    assert all(torch.equal(*pair) for pair in zip(first, second, strict=True))
    with torch.no_grad():
        outputs = [OURS[3](*tensors, padding=1) for _ in range(2)]
    assert torch.equal(*outputs)


@every_variant
def test_a_new_process_of_training_gives_the_same_weights(variant: str) -> None:
    trained = []
    for _ in range(2):
        layer, _ = module_pair(2, 3, 3, 3, padding=1, variant=variant)
        optimiser = torch.optim.Adam(layer.parameters(), lr=0.01)
        for number in range(5):
            optimiser.zero_grad()
            layer(layer(normal(4, 3, 9, 8, seed=number).float())).square().mean().backward()
            optimiser.step()
        trained.append(list(layer.parameters()))
    assert all(torch.equal(*pair) for pair in zip(*trained, strict=True))


@every_variant
def test_warnings_instead_of_errors_stay_silent(variant: str, recwarn: pytest.WarningsRecorder) -> None:
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        step(variant, operands(3), padding=1)
    finally:
        torch.use_deterministic_algorithms(False)
    assert not [one for one in recwarn if "deterministic" in str(one.message)]


@pytest.mark.usefixtures("deterministic")
def test_unwritten_memory_is_noticed() -> None:
    assert torch.empty(3).isnan().all()
    first, second = (step("forced", operands(1)), step("planned", operands(1)))
    assert not all(torch.equal(*pair) for pair in zip(first, second, strict=True))  # two orders of the same sums
