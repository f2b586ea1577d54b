"""Repetition: a step that improves a program a little, done until it finds nothing more, is a pass."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from winograd.codegen.program import Program

Step = Callable[[Program], Program | None]
"""Returns a better program, or None where it finds none."""


def repeated(step: Step) -> Callable[[Program], Program]:
    """Return the pass that repeats a step until it returns None; on the result it has nothing left to do."""

    @wraps(step)
    def run(program: Program) -> Program:
        while (better := step(program)) is not None:
            program = better
        return program

    return run
