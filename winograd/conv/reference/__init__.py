"""The reference backend: NumPy arrays of any dtype, exact where that is."""

from __future__ import annotations

from winograd.conv.reference.convolve import convolve_reference

__all__ = ["convolve_reference"]
