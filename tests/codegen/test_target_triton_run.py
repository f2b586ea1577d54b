"""`run` of emitted Triton files, by Triton's interpreter: layouts, epilogues, direct axes, precisions, workspaces."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest

from winograd import emit, nest, toom_cook
from winograd.algebra.nesting import NestedAlgorithm

if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
    pytest.skip("triton has wheels for Linux on x86-64 and 64-bit Arm alone", allow_module_level=True)

import torch
import triton.language as tl

from tests.codegen.triton_files import interpreted

F11, F13, F23, F43 = toom_cook(1, 1), toom_cook(1, 3), toom_cook(2, 3), toom_cook(4, 3)
PRECISIONS = ("ieee", "tf32x3", "tf32", "float16", "bfloat16")
GUARD = 12345.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("triton")


@pytest.fixture(scope="module")
def f22(folder: Path) -> ModuleType:
    return interpreted(emit(nest(F23, F23), "triton").source, folder)


def integers(shape: Sequence[int], seed: int, largest: int = 3) -> torch.Tensor:
    """Return integers so small that F(2, .) is exact in every precision."""
    return torch.randint(-largest, largest + 1, tuple(shape), generator=torch.Generator().manual_seed(seed)).float()


def direct(x: torch.Tensor, w: torch.Tensor, padding: Sequence[int | tuple[int, int]]) -> torch.Tensor:
    pairs = [pad if isinstance(pad, tuple) else (pad, pad) for pad in padding]
    padded = torch.nn.functional.pad(x.double(), [zero for pair in reversed(pairs) for zero in pair])
    function = (torch.nn.functional.conv1d, torch.nn.functional.conv2d, torch.nn.functional.conv3d)[x.ndim - 3]
    return function(padded, w.double())


def last(x: torch.Tensor) -> torch.Tensor:
    """Return the same numbers with neighbouring channels next to each other."""
    return x.movedim(1, -1).contiguous().movedim(-1, 1)


def guarded(shape: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a tensor with gaps along every axis, and the memory that it is a part of."""
    memory = torch.full([2 * size + 3 for size in shape], GUARD)
    return memory[tuple(slice(2, 2 + 2 * size, 2) for size in shape)], memory


def untouched(memory: torch.Tensor, part: torch.Tensor) -> bool:
    """Return whether what is not a part of the memory is as it was, after the part is set to the guard's number."""
    part.fill_(GUARD)
    return bool((memory == GUARD).all())


MIXED: list[tuple[NestedAlgorithm, tuple[int, ...], tuple]] = [
    (nest(F13), (5,), (1,)),
    (nest(F23, F13), (3, 4), (1, (2, 0))),
    (nest(F13, F23, F23), (3, 3, 2), (1, 1, 1)),
    (nest(F23, F13, F13), (3, 2, 3), (0, 1, 1)),
    (nest(F11, F23, F23), (2, 3, 3), (1, 0, 1)),
    (nest(F13, toom_cook(1, 2), F13), (3, 3, 4), (1, 0, 1)),
]


@pytest.mark.parametrize(("nested", "sizes", "padding"), MIXED, ids=[case[0].label for case in MIXED])
def test_axes_of_one_output_have_their_taps_in_the_product(folder: Path, nested, sizes, padding) -> None:
    module = interpreted(emit(nested, "triton").source, folder)
    assert sum(module.DIRECT) == 3 - len(sizes) + sum(1 in (axis.m, axis.r) for axis in nested.axes)
    assert nested.rank >= module.POSITIONS * module.TAPS
    x, w = integers((2, 3, *sizes), 1), integers((2, 3, *nested.r), 2)
    u = module.transform_filter(w)
    assert tuple(u.shape) == (module.POSITIONS, module.TAPS, 2, 3)
    assert torch.equal(module.run(x, u, padding=padding).double(), direct(x, w, padding))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_small_integers_are_exact_in_every_precision(f22: ModuleType, precision: str) -> None:
    x, w = integers((2, 18, 3, 5), 1), integers((17, 18, 3, 3), 2)
    u = f22.transform_filter(w, precision)
    assert u.shape[-1] == 32  # whole steps of 16 channels
    assert torch.equal(f22.run(last(x), u, padding=1, precision=precision).double(), direct(x, w, (1, 1)))


def test_values_of_16_bits_may_be_odd_in_number(folder: Path) -> None:
    module = interpreted(emit(nest(F13), "triton").source, folder)
    x, w = integers((1, 1, 5), 1), integers((1, 1, 3), 2)
    assert torch.equal(
        module.run(x, module.transform_filter(w, "float16"), precision="float16").double(), direct(x, w, (0,))
    )


