"""How much of a layer's error reaches the output of the model: measured on an example, one forward for each layer.

In: a model whose convolutions run directly, one of them, and a tolerance at which that takes Winograd. Out: how far the
output is off for each part that the layer is off. Refused: nothing.

What Winograd changes at the output of the layer is made larger before it goes on, so large that rounding behind it does
not count, and so small that the network answers in proportion. So its pattern is the real one, over channels, places
and signs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor

from winograd.nn.budget.outputs import Outputs, output_error
from winograd.nn.budget.setting import tolerated
from winograd.nn.modules import PlannedConvolution

MADE_UP_TO: Final = 1e-3
"""Relative L2 error that a layer is given: 1e4 times that of direct convolution in float32, and a ReLU or a maximum
changes sides for one number in a thousand."""


def measure_gain(
    run: Callable[[], Outputs], layer: PlannedConvolution, tolerance: float, undisturbed: Outputs
) -> float:
    """Return the relative error of the output over that of a layer, from one forward.

    Parameters
    ----------
    run : callable
        Runs the model, whose convolutions compute directly, on the example.
    layer : PlannedConvolution
        Of this model.
    tolerance : float
        At which the layer takes Winograd.
    undisturbed : dict of str to Tensor
        What ``run`` gives.
    """

    def disturb(_: Any, arguments: tuple[Any, ...], named: dict[str, Any], output: Tensor) -> Tensor:
        with tolerated(layer, tolerance):
            deviation = layer.forward(*arguments, **named) - output
        if not deviation.any():  # exact by chance: noise stands for what others give
            deviation = torch.randn_like(output)
        size, own = (float(torch.linalg.vector_norm(tensor.double())) for tensor in (output, deviation))
        disturbed: Tensor = output + deviation * (MADE_UP_TO * size / (own or 1.0))
        return disturbed

    handle = layer.register_forward_hook(disturb, prepend=True, with_kwargs=True)
    try:
        outputs = run()
    finally:
        handle.remove()
    return output_error(outputs, undisturbed) / MADE_UP_TO
