"""Many processes, forks, signals and exits: nobody waits for the dead, nothing half made is ever found."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.codegen.tiny_kernels import (
    PATIENCE_S,
    compiler_script,
    entries,
    forget,
    has_text,
    is_running,
    kernel,
    run_python,
    start_python,
    the_entry,
    value_of,
    wait_until,
)
from winograd.codegen.build import load
from winograd.codegen.cache import locked
from winograd.codegen.compiler import Compiler

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


def _child(directory: str, results: multiprocessing.Queue[int]) -> None:
    os.environ["WINOGRAD_CACHE_DIR"] = directory
    results.put(load(kernel(9)).tiny())


def test_many_processes_at_once_all_load_a_whole_entry(cache: Path) -> None:
    context = multiprocessing.get_context("fork")
    results: multiprocessing.Queue[int] = context.Queue()
    children = [context.Process(target=_child, args=(str(cache), results), daemon=True) for _ in range(16)]
    for child in children:
        child.start()
    assert [results.get(timeout=PATIENCE_S) for _ in children] == [9] * 16
    for child in children:
        child.join(PATIENCE_S)
        assert child.exitcode == 0
    assert len(entries(cache)) == 1


def in_child(action: Callable[[], object]) -> int:
    """Run an action in a forked child and return its exit status, 124 if it takes minutes."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(PATIENCE_S)
        try:
            action()
        except BaseException:
            os._exit(1)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    return 124 if os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status)


@contextmanager
def sleeping_child() -> Iterator[None]:
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(2 * PATIENCE_S)
        signal.pause()
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_fork_while_a_thread_builds_leaves_both_sides_free(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started, finish = threading.Event(), threading.Event()
    compile_ = Compiler.compile

    def slow(self: Compiler, *arguments: object) -> None:
        started.set()
        finish.wait(PATIENCE_S)
        compile_(self, *arguments)

    monkeypatch.setattr(Compiler, "compile", slow)
    thread = threading.Thread(target=load, args=(kernel(10),), daemon=True)
    thread.start()
    assert started.wait(PATIENCE_S)
    finish_in_child = finish.set  # the child's own copy of the event
    assert in_child(lambda: (finish_in_child(), load(kernel(11)))) == 0
    with sleeping_child():
        finish.set()
        thread.join(PATIENCE_S)
        forget(monkeypatch)
        with locked(next(cache.glob("*.lock")), patience_s=0):  # the sleeper has no part in it
            pass
        assert load(kernel(10)).tiny() == 10
    assert len(entries(cache)) == 2


def test_after_a_fork_a_loaded_kernel_runs(cache: Path) -> None:
    library = load(kernel(12))

    def use() -> None:
        assert library.tiny() == load(kernel(12)).tiny() == 12
        assert load(kernel(13)).tiny() == 13

    assert in_child(use) == 0


def test_a_child_that_exits_leaves_the_parents_build_alone(tmp_path: Path) -> None:
    # At its exit Python removes temporary directories that it knows of, and a child knows of its parent's.
    (tmp_path / "file").write_text("in the way of a cache")
    output, errors = run_python(
        """if 1:
        from winograd.codegen.compiler import Compiler
        compile_, started, go_on = Compiler.compile, threading.Event(), threading.Event()
        def wait_and_compile(*arguments):
            started.set()
            go_on.wait(PATIENCE_S)
            compile_(*arguments)
        Compiler.compile = wait_and_compile
        thread = threading.Thread(target=lambda: print(load(kernel(14)).tiny()))
        thread.start()
        started.wait()
        child = os.fork()
        if child == 0:
            sys.exit()
        os.waitpid(child, 0)
        go_on.set()
        """,
        tmp_path / "file" / "cache",
    )
    assert output == "14"
    assert "not cached" in errors


@contextmanager
def building(cache: Path, value: int) -> Iterator[subprocess.Popen[str]]:
    """Start a process whose compiler runs and does not end; the file ``pid`` beside the cache names it."""
    pid = cache.parent / "pid"
    script = compiler_script(cache.parent / "slow", f"[ -e {pid} ] || {{ echo $$ > {pid}; sleep 1000; }}")
    with start_python(f"load(kernel({value}))", cache, CC=script) as process:
        try:
            assert wait_until(lambda: has_text(pid))
            yield process
        finally:
            process.kill()
            process.communicate(timeout=PATIENCE_S)
            if is_running(compiler := int(pid.read_text())):
                os.killpg(compiler, signal.SIGKILL)


def test_an_interrupted_build_leaves_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with building(cache, 15) as process:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE_S)
        assert "KeyboardInterrupt" in errors
        assert not entries(cache)
        compiler = int((cache.parent / "pid").read_text())
        assert wait_until(lambda: not is_running(compiler))  # which was ended, and may take a moment to go
    with locked(next(cache.glob("*.lock")), patience_s=0):
        pass


def test_a_killed_build_leaves_nothing_for_long(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", str(cache.parent / "slow"))
    with building(cache, 16) as process:
        process.kill()
        process.wait(PATIENCE_S)
        (left,) = entries(cache)
        assert left.name.startswith(".building-")
        assert load(kernel(16)).tiny() == 16  # while the orphaned compiler still runs
        assert the_entry(cache) != left
        assert value_of(the_entry(cache)) == 16


def test_a_killed_build_takes_its_lock_along_whoever_was_forked_meanwhile(cache: Path) -> None:
    # The child has a copy of every descriptor; kept open, it would hold the lock for as long as the child lives.
    with start_python(
        """if 1:
        import signal
        from winograd.codegen.compiler import Compiler
        started = threading.Event()
        Compiler.compile = lambda *_: (started.set(), time.sleep(1000))
        threading.Thread(target=load, args=(kernel(17),), daemon=True).start()
        started.wait()
        child = os.fork()
        if child == 0:
            signal.alarm(2 * PATIENCE_S)
            signal.pause()
        print(child, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        cache,
    ) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.wait(PATIENCE_S)
        try:
            # The child lets go of it as soon as it runs at all, long before its alarm.
            with locked(next(cache.glob("*.lock")), patience_s=PATIENCE_S):
                assert is_running(child)
        finally:
            os.kill(child, signal.SIGKILL)


def test_at_exit(cache: Path) -> None:
    output, errors = run_python(
        """if 1:
        import atexit
        atexit.register(lambda: print(load(kernel(18)).tiny()))
        """,
        cache,
    )
    assert output == "18"
    assert not errors


def test_when_python_is_all_but_gone(cache: Path) -> None:
    # A destructor that runs this late finds modules half taken down: it may fail, and must not hang.
    output, _ = run_python(
        """if 1:
        class Late:
            def __del__(self):
                print(load(kernel(19)).tiny())
        sys.late = Late()
        """,
        cache,
    )
    assert output in {"", "19"}


@pytest.mark.parametrize("daemon", [True, False])
def test_a_thread_still_builds_at_exit(cache: Path, daemon: bool) -> None:
    script = compiler_script(cache.parent / "slow", "sleep 1")
    _, errors = run_python(
        f"""if 1:
        threading.Thread(target=load, args=(kernel(20),), daemon={daemon}).start()
        wait_until(lambda: Path({str(cache)!r}).exists() and entries(Path({str(cache)!r})))
        """,
        cache,
        CC=script,
    )
    assert not errors
    with locked(next(cache.glob("*.lock")), patience_s=0):
        assert len([entry for entry in entries(cache) if not entry.name.startswith(".")]) == (not daemon)
