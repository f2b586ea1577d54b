"""Copies between a tensor and its phases, by compiled C.

In: `Phases`, dense tensors, memory for copies. Out: the input of a dense convolution, and outputs where they belong.
Refused: tensors that are not dense.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from math import prod

import torch

from winograd.codegen.build import load
from winograd.codegen.copies import CopyShape, copies
from winograd.codegen.kernel_shape import Triple
from winograd.conv.geometry.phases import Phases
from winograd.conv.tensors.layout import Layout, read_address


class Copier:
    """Splits and joins for one convolution.

    Parameters
    ----------
    phases : Phases
    """

    def __init__(self, phases: Phases) -> None:
        self._phases = phases
        self._core = phases.core
        self._library = copies_library()

    def split(self, input: torch.Tensor, layout: Layout, group: int, memory: torch.Tensor) -> torch.Tensor:
        """Return the samples that the dense convolution of a group reads.

        Parameters
        ----------
        input : Tensor of shape (images, channels, *sizes)
            Dense in the layout.
        layout : Layout
        group : int
        memory : Tensor of bytes
            Written to and returned as samples.
        """
        shape, axes = self._phases.shape, self._phases.axes
        channels = shape.channels // shape.groups
        images = input.shape[0] * self._phases.output_phases
        first = layout is Layout.CHANNELS_FIRST
        samples = _shaped(memory, (images, self._core.channels, *self._core.sizes), input.dtype, layout)
        steps = CopyShape(
            input.element_size(),
            input.shape[0],
            channels,
            shape.channels,
            _triple(shape.sizes, 1),
            _triple(self._core.sizes, 1),
            _triple([0 if axis.is_dense else axis.low for axis in axes], 0),
            _triple([axis.period for axis in axes], 1),
            _triple(shape.stride, 1),
            _triple(shape.dilation, 1),
            _triple([axis.output_phases for axis in axes], 1),
            _triple([axis.tap_phases for axis in axes], 1),
            first,
        )
        skipped = group * channels * (prod(shape.sizes) if first else 1)
        source = read_address(input) + skipped * input.element_size()
        _check(self._library.winograd_split(ctypes.byref(steps), source, samples.data_ptr(), torch.get_num_threads()))
        return samples

    def dense_output(self, whole: torch.Tensor, layout: Layout, memory: torch.Tensor) -> torch.Tensor:
        """Return memory as the outputs of the dense convolution.

        Parameters
        ----------
        whole : Tensor of shape (images, outputs of a group, *output sizes)
            Where `join` will put them.
        layout : Layout
        memory : Tensor of bytes
        """
        images = whole.shape[0] * self._phases.output_phases
        return _shaped(memory, (images, self._core.outputs, *self._core.output), whole.dtype, layout)

    def join(self, dense: torch.Tensor, whole: torch.Tensor, layout: Layout) -> None:
        """Put the outputs of the dense convolution where they belong.

        Parameters
        ----------
        dense : Tensor
            From the dense convolution, in the layout.
        whole : Tensor of shape (images, outputs of a group, *output sizes)
            A part of an output that is dense in the layout.
        layout : Layout
        """
        shape, axes = self._phases.shape, self._phases.axes
        first = layout is Layout.CHANNELS_FIRST
        steps = CopyShape(
            element=whole.element_size(),
            images=whole.shape[0],
            channels=self._core.outputs,
            stride=shape.outputs,
            size=_triple(shape.output, 1),
            core=_triple(self._core.output, 1),
            output_phases=_triple([axis.output_phases for axis in axes], 1),
            tap_phases=_triple([1] * len(axes), 1),
            channels_first=first,
        )
        threads = torch.get_num_threads()
        _check(self._library.winograd_join(ctypes.byref(steps), dense.data_ptr(), whole.data_ptr(), threads))


def _shaped(memory: torch.Tensor, sizes: tuple[int, ...], dtype: torch.dtype, layout: Layout) -> torch.Tensor:
    """Return the first bytes of memory as a tensor (N, C, sizes...) in a layout."""
    ordered = sizes if layout is Layout.CHANNELS_FIRST else (sizes[0], *sizes[2:], sizes[1])
    values = memory[: prod(sizes) * dtype.itemsize].view(dtype).reshape(ordered)
    return values if layout is Layout.CHANNELS_FIRST else values.movedim(-1, 1)


def _triple(values: list[int] | tuple[int, ...], missing: int) -> ctypes.Array[ctypes.c_int64]:
    return Triple(*(missing,) * (3 - len(values)), *values)


def _check(wrong: bytes | None) -> None:
    if wrong:
        raise RuntimeError(f"internal error: the copies of phases refuse their arguments: {wrong.decode()}")


@lru_cache(maxsize=1)
def copies_library() -> ctypes.CDLL:
    """Return the compiled copies, built once for this machine; raises `BuildError` where no compiler works."""
    library = load(copies())
    for name in ("winograd_split", "winograd_join"):
        function = getattr(library, name)
        function.restype = ctypes.c_char_p
        function.argtypes = (ctypes.POINTER(CopyShape), ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
    return library
