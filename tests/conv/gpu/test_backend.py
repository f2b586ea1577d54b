"""The backend of a GPU as users meet it, with tensors on the CPU taken for those of a card."""

from __future__ import annotations

import copy
import platform
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
    pytest.skip("triton has wheels for Linux on x86-64 and 64-bit Arm alone", allow_module_level=True)

import winograd
from winograd import nest, toom_cook
from winograd.codegen.compiler import BuildError
from winograd.conv.choosing.selection import Filters
from winograd.conv.gpu import loading
from winograd.conv.gpu import run as running
from winograd.conv.gpu.card import card_named
from winograd.conv.gpu.device import pretending
from winograd.conv.gpu.explained import form_of
from winograd.conv.gpu.form import extent_of
from winograd.conv.library.kept import KeptFilters
from winograd.conv.plan.record import Backend, Plan
from winograd.conv.plan.record import Plan as Record
from winograd.conv.running.packing import pack_for_plan
from winograd.conv.running.run import run_plan
from winograd.conv.running.runnable import lack_of_code, runnable_plan
from winograd.nn.plans_in_use import PlanInUse, PlansInUse

H100 = card_named("h100")
F22 = nest(toom_cook(2, 3), toom_cook(2, 3))


@pytest.fixture
def on_card() -> Iterator[None]:
    with pretending(H100):
        yield


def integers(*sizes: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(-4, 5, sizes, generator=torch.Generator().manual_seed(seed)).float()


def layer(**settings: object) -> winograd.nn.Conv2d:
    made = winograd.nn.Conv2d(8, 8, 3, padding=1, algorithm=F22, **settings)
    with torch.no_grad():
        made.weight.copy_(integers(8, 8, 3, 3, seed=1))
        made.bias.copy_(integers(8, seed=2))
    return made


def torchs(made: torch.nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    return torch.conv2d(x, made.weight, made.bias, padding=1)


@pytest.mark.usefixtures("on_card")
def test_conv2d_takes_the_kernels_of_the_card() -> None:
    x, w = integers(2, 8, 5, 6), integers(9, 8, 3, 3, seed=1)
    with torch.no_grad():
        assert torch.equal(winograd.conv2d(x, w, padding=1, algorithm=F22), torch.conv2d(x, w, padding=1))
        assert torch.equal(winograd.conv2d(x[0], w, padding=1, algorithm=F22), torch.conv2d(x[0], w, padding=1))


def test_the_card_is_used_while_it_is_there_only() -> None:
    x, w = integers(1, 8, 5, 6), integers(8, 8, 3, 3, seed=1)
    made = layer()
    for _ in range(2):
        made(x)
    with pretending(H100):
        inside = layer().eval()
        inside(x)
    assert [plan.backend for plan in made.plans] == [Backend.NATIVE]
    assert [plan.backend for plan in inside.plans] == [Backend.GPU]
    assert winograd.plan_conv(x, w, padding=1, algorithm=F22).backend is Backend.NATIVE


@pytest.mark.usefixtures("on_card")
def test_a_frozen_layer_keeps_one_filter_and_follows_writes() -> None:
    made, x = layer().eval().requires_grad_(False), integers(2, 8, 5, 6)
    winograd.freeze(torch.nn.Sequential(made))
    assert torch.equal(made(x), torchs(made, x))
    assert made._winograd.packed_bytes == made.plans[0].filter_bytes > 0
    with torch.no_grad():
        made.weight.add_(1)
    assert torch.equal(made(x), torchs(made, x))
    assert torch.equal(copy.deepcopy(made)(x), torchs(made, x))


@pytest.mark.usefixtures("on_card")
def test_gradients_are_those_of_torch() -> None:
    made, x = layer(), integers(2, 8, 5, 6).requires_grad_()
    slope = integers(2, 8, 5, 6, seed=3)
    ours = torch.autograd.grad(made(x), [x, made.weight, made.bias], slope)
    theirs = torch.autograd.grad(torchs(made, x), [x, made.weight, made.bias], slope)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-4)  # integers up to 10^4 in float32
    assert {plan.wanted.value: plan.backend for plan in made.gradient_plans} == {
        "input": Backend.GPU,
        "weight": Backend.COMPOSED,
    }


@pytest.mark.usefixtures("on_card")
@pytest.mark.parametrize("last", [False, True])
def test_outputs_lie_in_memory_as_torchs(last: bool) -> None:
    x, w = integers(2, 8, 5, 6), integers(9, 8, 3, 3, seed=1)
    x = x.to(memory_format=torch.channels_last) if last else x
    with torch.no_grad():
        ours, theirs = winograd.conv2d(x, w, padding=1, algorithm=F22), torch.conv2d(x, w, padding=1)
    assert ours.stride() == theirs.stride()


@pytest.mark.usefixtures("on_card")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_16_bits_are_rounded_once(dtype: torch.dtype) -> None:
    x, w = integers(1, 8, 5, 6).to(dtype), integers(8, 8, 3, 3, seed=1).to(dtype)
    with torch.no_grad():
        ours = winograd.conv2d(x, w, padding=1, algorithm=F22)
    assert ours.dtype == dtype
    assert torch.equal(ours, torch.conv2d(x.double(), w.double(), padding=1).to(dtype))


@pytest.mark.usefixtures("on_card")
def test_autocast_and_tensors_of_other_kinds_are_torchs_own() -> None:
    x, w = integers(1, 8, 5, 6), integers(8, 8, 3, 3, seed=1)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert winograd.conv2d(x, w, padding=1).dtype == torch.bfloat16
    doubled = winograd.conv2d(x.double(), w.double(), padding=1, algorithm=F22)
    assert torch.equal(doubled, torch.conv2d(x.double(), w.double(), padding=1))
    with torch.no_grad():
        assert torch.equal(winograd.conv2d(x, w, stride=2, padding=1), torch.conv2d(x, w, stride=2, padding=1))


@pytest.mark.usefixtures("on_card")
def test_compiled_layers_call_the_operator() -> None:
    made, x = layer().eval().requires_grad_(False), integers(2, 8, 5, 6)
    compiled = torch.compile(made, backend="eager", fullgraph=True)
    assert torch.equal(compiled(x), torchs(made, x))


def planned(**more: object) -> Plan:
    from winograd.conv.arguments import ConvArguments

    shape = ConvArguments(padding=1).shape((2, 8, 5, 6), (9, 8, 3, 3), dtype="float32", card=H100)
    return runnable_plan(
        shape, **{"tolerance": None, "algorithm": F22, "filters": Filters.FROZEN, "obstacle": None, **more}
    )


@pytest.mark.usefixtures("on_card")
def test_memory_is_what_the_plan_states() -> None:
    plan = planned()
    module = running.module_of(plan)
    assert pack_for_plan(plan, integers(9, 8, 3, 3)).nbytes == plan.filter_bytes
    taken = module.workspace_bytes((2, 8, 5, 6), 9, 1, precision=plan.gpu.products, config=dict(plan.gpu.config))
    assert taken[1] == plan.workspace_bytes == extent_of(plan.shape, form_of(plan)).workspace_bytes(taken[1])


def test_without_triton_torch_computes_and_one_warning_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "has_triton", lambda: False)
    loading._gpu_module.cache_clear()
    monkeypatch.setattr("winograd.conv.running.runnable._warned", [])
    with pretending(H100), pytest.warns(RuntimeWarning, match=r"pip install 'winograd\[triton\]'; torch's own"):
        plan = planned()
    assert plan.backend is Backend.COMPOSED
    with pretending(H100), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert planned(algorithm=None).backend is Backend.DIRECT
    with pytest.raises(BuildError, match="triton is not installed"):
        loading.gpu_module(F22, "staged")


