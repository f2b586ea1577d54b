"""Repetition: a step that improves a program a little, done until it finds nothing more, is a pass."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from winograd.codegen.program import Program

_P = ParamSpec("_P")


def repeated(
    step: Callable[Concatenate[Program, _P], Program | None],
) -> Callable[Concatenate[Program, _P], Program]:
    """Return the pass that repeats a step until it returns None; on the result it has nothing left to do."""

    @wraps(step)
    def run(program: Program, /, *args: _P.args, **kwargs: _P.kwargs) -> Program:
        while (better := step(program, *args, **kwargs)) is not None:
            program = better
        return program

    return run