def test_precisions_round_what_they_say(f22: ModuleType) -> None:
    x, w = integers((1, 4, 4, 4), 1, 2**20) / 2**20, integers((3, 4, 3, 3), 2, 2**20) / 2**20
    exact = direct(x, w, (0, 0))
    errors = [
        float((f22.run(x, f22.transform_filter(w, one), precision=one).double() - exact).norm() / exact.norm())
        for one in PRECISIONS
    ]
    ieee, split, tf32, half, brain = errors
    # Operands have 24, 22, 11, 11 and 8 bits; sums are of float32 everywhere.
    assert max(ieee, split) < 2.0**-20 < 2.0**-14 < min(tf32, half)
    assert max(tf32, half) < 2.0**-8
    assert 4 < brain / half < 16


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("relu", [False, True])
def test_bias_residual_and_relu(f22: ModuleType, dtype: torch.dtype, relu: bool) -> None:
    x, w, bias = integers((2, 3, 3, 4), 1), integers((5, 3, 3, 3), 2), integers((5,), 3)
    expected = direct(x, w, (1, 1)) + bias.double().reshape(5, 1, 1)
    residual, _ = guarded(expected.shape)
    residual.copy_(integers(expected.shape, 4))
    y = f22.run(
        last(x).to(dtype), f22.transform_filter(w.to(dtype)), bias.to(dtype), 1, residual=residual.to(dtype), relu=relu
    )
    expected = expected + residual
    assert y.dtype == dtype
    assert torch.equal(y.double(), expected.relu() if relu else expected)
    assert bool((expected < 0).any())


def test_any_strides_and_nothing_beside_the_output_is_written(f22: ModuleType) -> None:
    x, w = integers((2, 3, 3, 5), 1), integers((2, 3, 3, 3), 2)
    u, expected = f22.transform_filter(w), direct(x, w, (1, 0))
    spread, memory = guarded(x.shape)
    spread.copy_(x)
    before = memory.clone()
    for source in (x, last(x), spread, x[:1].expand(2, -1, -1, -1)):
        out, around = guarded(expected.shape)
        workspace = torch.full((f22.workspace_bytes(x.shape, 2, (1, 0))[1] + 64,), 77, dtype=torch.uint8)
        found = f22.run(source, u, padding=(1, 0), out=out, workspace=workspace[: workspace.numel() - 64])
        assert found is out
        assert torch.equal(found.double(), expected[[0, 0]] if source.stride(0) == 0 else expected)
        assert untouched(around, out)
        assert bool((workspace[-64:] == 77).all())
    assert torch.equal(memory, before)
    assert f22.run(last(x), u).stride(1) == 1
    assert f22.run(x, u).is_contiguous()


