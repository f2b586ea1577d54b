"""Emitted Triton files, run by Triton's interpreter: right within the bounds, guarded, and noticed when they are wrong.

How they compile for a GPU is in test_target_triton_compiled.py.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tests.codegen.corpus import ALGORITHMS, random_programs, without_fma
from winograd import crt, emit, nest, toom_cook
from winograd.accuracy.bounds import error_bound
from winograd.algebra.nesting import NestedAlgorithm
from winograd.codegen.interpret import interpret
from winograd.codegen.lower import Lowering
from winograd.codegen.nested import AxisPass, lower_nested
from winograd.codegen.program import Node, Op, Program
from winograd.codegen.targets.triton import tile_kernel
from winograd.codegen.targets.triton.printing import FUSED, Transform, position, print_transform
from winograd.codegen.tolerance import transform_tolerance

if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
    pytest.skip("triton has wheels for Linux on x86-64 and 64-bit Arm alone", allow_module_level=True)

import torch

from tests.codegen.triton_files import interpreted

F23, F43 = toom_cook(2, 3), toom_cook(4, 3)
SUPERLINEAR = crt(3, 3, "x,x-1,x+1,x^2+1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("triton")


def uniform(shape: Sequence[int], dtype: torch.dtype, seed: int) -> torch.Tensor:
    return (2 * torch.rand(tuple(shape), generator=torch.Generator().manual_seed(seed)) - 1).to(dtype)


def direct(x: torch.Tensor, w: torch.Tensor, padding: Sequence[int]) -> torch.Tensor:
    function = (torch.nn.functional.conv1d, torch.nn.functional.conv2d, torch.nn.functional.conv3d)[x.ndim - 3]
    return function(x.double(), w.double(), padding=tuple(padding))


def agrees(module: ModuleType, nested: NestedAlgorithm, shapes: tuple, padding: Sequence[int]) -> None:
    """Check a convolution of numbers in (-1, 1), and one with a bias, against float64 and the worst case."""
    images, channels, outputs, sizes = shapes
    x = uniform((images, channels, *sizes), module.DTYPE, 1)
    w = uniform((outputs, channels, *nested.r), module.DTYPE, 2)
    bias = uniform((outputs,), module.DTYPE, 3)
    y = module.convolve(x, w, bias, tuple(padding))
    assert y.dtype == module.DTYPE
    assert y.is_contiguous()
    expected = direct(x, w, padding) + bias.double().reshape(-1, *(1 for _ in sizes))
    # Adding the bias rounds once more, and so does storing in 16 bits.
    exact = error_bound(nested, "float32", channels=max(channels, 1)).max_abs
    allowed = exact + (2.0**-24 + torch.finfo(y.dtype).eps / 2) * (expected.abs() + exact + 2.0**-14)
    assert y.shape == expected.shape
    assert bool(((y.double() - expected).abs() <= allowed).all())


CASES = [
    (nest(F23), "float32", (2, 3, 5, (7,)), (1,)),
    (nest(F43), "float16", (1, 35, 17, (9,)), (0,)),
    (nest(SUPERLINEAR), "float32", (3, 5, 2, (8,)), (5,)),
    (nest(toom_cook(1, 1)), "float32", (1, 2, 3, (4,)), (0,)),
    (nest(F23, F43), "bfloat16", (2, 3, 2, (5, 6)), (2, 0)),
    (nest(F43, crt(2, 3, "x,x-1,x^2+1")), "float16", (1, 2, 3, (6, 3)), (1, 1)),
    (nest(F23, F23, F23), "float32", (1, 3, 2, (3, 5, 4)), (1, 0, 2)),
    (nest(F23, toom_cook(3, 2), toom_cook(2, 1)), "bfloat16", (2, 1, 3, (4, 4, 3)), (0, 1, 0)),
]


@pytest.mark.parametrize(("nested", "dtype", "shapes", "padding"), CASES, ids=[f"{c[0].label}-{c[1]}" for c in CASES])
def test_convolve_is_a_convolution(folder: Path, nested, dtype: str, shapes: tuple, padding: tuple) -> None:
    agrees(interpreted(emit(nested, "triton", dtype=dtype).source, folder), nested, shapes, padding)


def test_what_does_not_fit_one_kernel_or_one_step_is_taken_in_several(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tile_kernel, "MAX_LIVE", 40)
    nested = nest(F43, F23, F23)
    module = interpreted(emit(nested, "triton").source, folder)
    assert (module.DATA_PARTS, module.INVERSE_PARTS, len(module.FILTER_KERNELS)) == (4, 1, 2)
    module.LANES, module.DEFAULTS["workspace_bytes"] = 2, 1  # one tile, and two filters, at a time
    agrees(module, nested, (1, 3, 1, (7, 1, 1)), (0, 1, 1))


def test_a_convolution_follows_the_lowering(folder: Path) -> None:
    nested = nest(F43, F23)
    source = emit(nested, "triton", lowering=Lowering(fma=False)).source
    assert ".fma(" not in source
    assert "lang.fma(" in emit(nested, "triton").source
    agrees(interpreted(source, folder), nested, (1, 2, 2, (5, 4)), (1, 0))


def test_nothing_to_do(folder: Path) -> None:
    module = interpreted(emit(nest(F23, F23), "triton").source, folder)
    for images, outputs in ((0, 2), (2, 0), (0, 0)):
        y = module.convolve(torch.ones(images, 3, 5, 4), torch.ones(outputs, 3, 3, 3), padding=1)
        assert y.shape == (images, outputs, 5, 4)
    bias = torch.tensor([0.5, -2.0])
    y = module.convolve(torch.ones(1, 0, 5, 4), torch.ones(2, 0, 3, 3), bias)
    assert y.tolist() == [[[[number] * 2] * 3 for number in (0.5, -2.0)]]
    assert not module.convolve(torch.ones(1, 1, 0, 4), torch.ones(1, 1, 3, 3), padding=(2, 0)).any()


def test_layout_and_arguments_do_not_matter_and_stay_as_they_were(folder: Path) -> None:
    module = interpreted(emit(nest(F23, F23), "triton").source, folder)
    x, w = uniform((2, 3, 5, 4), torch.float32, 1), uniform((2, 3, 3, 3), torch.float32, 2)
    y = module.convolve(x, w, padding=1)
    for other in (x.to(memory_format=torch.channels_last), x.transpose(2, 3).contiguous().transpose(2, 3)):
        found = module.convolve(other, w.mT.contiguous().mT, padding=[1, 1])
        assert torch.equal(found, y)
        assert found.is_contiguous(memory_format=torch.channels_last) == (other.stride(1) == 1)
    assert torch.equal(x, uniform((2, 3, 5, 4), torch.float32, 1))
    twice = module.convolve(x[:1].expand(2, -1, -1, -1), w, padding=1)
    assert torch.equal(twice, module.convolve(x[[0, 0]], w, padding=1))


X, W = torch.ones(1, 2, 5, 4), torch.ones(3, 2, 3, 3)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((None, W), TypeError, "input is a NoneType, must be a tensor"),
        ((X, W.numpy()), TypeError, "weight is a ndarray, must be a tensor"),
        ((X.double(), W), TypeError, "input has dtype torch.float64, must be torch.float32"),
        ((X, W.half()), TypeError, "weight has dtype torch.float16, must be torch.float32"),
        ((X, W, torch.ones(3).long()), TypeError, "bias has dtype torch.int64, must be torch.float32"),
        ((X, W.to("meta")), ValueError, "weight is on meta, must be on cpu as input is"),
        ((X[0], W), ValueError, "input has shape (2, 5, 4), must be (N, C) and 2 sizes"),
        ((X, W[:, :1]), ValueError, "weight has shape (3, 1, 3, 3), must be (K, 2) and the taps (3, 3)"),
        ((X, W[..., :2]), ValueError, "weight has shape (3, 2, 3, 2), must be (K, 2) and the taps (3, 3)"),
        ((X, W, torch.ones(2)), ValueError, "bias has shape (2,), must be (3,)"),
        ((X, W, None, -1), ValueError, "padding is -1, must be an integer of at least 0, or 2 of them"),
        ((X, W, None, (1, 2, 3)), ValueError, "padding is (1, 2, 3), must be an integer of at least 0, or 2 of them"),
        ((X, W, None, "same"), ValueError, "padding is 'same', must be an integer of at least 0, or 2 of them"),
        ((X, W, None, True), ValueError, "padding is True, must be an integer of at least 0, or 2 of them"),
        ((X[..., :2, :], W), ValueError, "input of sizes (2, 4) and padding 0 is smaller than the taps (3, 3)"),
        ((X.clone().requires_grad_(), W), ValueError, "input requires a gradient, and there is none; call it under"),
    ],
    ids=str,
)
def test_convolve_refuses(folder: Path, arguments: tuple, error: type[Exception], message: str) -> None:
    module = interpreted(_F23_2D.source, folder)
    with pytest.raises(error, match=re.escape(message)) as caught:
        module.convolve(*arguments)
    assert "\n" not in str(caught.value)


_F23_2D = emit(nest(F23, F23), "triton")


def test_convolve_refuses_other_precisions(folder: Path) -> None:
    module = interpreted(_F23_2D.source, folder)
    allowed = "must be one of ieee, tf32x3, tf32, float16, bfloat16"
    with pytest.raises(ValueError, match=f"precision is 'bf16x3', {allowed}"):
        module.convolve(X, W, input_precision="bf16x3")


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("nested", [nest(F43), nest(F23, SUPERLINEAR), nest(F43, F43, F23)], ids=lambda n: n.label)
def test_transforms_without_fma_have_the_interpreters_bits(folder: Path, nested, transposed: bool) -> None:
    lowering = Lowering(fma=False, transposed=transposed)
    module = interpreted(emit(nested, "triton", stage="all", lowering=lowering).source, folder)
    found = lower_nested(nested, lowering)
    for stage in ("data", "filter", "inverse"):
        passes: Sequence[AxisPass] = getattr(found, stage)
        sizes = [step.program.inputs for step in sorted(passes, key=lambda step: step.axis)]
        x = np.random.default_rng(0).standard_normal((*sizes, 2, 65)).astype(np.float32)
        function = getattr(module, f"{stage}_transform{'_transposed' if transposed else ''}")
        expected = x.astype(np.float64 if stage == "filter" else np.float32)
        for step in passes:
            expected = np.stack(interpret(step.program, list(np.moveaxis(expected, step.axis, 0))), step.axis)
        assert np.array_equal(function(torch.from_numpy(x)).numpy(), expected.astype(np.float32))


@pytest.mark.parametrize("stage", ["data", "filter", "inverse"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("transposed", [False, True])
def test_a_stage_is_emitted_alone_and_tests_itself(
    folder: Path, stage: str, dtype: str, transposed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    lowering = Lowering(transposed=transposed)
    source = emit(nest(F43, F23), "triton", stage=stage, dtype=dtype, lowering=lowering, name="alone").source
    module = interpreted(source, folder)
    assert module._self_test() == 0
    name = f"{stage}_transform{'_transposed' if transposed else ''}"
    assert re.fullmatch(rf"alone: {name}: passed, largest error \S+ of that allowed\n", capsys.readouterr().out)
    assert not any(hasattr(module, other) for other in ("convolve", "alone_product_kernel"))
    with pytest.raises(TypeError, match=r"x has dtype torch\.float64, must be torch"):
        getattr(module, name)(torch.ones(1, dtype=torch.float64))


def test_stages_compose_to_a_convolution(folder: Path) -> None:
    nested = nest(F43, F23)
    module = interpreted(emit(nested, "triton", stage="all", dtype="float16").source, folder)
    d, w = uniform((*nested.tile, 3, 7), torch.float16, 1), uniform((*nested.r, 2, 3), torch.float16, 2)
    u, v = module.filter_transform(w), module.data_transform(d)
    assert (u.shape, u.dtype) == ((*nested.ranks, 2, 3), torch.float32)
    y = module.inverse_transform(u @ v)
    assert y.dtype == torch.float16
    expected = direct(d.permute(3, 2, 0, 1), w.permute(2, 3, 0, 1), (0, 0)).permute(2, 3, 1, 0)
    exact = error_bound(nested, "float32", channels=3).max_abs
    assert bool(((y.double() - expected).abs() <= exact + 2.0**-11 * (expected.abs() + exact + 2.0**-14)).all())


@pytest.mark.parametrize(("shape", "message"), [((4,), "(4,)"), ((3, 4, 2), "(3, 4, 2)"), ((), "()")])
def test_transforms_guard_shapes(folder: Path, shape: tuple[int, ...], message: str) -> None:
    module = interpreted(emit(nest(F23, F23), "triton", stage="data").source, folder)
    with pytest.raises(ValueError, match=re.escape(f"x has shape {message}, its first axes must be (4, 4)")):
        module.data_transform(torch.ones(shape))
    assert module.data_transform(torch.ones(4, 4)).shape == (4, 4)
    assert module.data_transform(torch.ones(4, 4, 0, 3)).shape == (4, 4, 0, 3)


BROKEN = {
    "conv": [
        (r"0\.5859375", "0.5860"),
        (r"start2 >= 0", "start2 >= 1"),
        (r"\[None, :\] < channels", "[None, :] < channels // 2"),
        (r"at2_1 = \(start2 \+ 1\)", "at2_1 = (start2 + 2)"),
        (r"value \+= shift", "value -= shift"),
    ],
    "all": [
        (r"tl\.fma\(-0\.390625", "tl.fma(-0.3907"),
        (r"x(\d) \+ x(\d)", r"x\1 - x\2"),
        (r"\* lanes \+ lane, mask", "* lanes + lane // 2, mask"),
    ],
}


@pytest.mark.parametrize("stage", ["conv", "all"])
def test_a_broken_file_fails_its_self_test(folder: Path, stage: str) -> None:
    source = emit(nest(F43) if stage == "conv" else nest(F43, F23), "triton", stage=stage).source
    arguments = ("ieee",) if stage == "conv" else ()
    assert interpreted(source, folder)._self_test(*arguments) == 0
    for pattern, replacement in BROKEN[stage]:
        broken, found = re.subn(pattern, replacement, source, count=1)
        assert found == 1, pattern
        assert interpreted(broken, folder)._self_test(*arguments) == 1, pattern


@pytest.mark.parametrize("precision", ["tf32x3", "tf32", "float16", "bfloat16"])
def test_the_self_test_allows_what_a_precision_rounds_and_not_more(folder: Path, precision: str) -> None:
    source = emit(nest(F43), "triton").source
    assert interpreted(source, folder)._self_test(precision) == 0
    coarse = re.sub(r"0x1000\) & -0x2000\)\.view", "0x40000) & -0x80000).view", source)  # five bits of filters
    assert coarse != source
    assert interpreted(coarse, folder)._self_test(precision) == (1 if precision.startswith("tf32") else 0)


@pytest.mark.parametrize(("nested", "stage"), [(nest(F23), "conv"), (nest(F23, F23), "all")], ids=["conv", "all"])
def test_a_file_runs_by_itself_outside_the_repository(tmp_path: Path, nested, stage: str) -> None:
    (tmp_path / "kernel.py").write_text(emit(nested, "triton", stage=stage).source, encoding="ascii")
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "TRITON_INTERPRET")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "kernel.py"],
        capture_output=True, text=True, check=False, cwd=tmp_path, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "passed, largest error 0 of that allowed" in done.stdout


@pytest.mark.parametrize("name", ["NAME_", "KERNEL_", "tl", "x" * 64])
@pytest.mark.parametrize("stage", ["conv", "all"])
def test_any_name_will_do(folder: Path, name: str, stage: str) -> None:
    source = emit(F23, "triton", stage=stage, name=name).source
    module = interpreted(source, folder)
    assert name == module.NAME
    assert hasattr(module, f"{name}_data_kernel{'_0' * (stage == 'all')}")
    assert module._self_test(*(("ieee",) if stage == "conv" else ())) == 0
    assert max(len(line.replace(name, "")) for line in source.splitlines() if not line.startswith("#")) <= 120


ODD_PROGRAMS = [
    Program(1, (Node(Op.ZERO),), (1, 0)),
    Program(2, (Node(Op.ZERO), Node(Op.SUB, (0, 2)), Node(Op.NEG, (3,))), (4, 4, 1)),
    Program(3, (), (2, 0, 1)),
    Program(1, (), (0,)),
]


def file_of(programs: Sequence[Program]) -> str:
    """Return a file with one kernel for every program."""
    parts = ["import triton\nimport triton.language as tl\n"]
    for number, program in enumerate(programs):
        step = AxisPass(0, program, (program.inputs,))
        parts += print_transform(
            Transform(
                f"program{number}",
                (step,),
                FUSED,
                (1,),
                read=lambda place: f"tl.load({position('source', place, (1,))}, mask=inside, other=0.0)",
                write=lambda place, value: f"tl.store({position('target', place, (1,))}, {value}, mask=inside)",
            )
        )
    return "\n\n".join(parts)


def axis_programs() -> list[Program]:
    """Return the programs of all axes of the corpus of algorithms, with and without multiply-adds, each once."""
    both = [lower_nested(nested, Lowering(fma=fma)) for nested in ALGORITHMS for fma in (True, False)]
    stages = ("data", "filter", "inverse")
    return list(dict.fromkeys(step.program for found in both for stage in stages for step in found.of(stage)))


def test_the_corpus_of_programs_agrees_with_the_interpreter(folder: Path) -> None:
    """Bit for bit without multiply-adds; with them within what rounding may do."""
    programs = [*ODD_PROGRAMS, *axis_programs(), *random_programs(150)]
    module = interpreted(file_of(programs), folder)
    for number, program in enumerate(programs):
        x = np.random.default_rng(number).uniform(-1, 1, (program.inputs, 3)).astype(np.float32)
        y = torch.empty(len(program.outputs), 3)
        ((kernel, _),) = getattr(module, f"PROGRAM{number}_KERNELS")
        kernel[(1,)](torch.from_numpy(x), y, 3, 1, BLOCK=4)
        if without_fma(program):
            assert np.array_equal(y.numpy(), np.stack(interpret(program, list(x))))
        passes = [AxisPass(0, program, (program.inputs,))]
        expected = np.stack(interpret(program, list(x.astype(np.float64))))
        allowed = transform_tolerance(passes, 1, Fraction(1, 2**24)) + transform_tolerance(passes, 1)
        assert np.abs(y.numpy() - expected).max() <= allowed
