"""The interface of a compiled convolution: its functions, and one call as it is told of it.

In: a loaded library; sizes, a schedule, layouts. Out: the library with types; a `KernelShape`. Refused: libraries that
lack a function.
"""

from __future__ import annotations

import ctypes

from winograd.algebra.tiling import Tiling
from winograd.codegen.kernel_shape import KernelShape, Triple
from winograd.conv.native.schedule import Schedule
from winograd.conv.tensors.layout import Layout


def declared(library: ctypes.CDLL) -> ctypes.CDLL:
    """Return the library of a convolution, its functions with the types of what they take and return."""
    size, shape, numbers = ctypes.c_int64, ctypes.POINTER(KernelShape), ctypes.c_void_p
    for name, result, arguments in (
        ("winograd_panel", size, ()),
        ("winograd_filter_floats", size, (size, size)),
        ("winograd_filter", ctypes.c_char_p, (numbers, size, size, numbers, size)),
        ("winograd_workspace_floats", size, (shape, size)),
        (
            "winograd_convolve",
            ctypes.c_char_p,
            (shape, numbers, numbers, numbers, numbers, ctypes.c_int, numbers, numbers, size),
        ),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def kernel_shape(
    tiling: Tiling,
    batch: int,
    channels: int,
    outputs: int,
    schedule: Schedule,
    input_layout: Layout,
    layout: Layout,
) -> KernelShape:
    """Return one call as the kernel is told of it, of three axes whatever the tiling has."""
    missing = 3 - len(tiling.axes)
    return KernelShape(
        batch,
        channels,
        outputs,
        Triple(*(1,) * missing, *(axis.size for axis in tiling.axes)),
        Triple(*(0,) * missing, *(axis.low for axis in tiling.axes)),
        Triple(*(0,) * missing, *(axis.high for axis in tiling.axes)),
        input_layout is Layout.CHANNELS_FIRST,
        layout is Layout.CHANNELS_FIRST,
        schedule.kind,
        schedule.block,
    )
