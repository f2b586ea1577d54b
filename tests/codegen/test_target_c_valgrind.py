"""Valgrind on the AVX2 build of F(4,4,4): memory that is read and written, and instructions that are executed.

Where there is no valgrind, these tests are skipped; docs/c-target.md says how to run them by hand.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.codegen.c_files import COMPILERS, STRICT, flags_of
from winograd import emit, nest, toom_cook
from winograd.codegen.nested import count_passes, lower_nested

pytestmark = pytest.mark.skipif(shutil.which("valgrind") is None, reason="no valgrind")

F43_3D = nest(*[toom_cook(4, 3)] * 3)
LIMIT = 1.25
VECTORS = 40

DRIVER = f"""
#include <stddef.h>
#include <stdint.h>
const char *winograd_data(const float *, int64_t, float *, int64_t, int64_t);
enum {{ COUNT = 8 * {VECTORS} }};
static float x[216 * COUNT], y[216 * COUNT];
int main(void)
{{
    return winograd_data(x, COUNT, y, COUNT, COUNT) != NULL;
}}
"""


def built(directory: Path, sources: dict[str, str], *flags: str) -> Path:
    for name, source in sources.items():
        (directory / name).write_text(source, encoding="ascii")
    program = directory / "program"
    files = [str(directory / name) for name in sources]
    subprocess.run([COMPILERS[0], *STRICT, "-O3", *flags, *files, "-o", str(program), "-lm"], check=True)
    return program


def instructions(directory: Path, source: str) -> float:
    """Return the instructions that the data transform executes per vector of eight tiles."""
    return executed(directory, {"kernel.c": source, "driver.c": DRIVER})


def executed(directory: Path, sources: dict[str, str]) -> float:
    """Return the instructions that winograd_data executes in a program that treats so many vectors."""
    program = built(directory, sources, *flags_of("avx2"))
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={directory / 'out'}"]
    done = subprocess.run(
        [*command, "--toggle-collect=winograd_data", str(program)], capture_output=True, text=True, check=True
    )
    found = re.search(r"Collected : (\d+)", done.stderr)
    assert found, done.stderr
    return int(found[1]) / VECTORS


@pytest.mark.parametrize("stage", ["conv", "all"])
def test_memory_is_used_as_it_should_be(tmp_path: Path, stage: str) -> None:
    source = emit(F43_3D, "c", stage=stage).source
    program = built(tmp_path, {"kernel.c": source}, "-g", "-DWINOGRAD_SELFTEST", *flags_of("avx2"))
    command = ["valgrind", "-q", "--error-exitcode=9", "--leak-check=full", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_data_transform_executes_few_instructions_besides_the_programs(tmp_path: Path) -> None:
    passes = lower_nested(F43_3D).data
    moves = sum(step.runs * (step.program.inputs + len(step.program.outputs)) for step in passes)
    program = count_passes(passes).instructions + moves
    executed = instructions(tmp_path, emit(F43_3D, "c", stage="data").source)
    assert program < executed <= LIMIT * program


def test_the_limit_is_left_by_loops_that_are_not_written_out(tmp_path: Path) -> None:
    source = re.sub(r"winograd_UNROLL\(\d\)\n", "\n", emit(F43_3D, "c", stage="data").source)
    passes = lower_nested(F43_3D).data
    moves = sum(step.runs * (step.program.inputs + len(step.program.outputs)) for step in passes)
    assert instructions(tmp_path, source) > LIMIT * (count_passes(passes).instructions + moves)


CONVOLUTION = f"""
#include "convolution.c"
__attribute__((noinline)) void winograd_data(const float *const *x, float *v, int64_t stride, winograd_vector *buffer)
{{
    winograd_data_tile(x, 0, winograd_WIDTH, v, stride, buffer);
}}
int main(void)
{{
    static const float zeros[8], *x[216];
    static float v[216 * 336];
    static winograd_vector buffer[216];
    static volatile int64_t stride = 336;
    for (int i = 0; i < 216; ++i)
        x[i] = zeros;
    for (int i = 0; i < {VECTORS}; ++i)
        winograd_data(x, v, stride, buffer);
    return v[0] > 0;
}}
"""


def test_a_convolutions_data_transform_executes_what_the_page_says(tmp_path: Path) -> None:
    (tmp_path / "convolution.c").write_text(emit(F43_3D, "c").source, encoding="ascii")
    assert 1.25 * 2592 < executed(tmp_path, {"driver.c": CONVOLUTION}) <= 1.4 * 2592
