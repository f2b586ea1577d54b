"""The emitted C: clean under -Werror and the sanitizers, right for every instruction set; its self-test can fail."""

from __future__ import annotations

import platform
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.codegen.c_files import COMPILERS, SANITIZED, STRICT, flags_of, self_test
from winograd import crt, emit, nest, toom_cook
from winograd.codegen.interpret import interpret
from winograd.codegen.lower import Lowering
from winograd.codegen.nested import count_passes, lower_nested

BUILDS = {
    "native": ("-O3", "-march=native", "-fopenmp"),
    "avx2": ("-O3", "-mavx2", "-mfma"),
    "plain": ("-O3",),
}

F43 = nest(toom_cook(4, 3))
F43_3D = nest(*[toom_cook(4, 3)] * 3)


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("build", BUILDS)
def test_f43_3d_compiles_cleanly_and_passes_its_self_test(tmp_path: Path, compiler: str, build: str) -> None:
    done = self_test(emit(F43_3D, "c").source, tmp_path, *BUILDS[build], compiler=compiler)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "self-test passed: 14 shapes" in done.stdout


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("lowering", [Lowering(), Lowering(fma=False, transposed=True)])
def test_transforms_of_f43_3d_compile_cleanly_and_pass(tmp_path: Path, compiler: str, lowering: Lowering) -> None:
    source = emit(F43_3D, "c", stage="all", lowering=lowering).source
    done = self_test(source, tmp_path, *SANITIZED, compiler=compiler)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("passed") == 3


@pytest.mark.parametrize("stage", ["data", "filter", "inverse"])
def test_a_single_transform_is_a_complete_file(tmp_path: Path, stage: str) -> None:
    source = emit(nest(toom_cook(2, 3), toom_cook(4, 3)), "c", stage=stage, dtype="float64").source
    done = self_test(source, tmp_path)
    assert done.stdout.startswith(f"self-test of {stage} passed"), done.stdout + done.stderr
    others = {"data", "filter", "inverse"} - {stage}
    assert not any(f"winograd_{other}(" in source for other in others)


@pytest.mark.parametrize(
    "nested",
    [
        nest(toom_cook(1, 1)),
        nest(toom_cook(3, 1), toom_cook(1, 4)),
        nest(toom_cook(2, 3), toom_cook(4, 3), toom_cook(3, 2, [0, 1, -1, 3])),
        nest(toom_cook(2, 3), crt(4, 3, "x,x-1,x+1,x^2+1,inf")),
    ],
    ids=lambda nested: nested.label,
)
def test_other_algorithms_pass_under_the_sanitizers(tmp_path: Path, nested) -> None:
    done = self_test(emit(nested, "c", name="kernel_7").source, tmp_path, *SANITIZED)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_convolution_of_f2x4x4_works_outside_the_repository(tmp_path: Path) -> None:
    kernel = emit(nest(toom_cook(2, 3), toom_cook(4, 3), toom_cook(4, 3)), "c")
    done = self_test(kernel.source, tmp_path, "-O3", "-march=native")
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(re.findall(r"^#include (\S+)", kernel.source, re.MULTILINE)) <= {
        *(f"<{name}.h>" for name in ("immintrin", "math", "omp", "stddef", "stdint", "stdio", "stdlib", "string"))
    }


