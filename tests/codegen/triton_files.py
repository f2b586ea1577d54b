"""Emitted Triton files as modules, run by the interpreter or ready to be compiled; and what a compiler makes of them.

Triton is imported before TRITON_INTERPRET is set: a function is interpreted if the variable is set when it is defined,
but Triton's own must not be.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.experimental.gluon._runtime import GluonASTSource

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
    return compiled_kernel(kernel, types, constants, **options).asm


def compiled_kernel(
    kernel: Any, types: dict[str, str], constants: dict[str, object], even: Collection[str] = (), **options: object
) -> Any:
    """Return a compiled kernel; the arguments named in ``even`` are multiples of 16, as launchers see that they are."""
    signature = {name: types.get(name, "i32") for name in kernel.arg_names} | dict.fromkeys(constants, "constexpr")
    attributes = {(kernel.arg_names.index(name),): [["tt.divisibility", 16]] for name in even if name not in constants}
    source = GluonASTSource if kernel.is_gluon() else ASTSource
    return triton.compile(source(kernel, signature, constants, attributes), target=HOPPER, options=options)


def machine_code(kernel: Any) -> tuple[int, int, Counter[str]]:
    """Return the registers and the bytes of the stack of a compiled kernel, and how often it has each instruction."""
    tools = Path(triton.__file__).parent / "backends/nvidia/bin"
    with tempfile.TemporaryDirectory() as folder:
        (cubin := Path(folder) / "kernel.cubin").write_bytes(kernel.asm["cubin"])
        usage, code = (
            subprocess.run([tools / tool, *words, cubin], capture_output=True, text=True, check=True).stdout
            for tool, words in (("cuobjdump", ["--dump-resource-usage"]), ("nvdisasm", ["-c"]))
        )
    ((registers, stack),) = re.findall(r"REG:(\d+) STACK:(\d+)", usage)
    names = re.findall(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+ )?([A-Z][A-Z0-9]*)", code)
    return int(registers), int(stack), Counter(names)


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
