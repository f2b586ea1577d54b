"""Layers with a forward of their own, of their class or put into one of them."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.nn.conversion.citizens import C, Citizen, Maker, conv, entering

KINDS: Final[dict[str, Maker]] = {}
"""Models by what is special about them."""

kind = entering(KINDS)


class Causal(nn.Conv3d):
    """Pads time on the left, and lets torch do the rest."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(functional.pad(input, (0, 0, 0, 0, self.kernel_size[0] - 1, 0)))


class CausalInside(nn.Conv3d):
    """Pads time on the left, and calls the narrow part of torch's; it keeps the last slices if it is asked to."""

    def forward(self, input: Tensor, before: Tensor | None = None) -> Tensor:
        count = self.kernel_size[0] - 1
        before = input.new_zeros(*input.shape[:2], count, *input.shape[3:]) if before is None else before
        self.after = input[:, :, -count:].detach()
        return self._conv_forward(torch.cat([before, input], 2), self.weight, self.bias)


class Standardised(nn.Conv3d):
    """Standardises the weight in every call."""

    def forward(self, input: Tensor) -> Tensor:
        weight = self.weight - self.weight.mean((1, 2, 3, 4), keepdim=True)
        return self._conv_forward(input, weight / weight.std((1, 2, 3, 4), keepdim=True), self.bias)


class OwnInside(nn.Conv3d):
    """Overrides the narrow part, and calls torch's with another weight."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return super()._conv_forward(input, weight + 1, bias)


class ByFunction(nn.Conv3d):
    """Asks nothing of torch's module: calls the function."""

    def forward(self, input: Tensor) -> Tensor:
        return functional.conv3d(input, self.weight, self.bias, self.stride, self.padding)


@kind("causal convolutions")
def _causal() -> Citizen:
    layers = (Causal(C, C, 3, padding=(0, 1, 1)), nn.ReLU(), CausalInside(C, C, 3, padding=(0, 1, 1)))
    return Citizen(nn.Sequential(*layers), ["0", "2"])


@kind("a standardised weight")
def _standardised() -> Citizen:
    return Citizen(nn.Sequential(Standardised(C, C, 3, padding=1)), ["0"])


@kind("an own convolution inside")
def _own_inside() -> Citizen:
    model = nn.Sequential(OwnInside(C, C, 3, padding=1), ByFunction(C, C, 3, padding=1))
    return Citizen(model, ["0"], {"1": "computes the convolution itself: it overrides forward"})


@kind("a forward that was exchanged")
def _exchanged() -> Citizen:
    model = nn.Sequential(conv(), conv())
    forward = model[0].forward
    model[0].forward = lambda x: 2 * forward(x)  # as wrappers of layers do
    model[1]._conv_forward = lambda *tensors: tensors[0]
    return Citizen(model, ["0"], {"1": "overrides _conv_forward, in this one layer"})
