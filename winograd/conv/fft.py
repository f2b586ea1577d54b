"""The FFT backend, for comparison: generated C as the native one, with Fourier transforms of the tiles.

In: float32 CPU tensors, padding, a tile. Out: the convolution, channels first or last. Refused: what the native backend
refuses. No plan takes it; benchmarks/fft_or_winograd.py measures it against what plans take.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, cast

import torch

from winograd.algebra.tiling import tile_axes
from winograd.codegen.build import load
from winograd.codegen.fourier.forms import FftForm
from winograd.codegen.fourier.tile import FftTile
from winograd.codegen.targets.c.fourier import DTYPE, emit_fft
from winograd.conv.native.interface import declared
from winograd.conv.native.kernel import DTYPES, NativeConvolution
from winograd.conv.native.operands import PackedFilter
from winograd.conv.native.schedule import Schedule, choose_schedule

__all__ = ["FftConvolution", "FftForm", "FftTile", "convolve_fft", "fft_convolution", "pack_fft"]


class FftConvolution(NativeConvolution):
    """The compiled convolution by Fourier transforms of a tile; see `fft_convolution` for the cached constructor.

    Packing and convolving are those of `winograd.conv.native.kernel.NativeConvolution`.

    Parameters
    ----------
    tile : FftTile

    Raises
    ------
    BuildError
        If no C compiler works.

    Examples
    --------
    >>> fft = fft_convolution(FftTile((4,), (3,), "gauss"))
    >>> packed = fft.pack(torch.ones(1, 1, 3))
    >>> fft.convolve(torch.arange(5.0).reshape(1, 1, 5), packed, padding=((1, 1),)).round(decimals=5)
    tensor([[[1., 3., 6., 9., 7.]]])
    """

    def __init__(self, tile: FftTile) -> None:
        self.algorithm = cast(Any, tile)  # which has all that the backend asks an algorithm for
        self.dtype = self.working = DTYPES[DTYPE]
        self._digest = tile.digest
        self._library = declared(load(emit_fft(tile)))
        self._panel = int(self._library.winograd_panel())


@lru_cache(maxsize=64)
def fft_convolution(tile: FftTile) -> FftConvolution:
    """Return the compiled convolution by a tile, made once per process; raises as `FftConvolution`."""
    return FftConvolution(tile)


def pack_fft(weight: torch.Tensor, m: Sequence[int], form: FftForm | str = FftForm.GAUSS) -> PackedFilter:
    """Return a filter transformed and packed for `convolve_fft` with the same m and form.

    Parameters
    ----------
    weight : Tensor
        float32, of shape (outputs, channels, *taps).
    m : sequence of int
        Outputs of a tile per axis; the transforms have length m + r - 1.
    form : FftForm or str
        "regular" or "gauss".

    Raises
    ------
    ValueError
        For sizes that are no tile, another form, dtype or device.
    """
    return fft_convolution(_tile(weight, m, form)).pack(weight)


def convolve_fft(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    *,
    m: Sequence[int],
    form: FftForm | str = FftForm.GAUSS,
    padding: Sequence[tuple[int, int]],
    packed: PackedFilter | None = None,
) -> torch.Tensor:
    """Convolve by Fourier transforms of overlapping tiles; stride, dilation and groups are 1.

    Parameters
    ----------
    input, weight : Tensor
        float32 of shape (batch, channels, *sizes) and (outputs, channels, *taps), one to three axes.
    bias : Tensor, optional
        float32 of shape (outputs,).
    m : sequence of int
        Outputs of a tile per axis; the transforms have length m + r - 1, at most 64.
    form : FftForm or str
        "regular": complex products of four multiplications; "gauss": of three.
    padding : sequence of (low, high)
        Zeros before and after, one pair per axis.
    packed : PackedFilter, optional
        From `pack_fft`; made of the weight if it is not given.

    Returns
    -------
    Tensor
        Of shape (batch, outputs, *output sizes), in the layout of the input.

    Raises
    ------
    ValueError
        For tensors that do not match each other or the packed filter, sizes that are no tile, or another form.

    Examples
    --------
    >>> image, kernel = torch.arange(5.0).reshape(1, 1, 5), torch.ones(1, 1, 3)
    >>> convolve_fft(image, kernel, m=(4,), form="regular", padding=((1, 1),)).round(decimals=5)
    tensor([[[1., 3., 6., 9., 7.]]])
    """
    tile = _tile(weight, m, form)
    convolution = fft_convolution(tile)
    filters = convolution.pack(weight) if packed is None else packed
    schedule = default_schedule(tile, tuple(input.shape), weight.shape[0], padding)
    return convolution.convolve(input, filters, bias, padding, schedule=schedule)


def default_schedule(
    tile: FftTile, input: Sequence[int], outputs: int, padding: Sequence[tuple[int, int]]
) -> Schedule | None:
    """Return the schedule that suits the numbers which stand for a tile; None where the backend will refuse sizes."""
    if len(input) != tile.ndim + 2 or 0 in input:
        return None
    return choose_schedule(
        tile_axes(input[2:], tile.m, tile.r, padding),
        batch=input[0],
        channels=input[1],
        outputs=outputs,
        rank=tile.planes,
        threads=torch.get_num_threads(),
    )


def _tile(weight: torch.Tensor, m: Sequence[int], form: FftForm | str) -> FftTile:
    return FftTile(tuple(m), tuple(weight.shape[2:]), FftForm(form))
