"""The emitted C on ragged sizes under the sanitizers: both schedules, blocks of any size, one to four threads.

Every buffer lies between two pages that nobody may touch, at the end of what is between them or at its start; inputs
can only be read, and workspace and output begin as NaNs. All runs give the bits of the first, and the self-test of the
same program says that these are right. The sanitizer of threads runs with an OpenMP of our own (openmp.c): it takes
everything behind a barrier of GCC's, which it cannot see, for a race.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.codegen.c_files import COMPILERS, SANITIZED, STRICT, flags_of
from winograd import best, emit, nest, toom_cook
from winograd.algebra.nesting import NestedAlgorithm

GUARDS = """
static int64_t runs, failures;

/* Bytes between two pages that may not be touched; what is left of the pages between stays 0xff. */
typedef struct {
    unsigned char *pages, *start;
    size_t inner, bytes;
} guarded;

static size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static guarded guard(size_t bytes, size_t alignment, int at_end)
{
    const size_t page = page_bytes(), inner = (bytes + page - 1) / page * page;
    unsigned char *outer = mmap(NULL, inner + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (outer == MAP_FAILED || mprotect(outer + page, inner, PROT_READ | PROT_WRITE))
        exit(2);
    memset(outer + page, 0xff, inner);
    const size_t offset = at_end ? (inner - bytes) / alignment * alignment : 0;
    return (guarded){outer + page, outer + page + offset, inner, bytes};
}

static void *copied(guarded memory, const void *source)
{
    memcpy(memory.start, source, memory.bytes);
    mprotect(memory.pages, memory.inner, PROT_READ);
    return memory.start;
}

static void release(guarded memory)
{
    for (unsigned char *p = memory.pages; p < memory.pages + memory.inner; ++p)
        if ((p < memory.start || p >= memory.start + memory.bytes) && *p != 0xff)
            ++failures;
    munmap(memory.pages - page_bytes(), memory.inner + 2 * page_bytes());
}
"""
"""Memory between pages that nobody may touch, in C."""

DRIVER = (
    """
#define _GNU_SOURCE
#define WINOGRAD_SELFTEST
#define main self_test
#include "kernel.c"
#undef main
#include <sys/mman.h>
#include <unistd.h>

static const winograd_shape shapes[] = {SHAPES};
static const int64_t blocks[] = {1, 2, 5, 13, 1000};
enum { LARGE = 10000 }; /* outputs of which only the last two blocks are run */
"""
    + GUARDS
    + """
static void *numbers(int64_t count, size_t each, unsigned seed)
{
    void *values = malloc((size_t)count * each);
    for (int64_t i = 0; i < count; ++i) {
        const unsigned number = ((unsigned)i + seed) * 2654435761u >> 12;
        const winograd_stored stored = STORED(number);
        const winograd_real real = (winograd_real)(int)(number % 17) - 8;
        memcpy((char *)values + (size_t)i * each, each == sizeof stored ? (const void *)&stored : &real, each);
    }
    return values;
}

static int64_t voxels(const winograd_shape *s, int is_output)
{
    static const int64_t taps[3] = {TAPS};
    int64_t count = s->batch;
    for (int axis = 0; axis < 3; ++axis)
        count *= s->size[axis] + (is_output ? s->low[axis] + s->high[axis] - taps[axis] + 1 : 0);
    return count;
}

typedef struct {
    winograd_stored *x, *w, *residual;
    winograd_real *bias;
    int shifts, adds, relu;
} operands;

/* One convolution, the filter included, all of it between guards; the output is copied to y, or compared with it. */
static void run(winograd_shape s, const operands *given, int64_t threads, int at_end, void *y, int compares)
{
    const size_t stored = sizeof(winograd_stored), real = sizeof(winograd_real);
    const size_t out = (size_t)(voxels(&s, 1) * s.outputs) * stored;
    const guarded x = guard((size_t)(voxels(&s, 0) * s.channels) * stored, stored, at_end);
    const guarded w = guard((size_t)(s.outputs * s.channels * (TAP_PRODUCT)) * stored, stored, at_end);
    const guarded residual = guard(out, stored, at_end), result = guard(out, stored, at_end);
    const guarded bias = guard((size_t)s.outputs * real, real, at_end);
    const guarded u = guard((size_t)winograd_filter_floats(s.channels, s.outputs) * real, real, at_end);
    const guarded workspace = guard((size_t)winograd_workspace_floats(&s, threads) * real, 64, at_end);
    const char *wrong = winograd_filter(copied(w, given->w), s.channels, s.outputs, (winograd_real *)(void *)u.start,
                                        threads);
    mprotect(u.pages, u.inner, PROT_READ);
    const winograd_stored *added = copied(residual, given->residual);
    const winograd_real *shift = copied(bias, given->bias);
    if (!wrong)
        wrong = winograd_convolve(&s, copied(x, given->x), (winograd_real *)(void *)u.start,
                                  given->shifts ? shift : NULL, given->adds ? added : NULL, given->relu,
                                  (winograd_stored *)(void *)result.start,
                                  (winograd_real *)(void *)workspace.start, threads);
    if (!compares)
        memcpy(y, result.start, out);
    ++runs;
    failures += wrong != NULL || memcmp(y, result.start, out);
    release(x), release(w), release(residual), release(result), release(bias), release(u), release(workspace);
}

static void run_all(winograd_shape s, int number)
{
    const size_t stored = sizeof(winograd_stored);
    operands given = {numbers(voxels(&s, 0) * s.channels, stored, 1),
                      numbers(s.outputs * s.channels * (TAP_PRODUCT), stored, 2),
                      numbers(voxels(&s, 1) * s.outputs, stored, 3),
                      numbers(s.outputs, sizeof(winograd_real), 4),
                      number % 3 > 0, number % 2, number % 2};
    void *y = malloc((size_t)(voxels(&s, 1) * s.outputs) * stored);
    s.schedule = 1, s.block = 1;
    run(s, &given, 1, 0, y, 0);
    for (int64_t i = 0; i < voxels(&s, 1) * s.outputs; ++i)
        failures += !isfinite(winograd_widen(((winograd_stored *)y)[i]));
    for (s.schedule = 1; s.schedule <= 2; ++s.schedule)
        for (size_t i = voxels(&s, 1) > LARGE ? 3 : 0; i < sizeof blocks / sizeof *blocks; ++i)
            for (int64_t threads = 1; threads <= 4; ++threads) {
                s.block = blocks[i];
                run(s, &given, threads, (int)(threads + (int64_t)i) % 2, y, 1);
            }
    free(given.x), free(given.w), free(given.residual), free(given.bias), free(y);
}

int main(void)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; ++i)
        run_all(shapes[i], (int)i);
    printf("%d runs, %d failures\\n", (int)runs, (int)failures);
    return failures ? 1 : self_test();
}
"""
)

F43 = nest(*[toom_cook(4, 3)] * 2)
ALGORITHMS = {
    "F(4,5)": nest(toom_cook(4, 5)),
    "F(4x4,3x3)": F43,
    "F(1x4x4,1x3x3)": nest(toom_cook(1, 1), *[toom_cook(4, 3)] * 2),
    "F(2x4x3,3x3x3)": nest(*(toom_cook(m, 3) for m in (2, 4, 3))),
    "F(4x4,3x3) with 49 products": nest(*[best(4, 3, products=7)] * 2),
    "F(2x1x3,5x1x3)": nest(toom_cook(2, 5), toom_cook(1, 1), toom_cook(3, 3)),
}
STORED = {
    "float32": "(winograd_stored)((int)(number % 17) - 8)",
    "float16": "(winograd_stored)(0x3800u + number % 1024u)",
    "bfloat16": "(winograd_stored)(0x3f00u + number % 128u)",
}
"""Numbers as they are stored: small integers, and any of 16 bits from 1/2 to 1."""

CHANNELS = [(1, 1), (3, 33), (17, 5), (70, 70), (65, 16), (64, 32)]
STREAMED = "{.batch = 1, .channels = 1, .outputs = 64, .size = {1, 1, 65552}, .low = {0, 0, 4}, .high = {0, 0, 1}}"
"""Outputs of more than 16 MiB, which are written past the caches."""


def shapes(nested: NestedAlgorithm) -> list[str]:
    """Return shapes as C writes them: from one input on an axis to two tiles and a part, padded on one side or both."""
    written = []
    for number, (channels, outputs) in enumerate(CHANNELS):
        axes = []
        for axis, (m, r) in enumerate(zip(nested.m, nested.r, strict=True)):
            low, high = (number + axis) % r, number // 2 % r
            wanted = 1 + (number * 2 + axis) % (2 * m + 1 if axis + 1 == nested.ndim else m + 1)
            axes.append((max(wanted + r - 1 - low - high, 1), low, max(high, r - 1 - low - wanted + 1)))
        missing = [(1, 0, 0)] * (3 - nested.ndim)
        size, low, high = (", ".join(map(str, triple)) for triple in zip(*missing, *axes, strict=True))
        counts = f".batch = {1 + number % 3}, .channels = {channels}, .outputs = {outputs}"
        for x_first, y_first in ((0, 0), (1, number % 2)):
            layout = f".x_channels_first = {x_first}, .y_channels_first = {y_first}"
            written.append(f"{{{counts}, {layout}, .size = {{{size}}}, .low = {{{low}}}, .high = {{{high}}}}}")
    return written + [STREAMED] * (nested.ndim == 1)


def program(directory: Path, nested: NestedAlgorithm, dtype: str, *flags: str, source: str = "") -> Path:
    """Compile a kernel, or another source of it, with the driver, without any warning."""
    taps = [*(1,) * (3 - nested.ndim), *nested.r]
    driver = DRIVER.replace("{SHAPES}", f"{{{', '.join(shapes(nested))}}}").replace("STORED(number)", STORED[dtype])
    driver = driver.replace("{TAPS}", f"{{{', '.join(map(str, taps))}}}").replace(
        "TAP_PRODUCT", " * ".join(map(str, taps))
    )
    (directory / "kernel.c").write_text(source or emit(nested, "c", dtype=dtype).source, encoding="ascii")
    (directory / "driver.c").write_text(driver, encoding="ascii")
    command = [COMPILERS[0], *STRICT, *flags, "-fopenmp", str(directory / "driver.c"), "-lm"]
    return compiled(command, directory / "program")


def compiled(command: list[str], target: Path) -> Path:
    done = subprocess.run([*command, "-o", str(target)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return target


def check(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    done = subprocess.run([str(built)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert " runs, 0 failures\nself-test passed" in done.stdout


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        *((name, "float32") for name in ALGORITHMS),
        ("F(4x4,3x3)", "float16"),
        ("F(2x4x3,3x3x3)", "bfloat16"),
    ],
)
def test_ragged_sizes_under_the_sanitizers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, dtype: str
) -> None:
    check(program(tmp_path, ALGORITHMS[name], dtype, *SANITIZED, *flags_of("native")), monkeypatch)


@pytest.mark.parametrize(
    ("name", "dtype", "build"),
    [("F(2x4x3,3x3x3)", "float32", "native"), ("F(4x4,3x3)", "float16", "avx2"), ("F(4,5)", "float32", "scalar")],
)
def test_ragged_sizes_as_they_are_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, dtype: str, build: str
) -> None:
    check(program(tmp_path, ALGORITHMS[name], dtype, "-O3", *flags_of(build)), monkeypatch)


@pytest.mark.parametrize(
    ("sound", "broken"),
    [
        ("width < x->size[2]", "width <= x->size[2]"),
        ("offset, x->channels - c, target", "offset, winograd_WIDTH, target"),
        ("first, winograd_min(winograd_WIDTH, outputs - first)", "first, winograd_WIDTH"),
        ("memset(workspace, 0, (size_t)plan.zeros", "memset(workspace, 0, (size_t)plan.zeros / 2"),
    ],
)
def test_a_kernel_that_goes_astray_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sound: str, broken: str
) -> None:
    source = emit(F43, "c").source
    assert source.count(sound) == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    built = program(tmp_path, F43, "float32", "-O1", *flags_of("native"), source=source.replace(sound, broken))
    assert subprocess.run([str(built)], capture_output=True, check=False).returncode != 0


def raced(directory: Path, source: str) -> subprocess.CompletedProcess[str]:
    """Run a kernel under the sanitizer of threads, with an OpenMP that it understands."""
    flags = ("-O1", "-g", "-fsanitize=thread", *flags_of("native"))
    kernel = program(directory, F43, "float32", *flags, "-c", source=source)
    openmp = str(Path(__file__).with_name("openmp.c"))
    built = compiled(["gcc", *STRICT, *flags, str(kernel), openmp, "-lpthread", "-lm"], directory / "raced")
    done = subprocess.run([str(built)], capture_output=True, text=True, check=False)
    if "FATAL: ThreadSanitizer" in done.stderr:
        pytest.skip(done.stderr.splitlines()[0])
    return done


@pytest.mark.skipif(COMPILERS[:1] != ["gcc"], reason="no gcc")
def test_threads_do_not_race(tmp_path: Path) -> None:
    done = raced(tmp_path, emit(F43, "c").source)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(COMPILERS[:1] != ["gcc"], reason="no gcc")
@pytest.mark.parametrize(
    ("sound", "broken"),
    [
        ("schedule(dynamic, panels)", "schedule(dynamic, panels) nowait"),
        ("omp_get_thread_num() * plan.thread_floats", "omp_get_thread_num() / 2 * plan.thread_floats"),
    ],
)
def test_a_race_is_noticed(tmp_path: Path, sound: str, broken: str) -> None:
    source = emit(F43, "c").source
    assert source.count(sound) == 1
    done = raced(tmp_path, source.replace(sound, broken))
    assert "WARNING: ThreadSanitizer: data race" in done.stderr
