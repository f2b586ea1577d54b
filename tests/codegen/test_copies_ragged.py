"""The copies of phases under the sanitizers: ragged sizes, every width of numbers, and refusals.

Tensors lie in memory of their exact size, so that the sanitizers see any access beyond; every dense tensor is compared
with one that is made number by number, and joining what was split gives the tensor back.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.codegen.c_files import COMPILERS, SANITIZED, STRICT
from winograd.codegen.copies import copies

DRIVER = """
#include "copies.c"
#include <stdio.h>
#include <stdlib.h>

static unsigned state = 1;
static int64_t below(int64_t most)
{
    state = state * 1664525u + 1013904223u;
    return (int64_t)(state >> 8) % most;
}

static int64_t at(const winograd_copy *s, int64_t image, int64_t c, int64_t channels, const int64_t *size, int64_t d,
                  int64_t h, int64_t w)
{
    return s->channels_first ? (((image * channels + c) * size[0] + d) * size[1] + h) * size[2] + w
                             : (((image * size[0] + d) * size[1] + h) * size[2] + w) * channels + c;
}

static int run(void)
{
    winograd_copy s = {.element = 2 << below(3), .images = 1 + below(3), .channels = 1 + below(9)};
    s.stride = s.channels + below(3), s.channels_first = below(2);
    for (int axis = 0; axis < 3; ++axis) {
        s.size[axis] = 1 + below(9), s.core[axis] = 1 + below(9), s.low[axis] = below(5), s.period[axis] = 1 + below(4);
        s.output_step[axis] = 1 + below(4), s.tap_step[axis] = 1 + below(3);
        s.output_phases[axis] = 1 + below(3), s.tap_phases[axis] = 1 + below(3);
    }
    const int64_t phases = s.output_phases[0] * s.output_phases[1] * s.output_phases[2];
    const int64_t sides = s.tap_phases[0] * s.tap_phases[1] * s.tap_phases[2], channels = s.channels * sides;
    const int64_t numbers = s.images * s.stride * s.size[0] * s.size[1] * s.size[2];
    const int64_t dense = s.images * phases * channels * s.core[0] * s.core[1] * s.core[2];
    const size_t each = (size_t)s.element;
    unsigned char *x = malloc((size_t)numbers * each), *core = malloc((size_t)dense * each);
    for (size_t i = 0; i < (size_t)numbers * each; ++i)
        x[i] = (unsigned char)(1 + below(255));
    memset(core, 0xff, (size_t)dense * each);
    const int64_t skipped = s.stride - s.channels;
    const int64_t behind = skipped * (s.channels_first ? s.size[0] * s.size[1] * s.size[2] : 1);
    if (winograd_split(&s, x + (size_t)behind * each, core, 1 + below(3)))
        return 1;
    int failed = 0;
    const unsigned char zeros[8] = {0};
    for (int64_t n = 0; n < s.images * phases; ++n)
        for (int64_t c = 0; c < channels; ++c)
            for (int64_t place = 0; place < s.core[0] * s.core[1] * s.core[2]; ++place) {
                int64_t i[3] = {place / s.core[2] / s.core[1], place / s.core[2] % s.core[1], place % s.core[2]};
                int64_t p = n % phases, t = c / s.channels, where[3], outside = 0;
                for (int axis = 2; axis >= 0; --axis) {
                    where[axis] = s.period[axis] * i[axis] + s.output_step[axis] * (p % s.output_phases[axis])
                                  + s.tap_step[axis] * (t % s.tap_phases[axis]) - s.low[axis];
                    p /= s.output_phases[axis], t /= s.tap_phases[axis];
                    outside |= where[axis] < 0 || where[axis] >= s.size[axis];
                }
                const int64_t from = outside ? 0 : at(&s, n / phases, c % s.channels + skipped, s.stride, s.size,
                                                      where[0], where[1], where[2]);
                const unsigned char *wanted = outside ? zeros : x + (size_t)from * each;
                failed |= memcmp(core + (size_t)at(&s, n, c, channels, s.core, i[0], i[1], i[2]) * each, wanted, each);
            }
    free(core);
    for (int axis = 0; axis < 3; ++axis) { /* the phases of outputs are those of samples without taps and padding */
        s.tap_phases[axis] = 1, s.low[axis] = 0, s.output_step[axis] = 1, s.period[axis] = s.output_phases[axis];
        s.core[axis] = (s.size[axis] - 1) / s.output_phases[axis] + 1;
    }
    const int64_t parts = s.images * phases * s.channels * s.core[0] * s.core[1] * s.core[2];
    unsigned char *split = malloc((size_t)parts * each), *y = calloc((size_t)numbers, each);
    if (winograd_split(&s, x + (size_t)behind * each, split, 2)
        || winograd_join(&s, split, y + (size_t)behind * each, 1 + below(3)))
        return 1;
    for (int64_t n = 0; n < s.images; ++n)
        for (int64_t c = 0; c < s.stride; ++c)
            for (int64_t place = 0; place < s.size[0] * s.size[1] * s.size[2]; ++place) {
                const int64_t i = at(&s, n, c, s.stride, s.size, place / s.size[2] / s.size[1],
                                     place / s.size[2] % s.size[1], place % s.size[2]);
                failed |= memcmp(y + (size_t)i * each, c < skipped ? zeros : x + (size_t)i * each, each);
            }
    free(x), free(y), free(split);
    return failed != 0;
}