def test_tiles_are_taken_in_as_many_steps_as_the_workspace_asks_for(folder: Path) -> None:
    module = interpreted(emit(nest(F13, F23), "triton").source, folder)
    x, w = integers((2, 3, 2, 5), 1), integers((2, 3, 3, 3), 2)
    u, expected = module.transform_filter(w), direct(x, w, (1, 1))
    least, taken = module.workspace_bytes(x.shape, 2, 1)
    columns = 2 * 3  # images and tiles along the second axis; 4 positions, 2 rows of 3 channels, 2 rows of 2 outputs
    assert (least, taken) == (256 + 4 * 4 * 2 * (3 + 2), 256 + columns * 4 * 4 * 2 * (3 + 2))
    capped = {"workspace_bytes": 256 + 2 * (least - 256)}
    assert module.workspace_bytes(x.shape, 2, 1, config=capped)[1] == capped["workspace_bytes"]
    for options, steps in (
        ({"config": capped}, 3),
        ({"workspace": torch.empty(least, dtype=torch.uint8)}, 6),
        ({"workspace": torch.empty(taken // 4 + 1)}, 1),
    ):
        module._CALLS.clear()
        assert torch.equal(module.run(x, u, padding=1, **options).double(), expected)
        (called,) = module._CALLS.values()
        assert len(called.steps) == steps
    module._CALLS.clear()
    module._KEPT = 5  # less than there are steps: their launches are not kept, or a small workspace takes all memory
    for _ in range(2):
        y = module.run(x, u, padding=1, workspace=torch.empty(least, dtype=torch.uint8))
        assert torch.equal(y.double(), expected)
    assert next(iter(module._CALLS.values())).steps is None
    with pytest.raises(ValueError, match=f"workspace has {least - 1} bytes, must have {least} or more"):
        module.run(x, u, padding=1, workspace=torch.empty(least - 1, dtype=torch.uint8))


def test_meta_parameters_change_no_bit_of_integers(f22: ModuleType) -> None:
    x, w = integers((1, 33, 5, 4), 1), integers((18, 33, 3, 3), 2)
    u, expected = f22.transform_filter(w), direct(x, w, (1, 1))
    others = {"block_t": 16, "block_k": 32, "block_c": 16, "data_warps": 1, "inverse_warps": 2}
    few = {f"few_{one}" for one in ("t", "k", "warps", "stages", "run")}
    assert others.keys() | few | {"warps", "stages", "workspace_bytes"} == f22.DEFAULTS.keys() == f22.SPACE.keys()
    assert all(f22.DEFAULTS[key] in values for key, values in f22.SPACE.items())
    assert torch.equal(f22.run(last(x), u, padding=1, config=others).double(), expected)


FEW = {"few_t": 16, "few_k": 16, "few_run": 3, "block_c": 16}


@pytest.mark.parametrize(
    ("channels", "precision"),
    [(3, "tf32x3"), (16, "tf32x3"), (21, "tf32x3"), (21, "tf32"), (21, "bfloat16")],
    ids=str,
)
def test_filters_of_few_channels_stay_while_rows_change(folder: Path, channels: int, precision: str) -> None:
    module = interpreted(emit(nest(F23), "triton").source, folder)
    module._FEWEST = 1
    x, w = integers((2, channels, 49), 1), integers((18, channels, 3), 2)  # 50 rows: 4 blocks of them, 2 runs
    y = module.run(last(x), module.transform_filter(w, precision), padding=1, precision=precision, config=FEW)
    ((_, product, _),) = next(iter(module._CALLS.values())).steps
    assert product.kernel is module.winograd_few_kernel
    assert product.grid == (4 * 2 * 2, 1, 1)
    assert torch.equal(y.double(), direct(x, w, (1,)))


@pytest.mark.parametrize(
    ("what", "broken"),
    [
        (r"behind = BLOCK_C \+ c < channels", "behind = BLOCK_C + c < BLOCK_C"),
        (r"tl.minimum\(first \+ run, ", "tl.minimum(first + run - 1, "),
        (r"total \+= _few_products\(", "total = _few_products("),
        (r"next_filters \+ split", "next_filters"),
    ],
)
def test_broken_products_of_few_channels_are_noticed(folder: Path, what: str, broken: str) -> None:
    source = emit(nest(F23), "triton").source
    x, w = integers((2, 19, 61), 1, 2**20) / 2**20, integers((2, 19, 3), 2, 2**20) / 2**20
    expected = direct(x, w, (1,))

    def is_right(text: str) -> bool:
        module = interpreted(text, folder)
        module._FEWEST = 1
        u = module.transform_filter(w, "tf32x3")
        workspace = torch.full((module.workspace_bytes(x.shape, 2, 1)[1],), 255, dtype=torch.uint8)  # not a number
        y = module.run(x, u, padding=1, precision="tf32x3", config=FEW, workspace=workspace)
        return float((y.double() - expected).abs().max()) < 2.0**-17

    assert is_right(source)
    changed, found = re.subn(what, broken, source)
    assert found == 1
    assert not is_right(changed)


def test_calls_that_differ_in_anything_are_not_taken_for_each_other(f22: ModuleType) -> None:
    x, w, bias = integers((1, 3, 4, 4), 1), integers((2, 3, 3, 3), 2), integers((2,), 3)
    u, expected = f22.transform_filter(w), direct(x, w, (1, 1))
    shifted = torch.empty(x.numel() + 1)[1:].view(x.shape).copy_(x)  # not where wide loads may begin
    f22._CALLS.clear()
    for _ in range(2):
        for source in (x, last(x), shifted):
            assert torch.equal(f22.run(source, u, padding=1).double(), expected)
        assert torch.equal(f22.run(x, u, bias, 1, relu=True).double(), (expected + bias.reshape(2, 1, 1)).relu())
        assert torch.equal(f22.run(x, u, padding=[1, (1, 1)], residual=x[:, :2]).double(), expected + x[:, :2])
        with pytest.raises(ValueError, match="input requires a gradient"):
            f22.run(x.clone().requires_grad_(), u, padding=1)
        with pytest.raises(TypeError, match="relu is 1, must be True or False"):
            f22.run(x, u, bias, 1, relu=1)
    assert len(f22._CALLS) == 5


def test_places_that_need_64_bits_have_them(f22: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    small, far = torch.empty(2, 3), torch.empty_strided((2, 2), (2**31, 1), device="meta")
    assert f22._index(100, 100, small, None) == tl.int32
    for held, rows, tensor in ((2**31, 1, small), (1, 2**31, small), (1, 1, far)):
        assert f22._index(held, rows, tensor) == tl.int64
    monkeypatch.setattr(f22, "_index", lambda *_: tl.int64)
    x, w = integers((2, 3, 3, 5), 1), integers((2, 3, 3, 3), 2)
    for precision in ("ieee", "tf32x3"):
        f22._CALLS.clear()
        u = f22.transform_filter(w, precision)
        assert torch.equal(f22.run(x, u, padding=1, precision=precision).double(), direct(x, w, (1, 1)))


def test_what_is_not_a_number_stays_so_where_it_was(f22: ModuleType) -> None:
    x, w = integers((1, 2, 6, 6), 1), torch.ones(1, 2, 3, 3)
    x[0, 0, 5, 5] = float("nan")
    for precision in PRECISIONS:
        y = f22.run(x, f22.transform_filter(w, precision), relu=True, precision=precision)[0, 0]
        assert bool(y[3, 3].isnan())
        assert not bool(y[:2, :].isnan().any() | y[:, :2].isnan().any())  # other tiles


X, W = torch.ones(1, 2, 5, 4), torch.ones(3, 2, 3, 3)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"config": {"blocks": 1}}, ValueError, "config has 'blocks'; block_t, block_k, block_c, warps, stages,"),
        ({"config": {"warps": 0}}, ValueError, "config['warps'] is 0, must be an integer of at least 1"),
        ({"relu": 1}, TypeError, "relu is 1, must be True or False"),
        ({"precision": "fp8"}, ValueError, "precision is 'fp8', must be one of ieee, tf32x3, tf32, float16, bfloat16"),
        ({"precision": "tf32x3"}, ValueError, "u has shape (16, 1, 3, 2), must be (2, 16, 1, K, 2) for tf32x3 and"),
        ({"precision": "float16"}, TypeError, "u has dtype torch.float32, must be torch.float16"),
        ({"residual": X}, ValueError, "residual has shape (1, 2, 5, 4), must be (1, 3, 3, 2)"),
        ({"out": X}, ValueError, "out has shape (1, 2, 5, 4), must be (1, 3, 3, 2)"),
        ({"out": torch.ones(1, 1, 3, 2).expand(1, 3, 3, 2)}, ValueError, "out has several elements in one place"),
        ({"out": torch.ones(1, 3, 3, 2).half()}, TypeError, "out has dtype torch.float16, must be torch.float32"),
        ({"bias": torch.ones(6)[::2]}, ValueError, "bias has shape (3,), must be (3,) and contiguous"),
        ({"padding": (1, (0, -1))}, ValueError, "padding is (1, (0, -1)), must be an integer of at least 0, or 2 of"),
        ({"workspace": torch.ones(9, 9).mT[:3]}, ValueError, "workspace is not contiguous, must be"),
    ],
    ids=str,
)
def test_run_refuses(f22: ModuleType, options: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)) as caught:
        f22.run(X, f22.transform_filter(W), **options)
    assert "\n" not in str(caught.value)


