"""The C compiler of this machine: which one, what it calls itself, and one run of it.

Refused: a machine without a compiler, and a compilation that fails; `BuildError` then carries the compiler's own words.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

FLAGS = ("-std=c11", "-O3", "-march=native", "-ffp-contract=off", "-fopenmp", "-fPIC", "-shared")
"""Flags of a shared library for this machine. No fast-math: it would void the error figures and the rules for NaN."""

_TIMEOUT_S = 300


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
            With the compiler's messages, if it fails or takes longer than five minutes.
        """
        command = [*self.command, *flags, str(source), "-o", str(target), "-lm"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BuildError(f"{self.path} did not run: {error}") from error
        if done.returncode:
            raise BuildError(f"{self.path} failed with exit status {done.returncode}:\n{done.stderr.strip()}")


def find_compiler() -> Compiler:
    """Return the compiler that ``CC`` names, options included, else the first of cc, gcc and clang.

    Raises
    ------
    BuildError
        If there is none, naming what was looked for.
    """
    chosen = shlex.split(os.environ.get("CC", ""))
    commands = [chosen] if chosen else [["cc"], ["gcc"], ["clang"]]
    for name, *options in commands:
        path = shutil.which(name)
        if path is not None:
            return _identify((path, *options))
    raise BuildError(f"no C compiler: looked for {', '.join(name for name, *_ in commands)}; install gcc or set CC")


@lru_cache(maxsize=8)
def _identify(command: tuple[str, ...]) -> Compiler:
    try:
        done = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"{command[0]} did not run: {error}") from error
    return Compiler(command, os.path.realpath(command[0]), done.stdout.partition("\n")[0])


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