@pytest.mark.parametrize(("number", "stage", "printed"), [(0, "data", None), (1, "conv", "-2 -2 -2 -2 4\n")])
def test_the_examples_of_the_page_run(tmp_path: Path, number: int, stage: str, printed: str | None) -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "c-target.md"
    example = re.findall(r"^```c\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)[number]
    (tmp_path / "kernel.c").write_text(emit(toom_cook(2, 3, "0,1,-1,inf"), "c", stage=stage).source, encoding="ascii")
    (tmp_path / "example.c").write_text(example, encoding="ascii")
    files = [str(tmp_path / name) for name in ("kernel.c", "example.c")]
    subprocess.run([COMPILERS[0], *STRICT, *files, "-o", str(tmp_path / "example"), "-lm"], check=True)
    done = subprocess.run([str(tmp_path / "example")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (printed or transformed_example())


def transformed_example() -> str:
    """The data transform of the page's three tiles."""
    x = np.arange(1.0, 13.0).reshape(4, 3)
    y = interpret(lower_nested(nest(toom_cook(2, 3, "0,1,-1,inf"))).data[0].program, list(x))
    return "".join(f"{a:g} {b:g} {c:g}\n" for a, b, c in y)


def test_f2_is_exact_on_integers(tmp_path: Path) -> None:
    # Its constants are 0, +-1 and +-1/2 only: no operation on small integers rounds.
    done = self_test(emit(nest(*[toom_cook(2, 3)] * 3), "c").source, tmp_path, *BUILDS["native"])
    assert "largest error 0 of" in done.stdout


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (r"\(winograd_real\)2\.25", "(winograd_real)2.26"),
        (r"const winograd_vector t5 = (.*), t4\);", r"const winograd_vector t5 = \1, -t4);"),
        (r"width >= 0 &&", "width >= 1 &&"),
        (r"begin = winograd_max\(start\[2\], 0\)", "begin = winograd_max(start[2], 1)"),
        (r"mixed\[2 \* i \+ 1\]", "mixed[2 * i]"),
        (r"row \+ k, channel, lanes,", "row + k, channel + 1, lanes,"),
        (r"memset\(rows, 0,", "memset(rows, 63,"),
        (r"value = winograd_relu\(value\)", "value = -winograd_relu(value)"),
        (r"NULL, first > 0, m", "NULL, first > 64, m"),
        (r"(channels < 1 \|\| outputs < 1\)\s+return) -1;", r"\1 0;"),
    ],
)
def test_a_broken_convolution_fails_its_self_test(tmp_path: Path, pattern: str, replacement: str) -> None:
    broken, count = re.subn(pattern, replacement, emit(F43, "c").source, count=1)
    assert count == 1
    done = self_test(broken, tmp_path)
    assert done.returncode == 1
    assert "FAILED" in done.stdout


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (r"\(winograd_real\)-2\.25", "(winograd_real)-2.26"),
        (r"winograd_store\(y \+ \(1\) \* y_stride, lanes, (\w+)\)", r"winograd_store(y + (1) * y_stride, lanes, -\1)"),
        (r"memcpy\(p, &value, \(size_t\)lanes \*", "memcpy(p, &value, NAME_WIDTH *"),
        (r"if \(x_stride < count\)", "if (x_stride < 0)"),
        (r"y == NULL\)", "y == x)"),
    ],
)
def test_a_broken_transform_fails_its_self_test(tmp_path: Path, pattern: str, replacement: str) -> None:
    source = emit(F43, "c", stage="data").source
    broken, count = re.subn(pattern, replacement.replace("NAME", "winograd"), source, count=1)
    assert count == 1
    assert self_test(broken, tmp_path).returncode != 0


def test_the_kernel_is_the_same_text_every_time() -> None:
    assert emit(F43_3D, "c").source == emit(nest(*[toom_cook(4, 3)] * 3), "c").source


