"""Kernels compiled and loaded: once, for every thread, by the compiler that was named."""

from __future__ import annotations

import shutil
import stat
import threading
from pathlib import Path

import pytest

import winograd
from tests.codegen.tiny_kernels import F23, PATIENCE_S, at_once, entries, forget, kernel, the_entry
from winograd.codegen.build import BuildError, load
from winograd.codegen.compiler import Compiler
from winograd.codegen.kernel import Kernel


def test_a_kernel_is_built_once_and_kept_privately(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(kernel(1)).tiny() == 1
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    entry = the_entry(cache)
    assert stat.S_IMODE(entry.stat().st_mode) == 0o700
    built = (entry / "kernel.so").stat().st_mtime_ns
    forget(monkeypatch)
    assert load(kernel(1)).tiny() == 1
    assert (entry / "kernel.so").stat().st_mtime_ns == built
    assert load(kernel(2)).tiny() == 2
    assert len(entries(cache)) == 2


def test_versions_of_the_package_share_a_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(kernel(1)).tiny() == 1
    old = the_entry(cache)
    monkeypatch.setattr(winograd, "__version__", "99")
    assert load(kernel(1)).tiny() == 1
    assert len(entries(cache)) == 2
    assert old in entries(cache)


def test_everybody_declares_types_of_functions_of_his_own(cache: Path) -> None:
    first, second = load(kernel(1)), load(kernel(1))
    first.tiny.restype = None
    assert first.tiny() is None
    assert second.tiny() == 1


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


def test_a_compiler_is_run_under_the_name_it_was_called_by(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Wrappers such as ccache are one program under many names.
    wrapper = cache.parent / "wrapper"
    real = shutil.which("cc") or shutil.which("gcc")
    wrapper.write_text(f'#!/bin/sh\ncase "$0" in *my-cc) exec {real} "$@";; *) exit 9;; esac\n')
    wrapper.chmod(0o755)
    (cache.parent / "my-cc").symlink_to(wrapper)
    monkeypatch.setenv("CC", f"{cache.parent / 'my-cc'} -g0")
    assert load(kernel(12)).tiny() == 12


def test_eight_threads_load_one_kernel(cache: Path) -> None:
    assert at_once(*[lambda: load(kernel(13)).tiny()] * 8) == [13] * 8
    assert len(entries(cache)) == 1


def test_eight_threads_load_eight_kernels(cache: Path) -> None:
    assert at_once(*[lambda value=value: load(kernel(value)).tiny() for value in range(8)]) == list(range(8))
    assert len(entries(cache)) == 8


def test_a_kernel_does_not_wait_for_another(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Each compilation waits for the other to begin: one after the other they would never meet.
    compile_, meeting = Compiler.compile, threading.Barrier(2, timeout=PATIENCE_S)

    def meet(self: Compiler, *arguments: object) -> None:
        meeting.wait()
        compile_(self, *arguments)

    monkeypatch.setattr(Compiler, "compile", meet)
    assert at_once(lambda: load(kernel(14)).tiny(), lambda: load(kernel(15)).tiny()) == [14, 15]
