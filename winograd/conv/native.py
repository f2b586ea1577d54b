"""The native backend: generated C, compiled for this machine, on float32 torch tensors.

In: CPU float32 tensors, a filter packed beforehand, padding. Out: the convolution in channels-last memory format.
Refused: other dtypes and devices, shapes that do not match the packed filter.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod

import torch  # before any kernel is loaded: kernels then share torch's OpenMP runtime and its threads

from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import NestedAlgorithm, as_nested
from winograd.algebra.tiling import Tiling, tile_axes
from winograd.codegen.build import load
from winograd.codegen.emit import emit
from winograd.codegen.kernel_shape import KernelShape, Triple
from winograd.conv.memory import advise_huge_pages
from winograd.conv.schedule import Schedule, choose_schedule

_Float = ctypes.POINTER(ctypes.c_float)


@dataclass(frozen=True, slots=True)
class PackedFilter:
    """A transformed filter, packed for one algorithm on this machine.

    Parameters
    ----------
    values : Tensor
        float32, one axis, in the order the kernel reads.
    channels, outputs : int
        Of the weight it was made from.
    algorithm : str
        Digest of the algorithm.
    """

    values: torch.Tensor
    channels: int
    outputs: int
    algorithm: str

    @property
    def nbytes(self) -> int:
        """Bytes of the transformed filter."""
        return self.values.numel() * self.values.element_size()


class NativeConvolution:
    """The compiled convolution by one algorithm; see `native_convolution` for the cached constructor.

    Parameters
    ----------
    algorithm : BilinearAlgorithm or NestedAlgorithm
        One to three axes, rational.

    Raises
    ------
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

    def __init__(self, algorithm: BilinearAlgorithm | NestedAlgorithm) -> None:
        self.algorithm = as_nested(algorithm)
        self._digest = self.algorithm.digest  # made once: it spells every matrix
        self._library = _declared(load(emit(self.algorithm, "c")))
        self._panel = int(self._library.winograd_panel())

    def pack(self, weight: torch.Tensor) -> PackedFilter:
        """Transform a filter in float64, round it once to float32 and pack it.

        Parameters
        ----------
        weight : Tensor
            float32 on the CPU, of shape (outputs, channels, *taps), any strides.

        Raises
        ------
        ValueError
            For another dtype, device or shape.
        MemoryError
            If there is no memory for the transform.
        """
        _check_tensor("weight", weight, self.algorithm.ndim)
        if tuple(weight.shape[2:]) != self.algorithm.r:
            raise ValueError(
                f"weight has taps {tuple(weight.shape[2:])}, {self.algorithm.label} needs {self.algorithm.r}"
            )
        outputs, channels = weight.shape[:2]
        plain = weight.detach().contiguous()
        values = _floats(self._library.winograd_filter_floats(channels, outputs))
        if self._library.winograd_filter(_address(plain), channels, outputs, _address(values), _threads()):
            raise MemoryError(f"no memory to transform a filter of shape {tuple(weight.shape)}")
        return PackedFilter(values, channels, outputs, self._digest)

    def convolve(
        self,
        input: torch.Tensor,
        packed: PackedFilter,
        bias: torch.Tensor | None = None,
        padding: Sequence[tuple[int, int]] = ((1, 1), (1, 1), (1, 1)),
        relu: bool = False,
        residual: torch.Tensor | None = None,
        schedule: Schedule | None = None,
    ) -> torch.Tensor:
        """Convolve, add the bias and the residual, and set negative outputs to zero if ``relu``.

        Parameters
        ----------
        input : Tensor
            float32 on the CPU, of shape (batch, channels, *sizes), any strides; channels-last ones are not copied.
        packed : PackedFilter
            From `pack`.
        bias : Tensor, optional
            float32 of shape (outputs,).
        padding : sequence of (low, high)
            Zeros before and after, one pair per axis.
        relu : bool
            Whether the ReLU follows; a NaN stays NaN.
        residual : Tensor, optional
            float32 of the shape of the result; channels-last ones are not copied.
        schedule : Schedule, optional
            None takes `choose_schedule`.

        Returns
        -------
        Tensor
            float32 of shape (batch, outputs, *output sizes), channels-last in memory.

        Raises
        ------
        ValueError
            For tensors that do not match the algorithm or the packed filter.
        """
        _check_tensor("input", input, self.algorithm.ndim)
        self._check_match(input, packed, bias)
        tiling = tile_axes(tuple(input.shape[2:]), self.algorithm.m, self.algorithm.r, padding)
        batch, channels = input.shape[:2]
        source = input.detach().movedim(1, -1).contiguous()
        added = self._residual(residual, (batch, packed.outputs, *tiling.output))
        target = _floats(batch, *tiling.output, packed.outputs)
        threads = _threads()
        shape = self._shape(tiling, batch, channels, packed.outputs, schedule, threads)
        workspace = _workspace(int(self._library.winograd_workspace_floats(ctypes.byref(shape), threads)))
        shift = None if bias is None else bias.detach().contiguous()
        wrong = self._library.winograd_convolve(
            ctypes.byref(shape),
            _address(source),
            _address(packed.values),
            None if shift is None else _address(shift),
            None if added is None else _address(added),
            int(relu),
            _address(target),
            _address(workspace),
            threads,
        )
        if wrong:
            raise RuntimeError(f"internal error: the kernel refuses its arguments: {wrong.decode()}")
        return target.movedim(-1, 1)

    def workspace_bytes(
        self, tiling: Tiling, batch: int, channels: int, outputs: int, schedule: Schedule | None = None
    ) -> int:
        """Return the bytes of workspace of one call on the threads that torch uses now."""
        threads = _threads()
        shape = self._shape(tiling, batch, channels, outputs, schedule, threads)
        return 4 * int(self._library.winograd_workspace_floats(ctypes.byref(shape), threads))

    def filter_bytes(self, channels: int, outputs: int) -> int:
        """Return the bytes of the packed filter."""
        return 4 * int(self._library.winograd_filter_floats(channels, outputs))

    def _check_match(self, input: torch.Tensor, packed: PackedFilter, bias: torch.Tensor | None) -> None:
        if packed.algorithm != self._digest:
            raise ValueError(f"packed filter was made by another algorithm than {self.algorithm.label}")
        if input.shape[1] != packed.channels:
            raise ValueError(f"input has {input.shape[1]} channels, the packed filter needs {packed.channels}")
        if bias is not None and (bias.shape != (packed.outputs,) or bias.dtype != torch.float32):
            raise ValueError(f"bias is {bias.dtype} of shape {tuple(bias.shape)}, must be float32 ({packed.outputs},)")

    def _residual(self, residual: torch.Tensor | None, sizes: tuple[int, ...]) -> torch.Tensor | None:
        if residual is None:
            return None
        _check_tensor("residual", residual, self.algorithm.ndim)
        if tuple(residual.shape) != sizes:
            raise ValueError(f"residual has shape {tuple(residual.shape)}, the output has {sizes}")
        return residual.detach().movedim(1, -1).contiguous()

    def _shape(
        self, tiling: Tiling, batch: int, channels: int, outputs: int, schedule: Schedule | None, threads: int
    ) -> KernelShape:
        missing = 3 - self.algorithm.ndim
        chosen = schedule or choose_schedule(
            tiling,
            batch=batch,
            channels=channels,
            outputs=outputs,
            rank=self.algorithm.rank,
            threads=threads,
            panel=self._panel,
        )
        return KernelShape(
            batch,
            channels,
            outputs,
            Triple(*(1,) * missing, *(axis.size for axis in tiling.axes)),
            Triple(*(0,) * missing, *(axis.low for axis in tiling.axes)),
            Triple(*(0,) * missing, *(axis.high for axis in tiling.axes)),
            chosen.kind,
            chosen.block,
        )


