"""torch modules that convolve by plan, and the conversion of whole models to them, in place and undone at will."""

from __future__ import annotations

from winograd.nn.converting import conversion_report, convert, convert_, revert_
from winograd.nn.folding.plain import fold_norms
from winograd.nn.formats import channels_last_
from winograd.nn.freezing import freeze, thaw
from winograd.nn.lazy import (
    LazyConv1d,
    LazyConv2d,
    LazyConv3d,
    LazyConvTranspose1d,
    LazyConvTranspose2d,
    LazyConvTranspose3d,
)
from winograd.nn.modules import Conv1d, Conv2d, Conv3d
from winograd.nn.report import ConversionReport
from winograd.nn.transposed import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d

__all__ = [
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "ConversionReport",
    "LazyConv1d",
    "LazyConv2d",
    "LazyConv3d",
    "LazyConvTranspose1d",
    "LazyConvTranspose2d",
    "LazyConvTranspose3d",
    "channels_last_",
    "conversion_report",
    "convert",
    "convert_",
    "fold_norms",
    "freeze",
    "revert_",
    "thaw",
]
