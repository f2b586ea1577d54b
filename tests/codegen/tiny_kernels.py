"""Kernels that compile in no time, and a cache of their own: what the tests of the cache share."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from winograd import nest, toom_cook
from winograd.codegen import build, compiler
from winograd.codegen.kernel import Kernel

ROOT = Path(__file__).parents[2]
F23 = nest(toom_cook(2, 3))
PATIENCE_S = 120
"""What hangs is given up after so long; other work on the machine may make anything take a while."""


def kernel(value: int, body: str | None = None) -> Kernel:
    """Return a kernel with one function, which returns the value."""
    return Kernel("c", "tiny", body or f"int tiny(void) {{ return {value}; }}\n", F23)


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this process forget what it has loaded, warned of and waited for."""
    monkeypatch.setattr(build, "_loaded", {})
    monkeypatch.setattr(build, "_first_warning", threading.Lock())
    monkeypatch.setattr(compiler, "_hung", {})


def entries(cache: Path) -> list[Path]:
    """Return the directories of a cache, unfinished ones among them."""
    return [path for path in cache.iterdir() if path.is_dir()]


def the_entry(cache: Path) -> Path:
    (entry,) = entries(cache)
    return entry


def value_of(entry: Path) -> int:
    """Return what the library of an entry returns, read anew: a library once loaded is never read again."""
    copy = entry.parent.parent / f"copy-{os.urandom(8).hex()}.so"
    shutil.copyfile(entry / "kernel.so", copy)
    return int(ctypes.CDLL(str(copy)).tiny())


PROLOGUE = "from tests.codegen.tiny_kernels import *\nfrom winograd.codegen.build import load\n"


def start_python(program: str, cache: Path, *, within: Sequence[str] = (), **environment: str) -> subprocess.Popen[str]:
    """Start Python, within another command, on a program that has what is here and `load`."""
    return subprocess.Popen(
        [*within, sys.executable, "-c", PROLOGUE + program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "WINOGRAD_CACHE_DIR": str(cache), **environment},
    )


def run_python(program: str, cache: Path, *, within: Sequence[str] = (), **environment: str) -> tuple[str, str]:
    """Return what a program prints, and its complaints; it must end well, and within minutes."""
    with start_python(program, cache, within=within, **environment) as process:
        try:
            output, errors = process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()
    assert process.returncode == 0, errors
    return output.strip(), errors


def compiler_script(path: Path, first: str) -> str:
    """Write a compiler that runs some lines of shell before it compiles, and return its name."""
    real = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    path.write_text(f'#!/bin/sh\ncase "$*" in *--version*) exec {real} "$@";; esac\n{first}\nexec {real} "$@"\n')
    path.chmod(0o755)
    return str(path)


def is_running(pid: int) -> bool:
    """Return whether a process runs; one that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def has_text(path: Path) -> bool:
    return path.exists() and path.read_text().endswith("\n")


def wait_until(holds: Callable[[], bool]) -> bool:
    """Wait for a condition, for some minutes at most, and return whether it holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    return holds()


def at_once(*actions: Callable[[], object], timeout_s: float = PATIENCE_S) -> list[object]:
    """Return what actions in as many threads return; one that never ends fails, and does not keep us."""
    results: dict[int, object] = {}
    threads = [
        threading.Thread(target=lambda i=i, action=action: results.update({i: action()}), daemon=True)
        for i, action in enumerate(actions)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout_s)
        assert not thread.is_alive()
    return [results[i] for i in range(len(actions))]
