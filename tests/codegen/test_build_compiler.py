"""Compilers that hang, die, or say strange things: one clear error, and nothing of them stays."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from tests.codegen.tiny_kernels import compiler_script, entries, has_text, is_running, kernel, wait_until
from winograd.codegen import compiler
from winograd.codegen.build import BuildError, load
from winograd.codegen.compiler import Compiler, find_compiler


def test_a_compiler_that_hangs_is_ended_with_all_it_started(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pids, runs = cache.parent / "pids", cache.parent / "runs"
    script = compiler_script(cache.parent / "slow", f"echo >> {runs}; sleep 100 & echo $$ $! > {pids}; wait")
    monkeypatch.setenv("CC", script)
    monkeypatch.setattr(compiler, "_TIMEOUT_S", 3)
    for value in (1, 2):  # the second does not wait again
        with pytest.raises(BuildError, match=r"slow did not finish within 3 seconds"):
            load(kernel(value))
    assert runs.read_text() == "\n"
    for pid in pids.read_text().split():
        assert wait_until(lambda pid=int(pid): not is_running(pid))
    assert not entries(cache)


def test_a_compiler_that_hangs_at_once_is_no_compiler(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = cache.parent / "hanging"
    script.write_text("#!/bin/sh\nexec sleep 100\n")
    script.chmod(0o755)
    monkeypatch.setenv("CC", str(script))
    monkeypatch.setattr(compiler, "_VERSION_TIMEOUT_S", 0.3)
    for _ in range(2):
        with pytest.raises(BuildError, match=r"hanging did not finish within 0.3 seconds"):
            load(kernel(1))
    assert list(compiler._hung) == [str(script)]


def test_ctrl_c_while_a_compiler_starts_ends_it(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", compiler_script(cache.parent / "slow", "sleep 1000"))
    find_compiler()
    start, started = subprocess.Popen._execute_child, []  # type: ignore[attr-defined]

    def start_and_interrupt(process: subprocess.Popen[str], *arguments: object) -> None:
        start(process, *arguments)
        started.append(process.pid)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(subprocess.Popen, "_execute_child", start_and_interrupt)
    usual = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        load(kernel(1))
    assert signal.getsignal(signal.SIGINT) is usual
    (pid,) = started
    if is_running(pid):
        os.killpg(pid, signal.SIGKILL)
        pytest.fail("it was left running")
    assert not entries(cache)


def test_ctrl_c_that_is_ignored_does_not_end_a_compiler(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert load(kernel(1)).tiny() == 1
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, usual)


def test_a_compiler_that_waits_for_input_gets_none(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", compiler_script(cache.parent / "reads", "cat"))
    assert load(kernel(2)).tiny() == 2


def test_a_compiler_killed_midway_is_tried_once_more(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = cache.parent / "killed"
    kill_once = f'[ -e {mark} ] || {{ touch {mark}; echo half > "$(dirname "$0")/half.so"; kill -9 $$; }}'
    monkeypatch.setenv("CC", compiler_script(cache.parent / "killed-once", kill_once))
    with pytest.warns(RuntimeWarning, match=f"not cached.*exit status -{signal.SIGKILL.value}"):
        assert load(kernel(3)).tiny() == 3
    assert not entries(cache)


def test_a_compiler_that_makes_nothing_is_an_error(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", compiler_script(cache.parent / "idle", "exit 0"))
    with pytest.raises(BuildError, match="cannot be loaded"):
        load(kernel(4))
    assert not entries(cache)


def test_messages_that_are_no_text_are_quoted_all_the_same(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", compiler_script(cache.parent / "odd", r"printf 'no \377 way\n' >&2; exit 3"))
    with pytest.raises(BuildError, match="exit status 3:\nno \ufffd way"):
        load(kernel(5))


def test_a_command_that_cannot_be_read_is_an_error(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "gcc 'half")
    with pytest.raises(BuildError, match='CC is "gcc \'half": No closing quotation'):
        load(kernel(6))


def test_a_compiler_in_a_directory_of_any_name(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = cache.parent / "no\udcfftext"
    directory.mkdir()
    script = compiler_script(directory / "cc", "")
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    assert find_compiler().path == script
    assert load(kernel(7)).tiny() == 7


def test_files_of_the_compiler_go_with_the_build(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A compiler that is killed leaves them, and without any TMPDIR it would write into the working directory.
    places = cache.parent / "places"
    monkeypatch.setenv("CC", compiler_script(cache.parent / "tells", f'echo "$TMPDIR" >> {places}'))
    monkeypatch.setenv("TMPDIR", str(cache.parent / "nowhere"))
    assert load(kernel(8)).tiny() == 8
    (place,) = places.read_text().split()
    assert Path(place).parent == cache
    assert not Path(place).exists()


def test_where_no_process_can_be_started_a_build_error_says_so(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("can't fork at interpreter shutdown")

    find_compiler()
    monkeypatch.setattr(subprocess, "Popen", refuse)
    with pytest.raises(BuildError, match="did not run: can't fork at interpreter shutdown"):
        load(kernel(9))


def test_where_children_are_not_waited_for(cache: Path) -> None:
    # Without SIGCHLD a compiler's exit status cannot be had: what it made decides.
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert load(kernel(10)).tiny() == 10
        with pytest.raises(BuildError, match="cannot be loaded"):
            load(kernel(11, "int tiny(void) { return missing; }\n"))
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert len(entries(cache)) == 1


def test_an_interrupt_while_compiling_ends_the_compiler(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pid_file, target = cache.parent / "pid", cache.parent / "out.so"
    script = compiler_script(cache.parent / "slow", f"echo $$ > {pid_file}; sleep 100")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, interrupt)
    threading.Thread(
        target=lambda: wait_until(lambda: has_text(pid_file)) and os.kill(os.getpid(), signal.SIGUSR1), daemon=True
    ).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            Compiler((script,), script, "slow").compile(cache.parent / "none.c", target)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert wait_until(lambda: not is_running(int(pid_file.read_text())))