static int refusals(void)
{
    const winograd_copy right = {4, 1, 1, 1, {3, 3, 3}, {3, 3, 3}, {0}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1},
                                 {1, 1, 1}, {1, 1, 1}, 1};
    int32_t x[27] = {0}, y[27];
    winograd_copy wrong[6] = {right, right, right, right, right, right};
    wrong[0].element = 3, wrong[1].images = 0, wrong[2].stride = 0, wrong[3].size[1] = INT64_MAX / 2;
    wrong[4].period[2] = INT64_MAX / 2, wrong[5].core[0] = INT64_MAX / 8;
    int failed = winograd_split(&right, x, y, 1) != NULL || winograd_join(&right, x, y, 1) != NULL;
    failed |= winograd_split(&right, NULL, y, 1) == NULL || winograd_join(&right, x, NULL, 1) == NULL;
    for (int i = 0; i < 6; ++i)
        failed |= winograd_split(&wrong[i], x, y, 1) == NULL;
    winograd_copy few = right;
    few.core[1] = 2;
    return failed | (winograd_join(&few, x, y, 1) == NULL);
}

int main(void)
{
    int failed = refusals();
    for (int i = 0; i < 250; ++i)
        failed += run();
    printf("%d failures\\n", failed);
    return failed != 0;
}
"""


def run_driver(directory: Path, compiler: str, source: str) -> subprocess.CompletedProcess[str]:
    (directory / "copies.c").write_text(source, encoding="ascii")
    (directory / "driver.c").write_text(DRIVER, encoding="ascii")
    command = [compiler, *STRICT, *SANITIZED, "driver.c", "-o", "driver", "-lm"]
    built = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return subprocess.run(["./driver"], cwd=directory, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("compiler", COMPILERS)
def test_ragged_sizes_are_copied_within_their_memory(compiler: str, tmp_path: Path) -> None:
    done = run_driver(tmp_path, compiler, copies().source)
    assert (done.returncode, done.stdout) == (0, "0 failures\n"), done.stderr


def test_a_copy_beyond_the_memory_and_a_wrong_place_are_noticed(tmp_path: Path) -> None:
    source = copies().source
    beyond = source.replace("winograd_parts(size - place", "winograd_parts(size + 1 - place")
    misplaced = source.replace("shape->tap_step[axis] * t", "shape->tap_step[axis] * (t + (t == 2))")
    for number, broken in enumerate((beyond, misplaced)):
        assert broken != source
        (tmp_path / str(number)).mkdir()
        assert run_driver(tmp_path / str(number), COMPILERS[0], broken).returncode != 0
