"""The light-weight 3D network: C3D with fully separable blocks for its convolutions, on the changes between frames.

In: clips of shape (N, 3, 16, 112, 112). Out: one score per class. The blocks can take the place of convolutions of any
network, too (`separate_`), and run by the paper's hybrid fast algorithm (`winograd.networks.hybrid`).
Refused: what C3D refuses, and widths that are not positive.

References: arXiv 1905.13388, of which the shapes of the block and the gradient are public. Where normalisation and ReLU
go inside a block, and where the gradient is taken, is not: here the block is linear, so that it stands for one
convolution, and the gradient is taken of the clip.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from winograd.networks.builder import Conv
from winograd.networks.c3d import C3D


class FullySeparable(nn.Module):
    """Kx1x1 over time to ``width`` times the outputs, 1xRxS over each of these channels by itself, and 1x1x1.

    Parameters
    ----------
    channels, outputs : int
        Of the convolution that the block stands for.
    kernel_size, padding, stride : int
        Of that convolution, the same for all axes.
    width : float
        Channels inside the block, in outputs; above 0.
    bias : bool
        Whether that convolution has a bias; it is that of the last one here.
    conv : callable
        Builds each convolution.

    Examples
    --------
    >>> import torch
    >>> block = FullySeparable(64, 128, kernel_size=3, padding=1)
    >>> sum(layer.weight.numel() for layer in block.children())  # a 3x3x3 has 221184
    42112
    >>> block(torch.zeros(1, 64, 2, 5, 5)).shape
    torch.Size([1, 128, 2, 5, 5])
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        *,
        kernel_size: int,
        padding: int = 0,
        stride: int = 1,
        bias: bool = True,
        width: float = 1.0,
        conv: Conv = nn.Conv3d,
    ) -> None:
        super().__init__()
        if not width > 0:
            raise ValueError(f"width is {width}, must be above 0")
        inside = max(1, round(width * outputs))
        size, zeros, step = kernel_size, padding, stride
        self.time = conv(
            channels, inside, kernel_size=(size, 1, 1), padding=(zeros, 0, 0), stride=(step, 1, 1), bias=False
        )
        self.space = conv(
            inside,
            inside,
            kernel_size=(1, size, size),
            padding=(0, zeros, zeros),
            stride=(1, step, step),
            groups=inside,
            bias=False,
        )
        self.mix = conv(inside, outputs, kernel_size=1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return mix(space(time(x)))."""
        mixed: Tensor = self.mix(self.space(self.time(x)))
        return mixed


class TemporalGradient(nn.Module):
    """The differences between one frame and the next, and the mean of all frames behind them: as many as frames.

    Examples
    --------
    >>> import torch
    >>> TemporalGradient()(torch.tensor([1.0, 3.0, 8.0]).reshape(1, 1, 3, 1, 1)).flatten()
    tensor([2., 5., 4.])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the shape of x, (N, C, T, H, W)."""
        return torch.cat((x.diff(dim=2), x.mean(dim=2, keepdim=True)), dim=2)


class LightweightC3D(C3D):
    """C3D with a `FullySeparable` block in the place of every convolution, on the `TemporalGradient` of the clip.

    Parameters
    ----------
    num_classes : int
        Number of scores, at least 1.
    width : float
        Of the blocks.
    dropout : float
        As in C3D.
    conv : callable
        Builds each convolution of the blocks.

    Examples
    --------
    >>> import torch
    >>> with torch.device("meta"):  # shapes only, no memory
    ...     model = LightweightC3D()
    >>> model(torch.empty(2, *model.input_shape, device="meta")).shape
    torch.Size([2, 400])
    """

    stack = ()

    def __init__(
        self, num_classes: int = 400, *, width: float = 1.0, dropout: float = 0.5, conv: Conv = nn.Conv3d
    ) -> None:
        super().__init__(num_classes, dropout=dropout, conv=partial(FullySeparable, width=width, conv=conv))
        self.gradient = TemporalGradient()

    def forward(self, clips: Tensor) -> Tensor:
        """Return the scores, shape (N, num_classes), of clips of shape (N, 3, 16, 112, 112)."""
        return super().forward(self.gradient(clips))


def separate_(
    model: nn.Module,
    filter_fn: Callable[[nn.Module, str], bool] | None = None,
    *,
    width: float = 1.0,
    conv: Conv = nn.Conv3d,
) -> tuple[str, ...]:
    """Put a `FullySeparable` block of new weights in the place of every KxKxK convolution, K > 1, in place.

    Convolutions in groups, with dilation, with padding by other than zeros, or with unlike axes stay.

    Parameters
    ----------
    model : torch.nn.Module
        Its layers are exchanged; the blocks have the sizes, device and dtype of the layers.
    filter_fn : callable, optional
        Called with the module and the name of each convolution; those for which it returns False stay.
    width : float
        Of the blocks.
    conv : callable
        Builds each convolution of the blocks, for example `winograd.networks.hybrid.hybrid(2)`.

    Returns
    -------
    tuple of str
        Names of the layers that were exchanged.

    Examples
    --------
    >>> from winograd.networks import create
    >>> with torch.device("meta"):  # shapes only, no memory
    ...     model = create("c3d")
    >>> separate_(model, lambda layer, name: name != "conv1")
    ('conv2', 'conv3a', 'conv3b', 'conv4a', 'conv4b', 'conv5a', 'conv5b')
    >>> model(torch.empty(2, *model.input_shape, device="meta")).shape
    torch.Size([2, 400])
    """
    found = {
        name: layer
        for name, layer in model.named_modules()
        if name and isinstance(layer, nn.Conv3d) and _is_cubic(layer) and (filter_fn is None or filter_fn(layer, name))
    }
    blocks = {name: _block(layer, width, conv) for name, layer in found.items()}
    for name, block in blocks.items():
        model.set_submodule(name, block)
    return tuple(blocks)


def _is_cubic(layer: nn.Conv3d) -> bool:
    alike = all(len(set(sizes)) == 1 for sizes in (layer.kernel_size, layer.stride, layer.padding))
    plain = layer.groups == 1 and set(layer.dilation) == {1} and layer.padding_mode == "zeros"
    return alike and plain and layer.kernel_size[0] > 1 and not isinstance(layer.padding, str)


def _block(layer: nn.Conv3d, width: float, conv: Conv) -> FullySeparable:
    block = FullySeparable(
        layer.in_channels,
        layer.out_channels,
        kernel_size=layer.kernel_size[0],
        padding=int(layer.padding[0]),
        stride=layer.stride[0],
        bias=layer.bias is not None,
        width=width,
        conv=conv,
    )
    return block.to(layer.weight.device, layer.weight.dtype).train(layer.training)
