"""The emitted gradient of a filter in C: ragged sizes under the sanitizers, every width of vectors, refusals, races.

Every buffer lies between two pages that nobody may touch; what is read can only be read, and workspace and gradient
begin as NaNs. A run is compared with the direct gradient in double, the others with its bits.
"""

from __future__ import annotations

import subprocess
from math import prod, sqrt
from pathlib import Path

import pytest

from tests.codegen.c_files import COMPILERS, SANITIZED, STRICT, flags_of
from tests.codegen.test_c_ragged import CHANNELS, GUARDS, compiled
from winograd import best, nest, toom_cook
from winograd.algebra.growth import kappa
from winograd.algebra.nesting import NestedAlgorithm
from winograd.codegen.targets.c.gradient import emit_gradient

DRIVER = """
#define _GNU_SOURCE
#include "kernel.c"
#include <math.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static const winograd_shape shapes[] = {SHAPES};
static const int64_t blocks[] = {3, 1, 1000};
static const int64_t taps[3] = {TAPS};
"""
DRIVER += GUARDS
DRIVER += """
static int64_t output(const winograd_shape *s, int axis)
{
    return s->size[axis] + s->low[axis] + s->high[axis] - taps[axis] + 1;
}

static winograd_real *numbers(int64_t count, unsigned seed)
{
    winograd_real *values = malloc((size_t)count * sizeof *values);
    for (int64_t i = 0; i < count; ++i)
        values[i] = (winograd_real)(int)((((unsigned)i + seed) * 2654435761u >> 12) % 17) - 8;
    return values;
}

/* Where channel c of a place of an image is. */
static int64_t at(int64_t first, int64_t channels, const int64_t size[3], int64_t n, int64_t c, const int64_t place[3])
{
    const int64_t inside = (place[0] * size[1] + place[1]) * size[2] + place[2], all = size[0] * size[1] * size[2];
    return first ? (n * channels + c) * all + inside : (n * all + inside) * channels + c;
}

static double direct(const winograd_shape *s, const winograd_real *x, const winograd_real *dy, int64_t k, int64_t c,
                     const int64_t tap[3])
{
    const int64_t out[3] = {output(s, 0), output(s, 1), output(s, 2)};
    double sum = 0;
    int64_t o[3];
    for (int64_t n = 0; n < s->batch; ++n)
        for (o[0] = 0; o[0] < out[0]; ++o[0])
            for (o[1] = 0; o[1] < out[1]; ++o[1])
                for (o[2] = 0; o[2] < out[2]; ++o[2]) {
                    int64_t place[3];
                    int inside = 1;
                    for (int axis = 0; axis < 3; ++axis) {
                        place[axis] = o[axis] + tap[axis] - s->low[axis];
                        inside &= place[axis] >= 0 && place[axis] < s->size[axis];
                    }
                    if (inside)
                        sum += (double)x[at(s->x_channels_first, s->channels, s->size, n, c, place)] *
                               (double)dy[at(s->y_channels_first, s->outputs, out, n, k, o)];
                }
    return sum;
}

/* Counts what is further from the direct gradient than ALLOWED times the root of the sum of squares of its terms. */
static void compare(const winograd_shape *s, const winograd_real *x, const winograd_real *dy, const winograd_real *dw)
{
    const double terms = (double)(s->batch * output(s, 0) * output(s, 1) * output(s, 2)), square = 24;
    const int64_t all = taps[0] * taps[1] * taps[2];
    for (int64_t i = 0; i < s->outputs * s->channels * all; ++i) {
        const int64_t tap[3] = {i % all / (taps[1] * taps[2]), i % all / taps[2] % taps[1], i % taps[2]};
        const double expected = direct(s, x, dy, i / all / s->channels, i / all % s->channels, tap);
        failures += !(fabs(dw[i] - expected) <= ALLOWED * sqrt(terms) * square);
    }
}

static void run(const winograd_shape *s, const winograd_real *x, const winograd_real *dy, int64_t threads, int at_end,
                void *dw, int compares)
{
    const size_t each = sizeof(winograd_real), filter = (size_t)(s->outputs * s->channels * (TAP_PRODUCT)) * each;
    const int64_t places = s->batch * s->size[0] * s->size[1] * s->size[2];
    const int64_t outputs = s->batch * output(s, 0) * output(s, 1) * output(s, 2);
    const guarded in = guard((size_t)(places * s->channels) * each, each, at_end);
    const guarded out = guard((size_t)(outputs * s->outputs) * each, each, at_end);
    const guarded result = guard(filter, each, at_end);
    const guarded workspace = guard((size_t)winograd_workspace_floats(s, threads) * each, 64, at_end);
    winograd_real *target = (void *)result.start, *work = (void *)workspace.start;
    const char *wrong = winograd_filter_gradient(s, copied(in, x), copied(out, dy), target, work, threads);
    if (!compares)
        memcpy(dw, result.start, filter);
    ++runs;
    failures += wrong != NULL || memcmp(dw, result.start, filter);
    release(in), release(out), release(result), release(workspace);
}

static void run_all(winograd_shape s)
{
    const int64_t places = s.batch * s.size[0] * s.size[1] * s.size[2];
    winograd_real *x = numbers(places * s.channels, 1);
    winograd_real *dy = numbers(s.batch * output(&s, 0) * output(&s, 1) * output(&s, 2) * s.outputs, 2);
    winograd_real *dw = malloc((size_t)(s.outputs * s.channels * (TAP_PRODUCT)) * sizeof *dw);
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; ++i)
        for (int64_t threads = 1; threads <= 4; threads += 1 + (threads > 1)) {
            s.block = blocks[i];
            run(&s, x, dy, threads, (int)(threads + (int64_t)i) % 2, dw, threads > 1);
            if (i == 0 && threads == 1)
                compare(&s, x, dy, dw);
        }
    free(x), free(dy), free(dw);
}

static int refuses(winograd_shape s)
{
    static winograd_real values[64];
    static _Alignas(64) winograd_real workspace[64];
    return winograd_workspace_floats(&s, 1) == -1 &&
           winograd_filter_gradient(&s, values, values, values, workspace, 1) != NULL;
}

static int refuses_all(void)
{
    const winograd_shape good = {1, 1, 1, {9, 9, 9}, {0, 0, 0}, {0, 0, 0}, 0, 0, 1};
    winograd_shape none = good, narrow = good, odd = good, less = good, wide = good, outputs = good, held = good;
    static winograd_real values[4096];
    none.channels = 0, narrow.size[2] = 0, odd.y_channels_first = 2, less.block = -1, wide.channels = INT64_MAX / 2;
    outputs.outputs = INT64_MAX / 1024;
    held.channels = 1LL << 40, held.size[0] = 1, held.low[0] = held.block = 1LL << 20;
    const char *null = winograd_filter_gradient(&good, NULL, values, values, values, 1);
    const char *unaligned = winograd_filter_gradient(&good, values, values, values, NULL, 1);
    return null && unaligned && winograd_workspace_floats(NULL, 1) == -1 && refuses(none) && refuses(narrow) &&
           refuses(odd) && refuses(less) && refuses(wide) && refuses(outputs) && refuses(held);
}

int main(void)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; ++i)
        run_all(shapes[i]);
    failures += !refuses_all();
    printf("%d runs, %d failures\\n", (int)runs, (int)failures);
    return failures != 0;
}
"""

