"""The whole-network mode: the cheapest tolerances of layers that keep the error of the output under a figure."""

from __future__ import annotations

from winograd.nn.budget.meet import meet_output_tolerance
from winograd.nn.budget.record import LayerShare, OutputBudget

__all__ = ["LayerShare", "OutputBudget", "meet_output_tolerance"]
