"""The emitted torch module: the interpreter's bits, autograd, vmap, dtypes, guards."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import product
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import nested_algorithms, shapes
from winograd.algebra.bilinear import fraction_rows
from winograd.algebra.crt import crt
from winograd.algebra.nesting import NestedAlgorithm, nest
from winograd.algebra.toom_cook import toom_cook
from winograd.codegen.emit import emit
from winograd.codegen.interpret import interpret
from winograd.codegen.lower import Lowering
from winograd.codegen.module import python_module
from winograd.codegen.nested import AxisPass, lower_nested
from winograd.codegen.tolerance import float64_tolerance, transform_tolerance
from winograd.testing import assert_within_bound

torch = pytest.importorskip("torch")
from torch._dynamo.testing import CompileCounterWithBackend  # noqa: E402

F23 = python_module(emit(toom_cook(2, 3), "torch"))
F43_2D = nest(toom_cook(4, 3), toom_cook(2, 3))


def interpreted(x: np.ndarray, passes: Sequence[AxisPass]) -> np.ndarray:
    """Run programs along the last axes of an array, in the order of the passes."""
    for step in passes:
        axis = step.axis - len(passes)
        x = np.stack(interpret(step.program, list(np.moveaxis(x, axis, 0))), axis)
    return x


@settings(max_examples=15)
@given(nested_algorithms(), st.sampled_from(["float32", "float64"]), st.integers(0, 99))
def test_transforms_have_the_interpreters_bits(nested: NestedAlgorithm, dtype: str, seed: int) -> None:
    module, programs = python_module(emit(nested, "torch")), lower_nested(nested, Lowering(fma=False))
    generator = np.random.default_rng(seed)
    for stage, sizes in (("filter", nested.r), ("data", nested.tile), ("inverse", nested.ranks)):
        x = generator.standard_normal((2, *sizes)).astype(dtype)
        emitted = getattr(module, f"{stage}_transform")(torch.from_numpy(x)).numpy()
        assert emitted.dtype == x.dtype
        assert emitted.tobytes() == interpreted(x, getattr(programs, stage)).tobytes()


@settings(max_examples=15)
@given(nested_algorithms(), st.integers(0, 99))
def test_a_tile_is_a_convolution_within_the_bound(nested: NestedAlgorithm, seed: int) -> None:
    module = python_module(emit(nested, "torch"))
    generator = torch.Generator().manual_seed(seed)
    w, d = (torch.randint(-9, 10, sizes, generator=generator).double() for sizes in (nested.r, nested.tile))
    y = module.inverse_transform(module.filter_transform(w) * module.data_transform(d))
    windows = d
    for axis, taps in enumerate(nested.r):
        windows = windows.unfold(axis, taps, 1)
    expected = (windows * w).sum(tuple(range(nested.ndim, 2 * nested.ndim)))
    assert float((y - expected).abs().max()) <= float64_tolerance(nested, 9, lowering=Lowering(fma=False))


@pytest.mark.parametrize("stage", ["filter_transform", "data_transform", "inverse_transform"])
def test_gradients_forward_and_backward(stage: str) -> None:
    module = python_module(emit(F43_2D, "torch"))
    sizes = {"filter_transform": module.R, "data_transform": module.TILE, "inverse_transform": module.RANKS}[stage]
    x = torch.randn(2, *sizes, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    transform = getattr(module, stage)
    assert torch.autograd.gradcheck(transform, (x,), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(transform, (x,))


def test_vmap_meta_and_free_axes_agree() -> None:
    module = python_module(emit(F43_2D, "torch"))
    d = torch.randn(3, 2, *module.TILE, generator=torch.Generator().manual_seed(0))
    v = module.data_transform(d)
    assert v.shape == (3, 2, *module.RANKS)
    assert torch.equal(torch.vmap(module.data_transform)(d), v)
    assert torch.equal(module.data_transform(d[1, 0]), v[1, 0])
    assert torch.equal(module.data_transform(d.transpose(0, 1)), v.transpose(0, 1))
    assert module.data_transform(d.to("meta")).shape == v.shape
    assert module.data_transform(d[:0]).shape == (0, 2, *module.RANKS)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "complex64"])
def test_the_dtype_is_kept(dtype: str) -> None:
    x = torch.ones(3, dtype=getattr(torch, dtype))
    assert F23.filter_transform(x).dtype == x.dtype
    assert F23.filter_transform(x).real.tolist() == [float(sum(row)) for row in fraction_rows(toom_cook(2, 3).g)]


@pytest.mark.parametrize(("stage", "size"), [("filter_transform", 3), ("data_transform", 4), ("inverse_transform", 4)])
def test_transforms_guard_shape_and_dtype(stage: str, size: int) -> None:
    transform = getattr(F23, stage)
    for shape in ((), (size + 1,), (2, size - 1), (size, 1)):
        with pytest.raises(ValueError, match=re.escape(f"has shape {shape}, its last axes must be ({size},)")):
            transform(torch.zeros(shape))
    for dtype in (torch.int64, torch.bool, torch.float8_e4m3fn):
        with pytest.raises(TypeError, match=f"has dtype {dtype}, must be floating or complex"):
            transform(torch.zeros(size, dtype=dtype))


@pytest.mark.parametrize("padding", [True, (False,)])
def test_padding_is_no_truth_value(padding: object) -> None:
    with pytest.raises(ValueError, match=re.escape(f"padding is {padding!r}, must be an integer")):
        F23.convolve(torch.zeros(1, 1, 4), torch.zeros(1, 1, 3), padding=padding)


def test_inputs_are_not_changed_or_shared() -> None:
    x = torch.ones(4)
    y = F23.inverse_transform(x)
    y += 5
    assert x.tolist() == [1.0] * 4
    direct = python_module(emit(toom_cook(1, 3), "torch"))
    direct.data_transform(w := torch.ones(3)).mul_(2)
    assert w.tolist() == [1.0] * 3


@pytest.mark.parametrize("changed", [False, True])
def test_the_self_test_passes_and_can_fail(changed: bool, capsys: pytest.CaptureFixture[str]) -> None:
    source = emit(F43_2D, "torch").source
    if changed:
        source, count = re.subn(r"(\d\.\d+) \* x", lambda found: f"{1.0001 * float(found[1])!r} * x", source, count=1)
        assert count == 1
    with pytest.raises(SystemExit) as stopped:
        exec(compile(source, "emitted", "exec"), {"__name__": "__main__"})
    assert stopped.value.code == int(changed)
    assert "allowed" in capsys.readouterr().out


def rounded(generator: torch.Generator, *shape: int) -> torch.Tensor:
    """Return numbers that 16 bits hold."""
    return torch.randint(-16, 17, shape, generator=generator) / 16


@settings(max_examples=15)
@given(st.data())
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_convolution_is_within_its_bound(dtype: str, data: st.DataObject) -> None:
    nested = data.draw(nested_algorithms())
    shape = data.draw(shapes(nested, max_channels=3))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    options = {"generator": generator, "dtype": getattr(torch, dtype)}
    x = torch.randn(shape.batch, shape.channels, *shape.sizes, **options)
    w = torch.randn(shape.outputs, shape.channels, *nested.r, **options)
    y = python_module(emit(nested, "torch")).convolve(x, w, padding=shape.symmetric_padding)
    assert y.dtype == x.dtype
    assert_within_bound(y, x, w, nested, padding=shape.symmetric_padding)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_16_bits_are_storage_only(dtype: torch.dtype) -> None:
    module, generator = python_module(emit(F43_2D, "torch")), torch.Generator().manual_seed(0)
    x, w, b = rounded(generator, 2, 3, 9, 7), rounded(generator, 4, 3, 3, 3), rounded(generator, 4)
    y = module.convolve(x.to(dtype), w.to(dtype), b.to(dtype), padding=1)
    assert y.dtype == dtype
    assert torch.equal(y, module.convolve(x, w, b, padding=1).to(dtype))


def test_autocast_narrows_nothing_on_the_way() -> None:
    module, generator = python_module(emit(F43_2D, "torch")), torch.Generator().manual_seed(0)
    x, w = rounded(generator, 2, 3, 9, 7), rounded(generator, 4, 3, 3, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = module.convolve(x, w, padding=1)
    assert torch.equal(inside, module.convolve(x, w, padding=1))


def test_numpy_and_torch_agree_on_every_geometry() -> None:
    nested = nest(toom_cook(2, 3), toom_cook(1, 2))  # exact in float64 on small integers
    exact, module = (python_module(emit(nested, target)) for target in ("numpy", "torch"))
    generator = np.random.default_rng(0)
    for extra, padding in product(range(4), (0, 1, (2, 0), [0, 3])):
        x, w = (generator.integers(-9, 10, shape) for shape in ((2, 3, 3 + extra, 4), (2, 3, 3, 2)))
        y = module.convolve(torch.from_numpy(x).double(), torch.from_numpy(w).double(), padding=padding)
        assert y.tolist() == exact.convolve(x, w, padding=padding).tolist()


def test_empty_batches_channels_and_outputs() -> None:
    for n, c, k in product((0, 2), repeat=3):
        y = F23.convolve(torch.ones(n, c, 6), torch.ones(k, c, 3))
        assert y.shape == (n, k, 4)
        assert (y == 3 * c).all()


def test_the_convolution_has_gradients_forward_and_backward() -> None:
    module, generator = python_module(emit(F43_2D, "torch")), torch.Generator().manual_seed(0)
    options = {"generator": generator, "dtype": torch.float64, "requires_grad": True}
    arguments = [torch.randn(shape, **options) for shape in ((1, 2, 6, 4), (2, 2, 3, 3), (2,))]

    def convolved(*arguments: torch.Tensor) -> torch.Tensor:
        return module.convolve(*arguments, padding=(0, 1))

    assert torch.autograd.gradcheck(convolved, arguments, check_forward_ad=True, fast_mode=True)
    assert torch.autograd.gradgradcheck(convolved, arguments, fast_mode=True)


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_the_convolution_compiles_into_one_graph(backend: str) -> None:
    torch._dynamo.reset()
    module, generator = python_module(emit(nest(toom_cook(2, 3), toom_cook(1, 2)), "torch")), torch.Generator()
    counter = CompileCounterWithBackend(backend)
    compiled = torch.compile(module.convolve, backend=counter, fullgraph=True)
    options = {"generator": generator.manual_seed(0), "requires_grad": True}
    x, w = torch.randn(2, 3, 9, 7, **options), torch.randn(4, 3, 3, 2, **options)
    y = compiled(x, w, padding=1)
    assert counter.frame_count == 1
    assert torch.equal(y, module.convolve(x, w, padding=1))
    found = torch.autograd.grad(y.square().sum(), (x, w))
    expected = torch.autograd.grad(module.convolve(x, w, padding=1).square().sum(), (x, w))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_other_sizes_do_not_compile_again_without_end() -> None:
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("eager")
    compiled = torch.compile(F23.convolve, backend=counter, fullgraph=True)
    w = torch.ones(2, 2, 3)
    for size in range(8, 28):
        x = torch.arange(2.0 * size).reshape(1, 2, size)
        assert torch.equal(compiled(x, w, padding=1), F23.convolve(x, w, padding=1))
    assert counter.frame_count <= 3


def test_the_convolution_runs_under_vmap_and_on_meta() -> None:
    module, generator = python_module(emit(F43_2D, "torch")), torch.Generator().manual_seed(0)
    x, w = torch.randn(3, 2, 2, 7, 6, generator=generator), torch.randn(4, 2, 3, 3, generator=generator)
    separate = torch.stack([module.convolve(one, w) for one in x])
    torch.testing.assert_close(torch.vmap(module.convolve, in_dims=(0, None))(x, w), separate)
    assert module.convolve(x[0].to("meta"), w.to("meta"), padding=1).shape == (2, 4, 7, 6)


def test_any_layout_is_taken_and_nothing_is_changed() -> None:
    module, generator = python_module(emit(F43_2D, "torch")), torch.Generator().manual_seed(0)
    x, w = torch.randn(2, 3, 8, 9, generator=generator), torch.randn(4, 3, 3, 3, generator=generator)
    expected, before = module.convolve(x, w), x.clone()
    for other in (x.to(memory_format=torch.channels_last), x.mT.contiguous().mT, torch.stack([x, x], -1)[..., 1]):
        torch.testing.assert_close(module.convolve(other, w), expected)
    one = x[:1, :1]
    torch.testing.assert_close(module.convolve(one.expand(2, 3, 8, 9), w), module.convolve(one.repeat(2, 3, 1, 1), w))
    assert torch.equal(x, before)


@pytest.mark.parametrize(
    ("x", "w", "padding", "message"),
    [
        ((3, 5), (1, 3, 3), 0, r"input has shape \(3, 5\), must be \(N, C\) and 1 sizes"),
        ((1, 3, 5, 5), (1, 3, 3), 0, "input has shape"),
        ((1, 3, 5), (3, 3), 0, r"weight has shape \(3, 3\), must be \(K, 3\) and the taps \(3,\)"),
        ((1, 3, 5), (1, 2, 3), 0, "weight has shape"),
        ((1, 3, 5), (1, 3, 2), 0, "weight has shape"),
        ((1, 3, 5), (1, 3, 3), -1, "padding is -1, must be"),
        ((1, 3, 5), (1, 3, 3), (1, 1), r"padding is \(1, 1\), must be .* or 1 of them"),
        ((1, 3, 5), (1, 3, 3), 0.5, "padding is 0.5"),
        ((1, 3, 5), (1, 3, 3), "same", "padding is 'same'"),
        ((1, 3, 2), (1, 3, 3), 0, "smaller than the taps"),
        ((1, 3, 0), (1, 3, 3), 1, "smaller than the taps"),
    ],
)
def test_wrong_shapes_are_named(x: tuple[int, ...], w: tuple[int, ...], padding: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        F23.convolve(torch.zeros(x), torch.zeros(w), padding=padding)


def test_wrong_dtypes_are_named() -> None:
    x, w = torch.zeros(1, 3, 5), torch.zeros(1, 3, 3)
    with pytest.raises(TypeError, match=r"weight has dtype torch.float64, must be torch.float32, which input has"):
        F23.convolve(x, w.double())
    with pytest.raises(TypeError, match=r"bias has dtype torch.int64, must be floating or complex"):
        F23.convolve(x, w, torch.zeros(1, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"bias has shape \(3,\), must be \(1,\)"):
        F23.convolve(x, w, torch.zeros(3))
    with pytest.raises(TypeError, match=r"input has dtype torch.int64, must be floating or complex"):
        F23.convolve(x.long(), w.long())
    with pytest.raises(TypeError, match=r"weight is a list, must be a tensor"):
        F23.convolve(x, w.tolist())


@pytest.mark.parametrize("nested", [F43_2D, nest(crt(4, 3, "x,x-1,x+1,x^2+1,inf"))], ids=lambda nested: nested.label)
def test_transposed_transforms_are_the_gradients(nested: NestedAlgorithm) -> None:
    forward = python_module(emit(nested, "torch", stage="all"))
    transposed = python_module(emit(nested, "torch", stage="all", lowering=Lowering(transposed=True)))
    programs = [lower_nested(nested, Lowering(fma=False, transposed=t)) for t in (False, True)]
    for stage, sizes in (("filter", nested.r), ("data", nested.tile), ("inverse", nested.ranks)):
        x = torch.randint(-9, 10, (5, *sizes), generator=torch.Generator().manual_seed(0)).double()
        y, pull = torch.func.vjp(getattr(forward, f"{stage}_transform"), x)
        g = torch.randint(-9, 10, y.shape, generator=torch.Generator().manual_seed(1)).double()
        found = getattr(transposed, f"{stage}_transform_transposed")(g)
        # Autograd runs the program backwards: no more roundings a node, and sums over as many values as there are.
        allowed = sum(transform_tolerance(getattr(one, stage), 9) for one in programs)
        assert (found - pull(g)[0]).abs().max() <= allowed * prod(y.shape[1:])


def test_axes_with_equal_programs_share_one_function() -> None:
    source = emit(nest(toom_cook(2, 3), toom_cook(4, 3), toom_cook(4, 3)), "torch").source
    assert re.findall(r"^def (_data_\d)", source, re.MULTILINE) == ["_data_1", "_data_0"]
    assert len(emit(nest(*[toom_cook(4, 3)] * 3), "torch").source) < 1.1 * len(emit(toom_cook(4, 3), "torch").source)
