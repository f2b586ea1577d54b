"""Convolutions at once: in threads, in forked children, at the exit; right every time, and no deadlock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from winograd import conv1d, conv2d, conv3d, nest, toom_cook  # noqa: E402
from winograd.codegen import build  # noqa: E402
from winograd.conv.native.kernel import NativeConvolution, native_convolution  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

ROOT = Path(__file__).parents[2]
DEADLINE_S = 120
F1, F2 = toom_cook(1, 3), toom_cook(2, 3)
ALGORITHMS = [nest(F1), nest(F2), nest(F1, F2), nest(F2, F1), nest(F2, F2), nest(F1, F2, F2), nest(F2, F2, F2)]
OURS: dict[int, Callable[..., torch.Tensor]] = {1: conv1d, 2: conv2d, 3: conv3d}
DIRECT: dict[int, Callable[..., torch.Tensor]] = {1: torch.conv1d, 2: torch.conv2d, 3: torch.conv3d}


def integers(*shape: int, seed: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(-4, 5, shape).astype(np.float32))


def operands(ndim: int, seed: int, size: int = 9) -> tuple[torch.Tensor, torch.Tensor]:
    """Return an input and a weight, of integers so small that float32 computes F(2,3) of them exactly."""
    sizes = [size + (seed + axis) % 4 for axis in range(ndim)]
    return integers(1 + seed % 2, 3 + seed, *sizes, seed=seed), integers(
        17 + seed, 3 + seed, *[3] * ndim, seed=seed + 1
    )


def direct(input: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return DIRECT[input.ndim - 2](input.double(), weight.double(), padding=1)


@pytest.fixture(autouse=True)
def _two_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    with torch.no_grad():
        yield
    torch.set_num_threads(threads)


def at_once(*actions: Callable[[], object]) -> None:
    """Run actions in as many threads, each with two of torch's; one that never ends fails, and does not keep us."""
    done: list[object] = []
    meeting = threading.Barrier(len(actions))

    def run(action: Callable[[], object]) -> None:
        torch.set_num_threads(2)
        meeting.wait(DEADLINE_S)
        with torch.no_grad():
            done.append(action())

    threads = [threading.Thread(target=run, args=(action,), daemon=True) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert done == [True] * len(actions)


def test_eight_threads_compile_and_run_different_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINOGRAD_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(build, "_loaded", {})

    def compile_and_run(seed: int) -> bool:
        algorithm = ALGORITHMS[seed % len(ALGORITHMS)]
        convolution = NativeConvolution(algorithm)
        for again in range(3):
            input, weight = operands(algorithm.ndim, seed + 8 * again)
            output = convolution.convolve(input, convolution.pack(weight), padding=((1, 1),) * algorithm.ndim)
            assert torch.equal(output.double(), direct(input, weight))
        return True

    at_once(*[lambda seed=seed: compile_and_run(seed) for seed in range(8)])


def test_eight_threads_share_kernels_and_change_shapes(tmp_path: Path) -> None:
    def run(seed: int) -> bool:
        for step in range(12):
            algorithm = ALGORITHMS[(seed + step) % len(ALGORITHMS)]
            input, weight = operands(algorithm.ndim, seed * step % 5, size=4 + seed)
            output = OURS[algorithm.ndim](input, weight, padding=1, algorithm=algorithm)
            assert torch.equal(output.double(), direct(input, weight))
        return True

    at_once(*[lambda seed=seed: run(seed) for seed in range(8)])


def in_child(action: Callable[[], bool], deadline_s: int = DEADLINE_S) -> int:
    """Run an action in a forked child; 0 if it returns True, 1 if not, 124 if it does not return in time."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # no Python runs while C waits
        signal.alarm(deadline_s)
        try:
            os._exit(0 if action() else 1)
        except BaseException:
            os._exit(2)
    status = os.waitpid(child, 0)[1]
    return 124 if os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status)


def same(left: torch.Tensor, right: torch.Tensor) -> bool:
    """Compare without torch, whose threads do not survive a fork."""
    return bool(np.array_equal(left.numpy(), right.numpy()))


@pytest.mark.parametrize("size", [6, 40])
def test_after_a_fork(size: int) -> None:
    # At 40 torch itself would use threads to copy the input, which a forked child has not.
    input, weight = operands(3, 1, size)
    expected = conv3d(input, weight, padding=1, algorithm=ALGORITHMS[-1])
    assert same(expected.double(), direct(input, weight))
    assert in_child(lambda: same(conv3d(input, weight, padding=1, algorithm=ALGORITHMS[-1]), expected)) == 0
    assert same(conv3d(input, weight, padding=1, algorithm=ALGORITHMS[-1]), expected)


def test_a_fork_while_other_threads_convolve() -> None:
    input, weight = operands(3, 2, 6)
    convolution = native_convolution(ALGORITHMS[-1])
    packed = convolution.pack(weight)
    expected = convolution.convolve(input, packed)
    stop, results = threading.Event(), []

    def convolve() -> None:
        while not stop.is_set():
            results.append(torch.equal(convolution.convolve(input, packed), expected))

    threads = [threading.Thread(target=convolve, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            assert in_child(lambda: same(convolution.convolve(input, packed), expected)) == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join(DEADLINE_S)
    assert results
    assert all(results)


AT_EXIT = {
    "atexit": "atexit.register(check)",
    "thread": "threading.Thread(target=lambda: [check() for _ in range(20)]).start()",
    "daemon": """
def forever():
    while True:
        check()
        started.set()
started = threading.Event()
threading.Thread(target=forever, daemon=True).start()
started.wait()""",
    "thread and atexit": """
atexit.register(check)
threading.Thread(target=lambda: [check() for _ in range(20)]).start()""",
}

PROLOGUE = """
import atexit, threading, torch
from winograd import conv3d, nest, toom_cook
torch.set_num_threads(2)
input, weight = torch.ones(1, 8, 9, 9, 9), torch.ones(8, 8, 3, 3, 3)
def check():
    with torch.no_grad():
        output = conv3d(input, weight, algorithm=nest(*[toom_cook(2, 3)] * 3))
    assert (output == 216).all()
"""


@pytest.mark.parametrize("ending", AT_EXIT)
def test_at_exit(ending: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PROLOGUE + AT_EXIT[ending]],
        cwd=ROOT,
        timeout=DEADLINE_S,
        capture_output=True,
        text=True,
        check=False,
    )
    if ending == "daemon" and ran.returncode == -signal.SIGABRT:
        # Python ends daemon threads wherever they take its lock again; inside torch's C++, its own operations included,
        # that aborts the process. What is ours to promise is that nothing waits.
        assert (ran.stdout, ran.stderr) == ("", "terminate called without an active exception\n")
        return
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_an_interrupt_leaves_everything_usable() -> None:
    input, weight = operands(3, 3)
    convolution = native_convolution(ALGORITHMS[-1])
    packed, expected = convolution.pack(weight), direct(input, weight)

    def convolve_forever() -> None:
        while True:
            convolution.convolve(input, packed)

    before = signal.signal(signal.SIGVTALRM, signal.default_int_handler)
    try:
        for _ in range(10):
            signal.setitimer(signal.ITIMER_VIRTUAL, 0.005)
            with pytest.raises(KeyboardInterrupt):
                convolve_forever()
            assert torch.equal(convolution.convolve(input, packed).double(), expected)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
