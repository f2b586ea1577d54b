"""Triton convolutions in one kernel, run by Triton's interpreter: exact, guarded, within the model, noticed if wrong.

How they compile for a GPU is in test_triton_fused_compiled.py.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from winograd import emit, nest, toom_cook
from winograd.accuracy.bounds import error_bound
from winograd.accuracy.tensor_cores import predict_product_error
from winograd.algebra.nesting import NestedAlgorithm

if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
    pytest.skip("triton has wheels for Linux on x86-64 and 64-bit Arm alone", allow_module_level=True)

import torch
import triton.language as tl

from tests.codegen.triton_files import interpreted

F1, F2, F4 = (toom_cook(m, 3) for m in (1, 2, 4))
ALIKE = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}

Load = Callable[..., ModuleType]


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    folder = tmp_path_factory.mktemp("fused")
    found: dict[NestedAlgorithm, ModuleType] = {}

    def loaded(nested: NestedAlgorithm) -> ModuleType:
        if nested not in found:
            found[nested] = interpreted(emit(nested, "triton", schedule="fused").source, folder)
        return found[nested]

    return loaded


def integers(shape: tuple[int, ...], seed: int, most: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-most, most + 1, shape, generator=generator).float()


def channels_last(x: torch.Tensor) -> torch.Tensor:
    return x.movedim(1, -1).contiguous().movedim(-1, 1)


def direct(x: torch.Tensor, w: torch.Tensor, bias: torch.Tensor | None, zeros: list[tuple[int, int]]) -> torch.Tensor:
    function = (torch.nn.functional.conv1d, torch.nn.functional.conv2d, torch.nn.functional.conv3d)[x.ndim - 3]
    padded = torch.nn.functional.pad(x.double(), [zero for pair in reversed(zeros) for zero in pair])
    return function(padded, w.double(), None if bias is None else bias.double())


LAYERS = [
    # axes, (images, channels, outputs), sizes, zeros before and behind, dtype, precision, order of the input
    ((F2,), (2, 3, 5), (7,), [(1, 1)], "float32", "tf32x3", channels_last),
    ((F2,), (1, 35, 17), (4,), [(2, 0)], "float16", "float16", torch.Tensor.contiguous),
    ((F2, F2), (2, 3, 2), (3, 6), [(1, 0), (0, 2)], "bfloat16", "ieee", channels_last),
    ((F1, F2), (1, 16, 3), (4, 5), [(1, 1), (1, 1)], "float32", "bfloat16", lambda x: x.mT.contiguous().mT),
    ((toom_cook(2, 2), toom_cook(1, 1)), (1, 2, 2), (3, 2), [(0, 0), (1, 0)], "float32", "tf32", channels_last),
    ((F1, F2, F2), (1, 2, 3), (2, 3, 4), [(1, 1), (1, 1), (1, 1)], "float32", "tf32x3", channels_last),
    (
        (toom_cook(1, 2), F1, F2),
        (2, 1, 1),
        (3, 3, 3),
        [(0, 0), (0, 1), (1, 0)],
        "float16",
        "ieee",
        torch.Tensor.contiguous,
    ),
    ((F2, F1), (1, 2, 2), (4, 3), [(1, 1), (0, 0)], "float32", "tf32x3", channels_last),
    ((F1, F1), (1, 4, 2), (3, 4), [(1, 1), (1, 1)], "float32", "ieee", channels_last),
]


@pytest.mark.parametrize("layer", LAYERS, ids=[f"{nest(*layer[0]).label}-{layer[4]}-{layer[5]}" for layer in LAYERS])
def test_integers_are_exact(load: Load, layer: tuple) -> None:
    axes, (images, channels, outputs), sizes, zeros, dtype, precision, order = layer
    module = load(nest(*axes))
    x = order(integers((images, channels, *sizes), 1).to(ALIKE[dtype]))
    w, bias = integers((outputs, channels, *(axis.r for axis in axes)), 2), integers((outputs,), 3)
    expected = direct(x, w, bias, zeros)
    residual = integers(tuple(expected.shape), 4).to(ALIKE[dtype])
    u = module.transform_filter(w, precision)
    y = module.run(x, u, bias, zeros, residual=residual, relu=True, precision=precision)
    assert y.dtype == x.dtype
    assert (y.stride(1) == 1) == (x.stride(1) == 1 and channels > 1)
    assert torch.equal(y.double(), (expected + residual.double()).relu())
    plain = module.run(x, u, None, zeros, precision=precision)
    assert torch.equal(plain.double(), direct(x, w, None, zeros))


@pytest.mark.parametrize("axes", [(F4,), (toom_cook(2, 2), F2), (toom_cook(2, 5),)])
def test_random_numbers_are_within_the_worst_case(load: Load, axes: tuple) -> None:
    nested = nest(*axes)
    module = load(nested)
    generator = torch.Generator().manual_seed(0)
    x, w = (2 * torch.rand((2, 19, 6, 9)[: len(axes) + 2], generator=generator) - 1 for _ in range(2))
    w = (2 * torch.rand((3, 19, *nested.r), generator=generator) - 1).float()
    y = module.run(x, module.transform_filter(w), None, 2)
    assert float((y - direct(x, w, None, [(2, 2)] * len(axes))).abs().max()) <= error_bound(nested, channels=19).max_abs


@pytest.mark.parametrize("precision", ["tf32", "float16", "bfloat16"])
def test_operands_are_rounded_as_predicted(load: Load, precision: str) -> None:
    """The interpreter does not cut sums off, but operands decide here: the error is the model's."""
    nested = nest(F2)
    module = load(nested)
    generator = torch.Generator().manual_seed(0)
    x, w = (torch.randn(shape, generator=generator) for shape in ((4, 16, 82), (16, 16, 3)))
    exact = direct(x, w, None, [(0, 0)])
    y = module.run(x, module.transform_filter(w, precision), precision=precision)
    measured = float((y - exact).norm() / exact.norm())
    predicted = predict_product_error(nested, precision, channels=16)
    assert measured == pytest.approx(predicted, rel=0.1)  # 5120 outputs


