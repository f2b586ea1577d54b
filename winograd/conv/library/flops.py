"""Operations of torch's operators for our convolution, as `torch.utils.flop_counter.FlopCounterMode` counts them.

In: sizes. Out: two operations for each multiplication of direct convolution, as torch counts its own, whatever computes
it. The formulas are registered at the first call after the counter was loaded: loading it here would load Triton where
that is installed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from math import prod
from typing import Any, Final

import torch
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

Sizes = Sequence[int]


def count_convolution(_input: Sizes, weight: Sizes, *_: Any, out_shape: Sizes, **_more: Any) -> int:
    """Return twice the multiplications of a convolution.

    Examples
    --------
    >>> count_convolution((1, 2, 5), (4, 2, 3), out_shape=(1, 4, 3))
    144
    """
    return 2 * prod(out_shape) * prod(weight[1:])


def count_input_gradient(grad_output: Sizes, weight: Sizes, *_: Any, **_more: Any) -> int:
    """Return twice the multiplications of the gradient of the input, as many as those of the convolution."""
    return 2 * prod(grad_output) * prod(weight[1:])


def count_weight_gradient(_input: Sizes, grad_output: Sizes, *_: Any, out_shape: Sizes, **_more: Any) -> int:
    """Return twice the multiplications of the gradient of the weight, as many as those of the convolution."""
    return 2 * prod(grad_output) * prod(out_shape[1:])


_FORMULAS: Final = {
    "convolution": count_convolution,
    "input_gradient": count_input_gradient,
    "weight_gradient": count_weight_gradient,
}

_registered: Final[list[bool]] = []


def register() -> None:
    """Register the formulas, also with the counters that are at work, unless it was done or no counter was loaded."""
    if _registered or "torch.utils.flop_counter" not in sys.modules:
        return
    from torch.utils import flop_counter

    for name, formula in _FORMULAS.items():
        packet = getattr(torch.ops.winograd, name)
        flop_counter.register_flop_formula(packet)(formula)  # type: ignore[arg-type]
        for mode in _get_current_dispatch_mode_stack():
            counter = getattr(mode, "counter", None)
            if isinstance(counter, flop_counter.FlopCounterMode):
                counter.flop_registry.setdefault(packet, flop_counter.flop_registry[packet])
    _registered.append(True)
