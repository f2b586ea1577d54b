"""The interface of compiled kernels: their functions, one call as a convolution is told of it, and what they answer.

In: a loaded library; sizes, a schedule, layouts. Out: the library with types; a `KernelShape`. Refused: libraries that
lack a function, and calls that a kernel refuses.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any

from winograd.algebra.tiling import Tiling
from winograd.codegen.kernel_shape import KernelShape, Triple
from winograd.conv.native.schedule import Schedule
from winograd.conv.tensors.layout import Layout

Types = Mapping[str, tuple[type[Any], Sequence[type[Any]]]]
"""What functions return and take, by their names."""


def typed(library: ctypes.CDLL, functions: Types) -> ctypes.CDLL:
    """Return the library, its functions with the types of what they take and return."""
    for name, (result, arguments) in functions.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, tuple(arguments)
    return library


def declared(library: ctypes.CDLL) -> ctypes.CDLL:
    """Return the library of a convolution with the types of its functions."""
    size, shape, numbers, text = ctypes.c_int64, ctypes.POINTER(KernelShape), ctypes.c_void_p, ctypes.c_char_p
    pointers = (numbers,) * 4
    return typed(
        library,
        {
            "winograd_panel": (size, ()),
            "winograd_filter_floats": (size, (size, size)),
            "winograd_filter": (text, (numbers, size, size, numbers, size)),
            "winograd_workspace_floats": (size, (shape, size)),
            "winograd_convolve": (text, (shape, *pointers, ctypes.c_int, numbers, numbers, size)),
        },
    )


def check_answer(wrong: bytes | None) -> None:
    """Refuse a call that a kernel has refused, which nobody's arguments can lead to."""
    if wrong:
        raise RuntimeError(f"internal error: the kernel refuses its arguments: {wrong.decode()}")


def spread(tiling: Tiling) -> tuple[ctypes.Array[ctypes.c_int64], ...]:
    """Return sizes, and zeros before and after them, of three axes whatever the tiling has.

    Examples
    --------
    >>> from winograd.algebra.tiling import tile_axes
    >>> [list(one) for one in spread(tile_axes((8,), (4,), (3,), ((1, 0),)))]
    [[1, 1, 8], [0, 0, 1], [0, 0, 0]]
    """
    missing = 3 - len(tiling.axes)
    return (
        Triple(*(1,) * missing, *(axis.size for axis in tiling.axes)),
        Triple(*(0,) * missing, *(axis.low for axis in tiling.axes)),
        Triple(*(0,) * missing, *(axis.high for axis in tiling.axes)),
    )


def kernel_shape(
    tiling: Tiling,
    batch: int,
    channels: int,
    outputs: int,
    schedule: Schedule,
    input_layout: Layout,
    layout: Layout,
) -> KernelShape:
    """Return one call as the kernel is told of it."""
    return KernelShape(
        batch,
        channels,
        outputs,
        *spread(tiling),
        input_layout is Layout.CHANNELS_FIRST,
        layout is Layout.CHANNELS_FIRST,
        schedule.kind,
        schedule.block,
    )