def guarded(x: torch.Tensor, value: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a tensor like x inside a larger one full of a value, and the larger one."""
    room = torch.full([size + 4 for size in x.shape], value, dtype=x.dtype)
    inside = room[tuple(slice(2, size + 2) for size in x.shape)]
    inside.copy_(x)
    return inside, room


@pytest.mark.parametrize("axes", [(F2, F2), (F1, F2)])
def test_nothing_beside_the_buffers_is_read_or_written(load: Load, axes: tuple) -> None:
    module = load(nest(*axes))
    x, w, bias = integers((1, 3, 5, 7), 1), integers((5, 3, 3, 3), 2), integers((5,), 3)
    expected = module.run(x, module.transform_filter(w), bias, 1)
    poison = float("nan")
    x_inside, _ = guarded(x, poison)
    u_room = torch.cat([torch.full((99,), poison), module.transform_filter(w).flatten(), torch.full((99,), poison)])
    u = u_room[99:-99].view(module.transform_filter(w).shape)
    bias_inside = torch.cat([torch.full((9,), poison), bias, torch.full((9,), poison)])[9:-9]
    residual, _ = guarded(torch.zeros_like(expected), poison)
    out, room = guarded(torch.zeros_like(expected), 77.0)
    y = module.run(x_inside, u, bias_inside, 1, residual=residual, out=out)
    assert y is out
    assert torch.equal(out, expected)
    out.fill_(77.0)
    assert bool((room == 77.0).all())


def test_blocks_and_places_do_not_matter(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    module = load(nest(F2))
    x, w = integers((2, 20, 35), 1), integers((18, 20, 3), 2)
    u = module.transform_filter(w)
    y = module.run(x, u, padding=1)
    small = {"block_k": 16, "block_t": 16, "block_c": 16, "warps": 4, "stages": 1}  # 4 blocks of tiles, 2 of the others
    assert torch.equal(module.run(x, u, padding=1, config=small), y)
    monkeypatch.setattr(module, "_index", lambda *_: tl.int64)
    assert torch.equal(module.run(x, u, padding=1, config=small), y)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("(start2 + 2 < size2)", "(start2 + 1 < size2)"),  # an input that there is not
        ("(start2 + 0 >= 0)", "(start2 + 0 >= -9)"),
        ("put + 1 * target_2", "put + 0 * target_2"),
        ("m1 = _product(", "m2 = _product("),
        ("source + (place + 1 * source_2)", "source + (place + 2 * source_2)"),
        ("plane * 2", "plane * 3"),
    ],
)
def test_a_wrong_instruction_is_noticed(tmp_path: Path, before: str, after: str) -> None:
    source = emit(nest(F2), "triton", schedule="fused").source
    assert before in source
    x, w = integers((3, 3, 7), 1)[1:2], integers((3, 3, 3), 2)
    y, broken = (
        module.run(x, module.transform_filter(w), padding=1)
        for module in (interpreted(source, tmp_path), interpreted(source.replace(before, after), tmp_path))
    )
    assert torch.equal(y.double(), direct(x, w, None, [(1, 1)]))
    assert not torch.equal(y, broken)


def test_what_the_file_says_of_itself(load: Load) -> None:
    nested = nest(F1, F2, F2)
    module = load(nested)
    assert (module.SCHEDULE, module.POSITIONS, module.TAPS, module.SPLIT) == ("fused", 16, 3, False)
    assert module.DEFAULTS.keys() == module.SPACE.keys() == {"block_k", "block_t", "block_c", "warps", "stages"}
    assert all(module.DEFAULTS[name] in values for name, values in module.SPACE.items())
    assert module.workspace_bytes((2, 3, 4, 5, 6), 7, 1) == (0, 0)
    assert module.transform_filter(torch.ones(7, 20, 3, 3, 3), "tf32x3").shape == (16, 3, 7, 32)


def test_the_file_tests_itself(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    assert load(nest(F2))._self_test("ieee") == 0
    assert capsys.readouterr().out.startswith("winograd: ieee: passed, largest error ")


def test_too_many_positions_are_refused() -> None:
    message = r"^schedule 'fused' is for 16 positions of a tile at most, F\(2x2x2,3x3x3\) has 64; 'staged' is for all$"
    with pytest.raises(ValueError, match=message):
        emit(nest(F2, F2, F2), "triton", schedule="fused")


def test_arguments_are_checked(load: Load) -> None:
    module = load(nest(F2))
    x, u = integers((1, 2, 5), 1), module.transform_filter(integers((3, 2, 3), 2))
    with pytest.raises(
        ValueError, match=r"^config has 'data_warps'; block_k, block_t, block_c, warps, stages are allowed$"
    ):
        module.run(x, u, config={"data_warps": 4})
    with pytest.raises(ValueError, match=r"^out has shape \(1, 3, 4\), must be \(1, 3, 3\)$"):
        module.run(x, u, out=torch.empty(1, 3, 4))
    empty = module.run(x[:0], u)
    assert empty.shape == (0, 3, 3)