def test_kernels_that_do_not_compile_are_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from triton.runtime.errors import OutOfResources

    def refuse(*_: object, **__: object) -> None:
        raise OutOfResources(300_000, 232_448, "shared memory")

    plan = planned()
    monkeypatch.setattr(running, "try_on_card", refuse)
    monkeypatch.setattr(running, "_failed", {})
    x, w = integers(2, 8, 5, 6), integers(9, 8, 3, 3, seed=1)
    with torch.no_grad(), pytest.warns(RuntimeWarning, match="shared memory"):
        assert torch.equal(run_plan(plan, x, w), torch.conv2d(x, w, padding=1))
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(run_plan(plan, x, w), torch.conv2d(x, w, padding=1))
    assert "cannot be compiled" in lack_of_code(plan)
    a100 = replace(plan, shape=replace(plan.shape, card=card_named("a100")))
    assert "cannot be compiled" not in (lack_of_code(a100) or "")  # another card may have more registers


@pytest.mark.parametrize(
    ("error", "tries"),
    [(RuntimeError("Failed to find C compiler"), 1), (torch.OutOfMemoryError("CUDA out of memory"), 2)],
)
def test_torch_computes_where_filters_cannot_be_transformed(
    error: Exception, tries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []

    def refuse(*_: object) -> None:
        seen.append(error)
        raise error

    plan = planned()
    monkeypatch.setattr(running, "module_of", refuse)
    monkeypatch.setattr(running, "_failed", {})
    x, w = integers(2, 8, 5, 6), integers(9, 8, 3, 3, seed=1)
    with pytest.warns(RuntimeWarning, match=str(error)):
        assert pack_for_plan(plan, w) is None
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert torch.equal(run_plan(plan, x, w), torch.conv2d(x, w, padding=1))
    assert len(seen) == tries  # memory may suffice another time


def test_a_filter_is_kept_as_soon_as_memory_suffices() -> None:
    """That it did not once must not make every later call transform the filter."""
    plan, weight = planned(), integers(9, 8, 3, 3)
    use, uses, kept = PlanInUse(plan, ()), PlansInUse(), KeptFilters()
    made, others = iter([None, "filter", "again"]), iter([None, "filter", "again"])
    assert [uses.pack(use, weight, lambda _: next(made)) for _ in range(3)] == [None, "filter", "filter"]
    assert [kept.find(plan, weight, lambda: next(others)) for _ in range(3)] == [None, "filter", "filter"]
    direct = replace(plan, backend=Backend.DIRECT, algorithm=None, gpu=None)
    once = iter([None])
    use = PlanInUse(direct, ())
    assert [uses.pack(use, weight, lambda _: next(once)) for _ in range(2)] == [None, None]  # there is nothing to make


def test_what_breaks_a_card_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    plan = planned()
    monkeypatch.setattr(running, "module_of", refuse)
    with torch.no_grad(), pytest.raises(RuntimeError, match="illegal memory access"):
        run_plan(plan, integers(2, 8, 5, 6), integers(9, 8, 3, 3, seed=1))


def test_a_plan_of_the_gpu_says_how_it_works() -> None:
    plan = planned()
    with pytest.raises(ValueError, match="only gpu has one"):
        Record(plan.shape, Backend.GPU, plan.algorithm, "why")
    with pytest.raises(ValueError, match="only gpu has one"):
        Record(plan.shape, Backend.DIRECT, None, "why", gpu=plan.gpu)
    assert plan.label == "gpu F(2x2,3x3), ieee products, fused"
    assert plan.digest != planned(algorithm=nest(toom_cook(2, 3), toom_cook(1, 3))).digest
