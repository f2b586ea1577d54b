"""The emitted torch module: the interpreter's bits, autograd, vmap, dtypes, guards."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import nested_algorithms
from winograd.algebra.nesting import NestedAlgorithm, nest
from winograd.algebra.toom_cook import toom_cook
from winograd.codegen.emit import emit
from winograd.codegen.interpret import interpret
from winograd.codegen.module import python_module
from winograd.codegen.nested import AxisPass, lower_nested
from winograd.codegen.tolerance import float64_tolerance

torch = pytest.importorskip("torch")

F23 = python_module(emit(toom_cook(2, 3), "torch"))
F43_2D = nest(toom_cook(4, 3), toom_cook(2, 3))


def interpreted(x: np.ndarray, passes: Sequence[AxisPass]) -> np.ndarray:
    """Run programs along the last axes of an array, in the order of the passes."""
    for step in passes:
        axis = step.axis - len(passes)
        x = np.stack(interpret(step.program, list(np.moveaxis(x, axis, 0))), axis)
    return x


@given(nested_algorithms(), st.sampled_from(["float32", "float64"]), st.integers(0, 99))
def test_transforms_have_the_interpreters_bits(nested: NestedAlgorithm, dtype: str, seed: int) -> None:
    module, programs = python_module(emit(nested, "torch")), lower_nested(nested)
    generator = np.random.default_rng(seed)
    for stage, sizes in (("filter", nested.r), ("data", nested.tile), ("inverse", nested.ranks)):
        x = generator.standard_normal((2, *sizes)).astype(dtype)
        emitted = getattr(module, f"{stage}_transform")(torch.from_numpy(x)).numpy()
        assert emitted.dtype == x.dtype
        assert emitted.tobytes() == interpreted(x, getattr(programs, stage)).tobytes()


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
    assert float((y - expected).abs().max()) <= float64_tolerance(nested, 9)


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
    assert F23.filter_transform(x).real.tolist() == [1.0, 1.5, 0.5, 1.0]


@pytest.mark.parametrize(("stage", "size"), [("filter_transform", 3), ("data_transform", 4), ("inverse_transform", 4)])
def test_transforms_guard_shape_and_dtype(stage: str, size: int) -> None:
    transform = getattr(F23, stage)
    for shape in ((), (size + 1,), (2, size - 1), (size, 1)):
        with pytest.raises(ValueError, match=re.escape(f"has shape {shape}, its last axes must be ({size},)")):
            transform(torch.zeros(shape))
    for dtype in (torch.int64, torch.bool):
        with pytest.raises(TypeError, match=f"has dtype {dtype}, must be floating or complex"):
            transform(torch.zeros(size, dtype=dtype))


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
    literal = "0.5859375"
    assert source.count(literal) == 2
    if changed:
        source = source.replace(literal, "0.5859376", 1)
    with pytest.raises(SystemExit) as stopped:
        exec(compile(source, "emitted", "exec"), {"__name__": "__main__"})
    assert stopped.value.code == int(changed)
    assert "allowed" in capsys.readouterr().out


def test_axes_with_equal_programs_share_one_function() -> None:
    source = emit(nest(toom_cook(2, 3), toom_cook(4, 3), toom_cook(4, 3)), "torch").source
    assert re.findall(r"^def (_data_\d)", source, re.MULTILINE) == ["_data_1", "_data_0"]
    assert len(emit(nest(*[toom_cook(4, 3)] * 3), "torch").source) < 1.1 * len(emit(toom_cook(4, 3), "torch").source)
