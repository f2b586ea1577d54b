"""The emitted C: clean under -Werror and the sanitizers, right for every instruction set; its self-test can fail."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from winograd import crt, emit, nest, toom_cook
from winograd.codegen.nested import count_passes, lower_nested

STRICT = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-DWINOGRAD_SELFTEST"]
SANITIZED = ["-O0", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
BUILDS = {
    "sanitized": SANITIZED,
    "sanitized-native": [*SANITIZED, "-march=native"],
    "native": ["-O3", "-march=native", "-fopenmp"],
    "avx2": ["-O3", "-mavx2", "-mfma"],
    "plain": ["-O3"],
}
COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]

F43_3D = nest(*[toom_cook(4, 3)] * 3)


def self_test(source: str, directory: Path, compiler: str, flags: list[str]) -> subprocess.CompletedProcess[str]:
    program = directory / "selftest"
    (directory / "kernel.c").write_text(source, encoding="ascii")
    command = [compiler, *STRICT, *flags, str(directory / "kernel.c"), "-o", str(program), "-lm"]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    assert built.stderr == ""
    return subprocess.run([str(program)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("build", BUILDS)
def test_f43_3d_compiles_cleanly_and_passes_its_self_test(tmp_path: Path, compiler: str, build: str) -> None:
    done = self_test(emit(F43_3D, "c").source, tmp_path, compiler, BUILDS[build])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "self-test passed: 14 shapes" in done.stdout


@pytest.mark.parametrize(
    "nested",
    [
        nest(toom_cook(2, 3)),
        nest(toom_cook(1, 1)),
        nest(toom_cook(3, 1), toom_cook(1, 4)),
        nest(toom_cook(2, 3), toom_cook(4, 3), toom_cook(3, 2, [0, 1, -1, 3])),
        nest(toom_cook(6, 5), toom_cook(5, 3)),
    ],
    ids=lambda nested: nested.label,
)
def test_other_algorithms_pass_under_the_sanitizers(tmp_path: Path, nested) -> None:
    done = self_test(emit(nested, "c", name="kernel_7").source, tmp_path, COMPILERS[0], BUILDS["sanitized"])
    assert done.returncode == 0, done.stdout + done.stderr


def test_f2_is_exact_on_integers(tmp_path: Path) -> None:
    # Its constants are 0, +-1 and +-1/2 only: no operation on small integers rounds.
    done = self_test(emit(nest(*[toom_cook(2, 3)] * 3), "c").source, tmp_path, COMPILERS[0], BUILDS["native"])
    assert "largest error 0 of" in done.stdout


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (r"\(winograd_real\)2\.25", "(winograd_real)2.26"),
        (r"const winograd_vector t5 = (\w+) \+ (\w+);", r"const winograd_vector t5 = \1 - \2;"),
        (r"width >= 0 &&", "width >= 1 &&"),
        (r"value = winograd_relu\(value\)", "value = -winograd_relu(value)"),
        (r"if \(first > 0\)", "if (first > 64)"),
    ],
)
def test_a_broken_file_fails_its_self_test(tmp_path: Path, pattern: str, replacement: str) -> None:
    source = emit(F43_3D, "c").source
    broken, count = re.subn(pattern, replacement, source, count=1)
    assert count == 1
    done = self_test(broken, tmp_path, COMPILERS[0], BUILDS["plain"])
    assert done.returncode == 1
    assert "FAILED" in done.stdout


def test_the_kernel_is_the_same_text_every_time() -> None:
    assert emit(F43_3D, "c").source == emit(nest(*[toom_cook(4, 3)] * 3), "c").source


def test_the_name_prefixes_everything() -> None:
    source = emit(F43_3D, "c", name="my_kernel").source
    assert "NAME_" not in source
    assert "winograd_" not in source
    assert "void my_kernel_convolve(" in source


def test_instructions_of_nested_transforms() -> None:
    f2, f4 = toom_cook(2, 3, "0,1,-1,inf"), toom_cook(4, 3, "0,1,-1,2,-2,inf")
    mixed, cube = lower_nested(nest(f2, f4, f4)), lower_nested(nest(f4, f4, f4))
    assert [count_passes(passes).instructions for passes in (mixed.data, mixed.inverse)] == [720, 344]
    assert [count_passes(passes).instructions for passes in (cube.data, cube.inverse)] == [1296, 760]


def test_where_float32_decides_nothing_the_self_test_does_not_pass(tmp_path: Path) -> None:
    source = emit(nest(*[toom_cook(12, 3)] * 2), "c").source
    done = self_test(source, tmp_path, COMPILERS[0], BUILDS["plain"])
    assert done.returncode == 3
    assert "self-test undecided" in done.stdout


def test_a_large_tile_that_convolves_nothing_fails_its_self_test(tmp_path: Path) -> None:
    source = emit(nest(toom_cook(12, 3)), "c").source
    broken, count = re.subn(r"value = buffer\[(.*)\] \+ shift;", r"value = 0 * buffer[\1] + shift;", source)
    assert count == 1
    assert self_test(source, tmp_path, COMPILERS[0], BUILDS["plain"]).returncode == 0
    assert self_test(broken, tmp_path, COMPILERS[0], BUILDS["plain"]).returncode == 1


def test_the_header_is_not_rewritten_by_the_name() -> None:
    source = emit(F43_3D, "c", name="MY_NAME_X", notes=["see NAME_ here"]).source
    assert "--name MY_NAME_X" in source
    assert "see NAME_ here" in source
    assert "void MY_NAME_X_convolve(" in source


@pytest.mark.parametrize("standard", ["c11", "gnu11"])
@pytest.mark.skipif(platform.machine() != "x86_64", reason="reads x86-64 assembly")
def test_products_and_sums_are_fused_where_written_and_nowhere_else(tmp_path: Path, standard: str) -> None:
    (tmp_path / "kernel.c").write_text(emit(F43_3D, "c").source, encoding="ascii")
    counts = {}
    for flag in ("-ffp-contract=off", "-ffp-contract=fast"):
        command = [
            COMPILERS[0],
            f"-std={standard}",
            "-O2",
            "-mavx",
            "-mfma",
            flag,
            "-S",
            "-o",
            "-",
            str(tmp_path / "kernel.c"),
        ]
        assembly = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        counts[flag] = assembly.count("vfmadd")
    assert counts["-ffp-contract=off"] == counts["-ffp-contract=fast"] > 0


def test_what_cannot_compile_it_is_told_why(tmp_path: Path) -> None:
    (tmp_path / "kernel.c").write_text(emit(F43_3D, "c").source, encoding="ascii")
    command = [COMPILERS[0], "-std=c99", "-c", str(tmp_path / "kernel.c"), "-o", str(tmp_path / "kernel.o")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "needs GCC or Clang and C11" in done.stderr


def test_superlinear_algorithms_pass_under_the_sanitizers(tmp_path: Path) -> None:
    seven = crt(4, 3, "x,x-1,x+1,x^2+1,inf")
    nine = crt(6, 3, "x,x-2/3,x+2/3,x-3/2,x+3/2,x^2+1,inf")
    source = emit(nest(toom_cook(2, 3), seven, nine), "c").source
    assert self_test(source, tmp_path, COMPILERS[0], BUILDS["sanitized"]).returncode == 0
