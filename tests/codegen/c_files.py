"""Emitted C files, compiled for one instruction set or another: what the tests of the C target share."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from winograd.codegen.compiler import cpu_features
from winograd.codegen.emit import emit
from winograd.codegen.lower import DEFAULT_LOWERING, Lowering

STRICT = ("-std=c11", "-Wall", "-Wextra", "-Werror")
SANITIZED = ("-O0", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]

BUILDS = {
    "native": ("-march=native",),
    "avx512": ("-mavx512f", "-mavx512bw", "-mfma", "-mf16c"),
    "avx2": ("-mavx2", "-mfma", "-mf16c"),
    "avx2 without F16C": ("-mavx2", "-mfma"),
    "128 bits": ("-mavx2", "-mfma", "-mf16c", "-DWINOGRAD_VECTOR_BITS=128"),
    "scalar with FMA": ("-mavx2", "-mfma", "-mf16c", "-DWINOGRAD_VECTOR_BITS=1"),
    "plain": (),
    "scalar": ("-DWINOGRAD_VECTOR_BITS=1",),
}
"""Flags of the compiler for every width, with and without the instructions that the files know."""


def flags_of(build: str) -> tuple[str, ...]:
    """Return the flags of a build, or skip the test where this processor lacks its instructions."""
    has = cpu_features().split()
    for flag in BUILDS[build]:
        if flag.startswith("-mavx") and flag.removeprefix("-m") not in has:
            pytest.skip(f"this processor has no {flag.removeprefix('-m')}")
    return BUILDS[build]


def self_test(source: str, directory: Path, *flags: str, compiler: str = "") -> subprocess.CompletedProcess[str]:
    """Compile a file without any warning and run its self-test."""
    program, file = directory / "selftest", directory / "kernel.c"
    file.write_text(source, encoding="ascii")
    command = [compiler or COMPILERS[0], *STRICT, *flags, "-DWINOGRAD_SELFTEST", str(file), "-o", str(program), "-lm"]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (built.returncode, built.stderr) == (0, "")
    return subprocess.run([str(program)], capture_output=True, text=True, check=False, cwd=directory)


def library(source: str, directory: Path, *flags: str) -> ctypes.CDLL:
    """Compile a file without any warning and load it."""
    target, file = directory / "kernel.so", directory / "kernel.c"
    file.write_text(source, encoding="ascii")
    command = [COMPILERS[0], *STRICT, "-O2", *flags, "-fPIC", "-shared", str(file), "-o", str(target), "-lm"]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (built.returncode, built.stderr) == (0, "")
    return ctypes.CDLL(str(target))


class Transforms:
    """The compiled transforms of an algorithm, called on arrays (*tile, count)."""

    def __init__(self, nested, directory: Path, *flags: str, dtype="float32", lowering: Lowering = DEFAULT_LOWERING):
        self.lowering = lowering
        self._library = library(
            emit(nested, "c", stage="all", dtype=dtype, lowering=lowering).source, directory, *flags
        )

    def call(self, stage: str, x, x_stride: int, y, y_stride: int, count: int) -> str | None:
        """Return what the C function returns; arrays go by their address."""
        function = getattr(self._library, f"winograd_{stage}" + "_transposed" * self.lowering.transposed)
        function.restype = ctypes.c_char_p
        addresses = [None if array is None else ctypes.c_void_p(array.ctypes.data) for array in (x, y)]
        strides = [ctypes.c_int64(number) for number in (x_stride, y_stride, count)]
        answer = function(addresses[0], strides[0], addresses[1], strides[1], strides[2])
        return answer and answer.decode()

    def run(self, stage: str, x: np.ndarray, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        """Return the transformed tiles (*shape, count) of tiles (*tile, count)."""
        y = np.empty((*shape, x.shape[-1]), dtype=dtype)
        assert self.call(stage, np.ascontiguousarray(x), x.shape[-1], y, x.shape[-1], x.shape[-1]) is None
        return y
