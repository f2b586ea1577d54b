"""The C compiler of this machine: which one, what it calls itself, and one run of it.

Refused: a machine without a compiler, and a compilation that fails; `BuildError` then carries the compiler's own words.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import FrameType

FLAGS = ("-std=c11", "-O3", "-march=native", "-ffp-contract=off", "-fopenmp", "-fPIC", "-shared")
"""Flags of a shared library for this machine. No fast-math: it would void the error figures and the rules for NaN."""

_TIMEOUT_S, _VERSION_TIMEOUT_S = 300, 60
_hung: dict[str, str] = {}


class BuildError(RuntimeError):
    """No compiler, or one that failed; the message ends with what it printed."""


@dataclass(frozen=True, slots=True)
class Compiler:
    """A C compiler: the command that runs it, where that leads, and the first line of its version."""

    command: tuple[str, ...]
    path: str
    version: str

    def compile(self, source: Path, target: Path, flags: Sequence[str] = FLAGS) -> None:
        """Compile one file into a shared library.

        Raises
        ------
        BuildError
            With the compiler's messages, if it fails or takes longer than five minutes; after that it is not tried
            again in this process.
        """
        command = [*self.command, *flags, str(source), "-o", str(target), "-lm"]
        done = _run(command, _TIMEOUT_S, {**os.environ, "TMPDIR": str(target.parent)})
        if done.returncode:
            raise BuildError(f"{self.path} failed with exit status {done.returncode}:\n{done.stderr.strip()}")


def find_compiler() -> Compiler:
    """Return the compiler that ``CC`` names, options included, else the first of cc, gcc and clang.

    Raises
    ------
    BuildError
        If there is none, naming what was looked for, or it does not run.
    """
    chosen = _chosen_command()
    commands = [chosen] if chosen else [["cc"], ["gcc"], ["clang"]]
    for name, *options in commands:
        path = shutil.which(name)
        if path is not None:
            return _identify((path, *options))
    raise BuildError(f"no C compiler: looked for {', '.join(name for name, *_ in commands)}; install gcc or set CC")


def _chosen_command() -> list[str]:
    chosen = os.environ.get("CC", "")
    try:
        return shlex.split(chosen)
    except ValueError as error:
        raise BuildError(f"no C compiler: CC is {chosen!r}: {error}") from error


@lru_cache(maxsize=8)
def _identify(command: tuple[str, ...]) -> Compiler:
    done = _run([*command, "--version"], _VERSION_TIMEOUT_S, os.environ)
    return Compiler(command, os.path.realpath(command[0]), done.stdout.partition("\n")[0])


def _run(command: Sequence[str], timeout_s: float, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a compiler, which is given nothing to read, and in a group of its own, of which nothing is left running."""
    if command[0] in _hung:
        raise BuildError(_hung[command[0]])
    try:
        with ExitStack() as running:
            with _interrupts_wait():
                process = running.enter_context(
                    subprocess.Popen(
                        command,
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE,
                        encoding="utf-8",
                        errors="replace",
                        env=environment,
                        process_group=0,
                    )
                )
                running.push(lambda error, *_: None if error is None else _kill_group(process))
            stdout, stderr = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired as error:
        _hung[command[0]] = f"{command[0]} did not finish within {timeout_s:g} seconds"
        raise BuildError(_hung[command[0]]) from error
    except (OSError, RuntimeError) as error:  # RuntimeError: Python starts no process any more, while it ends
        raise BuildError(f"{command[0]} did not run: {error}") from error
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


@contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Let Ctrl-C wait until the end: between the fork and its return, an exception loses what was started."""
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(usual):
        yield  # only the main thread is interrupted, and nothing is raised where no function handles it
        return
    came: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda *given: came.append(given))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
        if came:
            usual(*came[-1])


def _kill_group(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


@lru_cache(maxsize=1)
def cpu_features() -> str:
    """Return what tells this processor's instruction sets from another's: they decide what -march=native emits."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    wanted = ("flags", "Features", "cpu family", "model", "CPU part")
    found = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    return "; ".join(f"{key}={found[key]}" for key in wanted if key in found)
