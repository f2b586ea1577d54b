"""The cache of compiled kernels: private, whole or rebuilt, usable by many at once, and never in the way."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import stat
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from winograd import nest, toom_cook
from winograd.codegen import build
from winograd.codegen.build import BuildError, cache_directory, load
from winograd.codegen.compiler import Compiler
from winograd.codegen.kernel import Kernel

F23 = nest(toom_cook(2, 3))


def kernel(value: int, body: str | None = None) -> Kernel:
    return Kernel("c", "tiny", body or f"int tiny(void) {{ return {value}; }}\n", F23)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "cache"
    monkeypatch.setenv("WINOGRAD_CACHE_DIR", str(directory))
    forget(monkeypatch)
    return directory


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this process forget what it has loaded and warned of."""
    monkeypatch.setattr(build, "_loaded", {})
    monkeypatch.setattr(build, "_warned", [])


def entries(cache: Path) -> list[Path]:
    return [path for path in cache.iterdir() if path.is_dir()]


def test_a_kernel_is_built_once_and_kept_privately(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(kernel(1)).tiny() == 1
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    (entry,) = entries(cache)
    built = (entry / "kernel.so").stat().st_mtime_ns
    forget(monkeypatch)
    assert load(kernel(1)).tiny() == 1
    assert (entry / "kernel.so").stat().st_mtime_ns == built
    assert load(kernel(2)).tiny() == 2
    assert len(entries(cache)) == 2


@pytest.mark.parametrize("damage", ["truncate", "flip", "manifest", "no-manifest", "no-library"])
def test_a_corrupt_entry_is_rebuilt(cache: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    load(kernel(3))
    (entry,) = entries(cache)
    library, manifest = entry / "kernel.so", entry / "manifest.json"
    content = library.read_bytes()
    library.unlink()  # the loaded library is mapped: a new file, never a write into the old one
    if damage != "no-library":
        library.write_bytes({"truncate": content[:100], "flip": content[:-1] + b"?"}.get(damage, content))
    if damage == "manifest":
        manifest.write_text("{", encoding="ascii")
    elif damage == "no-manifest":
        manifest.unlink()
    forget(monkeypatch)
    assert load(kernel(3)).tiny() == 3
    assert json.loads(manifest.read_text())["kernel"] == kernel(3).digest


def symlinked(cache: Path) -> None:
    (cache.parent / "real").mkdir(mode=0o700)
    cache.symlink_to(cache.parent / "real")


def writable_by_others(cache: Path) -> None:
    cache.mkdir()
    cache.chmod(0o777)


def a_file(cache: Path) -> None:
    cache.write_text("in the way")


def below_a_file(cache: Path) -> None:
    cache.parent.joinpath("file").write_text("")
    os.environ["WINOGRAD_CACHE_DIR"] = str(cache.parent / "file" / "cache")  # the fixture puts it back


def relative(cache: Path) -> None:
    os.environ["WINOGRAD_CACHE_DIR"] = "cache"  # the fixture puts it back


@pytest.mark.parametrize("spoil", [symlinked, writable_by_others, a_file, below_a_file, relative])
def test_without_a_private_directory_it_runs_uncached_and_warns_once(cache: Path, spoil) -> None:
    spoil(cache)
    with pytest.warns(RuntimeWarning, match="not cached.*WINOGRAD_CACHE_DIR"):
        assert load(kernel(4)).tiny() == 4
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load(kernel(5)).tiny() == 5
    assert not (cache.is_dir() and entries(cache))


def test_somebody_elses_directory_is_refused(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: cache.parent.stat().st_uid + 1)
    with pytest.warns(RuntimeWarning, match="belongs to user"):
        assert load(kernel(6)).tiny() == 6


def test_the_cache_is_the_users_without_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WINOGRAD_CACHE_DIR", raising=False)
    assert cache_directory().is_absolute()
    assert Path.cwd() not in cache_directory().parents


def test_no_compiler_is_one_clear_error(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(BuildError, match=r"no C compiler: looked for no-such-compiler; install gcc or set CC"):
        load(kernel(7))


def test_a_failing_compiler_is_quoted(cache: Path) -> None:
    with pytest.raises(BuildError, match="exit status 1") as caught:
        load(kernel(8, "int tiny(void) { return missing; }\n"))
    assert "missing" in str(caught.value)
    assert not entries(cache)


def test_only_c_is_built(cache: Path) -> None:
    with pytest.raises(ValueError, match="only 'c' can be built"):
        load(Kernel("numpy", "tiny", "x = 1\n", F23))


def _child(directory: str, results: multiprocessing.Queue[int]) -> None:
    os.environ["WINOGRAD_CACHE_DIR"] = directory
    results.put(load(kernel(9)).tiny())


def test_many_processes_at_once_all_load_a_whole_entry(cache: Path) -> None:
    context = multiprocessing.get_context("fork")
    results: multiprocessing.Queue[int] = context.Queue()
    children = [context.Process(target=_child, args=(str(cache), results)) for _ in range(16)]
    for child in children:
        child.start()
    assert [results.get(timeout=60) for _ in children] == [9] * 16
    for child in children:
        child.join()
        assert child.exitcode == 0
    assert len(entries(cache)) == 1


def _in_child(action) -> int:
    """Run an action in a forked child and return its exit status, 124 if it takes longer than 20 seconds."""
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        try:
            action()
        except BaseException:
            os._exit(1)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    return 124 if os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_while_a_thread_builds_leaves_both_sides_free(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started, finish = threading.Event(), threading.Event()
    compile_ = Compiler.compile

    def slow(self: Compiler, *arguments: object) -> None:
        started.set()
        finish.wait(20)
        compile_(self, *arguments)

    monkeypatch.setattr(Compiler, "compile", slow)
    thread = threading.Thread(target=load, args=(kernel(10),))
    thread.start()
    started.wait(20)
    finish_in_child = finish.set  # the child's own copy of the event
    assert _in_child(lambda: (finish_in_child(), load(kernel(11)))) == 0
    sleeper = os.fork()
    if sleeper == 0:
        signal.alarm(60)
        signal.pause()
    finish.set()
    thread.join()
    forget(monkeypatch)
    begun = time.monotonic()
    assert load(kernel(10)).tiny() == 10
    assert time.monotonic() - begun < 10
    os.kill(sleeper, signal.SIGKILL)
    os.waitpid(sleeper, 0)


def test_a_compiler_is_run_under_the_name_it_was_called_by(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Wrappers such as ccache are one program under many names.
    wrapper = cache.parent / "wrapper"
    real = shutil.which("cc") or shutil.which("gcc")
    wrapper.write_text(f'#!/bin/sh\ncase "$0" in *my-cc) exec {real} "$@";; *) exit 9;; esac\n')
    wrapper.chmod(0o755)
    (cache.parent / "my-cc").symlink_to(wrapper)
    monkeypatch.setenv("CC", f"{cache.parent / 'my-cc'} -g0")
    assert load(kernel(12)).tiny() == 12


def test_eight_threads_load_at_once(cache: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: load(kernel(13)).tiny(), range(16))) == [13] * 16
    assert len(entries(cache)) == 1
