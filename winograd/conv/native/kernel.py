"""The native backend: generated C, compiled for this machine, on torch tensors of 16, 32 or 64 bits.

In: CPU tensors of one dtype, a filter packed beforehand, padding. Out: the convolution, channels first or last.
Refused: other dtypes and devices, shapes that do not match the packed filter. Inside everything is float32, or float64
for tensors of float64.
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
from winograd.codegen.emit import emit
from winograd.codegen.texts import kept_kernel
from winograd.conv.native.interface import check_answer, declared, kernel_shape
from winograd.conv.native.operands import PackedFilter, check_operand, fresh_tensor, readable, workspace_of
from winograd.conv.native.schedule import Schedule, choose_schedule
from winograd.conv.scratch import Scratch, fresh_memory, scratch
from winograd.conv.tensors.forked import on_usable_threads
from winograd.conv.tensors.layout import Layout, in_layout, is_dense_in, read_address
from winograd.quoting import quote

DTYPES: Final = MappingProxyType(
    {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16, "float64": torch.float64}
)
"""What inputs, weights, residuals and outputs may be."""


class NativeConvolution:
    """The compiled convolution by one algorithm; see `native_convolution` for the cached constructor.

    Parameters
    ----------
    algorithm : BilinearAlgorithm or NestedAlgorithm
        One to three axes, rational.
    dtype : str
        One of `DTYPES`: that of inputs, weights, residuals and outputs. The packed filter and the bias are float32, and
        so is what is computed with, or all of them float64: an output is rounded once.

    Raises
    ------
    ValueError
        For another dtype.
    BuildError
        If no C compiler works.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> f23 = native_convolution(NestedAlgorithm((toom_cook(2, 3),)))
    >>> packed = f23.pack(torch.ones(1, 1, 3))
    >>> f23.convolve(torch.arange(5.0).reshape(1, 1, 5), packed, padding=((1, 1),))
    tensor([[[1., 3., 6., 9., 7.]]])
    """

    def __init__(self, algorithm: BilinearAlgorithm | NestedAlgorithm, dtype: str = "float32") -> None:
        if dtype not in DTYPES:
            raise ValueError(f"dtype {quote(dtype)}, the native backend has {', '.join(DTYPES)}")
        self.algorithm = as_nested(algorithm)
        self.dtype = DTYPES[dtype]
        self.working = torch.float64 if dtype == "float64" else torch.float32
        self._digest = self.algorithm.digest  # made once: it spells every matrix
        emission = partial(emit, self.algorithm, "c", dtype=dtype)
        self._library = declared(load(kept_kernel(emission, self.algorithm, "convolution", dtype)))
        self._panel = int(self._library.winograd_panel())

    @on_usable_threads
    def pack(self, weight: torch.Tensor) -> PackedFilter:
        """Transform a filter in float64, round it once to what is computed with and pack it.

        Parameters
        ----------
        weight : Tensor
            Of shape (outputs, channels, *taps) on the CPU, any strides.

        Raises
        ------
        ValueError
            For another dtype, device or shape.
        MemoryError
            If there is no memory for the transform.
        """
        self._check_tensor("weight", weight)
        if tuple(weight.shape[2:]) != self.algorithm.r:
            raise ValueError(
                f"weight has taps {tuple(weight.shape[2:])}, {self.algorithm.label} needs {self.algorithm.r}"
            )
        outputs, channels = weight.shape[:2]
        plain = weight.detach().contiguous()
        values = fresh_memory((self._library.winograd_filter_floats(channels, outputs),), self.working)
        if self._library.winograd_filter(
            read_address(plain), channels, outputs, values.data_ptr(), torch.get_num_threads()
        ):
            raise MemoryError(f"no memory to transform a filter of shape {tuple(weight.shape)}")
        return PackedFilter(values, channels, outputs, self._digest)

    @on_usable_threads
    def convolve(
        self,
        input: torch.Tensor,
        packed: PackedFilter,
        bias: torch.Tensor | None = None,
        padding: Sequence[tuple[int, int]] = ((1, 1), (1, 1), (1, 1)),
        relu: bool = False,
        residual: torch.Tensor | None = None,
        schedule: Schedule | None = None,
        layout: Layout | None = None,
        out: torch.Tensor | None = None,
        memory: Scratch = scratch,
    ) -> torch.Tensor:
        """Convolve, add the bias and the residual, and set negative outputs to zero if ``relu``.

        Parameters
        ----------
        input : Tensor
            Of shape (batch, channels, *sizes) on the CPU, any strides; dense ones, with channels first or last, are not
            copied.
        packed : PackedFilter
            From `pack`.
        bias : Tensor, optional
            Of shape (outputs,), float32 or float64 as what is computed with.
        padding : sequence of (low, high)
            Zeros before and after, one pair per axis.
        relu : bool
            Whether the ReLU follows; a NaN stays NaN.
        residual : Tensor, optional
            Of the shape of the result; not copied if its layout is that of the result.
        schedule : Schedule, optional
            None takes `choose_schedule`.
        layout : Layout, optional
            Of the result; None takes that of the input.
        out : Tensor, optional
            Written to and returned: of the shape and dtype of the result, dense in its layout.
        memory : Scratch
            Gives the workspace, from the start of a cache line.

        Returns
        -------
        Tensor
            Of shape (batch, outputs, *output sizes).

        Raises
        ------
        ValueError
            For tensors that do not match the algorithm or the packed filter.
        """
        self._check_tensor("input", input)
        self._check_match(input, packed, bias)
        tiling = tile_axes(tuple(input.shape[2:]), self.algorithm.m, self.algorithm.r, padding)
        batch, channels = input.shape[:2]
        source, source_layout = readable(input.detach())
        target_layout = layout or source_layout
        target = self._output((batch, packed.outputs, *tiling.output), target_layout, out)
        added = self._residual(residual, target, target_layout)
        threads = torch.get_num_threads()
        chosen = schedule or self._schedule(tiling, batch, channels, packed.outputs, threads)
        shape = kernel_shape(tiling, batch, channels, packed.outputs, chosen, source_layout, target_layout)
        floats = int(self._library.winograd_workspace_floats(ctypes.byref(shape), threads))
        workspace = workspace_of(memory, self.working.itemsize * floats)
        shift = None if bias is None else bias.detach().contiguous()
        wrong = self._library.winograd_convolve(
            ctypes.byref(shape),
            read_address(source),
            read_address(packed.values),
            None if shift is None else read_address(shift),
            None if added is None else read_address(added),
            int(relu),
            target.data_ptr(),
            workspace.data_ptr(),
            threads,
        )
        check_answer(wrong)
        return target

    def workspace_bytes(
        self,
        tiling: Tiling,
        batch: int,
        channels: int,
        outputs: int,
        schedule: Schedule | None = None,
        input_layout: Layout = Layout.CHANNELS_LAST,
        layout: Layout = Layout.CHANNELS_LAST,
    ) -> int:
        """Return the bytes of workspace of one call on the threads that torch uses now."""
        threads = torch.get_num_threads()
        chosen = schedule or self._schedule(tiling, batch, channels, outputs, threads)
        shape = kernel_shape(tiling, batch, channels, outputs, chosen, input_layout, layout)
        return self.working.itemsize * int(self._library.winograd_workspace_floats(ctypes.byref(shape), threads))

    def filter_bytes(self, channels: int, outputs: int) -> int:
        """Return the bytes of the packed filter."""
        return self.working.itemsize * int(self._library.winograd_filter_floats(channels, outputs))

    def _check_match(self, input: torch.Tensor, packed: PackedFilter, bias: torch.Tensor | None) -> None:
        if packed.algorithm != self._digest:
            raise ValueError(f"packed filter was made by another algorithm than {self.algorithm.label}")
        if input.shape[1] != packed.channels:
            raise ValueError(f"input has {input.shape[1]} channels, the packed filter needs {packed.channels}")
        if bias is not None and (bias.shape != (packed.outputs,) or bias.dtype != self.working):
            wanted = str(self.working).removeprefix("torch.")
            raise ValueError(f"bias is {bias.dtype} of shape {tuple(bias.shape)}, must be {wanted} ({packed.outputs},)")

    def _check_tensor(self, name: str, tensor: torch.Tensor) -> None:
        check_operand(name, tensor, dtype=self.dtype, ndim=self.algorithm.ndim)

    def _output(self, sizes: tuple[int, ...], layout: Layout, out: torch.Tensor | None) -> torch.Tensor:
        if out is None:
            return fresh_tensor(sizes, self.dtype, layout)
        self._check_tensor("out", out)
        if tuple(out.shape) != sizes or not is_dense_in(out, layout):
            raise ValueError(f"out of shape {tuple(out.shape)}, must be {sizes} and dense with {layout.value}")
        return out

    def _residual(self, residual: torch.Tensor | None, target: torch.Tensor, layout: Layout) -> torch.Tensor | None:
        if residual is None:
            return None
        self._check_tensor("residual", residual)
        if residual.shape != target.shape:
            raise ValueError(f"residual has shape {tuple(residual.shape)}, the output has {tuple(target.shape)}")
        return in_layout(residual.detach(), layout)

    def _schedule(self, tiling: Tiling, batch: int, channels: int, outputs: int, threads: int) -> Schedule:
        return choose_schedule(
            tiling,
            batch=batch,
            channels=channels,
            outputs=outputs,
            rank=self.algorithm.rank,
            threads=threads,
            panel=self._panel,
            number_bytes=self.working.itemsize,
        )


@lru_cache(maxsize=64)
def native_convolution(algorithm: NestedAlgorithm, dtype: str = "float32") -> NativeConvolution:
    """Return the compiled convolution by an algorithm, made once per process; raises as `NativeConvolution`."""
    return NativeConvolution(algorithm, dtype)
