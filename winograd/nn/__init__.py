"""torch modules that convolve by plan, and the conversion of whole models to them, in place and undone at will.

What is where. Layers: `modules`, `transposed`, `lazy`; what each has beyond torch's is `state`, what it does in a call
`convolving`, in a graph of torch.fx `traced`, the plans that it keeps `plans_in_use`. Conversion: `converting`, its
parts in `conversion`; the classes it makes are `planned`, around which torch may have `wrapped` others; what files of
them name is `recipes`. Beside it: `freezing` with `folding`, the whole-network mode `budget`, `formats`. Reports:
`report` with `reporting`, told on the way by `progress`. Studies of a network: `compare` makes a `comparison`, by
`depth` and `speed`; `comparison_text` and `plot` show it.
"""

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
