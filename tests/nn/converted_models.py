"""A model of several kinds of convolutions, and what conversion must leave of it."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from winograd.nn.modules import PlannedConvolution


class Conv3DSimple(nn.Conv3d):
    """As in torchvision's video networks: another constructor, the same convolution."""

    def __init__(self, in_planes: int, out_planes: int, midplanes: int | None = None, stride: int = 1) -> None:
        super().__init__(in_planes, out_planes, kernel_size=3, stride=stride, padding=1, bias=False)
        self.midplanes = midplanes


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv3d(3, 8, 3, padding=1),
        nn.BatchNorm3d(8),
        nn.Sequential(Conv3DSimple(8, 8), nn.ReLU()),
        nn.Conv3d(8, 4, 1),
    ).eval()


def clip(size: int = 6) -> Tensor:
    return torch.randn(2, 3, size - 2, size, size, generator=torch.Generator().manual_seed(1))


def planned(model: nn.Module) -> list[str]:
    return [name for name, module in model.named_modules() if isinstance(module, PlannedConvolution)]


def snapshot(model: nn.Module) -> Iterator[tuple[object, ...]]:
    """Yield what conversion must not change, and the class, which reverting restores."""
    for name, module in model.named_modules():
        yield name, id(module), type(module), list(vars(module))
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        yield name, id(tensor), tensor.requires_grad, tensor.detach().clone().numpy().tobytes()
