"""Optical flow between the frames of a clip, for the networks that look at movement.

In: grey pictures. Out: how far every place moves from one picture to the next, in pixels. Refused: a single picture.

The method is that of Lucas and Kanade, coarse to fine: among the movements of a small window, the one by which the next
picture differs least, to first order. It is simple and smooth; the public weights of flow networks were trained on
TV-L1 flow, which has sharper edges.

References: Lucas, Kanade, "An iterative image registration technique with an application to stereo vision", 1981;
Bouguet, "Pyramidal implementation of the Lucas Kanade feature tracker", 2000.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

_WINDOW: Final = 9
"""Height and width of the window whose movement is sought."""

_LEVELS: Final = 3
"""Pictures of a pyramid, each half as large as the one before."""

_SMALLEST: Final = 2 * _WINDOW
"""Height or width below which a picture is not halved."""

_ROUNDS: Final = 3
"""Corrections at each level."""

_NOISE: Final = 1e-4
"""Variance of grey levels in 0..1 that counts as noise: where a window has less contrast, it does not move."""


def optical_flow(pictures: Tensor) -> Tensor:
    """Return the movement of every place from each picture to the next.

    Parameters
    ----------
    pictures : Tensor of shape (T + 1, H, W)
        Grey levels in 0..1, floating.

    Returns
    -------
    Tensor of shape (2, T, H, W)
        Pixels to the right, then pixels down: what is at (y, x) in picture t is at (y + down, x + right) in the next.

    Raises
    ------
    ValueError
        If there are fewer than two pictures.

    Examples
    --------
    >>> ramp = torch.linspace(0, 1, 32).expand(32, 32)
    >>> moved = torch.stack([ramp, ramp - 1 / 31])  # everything goes to the right by one pixel
    >>> right, down = optical_flow(moved)[:, 0, 16, 16]
    >>> round(float(right), 2), float(down)
    (1.0, 0.0)
    """
    if len(pictures) < 2:
        raise ValueError(f"pictures are {len(pictures)}, flow needs at least 2")
    pyramid = [pictures[:, None]]
    while len(pyramid) < _LEVELS and min(pyramid[-1].shape[-2:]) >= 2 * _SMALLEST:
        pyramid.append(functional.avg_pool2d(pyramid[-1], 2))
    flow = pictures.new_zeros(len(pictures) - 1, 2, *pyramid[-1].shape[-2:])
    for level in reversed(pyramid):
        flow = _enlarged(flow, level)
        for _ in range(_ROUNDS):
            flow = flow + _correction(level[:-1], _moved_back(level[1:], flow))
    return flow.transpose(0, 1)


def _enlarged(flow: Tensor, picture: Tensor) -> Tensor:
    """Return the flow at the size of a picture, in its pixels."""
    sizes = picture.shape[-2:]
    scale = torch.tensor([sizes[1] / flow.shape[3], sizes[0] / flow.shape[2]], dtype=flow.dtype).view(1, 2, 1, 1)
    return functional.interpolate(flow, sizes, mode="bilinear", align_corners=False) * scale


def _moved_back(pictures: Tensor, flow: Tensor) -> Tensor:
    """Return the pictures as they were before they moved by the flow, interpolated between pixels."""
    height, width = pictures.shape[-2:]
    down, right = torch.meshgrid(*(torch.arange(size, dtype=flow.dtype) for size in (height, width)), indexing="ij")
    # The centre of the first pixel is at -1 + 1 / size, that of the last one at 1 - 1 / size.
    x = (2 * (right + flow[:, 0]) + 1) / width - 1
    y = (2 * (down + flow[:, 1]) + 1) / height - 1
    return functional.grid_sample(pictures, torch.stack((x, y), dim=-1), padding_mode="border", align_corners=False)


def _correction(before: Tensor, after: Tensor) -> Tensor:
    """Return the movement from before to after, to first order, of the window around every place."""
    across, along = _slopes(after)
    change = before - after
    xx, xy, yy = (_around(product) for product in (across * across, across * along, along * along))
    x, y = (_around(slope * change) for slope in (across, along))
    xx, yy = xx + _NOISE, yy + _NOISE
    determinant = xx * yy - xy * xy
    return torch.cat(((yy * x - xy * y) / determinant, (xx * y - xy * x) / determinant), dim=1)


def _slopes(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Return half the difference of the neighbours to the right and left, and of those below and above."""
    wide = functional.pad(pictures, (1, 1, 1, 1), mode="replicate")
    return (wide[..., 1:-1, 2:] - wide[..., 1:-1, :-2]) / 2, (wide[..., 2:, 1:-1] - wide[..., :-2, 1:-1]) / 2


def _around(values: Tensor) -> Tensor:
    """Return the mean over the window around every place, of the part that is inside the picture."""
    return functional.avg_pool2d(values, _WINDOW, stride=1, padding=_WINDOW // 2, count_include_pad=False)
