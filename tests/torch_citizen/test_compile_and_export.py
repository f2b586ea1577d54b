"""torch.compile, torch.export, torch.jit, torch.fx: one graph, few compilations, the results of uncompiled code."""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounter

import winograd
from tests.torch_citizen.pairs import (
    NDIMS,
    OURS,
    TORCHS,
    VARIANTS,
    algorithm,
    assert_same,
    normal,
    operands,
)

every_variant = pytest.mark.parametrize("variant", VARIANTS)
every_ndim = pytest.mark.parametrize("ndim", NDIMS)


@pytest.fixture(autouse=True)
def _nothing_compiled_before() -> Iterator[None]:
    torch._dynamo.reset()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        yield
    torch._dynamo.reset()


class Network(nn.Module):
    """Two convolutions, one of them twice, with something between."""

    def __init__(self, ndim: int, kinds: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = kinds[ndim](3, 4, 3, padding=1)
        self.second = kinds[ndim](4, 4, 3, padding=1)

    def forward(self, input: Tensor) -> Tensor:
        """Return the output of the last."""
        return self.second(torch.relu(self.second(torch.relu(self.first(input)))))


def networks(ndim: int, variant: str) -> tuple[nn.Module, nn.Module]:
    """Return a converted network, with the algorithm of this variant, and the plain one."""
    plain = Network(ndim, {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}).double()
    ours = copy.deepcopy(plain)
    winograd.convert_(ours)
    for layer in (ours.first, ours.second):
        layer._winograd.change(algorithm=algorithm(variant, (3,) * ndim))
    return ours, plain


def assert_same_training(
    ours: Callable[[Tensor], Tensor], parameters: list[Tensor], plain: nn.Module, ndim: int
) -> None:
    """Compare outputs and all gradients."""
    found = []
    for network, weights in ((ours, parameters), (plain, list(plain.parameters()))):
        input = operands(ndim)[0].requires_grad_()
        output = network(input)
        found.append([output, *torch.autograd.grad(output.square().sum(), [input, *weights])])
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-11, atol=1e-12 * theirs.abs().max().item())


@every_variant
@pytest.mark.parametrize(("backend", "ndim"), [("eager", 2), *(("aot_eager", ndim) for ndim in NDIMS)])
def test_a_network_is_one_graph(backend: str, ndim: int, variant: str) -> None:
    ours, plain = networks(ndim, variant)
    compiled = torch.compile(ours, backend=backend, fullgraph=True)
    assert_same_training(compiled, list(ours.parameters()), plain, ndim)
    with torch.no_grad():
        assert_same(compiled(operands(ndim)[0]), plain(operands(ndim)[0]))
    with torch.inference_mode():
        assert_same(compiled(operands(ndim)[0]).clone(), plain(operands(ndim)[0]).clone())


