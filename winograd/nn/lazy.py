"""torch's lazy convolutions with a plan: the input channels, and with them the weight, are those of the first input.

In: what torch.nn's lazy convolutions take, a tolerance and perhaps an algorithm. Out: at the first forward, a planned
convolution; before it, a module without a weight. Refused: what torch refuses.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from winograd.nn.modules import Built, Conv1d, Conv2d, Conv3d, PlannedDense
from winograd.nn.transposed import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d, PlannedTransposed


class LazyConv1d(Built, PlannedDense, nn.LazyConv1d):  # type: ignore[misc]
    """`torch.nn.LazyConv1d` that becomes a `Conv1d`; see `LazyConv3d`."""

    cls_to_become: Any = Conv1d


class LazyConv2d(Built, PlannedDense, nn.LazyConv2d):  # type: ignore[misc]
    """`torch.nn.LazyConv2d` that becomes a `Conv2d`; see `LazyConv3d`."""

    cls_to_become: Any = Conv2d


class LazyConv3d(Built, PlannedDense, nn.LazyConv3d):  # type: ignore[misc]
    """`torch.nn.LazyConv3d` that becomes a `Conv3d` at its first forward, with the same settings.

    Parameters
    ----------
    *args, **kwargs
        As `torch.nn.LazyConv3d`, which has no ``in_channels``.
    tolerance, algorithm, tuning
        As in `Conv3d`.

    Examples
    --------
    >>> import torch
    >>> layer = LazyConv3d(8, 3, padding=1, tolerance=1e-6)
    >>> layer(torch.zeros(1, 4, 5, 5, 5)).shape
    torch.Size([1, 8, 5, 5, 5])
    >>> type(layer).__name__, layer.in_channels, layer.tolerance
    ('Conv3d', 4, 1e-06)
    """

    cls_to_become: Any = Conv3d


class LazyConvTranspose1d(Built, PlannedTransposed, nn.LazyConvTranspose1d):  # type: ignore[misc]
    """`torch.nn.LazyConvTranspose1d` that becomes a `ConvTranspose1d`; see `LazyConv3d`."""

    cls_to_become: Any = ConvTranspose1d


class LazyConvTranspose2d(Built, PlannedTransposed, nn.LazyConvTranspose2d):  # type: ignore[misc]
    """`torch.nn.LazyConvTranspose2d` that becomes a `ConvTranspose2d`; see `LazyConv3d`."""

    cls_to_become: Any = ConvTranspose2d


class LazyConvTranspose3d(Built, PlannedTransposed, nn.LazyConvTranspose3d):  # type: ignore[misc]
    """`torch.nn.LazyConvTranspose3d` that becomes a `ConvTranspose3d`; see `LazyConv3d`."""

    cls_to_become: Any = ConvTranspose3d
