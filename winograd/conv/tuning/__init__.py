"""Tuning by measurement: plans that were run on this machine before one was taken."""

from __future__ import annotations

from winograd.conv.tuning.tuned import clear, forget, tuned_plan

__all__ = ["clear", "forget", "tuned_plan"]
