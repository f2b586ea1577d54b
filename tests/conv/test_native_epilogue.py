"""Residual and ReLU of `run_plan`: the same on every backend, in the format of torch's output, in one pass natively."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conv.native_cases import integers
from winograd import nest, toom_cook
from winograd.conv.arguments import ConvArguments
from winograd.conv.native import operands
from winograd.conv.plan.record import Backend, Plan
from winograd.conv.planning.make import make_plan
from winograd.conv.running import run as running
from winograd.conv.running.obstacles import tensor_obstacle
from winograd.conv.running.packing import pack_for_plan
from winograd.conv.running.reading import read_shape
from winograd.conv.running.run import run_plan
from winograd.conv.tensors.layout import as_channels_last

F2 = toom_cook(2, 3)
DTYPES = ("float32", "float16", "bfloat16")
TORCHS: dict[int, Any] = {1: torch.conv1d, 2: torch.conv2d, 3: torch.conv3d}


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def plan_for(backend: Backend, input_: torch.Tensor, weight: torch.Tensor) -> Plan:
    """Return a plan of a backend, by F(2,3) or by direct convolution, whatever would be chosen."""
    shape = read_shape(input_, weight, None, ConvArguments(padding=1), ndim=weight.ndim - 2)
    nested = None if backend is Backend.DIRECT else nest(*[F2] * (weight.ndim - 2))
    plan = make_plan(shape, algorithm=nested, obstacle=None if backend is Backend.NATIVE else "a test")
    assert plan.backend is backend
    return plan


def formatted(tensor: torch.Tensor, last: bool) -> torch.Tensor:
    return as_channels_last(tensor) if last else tensor


@given(st.integers(1, 3), st.sampled_from(DTYPES), *[st.booleans()] * 5, st.integers(0, 2**20))
@settings(max_examples=60)
def test_every_backend_gives_the_same_integers(
    ndim: int, dtype: str, bias: bool, adds: bool, relu: bool, last: bool, other: bool, seed: int
) -> None:
    # Outputs stay below 2 * 27 * 16 + 4, which float16 holds exactly; bfloat16 holds integers up to 256.
    kind, most = getattr(torch, dtype), 1 if dtype == "bfloat16" else 4
    input_ = formatted(integers(2, 2, *(5, 4, 7)[:ndim], seed=seed).clamp(-most, most).to(kind), last)
    weight = integers(17, 2, *[3] * ndim, seed=seed + 1).clamp(-most, most).to(kind)
    shift = integers(17, seed=seed + 2).to(kind) if bias else None
    expected = TORCHS[ndim](input_.double(), weight.double(), None if shift is None else shift.double(), padding=1)
    residual = formatted(integers(*expected.shape, seed=seed + 3).to(kind), other) if adds else None
    # With three axes and float16, torch's format depends on the processor: ours is that of float32.
    torchs = TORCHS[ndim](input_.float(), weight.float(), padding=1)
    if residual is not None:
        expected = expected + residual
    expected = expected.relu() if relu else expected
    for backend in (Backend.NATIVE, Backend.COMPOSED, Backend.DIRECT):
        plan = plan_for(backend, input_, weight)
        packed = pack_for_plan(plan, weight)
        output = run_plan(plan, input_, weight, shift, packed=packed, residual=residual, relu=relu)
        assert output.dtype == kind
        assert backend is Backend.DIRECT or output.stride() == torchs.stride()
        assert torch.equal(output.double(), expected)


@pytest.mark.parametrize("backend", [Backend.NATIVE, Backend.COMPOSED, Backend.DIRECT])
def test_a_nan_stays_and_images_without_a_batch_are_taken(backend: Backend) -> None:
    input_, weight, residual = torch.ones(2, 5, 6, 7), -torch.ones(3, 2, 3, 3, 3), torch.zeros(3, 5, 6, 7)
    residual[1, 2, 3, 4] = float("nan")
    output = run_plan(plan_for(backend, input_, weight), input_, weight, residual=residual, relu=True)
    assert output.shape == residual.shape
    assert torch.equal(output.isnan(), residual.isnan())
    assert not output.nan_to_num(0.0).any()


@pytest.mark.parametrize("backend", [Backend.NATIVE, Backend.COMPOSED, Backend.DIRECT])
def test_a_residual_that_does_not_fit_is_refused(backend: Backend) -> None:
    input_, weight = torch.ones(1, 2, 5, 6, 7), torch.ones(3, 2, 3, 3, 3)
    plan = plan_for(backend, input_, weight)
    for residual in (torch.zeros(1, 3, 5, 6, 1), torch.zeros(1, 3, 5, 6, 7, dtype=torch.float64), torch.zeros(3)):
        with pytest.raises(ValueError, match="residual"):
            run_plan(plan, input_, weight, residual=residual)


@pytest.mark.parametrize("last", [False, True], ids=["channels first", "channels last"])
def test_the_native_output_is_made_in_its_format_at_once(monkeypatch: pytest.MonkeyPatch, last: bool) -> None:
    input_, weight = formatted(torch.ones(1, 2, 5, 6, 7), last), torch.ones(3, 2, 3, 3, 3)
    residual = formatted(torch.ones(1, 3, 5, 6, 7), last)
    plan, made = plan_for(Backend.NATIVE, input_, weight), []
    monkeypatch.setattr(running, "as_torch_would", None)
    fresh = operands.fresh_memory
    monkeypatch.setattr(operands, "fresh_memory", lambda *sizes: made.append(fresh(*sizes)) or made[-1])
    packed = pack_for_plan(plan, weight)
    output = run_plan(plan, input_, weight, packed=packed, residual=residual, relu=True)
    assert output.stride() == residual.stride()
    assert output.data_ptr() in {tensor.data_ptr() for tensor in made}
    assert len(made) <= 3  # the packed filter, the output, and workspace if it grew


def test_negative_views_and_gradients_of_a_residual() -> None:
    input_, weight = integers(1, 2, 5, 6, 7, seed=1), integers(3, 2, 3, 3, 3, seed=2)
    plan = plan_for(Backend.NATIVE, input_, weight)
    negative = torch.complex(torch.zeros(1, 3, 5, 6, 7), torch.ones(1, 3, 5, 6, 7)).conj().imag
    assert negative.is_neg()
    expected = run_plan(plan, input_, weight) - 1
    assert torch.equal(run_plan(plan, input_, weight, residual=negative), expected)
    with torch.enable_grad():
        wanted = torch.ones(1, 3, 5, 6, 7, requires_grad=True)
        assert tensor_obstacle(wanted) == "a gradient is required"
        output = run_plan(plan, input_, weight, residual=wanted, relu=True)
        output.sum().backward()
    assert torch.equal(output, (expected + 2).relu())
    assert torch.equal(wanted.grad, (expected + 2 > 0).float())


@pytest.mark.parametrize("dtype", DTYPES[1:])
def test_16_bit_filters_follow_the_weight_and_a_bias_is_widened(dtype: str) -> None:
    kind = getattr(torch, dtype)
    generator = torch.Generator().manual_seed(1)
    input_, weight = (torch.randn(*sizes, generator=generator).to(kind) for sizes in ((1, 9, 5, 6, 7), (3, 9, 3, 3, 3)))
    bias, plan = torch.randn(3, generator=generator).to(kind), plan_for(Backend.NATIVE, input_, weight)
    wide = plan_for(Backend.NATIVE, input_.float(), weight.float())
    once = run_plan(wide, input_.float(), weight.float(), bias.float()).to(kind)
    packed = pack_for_plan(plan, weight)
    assert packed is not None
    assert packed.nbytes == pack_for_plan(wide, weight.float()).nbytes
    assert torch.equal(run_plan(plan, input_, weight, bias), once)
    assert torch.equal(run_plan(plan, input_, weight, bias, packed=packed), once)
