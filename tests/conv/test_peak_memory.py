"""Peak resident memory of convolutions in fresh processes: what is stated, and no more than a tenth beyond.

On layers like C3D's conv2, conv3a and conv4a, by both schedules and by plans. Packing a filter may take U, a call of
the kernel workspace and output.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch")

BEYOND = 1.1
LEAST = 0.8
"""What is stated is also taken: a figure that nothing exceeds says nothing."""

RETURNED = {"MALLOC_MMAP_THRESHOLD_": "131072"}
"""The C library returns every large block when it is freed, so that none is used again unseen."""

CONV2, CONV3A, CONV4A = [64, 128, 16, 56, 56], [128, 256, 8, 28, 28], [256, 512, 4, 14, 14]
FUSED, STAGED = 1, 2


def can_reset_the_peak() -> bool:
    """Return whether the system lets a process forget the most memory it had."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


pytestmark = pytest.mark.skipif(not can_reset_the_peak(), reason="/proc/self/clear_refs cannot be written")


Peaks = Callable[..., dict[str, int]]

FRESH = """
import os, runpy, sys
import sympy, torch
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        sys.argv[1:] = [line]
        status = 1
        try:
            runpy.run_module("tests.conv.peak_memory", run_name="__main__")
            sys.stdout.flush()
            status = 0
        finally:
            os._exit(status)
    if os.waitpid(child, 0)[1]:
        sys.exit(1)
"""
"""Runs the program for every line, each time in a process that has loaded what takes long to load, and nothing else."""


@pytest.fixture(scope="module")
def peaks() -> Iterator[Peaks]:
    """Ask the program `tests.conv.peak_memory`, which answers every time from a fresh process."""
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", FRESH],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), **RETURNED},
    ) as program:
        asked, answered = program.stdin, program.stdout
        assert asked is not None
        assert answered is not None

        def ask(*what: object) -> dict[str, int]:
            print(json.dumps(what), file=asked, flush=True)
            answer = answered.readline()
            assert answer, "the program has ended"
            return json.loads(answer)

        yield ask


def check(found: dict[str, int]) -> None:
    stated = found["workspace"] + found["output"]
    assert LEAST * found["filter"] <= found["packing"] <= BEYOND * found["filter"]
    assert LEAST * stated <= found["convolving"] <= BEYOND * stated


@pytest.mark.parametrize(
    ("sizes", "m", "schedule"),
    [
        (CONV2, [4, 4, 4], (FUSED, 9)),
        (CONV2, [2, 4, 4], (STAGED, 100)),
        (CONV3A, [4, 4, 4], (FUSED, 12)),
        (CONV3A, [4, 4, 4], (STAGED, 98)),
        (CONV4A, [4, 4, 4], (STAGED, 16)),
    ],
)
def test_both_schedules_take_what_the_kernel_states(
    peaks: Peaks, sizes: list[int], m: list[int], schedule: tuple[int, int]
) -> None:
    check(peaks(sizes, m, "last", schedule))


@pytest.mark.parametrize("sizes", [CONV2, CONV3A, CONV4A])
def test_plans_take_what_they_state(peaks: Peaks, sizes: list[int]) -> None:
    check(peaks(sizes, [4, 4, 4], "last", None))


@pytest.mark.parametrize("schedule", [(FUSED, 9), None], ids=["kernel", "plan"])
def test_channels_first_take_no_more(peaks: Peaks, schedule: tuple[int, int] | None) -> None:
    check(peaks(CONV2, [4, 4, 4], "first", schedule))


def test_memory_that_is_not_stated_is_noticed(peaks: Peaks) -> None:
    found = peaks(CONV3A, [4, 4, 4], "last", (STAGED, 98))
    half = {**found, "workspace": found["workspace"] // 2}
    with pytest.raises(AssertionError):
        check(half)


@pytest.mark.parametrize("place", ["first", "last"])
@pytest.mark.parametrize(
    ("outputs", "stride", "dilation", "groups"), [(256, 2, 1, 1), (768, 1, 2, 2)], ids=["stride", "dilation and groups"]
)
def test_plans_by_phases_take_what_they_state(
    peaks: Peaks, outputs: int, stride: int, dilation: int, groups: int, place: str
) -> None:
    found = peaks([128 * groups, outputs, 16, 56, 28], [4, 4, 4], place, None, stride, dilation, groups, 3)
    check({**found, "filter": found["filter"] + found["sliced"]})
