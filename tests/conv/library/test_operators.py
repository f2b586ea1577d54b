"""torch's operators for our convolution and its gradients: their laws, and what torch asks of an operator."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import flop_counter
from torch.utils.flop_counter import FlopCounterMode

import winograd
from winograd.algebra.nesting import NestedAlgorithm, nest
from winograd.algebra.toom_cook import toom_cook
from winograd.conv.calls import convolution as calls
from winograd.conv.library import execution, flops
from winograd.conv.library import operators as library
from winograd.conv.library.written import algorithm_text
from winograd.conv.plan.record import Backend

Tensor = torch.Tensor

FUNCTIONS = {1: (winograd.conv1d, torch.conv1d), 2: (winograd.conv2d, torch.conv2d), 3: (winograd.conv3d, torch.conv3d)}


def f23(ndim: int) -> NestedAlgorithm:
    return nest(*[toom_cook(2, 3)] * ndim)


def normal(*sizes: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    return torch.randn(sizes, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def tensors(ndim: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    sizes, taps = (5, 4, 3)[:ndim], (3,) * ndim
    return normal(2, 2, *sizes, dtype=dtype), normal(3, 2, *taps, dtype=dtype, seed=1), normal(3, dtype=dtype, seed=2)


def asked(ndim: int) -> tuple[object, ...]:
    """Return stride, padding, dilation, groups, no tolerance, and F(2,3)."""
    return [1] * ndim, [1, 2] * ndim, [1] * ndim, 1, None, algorithm_text(f23(ndim))


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Backend]]:
    """What runs and by which backend, operators apart."""
    seen: list[tuple[str, Backend]] = []
    run, of_input, of_weight = (
        execution.run_plan,
        execution.gradients.input_gradient,
        execution.gradients.weight_gradient,
    )
    for module, name, function, label in (
        (execution, "run_plan", run, "output"),
        (execution.gradients, "input_gradient", of_input, "input"),
        (execution.gradients, "weight_gradient", of_weight, "weight"),
    ):

        def recorded(
            plan: object, *rest: object, function: object = function, label: str = label, **more: object
        ) -> Tensor:
            seen.append((label, plan.backend))  # type: ignore[attr-defined]
            return function(plan, *rest, **more)  # type: ignore[operator]

        monkeypatch.setattr(module, name, recorded)
    return seen


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_gradients_of_both_orders_run_through_winograd(ndim: int, ran: list[tuple[str, Backend]]) -> None:
    ours, _ = FUNCTIONS[ndim]
    given = [one.requires_grad_() for one in tensors(ndim)]

    def called(input: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return ours(input, weight, bias, padding=1, algorithm=f23(ndim))

    assert torch.autograd.gradcheck(called, given, fast_mode=True)
    assert torch.autograd.gradgradcheck(called, given, fast_mode=True)
    assert {label for label, _ in ran} == {"output", "input", "weight"}
    assert {backend for _, backend in ran} == {Backend.NATIVE}


def test_a_wrong_gradient_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    given = [one.requires_grad_() for one in tensors(1)]
    run = execution.gradients.weight_gradient
    monkeypatch.setattr(execution.gradients, "weight_gradient", lambda *all_: run(*all_).flip(-1))
    with pytest.raises(RuntimeError):
        torch.autograd.gradcheck(lambda x, w, b: winograd.conv1d(x, w, b, algorithm=f23(1)), given, fast_mode=True)


@pytest.mark.parametrize("wanted", ["input", "weight", "bias", "input weight", "weight bias"])
def test_only_what_is_asked_for_is_computed(wanted: str, ran: list[tuple[str, Backend]]) -> None:
    names = ("input", "weight", "bias")
    given = {name: one.requires_grad_(name in wanted) for name, one in zip(names, tensors(2), strict=True)}
    winograd.conv2d(**given, algorithm=f23(2)).sum().backward()
    assert {name for name, one in given.items() if one.grad is not None} == set(wanted.split())
    assert {label for label, _ in ran} - {"output"} == set(wanted.split()) - {"bias"}


@pytest.mark.parametrize("last", ["", "input", "weight"])
@pytest.mark.parametrize("ndim", [2, 3])
def test_memory_formats_are_those_of_torch(ndim: int, last: str) -> None:
    form = (torch.channels_last, torch.channels_last_3d)[ndim - 2]
    found = []
    for function, more in zip(FUNCTIONS[ndim], ({"algorithm": f23(ndim)}, {}), strict=True):
        input, weight = (
            normal(2, 4, *(6, 5, 7)[:ndim], dtype=torch.float32),
            normal(4, 4, *(3,) * ndim, dtype=torch.float32),
        )
        input = input.contiguous(memory_format=form) if last == "input" else input
        weight = weight.contiguous(memory_format=form) if last == "weight" else weight
        output = function(input.requires_grad_(), weight.requires_grad_(), **more)
        gradients = torch.autograd.grad(output, (input, weight), normal(*output.shape, dtype=torch.float32))
        found.append([one.stride() for one in (output, *gradients)])
    assert found[0] == found[1]


def test_opcheck_passes_all_its_tests() -> None:
    input, weight, bias = (one.requires_grad_() for one in tensors(2))
    more = asked(2)
    output = library.convolution(input, weight, bias, *more).detach().requires_grad_()
    torch.library.opcheck(library.convolution, (input, weight, bias, *more))
    for last in (False, True):
        torch.library.opcheck(library.input_gradient, (output, weight, list(input.shape), last, *more))
        torch.library.opcheck(library.weight_gradient, (input, output, list(weight.shape), last, *more))


def test_a_wrong_fake_is_noticed_by_opcheck(monkeypatch: pytest.MonkeyPatch) -> None:
    input, weight, bias = tensors(2)
    monkeypatch.setattr(library.convolution, "_abstract_fn", lambda input, *_: input.new_empty(input.shape))
    with pytest.raises(Exception, match="test_faketensor failed"):
        torch.library.opcheck(library.convolution, (input, weight, bias, *asked(2)))


def test_fakes_have_the_strides_of_results() -> None:
    for form in (torch.contiguous_format, torch.channels_last):
        input, weight = normal(2, 8, 9, 7).contiguous(memory_format=form), normal(6, 8, 3, 3)
        with FakeTensorMode() as mode:
            fake = winograd.conv2d(mode.from_tensor(input), mode.from_tensor(weight), padding=1)
        real = winograd.conv2d(input, weight, padding=1)
        assert (fake.shape, fake.stride(), fake.dtype) == (real.shape, real.stride(), real.dtype)


@pytest.mark.parametrize("places", [(0, None, None), (None, 2, None), (None, None, 1), (1, 0, 1), (1, None, 0)])
def test_vmap_of_operators_is_that_of_torch(places: tuple[int | None, ...]) -> None:
    wide = [
        one if place is None else torch.stack([one, one.flip(0), 2 * one], place)
        for one, place in zip(tensors(2), places, strict=True)
    ]
    given = asked(2)

    def ours(input: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return library.convolution(input, weight, bias, *given)

    def theirs(input: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return torch.conv2d(torch.constant_pad_nd(input, [1, 2, 1, 2]), weight, bias)

    torch.testing.assert_close(torch.vmap(ours, places)(*wide), torch.vmap(theirs, places)(*wide))


def test_gradients_of_many_outputs_at_once_are_those_of_torch() -> None:
    found = []
    for function, more in zip(FUNCTIONS[2], ({"algorithm": f23(2)}, {}), strict=True):
        given = [one.requires_grad_() for one in tensors(2)]
        output = function(*given, padding=1, **more)
        slopes = torch.stack([torch.ones_like(output), output.detach()])
        found.append(torch.autograd.grad(output, given, slopes, is_grads_batched=True))
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_narrows_the_operator_as_torchs_own(dtype: torch.dtype) -> None:
    input, weight, bias = tensors(2, torch.float32)
    with torch.autocast("cpu", dtype=dtype):
        output = library.convolution(input, weight, bias, *asked(2))
        assert output.dtype == torch.conv2d(input, weight).dtype == dtype
        assert library.convolution(*tensors(2), *asked(2)).dtype == torch.float64
        with FakeTensorMode() as mode:
            assert winograd.conv2d(mode.from_tensor(input), mode.from_tensor(weight)).dtype == dtype
    narrow = library.convolution(input.to(dtype), weight.to(dtype), bias.to(dtype), *asked(2))
    assert torch.equal(output, narrow)


def test_operations_are_counted_as_those_of_torch() -> None:
    counts = []
    for function, more in zip(FUNCTIONS[2], ({"algorithm": f23(2)}, {}), strict=True):
        given = [one.requires_grad_() for one in tensors(2)]
        with FlopCounterMode(display=False) as counter:
            function(*given, padding=1, **more).sum().backward()
        counts.append(counter.get_total_flops())
    assert counts[0] == counts[1] > 0


def test_formulas_reach_a_counter_that_is_at_work_already(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flops, "_registered", [])
    monkeypatch.setattr(flop_counter, "flop_registry", {})
    with FlopCounterMode(display=False) as counter:
        winograd.conv2d(*tensors(2), algorithm=f23(2))
    assert counter.get_total_flops() > 0


def test_symbolic_sizes_reach_the_operator_unplanned(monkeypatch: pytest.MonkeyPatch) -> None:
    input, weight, _ = tensors(2)
    monkeypatch.setattr(execution, "runnable_plan", lambda *_, **__: pytest.fail("planned while recorded"))
    recorded = make_fx(lambda x, w: winograd.conv2d(x, w, algorithm=f23(2)), tracing_mode="symbolic")(input, weight)
    monkeypatch.undo()
    assert torch.ops.winograd.convolution.default in [node.target for node in recorded.graph.nodes]
    for other in (input, normal(3, 2, 9, 4)):
        torch.testing.assert_close(recorded(other, weight), torch.conv2d(other, weight))


@pytest.mark.parametrize(
    ("input", "weight"), [((2, 3, 5, 5), (4, 2, 3, 3)), ((2, 2, 5), (4, 2, 3, 3)), ((2, 2, 2, 2), (4, 2, 3, 3))]
)
def test_what_torch_refuses_is_refused_in_its_words(input: tuple[int, ...], weight: tuple[int, ...]) -> None:
    geometry = [1, 1], [0] * 4, [1, 1], 1
    with pytest.raises(RuntimeError) as ours:
        library.convolution(torch.zeros(input), torch.zeros(weight), None, *geometry)
    with pytest.raises(RuntimeError) as theirs:
        torch.conv2d(torch.zeros(input), torch.zeros(weight))
    assert str(ours.value) == str(theirs.value)


@pytest.mark.parametrize("sizes", [(0, 2, 5, 4), (2, 0, 5, 4), (0, 2, 0, 4)])
def test_nothing_has_gradients_of_zeros(sizes: tuple[int, ...]) -> None:
    input, weight = torch.zeros(sizes, requires_grad=True), torch.ones(3, sizes[1], 3, 3, requires_grad=True)
    output = library.convolution(input, weight, None, [1, 1], [2] * 4, [1, 1], 1)
    assert output.shape == torch.conv2d(input, weight, padding=2).shape
    output.sum().backward()
    assert input.grad.shape == sizes
    assert not weight.grad.any()


def test_training_of_large_layers_goes_by_operator_and_of_small_ones_by_torch() -> None:
    for channels, size, by_operator in ((4, 6, False), (64, 28, True)):
        input, weight = (
            normal(1, channels, 8, size, size, dtype=torch.float32),
            torch.zeros(channels, channels, 3, 3, 3),
        )
        output = winograd.conv3d(input, weight.requires_grad_(), padding=1)
        assert ("winograd" in type(output.grad_fn).__name__) == by_operator
        again = winograd.conv3d(input, weight, padding=1)
        assert type(again.grad_fn) is type(output.grad_fn)


def test_a_planned_training_call_gives_way_to_what_the_operator_lacks() -> None:
    input, weight = normal(1, 64, 8, 28, 28, dtype=torch.float32), normal(64, 64, 3, 3, 3, dtype=torch.float32) / 40
    calls._decisions.forget()
    winograd.conv3d(input, weight.clone().requires_grad_(), padding=1)
    wanted = weight.clone().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert winograd.conv3d(input, wanted, padding=1).dtype == torch.bfloat16
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(input, input)
        tangent = torch.autograd.forward_ad.unpack_dual(winograd.conv3d(dual, wanted, padding=1)).tangent
    torch.testing.assert_close(tangent, torch.conv3d(input, weight, padding=1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("forced", [True, False])
@pytest.mark.parametrize("transform", ["vmap", "grad", "jvp"])
def test_transforms_of_functions_compile_in_one_graph(transform: str, forced: bool) -> None:
    algorithm = f23(2) if forced else None

    def transformed(convolve: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        if transform == "vmap":
            return lambda x: torch.vmap(convolve)(torch.stack([x, 2 * x]))
        if transform == "grad":
            return torch.func.grad(lambda x: convolve(x).square().sum())
        return lambda x: torch.func.jvp(convolve, (x,), (x,))[1]

    input, weight, bias = tensors(2)
    torch._dynamo.reset()
    ours = transformed(lambda x: winograd.conv2d(x, weight, bias, padding=1, algorithm=algorithm))
    found = torch.compile(ours, backend="aot_eager", fullgraph=True)(input)
    torch.testing.assert_close(found, transformed(lambda x: torch.conv2d(x, weight, bias, padding=1))(input))


def test_operators_refuse_tangents_rather_than_drop_them() -> None:
    input, weight, _ = tensors(1)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(input, input)
        assert library.convolution(input, weight, None, *asked(1)).shape
        with pytest.raises(NotImplementedError, match="forward-mode"):
            library.convolution(dual, weight, None, *asked(1))


def test_registering_the_operators_loads_no_compiler() -> None:
    compilers = ("torch._dynamo", "torch._inductor", "triton")
    program = f"import sys, winograd.nn; print([name for name in {compilers} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