@every_variant
@every_ndim
def test_a_function_is_one_graph(ndim: int, variant: str) -> None:
    forced = algorithm(variant, (3,) * ndim)

    def function(input: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return 2 * OURS[ndim](input, weight, bias, padding="same", algorithm=forced)

    compiled = torch.compile(function, backend="aot_eager", fullgraph=True)
    assert_same(compiled(*operands(ndim)), 2 * TORCHS[ndim](*operands(ndim), padding="same"))
    assert torch._dynamo.explain(function)(*operands(ndim)).graph_break_count == 0


@every_variant
@every_ndim
@pytest.mark.parametrize("dynamic", [None, True])
def test_twenty_sizes_need_few_compilations(dynamic: bool | None, ndim: int, variant: str) -> None:
    ours, plain = networks(ndim, variant)
    counter = CompileCounter()
    compiled = torch.compile(ours, backend=counter, fullgraph=True, dynamic=dynamic)
    with torch.no_grad():
        for number in range(20):
            sizes = [5 + number + axis for axis in range(ndim)]
            input = normal(2 + number % 3, 3, *sizes[:1], *(5,) * (ndim - 1), seed=number)
            assert_same(compiled(input), plain(input))
    # With the first sizes, with one of them changed, with the other changed as well: torch's own network takes as many.
    torch._dynamo.reset()
    theirs = CompileCounter()
    reference = torch.compile(plain, backend=theirs, fullgraph=True, dynamic=dynamic)
    with torch.no_grad():
        for number in range(20):
            reference(normal(2 + number % 3, 3, 5 + number, *(5,) * (ndim - 1)))
    assert counter.frame_count <= theirs.frame_count <= 4


@every_variant
def test_dynamic_sizes_with_gradients(variant: str) -> None:
    ours, plain = networks(2, variant)
    compiled = torch.compile(ours, backend="aot_eager", fullgraph=True, dynamic=True)
    for number in range(4):
        found = []
        for network in (compiled, plain):
            input = normal(2, 3, 5 + number, 6 + 2 * number).requires_grad_()
            found.append(torch.autograd.grad(network(input).square().sum(), input)[0])
        assert_same(*found)


@every_variant
def test_compiled_code_follows_the_weights(variant: str) -> None:
    ours, plain = networks(2, variant)
    compiled = torch.compile(ours, backend="aot_eager", fullgraph=True)
    for network, call in ((ours, compiled), (plain, plain)):
        step = torch.optim.SGD(network.parameters(), lr=0.01)
        for _ in range(3):
            step.zero_grad()
            call(operands(2)[0]).square().mean().backward()
            step.step()
        network.zero_grad()
    with torch.no_grad():
        torch.testing.assert_close(compiled(operands(2)[0]), plain(operands(2)[0]), rtol=1e-11, atol=1e-11)
        winograd.freeze(ours)
        ours.first.weight.mul_(2)
        plain.first.weight.mul_(2)
        torch.testing.assert_close(compiled(operands(2)[0]), plain(operands(2)[0]), rtol=1e-11, atol=1e-11)


@every_variant
def test_compiled_code_takes_channels_last_and_returns_what_it_returns_uncompiled(variant: str) -> None:
    ours, _ = networks(3, variant)
    ours.float()
    compiled = torch.compile(ours, backend="aot_eager", fullgraph=True)
    with torch.no_grad():
        for memory_format in (torch.contiguous_format, torch.channels_last_3d):
            image = operands(3, dtype=torch.float32)[0].to(memory_format=memory_format)
            found, expected = compiled(image), ours(image)
            assert_same(found, expected)
            assert found.stride() == expected.stride()
            assert found.is_contiguous(memory_format=memory_format)


@every_variant
def test_compiled_code_under_autocast(variant: str) -> None:
    ours, plain = networks(2, variant)
    ours, plain = ours.float(), plain.float()
    compiled = torch.compile(ours, backend="aot_eager", fullgraph=True)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        found, expected = compiled(operands(2)[0].float()), plain(operands(2)[0].float())
    assert found.dtype == expected.dtype == torch.bfloat16
    # Two more layers pass on the rounding of the first, and ReLU lets no more through than it gets.
    assert (found.float() - expected.float()).norm() <= 4 * 2.0**-8 * expected.float().norm()


@every_variant
@pytest.mark.parametrize("transform", ["vmap", "grad", "jvp"])
def test_transforms_may_be_compiled(transform: str, variant: str) -> None:
    forced = algorithm(variant, (3, 3))
    image, weight, bias = operands(2)

    def call(convolve: Callable[..., Tensor], **more: Any) -> Callable[[Tensor], Any]:
        def convolved(image: Tensor) -> Tensor:
            return convolve(image, weight, bias, padding=1, **more)

        return {
            "vmap": torch.func.vmap(convolved),
            "grad": torch.func.grad(lambda x: convolved(x).square().sum()),
            "jvp": lambda images: torch.func.jvp(convolved, (images,), (images.cos(),))[1],
        }[transform]

    compiled = torch.compile(call(OURS[2], algorithm=forced), backend="aot_eager", fullgraph=True)
    given = torch.stack([image, -image]) if transform == "vmap" else image
    assert_same(compiled(given), call(torch.conv2d)(given))


@every_variant
@pytest.mark.parametrize(("strict", "ndim"), [(True, 2), *((False, ndim) for ndim in NDIMS)], ids=str)
def test_a_network_is_exported(strict: bool, ndim: int, variant: str) -> None:
    ours, plain = networks(ndim, variant)
    sizes = {0: torch.export.Dim.AUTO, 2: torch.export.Dim.AUTO}
    program = torch.export.export(ours, (operands(ndim)[0],), dynamic_shapes=({**sizes},), strict=strict)
    for batch, size in ((2, 7), (3, 9), (5, 12)):
        image = normal(batch, 3, size, *operands(ndim)[0].shape[3:])
        with torch.no_grad():
            assert_same(program.module()(image), plain(image))
    targets = [str(node.target) for node in program.graph.nodes]
    assert sum("conv" in target for target in targets) == 3


@every_variant
def test_an_exported_program_is_saved_and_loaded(variant: str) -> None:
    ours, plain = networks(2, variant)
    stream = io.BytesIO()
    torch.export.save(torch.export.export(ours, (operands(2)[0],)), stream)
    stream.seek(0)
    loaded = torch.export.load(stream)
    with torch.no_grad():
        assert_same(loaded.module()(operands(2)[0]), plain(operands(2)[0]))
        decomposed = loaded.run_decompositions()
        assert_same(decomposed.module()(operands(2)[0]), plain(operands(2)[0]))


@every_variant
@every_ndim
def test_tracing_and_symbolic_tracing(ndim: int, variant: str) -> None:
    ours, plain = networks(ndim, variant)
    image = operands(ndim)[0]
    for traced in (torch.jit.trace(ours, image), torch.fx.symbolic_trace(ours)):
        with torch.no_grad():
            assert_same(traced(image), plain(image))
            assert_same(traced(image[:1]), plain(image[:1]))


@every_ndim
def test_scripting_is_refused_and_leaves_the_model_as_it_is(ndim: int) -> None:
    converted, plain = networks(ndim, "planned")
    kinds = [type(module) for module in converted.modules()]
    with pytest.raises(RuntimeError, match=r"torch\.jit\.script has no Conv\dd with a plan, give it winograd\.revert_"):
        torch.jit.script(converted)
    assert [type(module) for module in converted.modules()] == kinds
    scripted = torch.jit.script(winograd.revert_(copy.deepcopy(converted)))
    assert_same(scripted(operands(ndim)[0]), plain(operands(ndim)[0]))


def test_the_default_backend_compiles_a_training_step() -> None:
    ours, plain = networks(2, "planned")
    assert_same_training(torch.compile(ours, fullgraph=True), list(ours.parameters()), plain, 2)


def test_a_break_in_the_graph_is_noticed() -> None:
    def broken(input: Tensor) -> Tensor:
        torch._dynamo.graph_break()
        return OURS[1](input, operands(1)[1])

    with pytest.raises(torch._dynamo.exc.Unsupported):
        torch.compile(broken, backend="eager", fullgraph=True)(operands(1)[0])
    counter, weight = CompileCounter(), operands(1)[1]
    static = torch.compile(lambda x: OURS[1](x, weight), backend=counter, dynamic=False)
    for size in range(5, 10):
        static(normal(1, 3, size))
    assert counter.frame_count == 5
