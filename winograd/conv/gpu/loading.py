"""Emitted Triton text as a module that can be called.

In: an algorithm, the kind of kernels. Out: the module that the emitted text defines, made once in a process from the
text alone: nothing is read from disk, and Triton keeps what it compiles in a cache of its own, by a hash of the text.
Refused: algorithms that a kind of kernels cannot do; machines without Triton.
"""

from __future__ import annotations

import importlib
import linecache
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.util import find_spec
from types import ModuleType
from typing import Final

from winograd.algebra.nesting import NestedAlgorithm
from winograd.codegen.compiler import BuildError
from winograd.codegen.emit import emit

_INTERPRET: Final = "TRITON_INTERPRET"

_lock: Final = threading.RLock()


def has_triton() -> bool:
    """Return whether Triton is installed; it is not loaded for that."""
    return find_spec("triton") is not None


def gpu_module(algorithm: NestedAlgorithm, kind: str, *, interpreted: bool = False) -> ModuleType:
    """Return the module of an algorithm; equal calls return the same one.

    Parameters
    ----------
    algorithm : NestedAlgorithm
    kind : str
        "staged" or "fused".
    interpreted : bool
        Whether kernels run on the CPU, by Triton's interpreter, for tests.

    Raises
    ------
    BuildError
        If there is no Triton, or kernels of this kind cannot do the algorithm.
    """
    with _lock:
        return _gpu_module(algorithm, kind, interpreted)


@lru_cache(maxsize=64)
def _gpu_module(algorithm: NestedAlgorithm, kind: str, interpreted: bool) -> ModuleType:
    if not has_triton():
        raise BuildError("triton is not installed: pip install 'winograd[triton]'")
    try:
        kernel = emit(algorithm, "triton", schedule=kind)
    except ValueError as error:
        raise BuildError(str(error)) from error
    importlib.import_module("triton")  # before the variable is set: Triton's own functions are not to be interpreted
    with _interpreting(interpreted):
        return _module_of(kernel.source, f"{kernel.name}_{kernel.digest[:16]}_{interpreted:d}")


def _module_of(source: str, name: str) -> ModuleType:
    """Return the module of a text; Triton reads the text of its functions where tracebacks do."""
    file = f"<winograd triton {name}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    module = ModuleType(f"winograd_triton_{name}")
    module.__file__ = file
    exec(compile(source, file, "exec", dont_inherit=True), module.__dict__)
    return module


@contextmanager
def _interpreting(asked: bool) -> Iterator[None]:
    """Have functions that are defined meanwhile interpreted or compiled: Triton looks at the variable then."""
    before = os.environ.pop(_INTERPRET, None)
    if asked:
        os.environ[_INTERPRET] = "1"
    try:
        yield
    finally:
        os.environ.pop(_INTERPRET, None)
        if before is not None:
            os.environ[_INTERPRET] = before
