"""`Step`: what one training step of a convolution computes, and how far it is from another.

In: output and gradients. Out: relative L2 errors by name. Refused: errors above a tolerance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from torch import Tensor

from winograd.benching.verification import AboveToleranceError
from winograd.nn.compare import relative_l2

NAMES: Final = ("output", "input_gradient", "weight_gradient", "bias_gradient")
"""What a step computes, in this order in every table."""

DIRECT: Final = "direct"
"""What computes a tensor that is left to torch."""

_OF_TORCH: Final = 2.0
"""How many times the error of torch's own a tensor may have that torch has computed."""


@dataclass(frozen=True, slots=True)
class Step:
    """Output and gradients of one convolution.

    Parameters
    ----------
    output : Tensor of shape (N, K, output sizes...)
    input_gradient : Tensor of shape (N, C, sizes...)
    weight_gradient : Tensor of shape (K, C / groups, taps...)
    bias_gradient : Tensor of shape (K,), or None without a bias
    """

    output: Tensor
    input_gradient: Tensor
    weight_gradient: Tensor
    bias_gradient: Tensor | None

    def errors(self, exact: Step) -> dict[str, float]:
        """Return the relative L2 error of each tensor that there is, by its name."""
        pairs = {name: (getattr(self, name), getattr(exact, name)) for name in NAMES}
        return {name: relative_l2(ours, true) for name, (ours, true) in pairs.items() if true is not None}


def check_step(
    layer: str,
    errors: Mapping[str, float],
    direct_errors: Mapping[str, float],
    engaged: Mapping[str, str],
    tolerance: float,
) -> None:
    """Refuse a step of which an error is above the tolerance, or no number.

    What ours leaves to torch may have twice the error of torch's own, as no tolerance is promised there.

    Raises
    ------
    AboveToleranceError
        Naming layer, tensor, what computed it, error and what was allowed.

    Examples
    --------
    >>> left = {"weight_gradient": DIRECT}
    >>> check_step("conv2", {"weight_gradient": 6e-6}, {"weight_gradient": 5.6e-6}, left, 5e-6)
    >>> check_step("conv2", {"bias_gradient": 6e-6}, {"bias_gradient": 1e-6}, left, 5e-6)
    Traceback (most recent call last):
    ...
    winograd.benching.verification.AboveToleranceError: conv2: error 6.00e-06 of bias gradient by direct is above 5e-06
    """
    for name, error in errors.items():
        by = engaged.get(name, DIRECT)
        allowed = max(tolerance, _OF_TORCH * direct_errors[name]) if by == DIRECT else tolerance
        if not error <= allowed:
            told = name.replace("_", " ")
            raise AboveToleranceError(f"{layer}: error {error:.2e} of {told} by {by} is above {allowed:g}")
