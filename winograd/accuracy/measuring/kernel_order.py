"""Generated kernels as orders: what `winograd.measure_error` calls to measure compiled C, or emitted NumPy code.

In: a `Kernel` for C or NumPy. Out: a function of data and filters. Every trial is a convolution of its own tile with
its own filter: trials run together as images and outputs of one convolution, of which the diagonal is kept.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from math import prod
from typing import Final

import numpy as np

from winograd.accuracy.measuring.measurement import TileFunction
from winograd.accuracy.measuring.sums import Array
from winograd.codegen.build import load
from winograd.codegen.kernel import Kernel
from winograd.codegen.module import python_module

Convolve = Callable[[Array, Array], Array]
"""Images (N, C, *tile) and filters (N, C, *taps) to outputs (N, N, *m)."""

_Triple = ctypes.c_int64 * 3
_ALIGNMENT: Final = 64
_NUMPY_GROUP: Final = 8


class _Shape(ctypes.Structure):
    """The C structure of the same name in the generated code."""

    _fields_ = (
        ("batch", ctypes.c_int64),
        ("channels", ctypes.c_int64),
        ("outputs", ctypes.c_int64),
        ("size", _Triple),
        ("low", _Triple),
        ("high", _Triple),
        ("block", ctypes.c_int64),
        ("task", ctypes.c_int64),
    )


def kernel_order(kernel: Kernel) -> TileFunction:
    """Return the function that computes tiles with a generated kernel.

    Parameters
    ----------
    kernel : Kernel
        "c", which is compiled and computes in float32, or "numpy", which computes in the dtype of its inputs.

    Returns
    -------
    function
        Of data (*tile, channels, trials) and filters (*taps, channels, trials); returns outputs (*m, trials).

    Raises
    ------
    ValueError
        For another target; when called, for a dtype other than float32 with C.
    BuildError
        If C cannot be compiled.

    Examples
    --------
    >>> from winograd import emit, measure_error, toom_cook
    >>> axis = toom_cook(2, 3)
    >>> measure_error(axis, order=kernel_order(emit(axis, "numpy")), trials=100).order
    'numpy kernel winograd'
    """
    if kernel.target == "c":
        library = load(kernel)
        group = int(getattr(library, f"{kernel.name}_panel")())
        convolve = _compiled(kernel, library)
    elif kernel.target == "numpy":
        group, convolve = _NUMPY_GROUP, python_module(kernel).convolve
    else:
        raise ValueError(f"kernel is {kernel.target} code, must be c or numpy")

    def order(data: Array, filters: Array) -> Array:
        return _diagonal(convolve, data, filters, group)

    order.__name__ = f"{kernel.target} kernel {kernel.name}"
    return order


def _diagonal(convolve: Convolve, data: Array, filters: Array, group: int) -> Array:
    """Convolve trial by trial, so many at once."""
    images, weights = (np.ascontiguousarray(np.moveaxis(values, (-1, -2), (0, 1))) for values in (data, filters))
    starts = range(0, len(images), group)
    outputs = [convolve(images[start : start + group], weights[start : start + group]) for start in starts]
    own = [np.moveaxis(np.diagonal(values), -1, 0) for values in outputs]
    return np.moveaxis(np.concatenate(own), 0, -1)


def _compiled(kernel: Kernel, library: ctypes.CDLL) -> Convolve:
    """Return the convolution of a library that was made from this kernel, which has three axes: missing ones lead."""
    nested = kernel.algorithm
    pack, convolve, floats, workspace = (
        getattr(library, f"{kernel.name}_{part}")
        for part in ("filter", "convolve", "filter_floats", "workspace_floats")
    )
    floats.restype = workspace.restype = ctypes.c_int64
    pack.restype = convolve.restype = ctypes.c_char_p  # NULL, or what is wrong
    tile = (1,) * (3 - nested.ndim) + nested.tile

    def run(images: Array, weights: Array) -> Array:
        if images.dtype != np.float32:
            raise ValueError(f"dtype is {images.dtype}, must be float32 for a compiled kernel")
        count, channels = images.shape[:2]
        shape = _Shape(count, channels, count, _Triple(*tile), _Triple(0, 0, 0), _Triple(0, 0, 0), count, count)
        sizes = ctypes.c_int64(channels), ctypes.c_int64(count)
        packed = _floats(floats(*sizes))
        if pack(_pointer(weights), *sizes, _pointer(packed), ctypes.c_int64(1)):
            raise MemoryError("no memory to transform the filter")
        last = np.ascontiguousarray(np.moveaxis(images, 1, -1))
        outputs = np.empty((count, prod(nested.m), count), dtype=np.float32)
        scratch = _floats(workspace(ctypes.byref(shape), ctypes.c_int64(1)))
        convolve(
            ctypes.byref(shape),
            *map(_pointer, (last, packed)),
            None,
            0,
            *map(_pointer, (outputs, scratch)),
            ctypes.c_int64(1),
        )
        return np.moveaxis(outputs, -1, 1).reshape(count, count, *nested.m)

    return run


def _floats(count: int) -> Array:
    """Return uninitialised float32 numbers on a boundary that vectors may be loaded from."""
    memory = np.empty(4 * count + _ALIGNMENT, dtype=np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + 4 * count].view(np.float32)


def _pointer(values: Array) -> ctypes.c_void_p:
    return ctypes.c_void_p(values.ctypes.data)
