"""The machine that the cost model assumes: its measured peaks, and the speeds fitted to measured layers."""

from __future__ import annotations

from winograd.conv.machine.peaks import Peaks
from winograd.conv.machine.speeds import NOMINAL, Machine

__all__ = ["NOMINAL", "Machine", "Peaks"]