@pytest.mark.parametrize("stage", ["conv", "all"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_the_name_prefixes_everything(stage: str, dtype: str) -> None:
    source = emit(F43, "c", name="my_kernel", stage=stage, dtype=dtype).source
    assert "NAME_" not in source
    assert "winograd_" not in source
    assert f"const char *my_kernel_{'convolve' if stage == 'conv' else 'data'}(" in source


def test_the_header_is_not_rewritten_by_the_name() -> None:
    source = emit(F43, "c", name="MY_NAME_X", notes=["see NAME_ and STAGE and X_TYPE here"]).source
    assert "--name MY_NAME_X" in source
    assert "see NAME_ and STAGE and X_TYPE here" in source
    assert "const char *MY_NAME_X_convolve(" in source


def test_names_that_look_like_blanks_of_the_parts(tmp_path: Path) -> None:
    for name in ("STAGE", "X_TYPE", "BODY"):
        done = self_test(emit(nest(toom_cook(2, 3)), "c", name=name, stage="all").source, tmp_path)
        assert done.returncode == 0


def test_instructions_of_nested_transforms() -> None:
    f2, f4 = toom_cook(2, 3, "0,1,-1,inf"), toom_cook(4, 3, "0,1,-1,2,-2,inf")
    mixed, cube = lower_nested(nest(f2, f4, f4)), lower_nested(nest(f4, f4, f4))
    assert [count_passes(passes).instructions for passes in (mixed.data, mixed.inverse)] == [720, 344]
    assert [count_passes(passes).instructions for passes in (cube.data, cube.inverse)] == [1296, 760]


def test_where_float32_decides_nothing_the_self_test_does_not_pass(tmp_path: Path) -> None:
    done = self_test(emit(nest(*[toom_cook(12, 3)] * 2), "c").source, tmp_path)
    assert done.returncode == 3
    assert "undecided" in done.stdout


def test_a_large_tile_that_convolves_nothing_fails_its_self_test(tmp_path: Path) -> None:
    source = emit(nest(toom_cook(12, 3)), "c").source
    broken, count = re.subn(r"buffer\[(.*)\] \+ shift", r"0 * buffer[\1] + shift", source)
    assert count == 2
    assert self_test(source, tmp_path).returncode == 0
    assert self_test(broken, tmp_path).returncode == 1


def assembly(source: str, directory: Path, *flags: str) -> str:
    (directory / "kernel.c").write_text(source, encoding="ascii")
    command = [COMPILERS[0], "-O2", "-mavx", "-mfma", *flags, "-S", "-o", "-", str(directory / "kernel.c")]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("standard", ["c11", "gnu11"])
@pytest.mark.skipif(platform.machine() != "x86_64", reason="reads x86-64 assembly")
def test_products_and_sums_are_fused_where_written_and_nowhere_else(tmp_path: Path, standard: str) -> None:
    source = emit(F43, "c", stage="data").source
    counts = {
        flag: assembly(source, tmp_path, f"-std={standard}", flag).count("vfmadd")
        for flag in ("-ffp-contract=off", "-ffp-contract=fast")
    }
    assert counts["-ffp-contract=off"] == counts["-ffp-contract=fast"] > 0


@pytest.mark.parametrize("stage", ["conv", "all"])
@pytest.mark.skipif(platform.machine() != "x86_64", reason="reads x86-64 assembly")
def test_without_fma_nothing_is_fused(tmp_path: Path, stage: str) -> None:
    source = emit(F43, "c", stage=stage, lowering=Lowering(fma=False)).source
    assert not re.search(r"vfn?m(add|sub)", assembly(source, tmp_path, "-std=c11", "-ffp-contract=fast"))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["-std=c99"], "needs GCC or Clang and C11"),
        (["-std=c11", "-DWINOGRAD_VECTOR_BITS=64"], "WINOGRAD_VECTOR_BITS must be 512, 256, 128 or 1"),
        (["-std=c11", "-DWINOGRAD_VECTOR_BITS=512", "-mno-avx512f"], "WINOGRAD_VECTOR_BITS=512 needs -mavx512f"),
        (["-std=c11", "-DWINOGRAD_VECTOR_BITS=256", "-mno-avx"], "WINOGRAD_VECTOR_BITS=256 needs -mavx2"),
    ],
)
@pytest.mark.skipif(platform.machine() != "x86_64", reason="flags of x86-64")
def test_what_cannot_compile_it_is_told_why(tmp_path: Path, flags: list[str], message: str) -> None:
    (tmp_path / "kernel.c").write_text(emit(F43, "c").source, encoding="ascii")
    command = [COMPILERS[0], *flags, "-c", str(tmp_path / "kernel.c"), "-o", str(tmp_path / "kernel.o")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert message in done.stderr


@pytest.mark.skipif(platform.machine() != "x86_64", reason="reads x86-64 assembly")
@pytest.mark.parametrize(("bits", "wanted", "unwanted"), [(512, "zmm", "%%"), (256, "ymm", "zmm"), (1, "xmm", "ymm")])
def test_a_width_is_chosen_by_a_define(tmp_path: Path, bits: int, wanted: str, unwanted: str) -> None:
    flags_of("avx512")
    source = emit(F43, "c", stage="data").source
    flags = ("-std=c11", "-mavx512f", "-mavx512vl", f"-DWINOGRAD_VECTOR_BITS={bits}", "-fno-tree-vectorize")
    text = assembly(source, tmp_path, *flags)
    assert wanted in text
    assert unwanted not in text
