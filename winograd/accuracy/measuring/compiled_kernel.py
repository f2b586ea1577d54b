"""Calls of compiled kernels: the C functions of a generated kernel, given NumPy arrays.

In: a `Kernel` for C; float32 images and filters of the kernel's own tile and taps, which the caller has checked.
Out: outputs of every image and every filter.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from math import prod
from typing import Any, Final

import numpy as np

from winograd.accuracy.measuring.sums import Array
from winograd.algebra.nesting import NestedAlgorithm
from winograd.codegen.build import load
from winograd.codegen.kernel import Kernel
from winograd.codegen.kernel_shape import KernelShape, Triple

_ALIGNMENT: Final = 64
_ONE_THREAD: Final = ctypes.c_int64(1)


@dataclass(frozen=True, slots=True)
class CompiledKernel:
    """The library of a kernel, as a function of images (N, C, *tile) and filters (N, C, *taps), both float32."""

    name: str
    algorithm: NestedAlgorithm
    library: ctypes.CDLL

    @property
    def panel(self) -> int:
        """How many outputs the kernel computes at once."""
        return int(self._function("panel")())

    def __call__(self, images: Array, weights: Array) -> Array:
        """Return the outputs (N, N, *m) of every image and every filter."""
        count = len(images)
        shape = self._shape(*images.shape[:2])
        packed = self._packed(weights)
        last = np.ascontiguousarray(np.moveaxis(images, 1, -1))
        outputs = np.empty((count, prod(self.algorithm.m), count), dtype=np.float32)
        scratch = _floats(self._function("workspace_floats", ctypes.c_int64)(ctypes.byref(shape), _ONE_THREAD))
        inputs, results = map(_pointer, (last, packed)), map(_pointer, (outputs, scratch))
        self._run("convolve", ctypes.byref(shape), *inputs, None, None, 0, *results, _ONE_THREAD)
        return np.moveaxis(outputs, -1, 1).reshape(count, count, *self.algorithm.m)

    def _shape(self, count: int, channels: int) -> KernelShape:
        """Return the shape of a batch of tiles; a kernel has three axes, of which missing ones lead."""
        tile = Triple(*(1,) * (3 - self.algorithm.ndim), *self.algorithm.tile)
        none = Triple(0, 0, 0)
        return KernelShape(batch=count, channels=channels, outputs=count, size=tile, low=none, high=none, block=count)

    def _packed(self, weights: Array) -> Array:
        """Return the transformed filters."""
        count, channels = map(ctypes.c_int64, weights.shape[:2])
        packed = _floats(self._function("filter_floats", ctypes.c_int64)(channels, count))
        self._run("filter", _pointer(weights), channels, count, _pointer(packed), _ONE_THREAD)
        return packed

    def _run(self, part: str, *arguments: Any) -> None:
        """Call a function that returns NULL, or what is wrong."""
        wrong = self._function(part, ctypes.c_char_p)(*arguments)
        if wrong:
            raise RuntimeError(f"the kernel refuses its arguments: {wrong.decode()}")

    def _function(self, part: str, result: Any = ctypes.c_int) -> Any:
        function = getattr(self.library, f"{self.name}_{part}")
        function.restype = result
        return function


def compiled_kernel(kernel: Kernel) -> CompiledKernel:
    """Compile a kernel, or take it from the cache.

    Raises
    ------
    BuildError
        If it cannot be compiled.
    """
    # Functions of our own: those of `load` are shared, and whoever has them may declare other argument types.
    library = load(kernel)
    return CompiledKernel(kernel.name, kernel.algorithm, ctypes.CDLL(library._name, handle=library._handle))


def _floats(count: int) -> Array:
    """Return uninitialised float32 numbers on a boundary that vectors may be loaded from."""
    memory = np.empty(4 * count + _ALIGNMENT, dtype=np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + 4 * count].view(np.float32)


def _pointer(values: Array) -> ctypes.c_void_p:
    return ctypes.c_void_p(values.ctypes.data)
