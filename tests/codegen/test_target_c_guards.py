"""The emitted C when it is called wrongly, under the sanitizers, and its declarations in other files."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.codegen.c_files import COMPILERS, SANITIZED, STRICT, self_test
from winograd import emit, nest, toom_cook

F23 = nest(toom_cook(2, 3))
INCLUDE = '#define WINOGRAD_DECLARATIONS_ONLY\n#include "kernel.c"\n'
HUGE = "INT64_MAX"

SHAPES = {
    "0, 1, 1, {1, 1, 5}, {0, 0, 1}, {0, 0, 1}, 0, 0, 1, 1": "batch, channels and outputs must be at least 1",
    "1, 1, 1, {1, 0, 5}, {0, 0, 1}, {0, 0, 1}, 0, 0, 1, 1": "size must be at least 1 on every axis",
    "1, 1, 1, {1, 1, 5}, {0, 0, -1}, {0, 0, 1}, 0, 0, 1, 1": "low and high must be at least 0 on every axis",
    "1, 1, 1, {1, 1, 1}, {0, 0, 0}, {0, 0, 1}, 0, 0, 1, 1": "size + low + high is smaller than the filter on an axis",
    "1, 1, 1, {1, 1, 5}, {0, 0, 1}, {0, 0, 1}, 2, 0, 1, 1": "x_channels_first and y_channels_first must be 0 or 1",
    "1, 1, 1, {1, 1, 5}, {0, 0, 1}, {0, 0, 1}, 0, -1, 1, 1": "x_channels_first and y_channels_first must be 0 or 1",
    "1, 1, 1, {1, 1, 5}, {0, 0, 1}, {0, 0, 1}, 0, 0, 3, 1": "schedule must be 0, 1 or 2",
    "1, 1, 1, {1, 1, 5}, {0, 0, 1}, {0, 0, 1}, 0, 0, -1, 1": "schedule must be 0, 1 or 2",
    "1, 1, 1, {1, 1, 5}, {0, 0, 1}, {0, 0, 1}, 0, 0, 1, -1": "block must be at least 0",
    f"1, 1, 1, {{1, 1, 5}}, {{{HUGE}, 1, 1}}, {{0, 0, 1}}, 0, 0, 1, 1": "size + low + high is too large on an axis, ",
    f"1, 1, 1, {{1, 1, {HUGE}}}, {{0, 0, {HUGE}}}, {{0, 0, {HUGE}}}, 0, 0, 0, 0": "size + low + high is too large on ",
    f"1, {HUGE} / 2, 1, {{1, 1, 5}}, {{0, 0, 1}}, {{0, 0, 1}}, 1, 0, 0, 0": "x is too large, batch * size * channels",
    f"{HUGE}, {HUGE}, 1, {{1, 1, 5}}, {{0, 0, 1}}, {{0, 0, 1}}, 0, 0, 0, 0": "x is too large, batch * size * channels ",
    f"1, 1, {HUGE}, {{1, 1, 5}}, {{0, 0, 1}}, {{0, 0, 1}}, 0, 1, 0, 0": "y is too large, batch * output sizes * output",
    "1, 1, 4, {1, 1, 5}, {1LL << 30, 1LL << 30, 1}, {0, 0, 1}, 0, 0, 0, 0": "y is too large, batch * output sizes * ",
    "1, 1LL << 54, 16, {1, 1, 3}, {0, 0, 0}, {0, 0, 0}, 0, 0, 0, 0": "the packed filter is too large, channels * ",
    f"1, 1LL << 40, 1, {{1, 1, 5}}, {{0, 1LL << 40, 0}}, {{0, 0, 0}}, 0, 0, 1, {HUGE}": "workspace is too large, ",
    f"1, 1LL << 40, 1, {{1, 1, 5}}, {{0, 1LL << 40, 0}}, {{0, 0, 0}}, 1, 1, 2, {HUGE}": "workspace is too large, ",
}
"""Shapes of F(2,3) that are refused, and how the text begins."""

DRIVER = f"""
{INCLUDE}
#include <stdio.h>
#include <string.h>
static const struct {{ winograd_shape shape; const char *text; }} cases[] = {{CASES}};
static float x[5], w[3], y[5], u[4096];
static _Alignas(64) float workspace[1 << 20];
int main(void)
{{
    int failed = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {{
        const char *wrong = winograd_convolve(&cases[i].shape, x, u, NULL, NULL, 0, y, workspace, 1);
        const int right = wrong && !strncmp(wrong, cases[i].text, strlen(cases[i].text)) &&
                          winograd_workspace_floats(&cases[i].shape, INT64_MAX) == -1;
        if (!right)
            printf("case %d: %s\\n", (int)i, wrong ? wrong : "taken");
        failed |= !right;
    }}
    static const int64_t bad[][2] = {{{{-1, 5}}, {{5, -1}}, {{0, 1}}, {{INT64_MAX, 1}}, {{1, INT64_MAX}},
                                     {{INT64_MIN, INT64_MIN}}, {{1LL << 40, 1LL << 40}}}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i)
        failed |= winograd_filter_floats(bad[i][0], bad[i][1]) != -1 || !winograd_filter(w, bad[i][0], bad[i][1], u, 1);
    failed |= winograd_workspace_floats(NULL, 1) != -1;
    failed |= !winograd_convolve(NULL, x, u, NULL, NULL, 0, y, workspace, 1);
    static const int64_t threads[] = {{INT64_MIN, -1, 0, 1, 1LL << 31, (1LL << 32) + 1, INT64_MAX}};
    const winograd_shape good = {{1, 1, 1, {{1, 1, 5}}, {{0, 0, 1}}, {{0, 0, 1}}, 0, 0, 0, 0}};
    for (size_t i = 0; i < sizeof threads / sizeof *threads; ++i) {{
        const int64_t floats = winograd_workspace_floats(&good, threads[i]);
        failed |= floats < 1 || floats > (int64_t)(sizeof workspace / sizeof *workspace);
        failed |= winograd_filter(w, 1, 1, u, threads[i]) != NULL;
        failed |= winograd_convolve(&good, x, u, NULL, NULL, 0, y, workspace, threads[i]) != NULL;
    }}
    return failed;
}}
"""


def run(directory: Path, source: str, driver: str, *flags: str) -> subprocess.CompletedProcess[str]:
    """Compile a kernel and a driver by themselves, link them, and run the program."""
    (directory / "kernel.c").write_text(source, encoding="ascii")
    (directory / "driver.c").write_text(driver, encoding="ascii")
    files = [str(directory / name) for name in ("kernel.c", "driver.c")]
    command = [COMPILERS[0], *STRICT, *flags, *files, "-o", str(directory / "program"), "-lm"]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (built.returncode, built.stderr) == (0, "")
    return subprocess.run([str(directory / "program")], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("openmp", [(), ("-fopenmp",)], ids=["one thread", "OpenMP"])
def test_every_wrong_size_is_told_and_nothing_overflows(tmp_path: Path, openmp: tuple[str, ...]) -> None:
    cases = ", ".join(f'{{{{{shape}}}, "{text}"}}' for shape, text in SHAPES.items())
    source = emit(F23, "c").source
    done = run(tmp_path, source, DRIVER.replace("{CASES}", f"{{{cases}}}"), *SANITIZED, *openmp)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_strides_of_tiles_that_no_memory_holds_are_told(tmp_path: Path) -> None:
    driver = f"""
{INCLUDE}
#include <stddef.h>
int main(void)
{{
    float x[4] = {{0}}, y[4];
    return !(winograd_data(x, INT64_MAX, y, 1, 1) && winograd_data(x, 1, y, INT64_MAX, 1) &&
             winograd_data(x, INT64_MAX, y, INT64_MAX, INT64_MAX) && !winograd_data(x, 1, y, 1, 1));
}}
"""
    done = run(tmp_path, emit(F23, "c", stage="data").source, driver, *SANITIZED)
    assert (done.returncode, done.stderr) == (0, "")


def test_zero_lets_the_code_choose_a_schedule_and_how_many_tiles_are_held(tmp_path: Path) -> None:
    """Its choices are among those that can be asked for: all tiles together for a large filter, few at a time else."""
    driver = f"""
{INCLUDE}
#include <stdio.h>
static int64_t floats(int64_t channels, int64_t size, int64_t schedule, int64_t block)
{{
    const winograd_shape s = {{1, channels, 64, {{8, size, size}}, {{1, 1, 1}}, {{1, 1, 1}}, 0, 0, schedule, block}};
    return winograd_workspace_floats(&s, 1);
}}
static int64_t chosen(int64_t channels, int64_t size, int64_t schedule)
{{
    for (int64_t block = 1; block <= 98; ++block)
        if (floats(channels, size, 0, 0) == floats(channels, size, schedule, block))
            return block;
    return 0;
}}
int main(void)
{{
    printf("%d", chosen(512, 16, winograd_STAGED_BLOCKS) >= 16 && !chosen(512, 16, winograd_FUSED_BLOCKS));
    printf("%d", chosen(8, 28, winograd_FUSED_BLOCKS) > 8);
    printf("%d", chosen(1, 4, winograd_FUSED_BLOCKS) == 1);
    printf("%d", floats(512, 16, winograd_STAGED_BLOCKS, 33) == floats(512, 16, winograd_STAGED_BLOCKS, 32));
    printf("%d\\n", floats(512, 16, winograd_STAGED_BLOCKS, 0) == floats(512, 16, 0, 0));
    return 0;
}}
"""
    done = run(tmp_path, emit(nest(*[toom_cook(4, 3)] * 3), "c").source, driver)
    assert done.stdout == "11111\n"


CHANNELS_FIRST = f"""
{INCLUDE}
#include <stdio.h>
static int64_t floats(int64_t x_first, int64_t y_first, int64_t threads)
{{
    const winograd_shape shape = {{1, 4, 4, {{8, 8, 8}}, {{1, 1, 1}}, {{1, 1, 1}}, x_first, y_first, 1, 1}};
    return winograd_workspace_floats(&shape, threads);
}}
int main(void)
{{
    const int64_t last = floats(0, 0, 1), x = floats(1, 0, 1) - last, y = floats(0, 1, 1) - last;
    printf("%d %d %d", (int)x, (int)y, (int)(floats(1, 1, 1) - last));
    printf(" %d\\n", (int)(floats(1, 0, 3) - floats(0, 0, 3)));
    return 0;
}}
"""


@pytest.mark.parametrize(("bits", "width"), [(128, 4), (1, 1)])
def test_channels_first_take_the_rows_of_a_run_and_no_more(tmp_path: Path, bits: int, width: int) -> None:
    flag = f"-DWINOGRAD_VECTOR_BITS={bits}"
    done = run(tmp_path, emit(nest(*[toom_cook(4, 3)] * 3), "c").source, CHANNELS_FIRST, flag)
    # F(4,3) has 6 inputs an axis: rows of one tile, since two have more than fit a vector; lines of 16 numbers.
    gathered, spread = (-(-(side**3) * width // 16) * 16 for side in (6, 4))
    assert done.stdout == f"{gathered} {spread} {gathered} {3 * gathered}\n"


@pytest.mark.parametrize("stage", ["conv", "all"])
@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_several_files_declare_themselves_in_c_and_cpp(tmp_path: Path, stage: str, dtype: str) -> None:
    for name in ("first", "second"):
        (tmp_path / f"{name}.c").write_text(emit(F23, "c", stage=stage, dtype=dtype, name=name).source)
    exported = {"conv": "panel", "all": "data"}[stage]
    lines = ["#define WINOGRAD_DECLARATIONS_ONLY", *('#include "first.c"', '#include "second.c"') * 2]
    lines += [f"void *const kept[] = {{(void *)first_{exported}, (void *)second_{exported}}};", "int main(void)"]
    lines += ["{", "    return kept[0] == kept[1] || sizeof(first_stored) != sizeof(second_stored);", "}"]
    for compiler, ending in (("gcc", "c"), ("g++", "cpp")):
        if shutil.which(compiler) is None:
            continue
        (tmp_path / f"driver.{ending}").write_text("\n".join([*lines, ""]))
        objects = [str(tmp_path / f"{name}.o") for name in ("first", "second", "driver")]
        for name in ("first", "second"):
            subprocess.run([COMPILERS[0], "-std=c11", "-c", f"{name}.c", "-o", f"{name}.o"], check=True, cwd=tmp_path)
        command = [compiler, "-Wall", "-Wextra", "-Werror", "-c", f"driver.{ending}", "-o", "driver.o"]
        subprocess.run(command, check=True, cwd=tmp_path)
        subprocess.run([compiler, *objects, "-o", "program", "-lm"], check=True, cwd=tmp_path)
        assert subprocess.run([str(tmp_path / "program")], check=False).returncode == 0


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++")
def test_a_cpp_compiler_is_told_that_the_file_is_c(tmp_path: Path) -> None:
    (tmp_path / "kernel.cpp").write_text(emit(F23, "c").source)
    done = subprocess.run(
        ["g++", "-c", str(tmp_path / "kernel.cpp"), "-o", str(tmp_path / "kernel.o")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "this file is C, not C++" in done.stderr
    assert "needs GCC" not in done.stderr


def test_a_file_can_be_its_own_header(tmp_path: Path) -> None:
    source = INCLUDE.replace("kernel.c", "whole.c") + '#undef WINOGRAD_DECLARATIONS_ONLY\n#include "whole.c"\n'
    (tmp_path / "whole.c").write_text(emit(F23, "c").source)
    assert self_test(source, tmp_path).returncode == 0