F43 = nest(*[toom_cook(4, 3)] * 2)
ALGORITHMS = {
    "F(4,5)": nest(toom_cook(4, 5)),
    "F(4x4,3x3)": F43,
    "F(2x4x3,3x3x3)": nest(*(toom_cook(m, 3) for m in (2, 4, 3))),
    "F(4x4,3x3) with 49 products": nest(*[best(4, 3, products=7)] * 2),
}
SIGMAS, STEPS = 8, 128
"""Standard deviations allowed, and more roundings than there are on the way: sums of few tiles, and instructions."""


def shapes(nested: NestedAlgorithm) -> list[str]:
    """Return shapes as C writes them: from one output on an axis to two tiles and a part, padded or not."""
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
        layout = f".x_channels_first = {number % 2}, .y_channels_first = {number // 2 % 2}"
        written.append(f"{{{counts}, {layout}, .size = {{{size}}}, .low = {{{low}}}, .high = {{{high}}}}}")
    return written


def program(directory: Path, nested: NestedAlgorithm, dtype: str, *flags: str, source: str = "") -> Path:
    """Compile a kernel, or another source of it, with the driver, without any warning."""
    taps = [*(1,) * (3 - nested.ndim), *nested.r]
    unit = {"float32": 2.0**-24, "float64": 2.0**-53}[dtype]
    deviation = unit * sqrt(float(prod(kappa(axis) for axis in nested.axes)) * STEPS)
    words = {
        "{SHAPES}": f"{{{', '.join(shapes(nested))}}}",
        "{TAPS}": f"{{{', '.join(map(str, taps))}}}",
        "TAP_PRODUCT": " * ".join(map(str, taps)),
        "ALLOWED *": f"{SIGMAS * deviation!r} *",
    }
    driver = DRIVER
    for word, meaning in words.items():
        driver = driver.replace(word, meaning)
    (directory / "kernel.c").write_text(source or emit_gradient(nested, dtype).source, encoding="ascii")
    (directory / "driver.c").write_text(driver, encoding="ascii")
    command = [COMPILERS[0], *STRICT, *flags, "-fopenmp", str(directory / "driver.c"), "-lm"]
    return compiled(command, directory / "program")