def test_filters_are_refused_or_as_they_are_in_float64(f22: ModuleType) -> None:
    with pytest.raises(
        ValueError, match=re.escape("weight has shape (3, 2, 3, 2), must be (K, C) and the taps (3, 3)")
    ):
        f22.transform_filter(W[..., :2])
    w = integers((3, 2, 3, 3), 1, 2**20).double() / 2**20
    assert torch.equal(f22.transform_filter(w.mT.contiguous().mT), f22.transform_filter(w.float()))
    assert f22.transform_filter(W[:, :0]).shape == (16, 1, 3, 0)


BROKEN = {
    "channels of the last step": (r"\[None, :\] < channels", "[None, :] < channels - 1"),
    "the tap of a direct axis": (r"o1 \+ tap", "o1 + 1 + tap"),
    "the edge of a direct axis": (r"\(i1 < size1\)", "(i1 <= size1)"),
    "the small part of a filter": (r"_eleven_bits\(u - high\)", "_eleven_bits(u - u)"),
    "the residual": (r"residual \+ residual_place", "residual + place"),
    "a store behind the output": (r"value, mask=inside\)$", "value, mask=inside | ((place >= 36) & (place < 40)))"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_file_is_noticed(folder: Path, what: str) -> None:
    source = emit(nest(F13, F23), "triton").source
    x, w = integers((2, 3, 3, 3), 1, 2**20) / 2**20, integers((2, 3, 3, 3), 2, 2**20) / 2**20
    expected = direct(x, w, (1, 1))
    residual = last(integers(expected.shape, 3))

    def is_right(text: str) -> bool:
        module = interpreted(text, folder)
        memory = torch.full((2**16,), GUARD)  # room for all that programs without masks would write
        out = memory[2**15 : 2**15 + expected.numel()].view(expected.shape)
        u = module.transform_filter(w, "tf32x3")
        workspace = torch.full((module.workspace_bytes(x.shape, 2, 1)[1],), 255, dtype=torch.uint8)  # not a number
        module.run(x, u, padding=1, residual=residual, precision="tf32x3", out=out, workspace=workspace)
        near = (out.double() - expected - residual).abs().max() < 2.0**-18
        return bool(near) and untouched(memory, out)

    assert is_right(source)
    broken, found = re.subn(*BROKEN[what], source, flags=re.MULTILINE)
    assert found
    assert not is_right(broken)
