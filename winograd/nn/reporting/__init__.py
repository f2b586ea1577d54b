"""The parts of a conversion report: its rows, what was measured, and how both are written."""

from __future__ import annotations
