"""The gradient of a filter by the native backend: generated C, compiled for this machine, on torch tensors.

In: float32 or float64 CPU tensors, an input and the gradient of the output, padding. Out: the gradient of the filter of
a dense convolution of stride 1. Refused: other dtypes and devices, shapes that do not match.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Final

import torch  # before any kernel is loaded: kernels then share torch's OpenMP runtime and its threads

from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import NestedAlgorithm, as_nested
from winograd.algebra.tiling import Tiling, tile_axes
from winograd.codegen.build import load
from winograd.codegen.kernel_shape import GradientShape
from winograd.codegen.targets.c.gradient import GRADIENT_DTYPES, emit_gradient
from winograd.codegen.texts import kept_kernel
from winograd.conv.native.interface import check_answer, spread, typed
from winograd.conv.native.operands import check_operand, readable, workspace_of
from winograd.conv.scratch import Scratch, fresh_memory, scratch
from winograd.conv.tensors.forked import on_usable_threads
from winograd.conv.tensors.layout import Layout, read_address
from winograd.quoting import quote

DTYPES: Final = MappingProxyType({name: getattr(torch, name) for name in GRADIENT_DTYPES})
"""What inputs and gradients may be."""


class NativeFilterGradient:
    """The compiled gradient of a filter by one algorithm; see `filter_gradient` for the cached constructor.

    Parameters
    ----------
    algorithm : BilinearAlgorithm or NestedAlgorithm
        One to three axes, rational.
    dtype : str
        One of `DTYPES`: that of inputs, of gradients, and of what is computed with; only the transform of the filter,
        the last one, is in float64 always.

    Raises
    ------
    ValueError
        For another dtype.
    BuildError
        If no C compiler works.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> f23 = filter_gradient(NestedAlgorithm((toom_cook(2, 3),)))
    >>> f23.gradient(torch.arange(5.0).reshape(1, 1, 5), torch.ones(1, 1, 5), padding=((1, 1),))
    tensor([[[ 6., 10., 10.]]])
    """

    def __init__(self, algorithm: BilinearAlgorithm | NestedAlgorithm, dtype: str = "float32") -> None:
        if dtype not in DTYPES:
            raise ValueError(f"dtype {quote(dtype)}, the native gradient has {', '.join(DTYPES)}")
        self.algorithm = as_nested(algorithm)
        self.dtype = DTYPES[dtype]
        emit = partial(emit_gradient, self.algorithm, dtype)
        self._library = _declared(load(kept_kernel(emit, self.algorithm, "gradient", dtype)))

    @on_usable_threads
    def gradient(
        self,
        input: torch.Tensor,
        grad_output: torch.Tensor,
        padding: Sequence[tuple[int, int]] = ((1, 1), (1, 1), (1, 1)),
        block: int | None = None,
        memory: Scratch = scratch,
    ) -> torch.Tensor:
        """Return the gradient of the filter: the sum over batch and outputs of grad_output times input.

        It is the same, bit for bit, in both layouts, and on any number of threads.

        Parameters
        ----------
        input : Tensor
            Of shape (batch, channels, *sizes) on the CPU, any strides; dense ones, with channels first or last, are not
            copied.
        grad_output : Tensor
            Of shape (batch, outputs, *output sizes), likewise.
        padding : sequence of (low, high)
            Zeros before and after the input, one pair per axis.
        block : int, optional
            Tiles that are held at a time: more memory, other sums; None takes a choice.
        memory : Scratch
            Gives the workspace, from the start of a cache line.

        Returns
        -------
        Tensor
            Of shape (outputs, channels, *taps), contiguous.

        Raises
        ------
        ValueError
            For tensors that do not match the algorithm or each other.
        """
        self._check_tensor("input", input)
        self._check_tensor("grad_output", grad_output)
        tiling = tile_axes(tuple(input.shape[2:]), self.algorithm.m, self.algorithm.r, padding)
        if grad_output.shape[0] != input.shape[0] or tuple(grad_output.shape[2:]) != tiling.output:
            wanted = (input.shape[0], grad_output.shape[1], *tiling.output)
            raise ValueError(f"grad_output has shape {tuple(grad_output.shape)}, must be {wanted}")
        channels, outputs = input.shape[1], grad_output.shape[1]
        x, input_layout = readable(input.detach())
        dy, layout = readable(grad_output.detach())
        shape = self._shape(tiling, input.shape[0], channels, outputs, block, input_layout, layout)
        threads = torch.get_num_threads()
        workspace = workspace_of(memory, self._bytes(shape, threads))
        target = fresh_memory((outputs, channels, *self.algorithm.r), self.dtype)
        wrong = self._library.winograd_filter_gradient(
            ctypes.byref(shape), read_address(x), read_address(dy), target.data_ptr(), workspace.data_ptr(), threads
        )
        check_answer(wrong)
        return target

    def workspace_bytes(
        self,
        tiling: Tiling,
        batch: int,
        channels: int,
        outputs: int,
        block: int | None = None,
        input_layout: Layout = Layout.CHANNELS_LAST,
        layout: Layout = Layout.CHANNELS_LAST,
    ) -> int:
        """Return the bytes of workspace of one call on the threads that torch uses now."""
        shape = self._shape(tiling, batch, channels, outputs, block, input_layout, layout)
        return self._bytes(shape, torch.get_num_threads())

    def _bytes(self, shape: GradientShape, threads: int) -> int:
        numbers = int(self._library.winograd_workspace_floats(ctypes.byref(shape), threads))
        return numbers * int(self.dtype.itemsize)

    def _check_tensor(self, name: str, tensor: torch.Tensor) -> None:
        check_operand(name, tensor, dtype=self.dtype, ndim=self.algorithm.ndim)

    def _shape(
        self,
        tiling: Tiling,
        batch: int,
        channels: int,
        outputs: int,
        block: int | None,
        input_layout: Layout,
        layout: Layout,
    ) -> GradientShape:
        return GradientShape(
            batch,
            channels,
            outputs,
            *spread(tiling),
            input_layout is Layout.CHANNELS_FIRST,
            layout is Layout.CHANNELS_FIRST,
            block or 0,
        )


@lru_cache(maxsize=64)
def filter_gradient(algorithm: NestedAlgorithm, dtype: str = "float32") -> NativeFilterGradient:
    """Return the compiled gradient by an algorithm, made once per process; raises as `NativeFilterGradient`."""
    return NativeFilterGradient(algorithm, dtype)


def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    size, shape, numbers, text = ctypes.c_int64, ctypes.POINTER(GradientShape), ctypes.c_void_p, ctypes.c_char_p
    return typed(
        library,
        {
            "winograd_workspace_floats": (size, (shape, size)),
            "winograd_filter_gradient": (text, (shape, numbers, numbers, numbers, numbers, size)),
        },
    )