@lru_cache(maxsize=64)
def native_convolution(algorithm: NestedAlgorithm) -> NativeConvolution:
    """Return the compiled convolution by an algorithm, made once per process; raises as `NativeConvolution`."""
    return NativeConvolution(algorithm)


def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    size, shape = ctypes.c_int64, ctypes.POINTER(KernelShape)
    for name, result, arguments in (
        ("winograd_panel", size, ()),
        ("winograd_filter_floats", size, (size, size)),
        ("winograd_filter", ctypes.c_char_p, (_Float, size, size, _Float, size)),
        ("winograd_workspace_floats", size, (shape, size)),
        (
            "winograd_convolve",
            ctypes.c_char_p,
            (shape, _Float, _Float, _Float, _Float, ctypes.c_int, _Float, _Float, size),
        ),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def _floats(*sizes: int) -> torch.Tensor:
    """Return uninitialised memory that C can write to, whatever torch's default device and dtype are."""
    values = torch.empty(sizes, dtype=torch.float32, device="cpu")
    advise_huge_pages(values.data_ptr(), values.nbytes)
    return values


def _address(tensor: torch.Tensor) -> ctypes._Pointer[ctypes.c_float]:
    return ctypes.cast(tensor.data_ptr(), _Float)


def _check_tensor(name: str, tensor: torch.Tensor, ndim: int) -> None:
    if tensor.dtype != torch.float32 or tensor.device.type != "cpu":
        raise ValueError(f"{name} is {tensor.dtype} on {tensor.device}, must be float32 on the CPU")
    if tensor.ndim != ndim + 2:
        raise ValueError(f"{name} has {tensor.ndim} dimensions, must have {ndim + 2}")
    if prod(tensor.shape) == 0:
        raise ValueError(f"{name} of shape {tuple(tensor.shape)} is empty")


class _Scratch(threading.local):
    """Workspace that a thread keeps between calls: fresh memory would cost a page fault every 4 KiB."""

    floats: torch.Tensor = torch.empty(0, device="cpu")


_scratch = _Scratch()
_forked = threading.Event()
os.register_at_fork(after_in_child=_forked.set)


def _workspace(floats: int) -> torch.Tensor:
    if _scratch.floats.numel() < floats:
        _scratch.floats = _floats(floats)
    return _scratch.floats


def release_workspace() -> None:
    """Free the workspace that the calling thread keeps between calls."""
    _scratch.floats = _floats(0)


def _threads() -> int:
    # An OpenMP pool does not survive a fork: a parallel region in the child would wait for threads that are gone.
    return 1 if _forked.is_set() else torch.get_num_threads()
