"""`KernelShape`: the structure by which a compiled kernel learns sizes and padding, as ctypes passes it.

It has the fields of ``NAME_shape`` in the C target's declarations, where each is described.
"""

from __future__ import annotations

import ctypes

Triple = ctypes.c_int64 * 3
"""Depth, height and width; missing axes lead with size 1."""


class KernelShape(ctypes.Structure):
    """Sizes of a convolution; the C structure of the generated code."""

    _fields_ = (
        ("batch", ctypes.c_int64),
        ("channels", ctypes.c_int64),
        ("outputs", ctypes.c_int64),
        ("size", Triple),
        ("low", Triple),
        ("high", Triple),
        ("x_channels_first", ctypes.c_int64),
        ("y_channels_first", ctypes.c_int64),
        ("schedule", ctypes.c_int64),
        ("block", ctypes.c_int64),
    )


class GradientShape(ctypes.Structure):
    """The same for the gradient of a filter: without a schedule, of which it has one."""

    _fields_ = (*KernelShape._fields_[:-2], KernelShape._fields_[-1])
