"""Convolutions from many threads and processes at once give the bits that each gives alone.

That kernels are built once and whole when many ask for them is what tests of the cache show.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import pytest

torch = pytest.importorskip("torch")

from winograd import nest, toom_cook  # noqa: E402
from winograd.conv.native.kernel import native_convolution  # noqa: E402
from winograd.conv.native.schedule import Schedule, ScheduleKind  # noqa: E402

CASES = [
    ((4, 4, 4), (1, 40, 6, 9, 11), 33, (ScheduleKind.FUSED, 1)),
    ((4, 4, 4), (2, 17, 5, 5, 5), 70, (ScheduleKind.STAGED, 3)),
    ((4, 4, 4), (1, 64, 9, 12, 10), 64, (ScheduleKind.STAGED, 40)),
    ((2, 3, 4), (1, 70, 7, 7, 7), 5, (ScheduleKind.FUSED, 6)),
    ((2, 3, 4), (3, 3, 4, 9, 5), 65, (ScheduleKind.STAGED, 1)),
    ((4, 4), (2, 65, 19, 23), 40, (ScheduleKind.FUSED, 4)),
    ((4, 4), (1, 30, 31, 8), 100, (ScheduleKind.STAGED, 7)),
    ((4,), (3, 20, 301), 17, (ScheduleKind.STAGED, 50)),
]
"""Outputs of a tile, input sizes, output channels and a schedule: one for each of eight threads."""

ROUNDS = 6
PATIENCE_S = 120
"""After so long a child that still runs is taken to hang."""


def result(number: int):
    """Return one case's output as it lies in memory, channels last; the filter is packed anew."""
    m, (batch, channels, *sizes), outputs, (kind, block) = CASES[number]
    generator = torch.Generator().manual_seed(number)
    input = torch.randn(batch, *sizes, channels, generator=generator).movedim(-1, 1)
    weight = torch.randn(outputs, channels, *(3,) * len(m), generator=generator)
    convolution = native_convolution(nest(*(toom_cook(count, 3) for count in m)))
    packed = convolution.pack(weight)
    output = convolution.convolve(input, packed, padding=((1, 1),) * len(m), schedule=Schedule(kind, block))
    return output.movedim(1, -1)


def digest(number: int) -> str:
    """Return a case's output in few characters, which other processes can send."""
    return hashlib.sha256(result(number).numpy().tobytes()).hexdigest()


@pytest.fixture(scope="module")
def alone() -> list[str]:
    """Every case's output, one after the other."""
    return [digest(number) for number in range(len(CASES))]


def ended(child: int, patience_s: float = PATIENCE_S) -> int:
    """Return the exit status of a child; it is killed if it hangs."""
    timer = threading.Timer(patience_s, os.kill, (child, 9))
    timer.start()
    status = os.waitpid(child, 0)[1]
    timer.cancel()
    return status


def forked(is_right: Callable[[], bool]) -> int:
    """Return the process id of a child that exits with 0 if what it finds is right, and whatever happens exits."""
    child = os.fork()
    if child == 0:
        right = False
        try:
            right = is_right()
        finally:
            os._exit(0 if right else 1)
    return child


def test_eight_threads_with_different_shapes_and_schedules(alone: list[str]) -> None:
    barrier = threading.Barrier(len(CASES))

    def repeat(number: int) -> list[str]:
        barrier.wait()
        return [digest((number + shift) % len(CASES)) for shift in range(ROUNDS)]

    with ThreadPoolExecutor(len(CASES)) as pool:
        found = list(pool.map(repeat, range(len(CASES))))
    assert found == [[alone[(number + shift) % len(CASES)] for shift in range(ROUNDS)] for number in range(len(CASES))]


def test_eight_threads_share_a_packed_filter() -> None:
    convolution = native_convolution(nest(*[toom_cook(4, 3)] * 2))
    packed = convolution.pack(torch.randn(40, 30, 3, 3))
    inputs = [torch.randn(1, 30, 9 + number, 14) for number in range(8)]
    expected = [convolution.convolve(input, packed, padding=((1, 1),) * 2) for input in inputs]
    barrier = threading.Barrier(8)

    def run(number: int):
        barrier.wait()
        kind = ScheduleKind(1 + number % 2)
        schedule = Schedule(kind, 1 + number)
        return [
            convolution.convolve(inputs[number], packed, padding=((1, 1),) * 2, schedule=schedule) for _ in range(9)
        ]

    with ThreadPoolExecutor(8) as pool:
        for number, outputs in enumerate(pool.map(run, range(8))):
            assert all(torch.equal(output, expected[number]) for output in outputs)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_children_of_a_fork(alone: list[str]) -> None:
    children = [forked(lambda: [digest(number) for number in range(len(CASES))] == alone) for _ in range(3)]
    assert [ended(child) for child in children] == [0, 0, 0]
    assert digest(0) == alone[0]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_uses_threads_and_has_a_child_of_its_own(alone: list[str]) -> None:
    def is_right() -> bool:
        with ThreadPoolExecutor(4) as pool:
            same = list(pool.map(digest, range(4))) == alone[:4]
        return same and ended(forked(lambda: digest(5) == alone[5])) == 0

    assert ended(forked(is_right)) == 0


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_new_processes(alone: list[str], method: str) -> None:
    with ProcessPoolExecutor(2, mp_context=get_context(method)) as pool:
        assert list(pool.map(digest, range(len(CASES)), timeout=PATIENCE_S)) == alone


def test_another_number_of_threads_in_between(alone: list[str]) -> None:
    threads = torch.get_num_threads()
    try:
        for count in (1, 4, 2, 3):
            torch.set_num_threads(count)
            assert [digest(number) for number in range(len(CASES))] == alone
    finally:
        torch.set_num_threads(threads)