def ran(built: Path, monkeypatch: pytest.MonkeyPatch) -> subprocess.CompletedProcess[str]:
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    return subprocess.run([str(built)], capture_output=True, text=True, check=False)


def check(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = ran(built, monkeypatch)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout == f"{len(CHANNELS) * 9} runs, 0 failures\n"


@pytest.mark.parametrize(
    ("name", "dtype"), [("F(4,5)", "float32"), ("F(4x4,3x3)", "float64"), ("F(2x4x3,3x3x3)", "float32")]
)
def test_ragged_sizes_under_the_sanitizers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, dtype: str
) -> None:
    check(program(tmp_path, ALGORITHMS[name], dtype, *SANITIZED, "-O1", *flags_of("native")), monkeypatch)


@pytest.mark.parametrize(
    ("name", "dtype", "build"),
    [
        ("F(4x4,3x3) with 49 products", "float32", "native"),
        ("F(4x4,3x3)", "float64", "avx2"),
        ("F(2x4x3,3x3x3)", "float32", "plain"),
        ("F(4,5)", "float32", "scalar"),
    ],
)
def test_ragged_sizes_with_every_width_of_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, dtype: str, build: str
) -> None:
    check(program(tmp_path, ALGORITHMS[name], dtype, "-O2", *flags_of(build)), monkeypatch)


@pytest.mark.parametrize(
    ("sound", "broken"),
    [
        ("x->channels - c, target", "winograd_WIDTH, target"),
        ("if (lane < lanes) w[", "if (lane <= lanes) w["),
        ("winograd_max(x->channels - c, 0), target", "winograd_WIDTH, target"),
        ("winograd_max(channels, columns), winograd_WIDTH", "1, winograd_WIDTH"),
    ],
)
def test_a_kernel_that_goes_astray_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sound: str, broken: str
) -> None:
    source = emit_gradient(F43).source
    assert sound in source
    built = program(tmp_path, F43, "float32", "-O1", *flags_of("native"), source=source.replace(sound, broken))
    assert ran(built, monkeypatch).returncode != 0


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
    done = raced(tmp_path, emit_gradient(F43).source)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(COMPILERS[:1] != ["gcc"], reason="no gcc")
def test_a_race_is_noticed(tmp_path: Path) -> None:
    source, sound = emit_gradient(F43).source, "omp_get_thread_num() * plan.thread_floats"
    assert source.count(sound) == 1
    done = raced(tmp_path, source.replace(sound, "omp_get_thread_num() / 2 * plan.thread_floats"))
    assert "WARNING: ThreadSanitizer: data race" in done.stderr


def test_the_text_is_the_same_every_time_and_under_its_name() -> None:
    source = emit_gradient(F43, "float64", "slope").source
    assert source == emit_gradient(nest(*[toom_cook(4, 3)] * 2), "float64", "slope").source
    assert "slope_filter_gradient(" in source
    assert "winograd_" not in source


def test_other_dtypes_names_and_constants_are_refused() -> None:
    with pytest.raises(ValueError, match="dtype is 'float16', must be one of float32, float64"):
        emit_gradient(F43, "float16")
    with pytest.raises(ValueError, match="name"):
        emit_gradient(F43, name="1st")
    with pytest.raises(ValueError, match=r"axis 0: F.2,3. has a constant beyond float32"):
        emit_gradient(toom_cook(2, 3, [0, 1, 10**40, "inf"]))
