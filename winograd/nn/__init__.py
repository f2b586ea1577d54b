"""torch modules that convolve by plan, and the conversion of whole models to them, in place and undone at will."""

from __future__ import annotations

from winograd.nn.convert import convert_, freeze, revert_, thaw
from winograd.nn.modules import Conv1d, Conv2d, Conv3d
from winograd.nn.report import ConversionReport

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConversionReport", "convert_", "freeze", "revert_", "thaw"]
