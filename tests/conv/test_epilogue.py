"""The ReLU of `run_plan` against `torch.relu` of the plain run, bit for bit, and `finish` for what has no epilogue."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from winograd import nest, toom_cook
from winograd.conv.arguments import ConvArguments
from winograd.conv.choosing.selection import Filters
from winograd.conv.geometry.phases import phases_of
from winograd.conv.plan.record import Backend, Plan
from winograd.conv.planning.make import make_plan
from winograd.conv.running import run as running
from winograd.conv.running.packing import pack_for_plan
from winograd.conv.running.run import run_plan
from winograd.conv.tensors.epilogue import finish
from winograd.conv.tensors.layout import Layout, in_layout

GEOMETRIES: dict[str, tuple[tuple[int, ...], int, dict[str, Any]]] = {
    "dense": ((5, 9, 13), 3, {"padding": 1}),
    "2D": ((9, 13), 3, {"padding": 1}),
    "1D": ((37,), 3, {"padding": 1}),
    "stride": ((5, 12, 13), 3, {"padding": 1, "stride": (1, 2, 2)}),
    "dilation": ((11, 13), 3, {"padding": 2, "dilation": 2}),
    "groups": ((9, 13), 3, {"padding": 1, "groups": 2}),
    "depthwise": ((5, 9, 13), 3, {"padding": 1, "groups": 16}),
    "pointwise": ((5, 9, 13), 1, {}),
}


def normal(*sizes: int, seed: int) -> torch.Tensor:
    return torch.randn(sizes, generator=torch.Generator().manual_seed(seed))


def plan_of(name: str, backend: Backend, dtype: str = "float32") -> Plan | None:
    """Return a plan of this backend for a shape, None where there is none."""
    sizes, taps, more = GEOMETRIES[name]
    arguments = ConvArguments(**more)
    shape = arguments.shape((2, 16, *sizes), (32, 16 // arguments.groups, *[taps] * len(sizes)), dtype=dtype)
    if backend is Backend.DIRECT:
        return make_plan(shape, algorithm="direct", filters=Filters.FROZEN)
    phases = phases_of(shape)
    if name in {"depthwise", "pointwise"} or (backend is Backend.COMPOSED and phases is not None):
        return None
    core = shape if phases is None else phases.core
    algorithm = nest(*(toom_cook(2, count) for count in core.taps))
    plan = make_plan(shape, algorithm=algorithm, obstacle=None if backend is Backend.NATIVE else "a test")
    assert plan.backend is backend
    return plan


PLANS = [
    pytest.param(plan, id=f"{name} {backend.value}")
    for name in GEOMETRIES
    for backend in (Backend.NATIVE, Backend.COMPOSED, Backend.DIRECT)
    if (plan := plan_of(name, backend)) is not None
]


def is_relu_of_the_plain(plan: Plan, *, first: float = 1.0) -> bool:
    """Return whether the run with ReLU equals `torch.relu` of the run without, in every bit, packed and not.

    The first number of the input is ``first``.
    """
    shape, kind = plan.shape, getattr(torch, plan.shape.dtype)
    input_ = normal(shape.batch, shape.channels, *shape.sizes, seed=1).to(kind)
    weight, bias = (normal(*sizes, seed=2).to(kind) for sizes in (shape.weight_sizes, (shape.outputs,)))
    input_.view(-1)[0] = first
    equal = []
    with torch.no_grad():
        for layout in Layout:
            for packed in (None, pack_for_plan(plan, weight)):
                given = in_layout(input_, layout)
                plain, relu = (run_plan(plan, given, weight, bias, packed=packed, relu=relu) for relu in (False, True))
                assert bool((plain < 0).any())
                assert plain.stride() == relu.stride()
                equal.append(torch.equal(bits(torch.relu(plain)), bits(relu)))
    return all(equal)


def bits(values: torch.Tensor) -> torch.Tensor:
    """Return the bits of numbers, all NaNs alike."""
    whole = {2: torch.int16, 4: torch.int32, 8: torch.int64}[values.element_size()]
    return torch.where(values.isnan(), torch.tensor(-1, dtype=whole), values.contiguous().view(whole))


@pytest.mark.parametrize("plan", PLANS)
def test_the_relu_of_a_run_is_that_of_the_plain_run_bit_for_bit(plan: Plan) -> None:
    assert is_relu_of_the_plain(plan)


@pytest.mark.parametrize("plan", PLANS)
def test_a_nan_stays_a_nan_through_the_relu(plan: Plan) -> None:
    assert is_relu_of_the_plain(plan, first=float("nan"))


@pytest.mark.parametrize("backend", [Backend.NATIVE, Backend.DIRECT])
@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16"])
def test_other_dtypes_have_the_same_relu(dtype: str, backend: Backend) -> None:
    for name in ("dense", "stride"):
        plan = plan_of(name, backend, dtype)
        assert plan is not None
        assert is_relu_of_the_plain(plan)


def test_an_epilogue_that_is_forgotten_or_loses_a_nan_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled, direct = plan_of("dense", Backend.NATIVE), plan_of("dense", Backend.DIRECT)
    assert compiled is not None
    assert direct is not None
    with monkeypatch.context() as patch:
        patch.setattr(
            running, "finish", lambda output, _, relu: torch.fmax(output, torch.zeros(())) if relu else output
        )
        assert is_relu_of_the_plain(direct)  # as oneDNN's would be
        assert not is_relu_of_the_plain(direct, first=float("nan"))
    run: Any = running._run_native
    monkeypatch.setattr(running, "_run_native", lambda *given: run(*given[:-1], False))
    assert not is_relu_of_the_plain(compiled)


def test_gradients_pass_what_was_finished_in_place() -> None:
    input_, weight = (normal(*sizes, seed=3).requires_grad_() for sizes in ((1, 4, 9, 9), (6, 4, 3, 3)))
    residual = normal(1, 6, 7, 7, seed=4).requires_grad_()
    given = (input_, weight, residual)
    done = finish(torch.conv2d(input_, weight), residual, relu=True)
    wanted = torch.relu(torch.conv2d(input_, weight) + residual)
    assert torch.equal(done, wanted)
    for ours, torchs in zip(*(torch.autograd.grad(y.square().sum(), given) for y in (done, wanted)), strict=True):
        assert torch.equal(ours, torchs)


def test_a_batch_of_residuals_is_added_by_vmap() -> None:
    output, residuals = normal(3, 4, seed=5), normal(2, 3, 4, seed=6)
    done = torch.func.vmap(lambda one: finish(output.clone(), one, relu=True))(residuals)
    assert torch.equal(done, torch.relu(output + residuals))


def test_what_no_backend_fuses_is_finished_without_another_tensor() -> None:
    output, residual = normal(2, 3, 4, seed=7), normal(2, 4, 3, seed=8).mT
    wanted = torch.relu(output + residual)
    done = finish(output, residual, relu=True)
    assert done is output
    assert torch.equal(done, wanted)


@pytest.mark.parametrize("residual", [torch.zeros(3, 4), torch.zeros(2, 3, 4, dtype=torch.float64)])
def test_a_residual_of_another_shape_or_dtype_is_refused(residual: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"^residual is torch.float\d\d of shape .*, must be torch.float32 of shape"):
        finish(torch.zeros(2, 3, 4), residual)
