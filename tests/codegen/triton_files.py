"""Emitted Triton files as modules, run by the interpreter or ready to be compiled; and what a compiler makes of them.

Triton is imported before TRITON_INTERPRET is set: a function is interpreted if the variable is set when it is defined,
but Triton's own must not be.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

HOPPER = GPUTarget("cuda", 90, 32)

Load = Callable[[str], ModuleType]


def interpreted(source: str, directory: Path) -> ModuleType:
    """Return the module of a file; its kernels run on the CPU."""
    with _interpreting("1"):
        return _imported(source, directory)


def compilable(source: str, directory: Path) -> ModuleType:
    """Return the module of a file; its kernels are for a GPU."""
    with _interpreting(None):
        return _imported(source, directory)


def compiled(kernel: Any, types: dict[str, str], constants: dict[str, object], **options: object) -> dict[str, Any]:
    """Return what a kernel is compiled to; arguments without a type are 32-bit integers."""
    signature = {name: types.get(name, "i32") for name in kernel.arg_names} | dict.fromkeys(constants, "constexpr")
    return triton.compile(ASTSource(kernel, signature, constants), target=HOPPER, options=options).asm


def _imported(source: str, directory: Path) -> ModuleType:
    path = directory / f"kernel_{len(list(directory.iterdir()))}.py"
    path.write_text(source, encoding="ascii")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def _interpreting(value: str | None) -> Iterator[None]:
    before = os.environ.pop("TRITON_INTERPRET", None)
    if value is not None:
        os.environ["TRITON_INTERPRET"] = value
    try:
        yield
    finally:
        os.environ.pop("TRITON_INTERPRET", None)
        if before is not None:
            os.environ["TRITON_INTERPRET"] = before
