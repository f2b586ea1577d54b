"""The hybrid fast algorithm: F(m, K) along time for Kx1x1 convolutions, F(m x m, R x S) in each picture for 1xRxS ones.

In: the outputs of a tile along each axis that has taps. Out: a builder of convolutions for the networks of this room.
Refused: tiles beyond what there are points for.

References: arXiv 1905.13388; Lavin, Gray, arXiv 1509.09308.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from winograd.algebra.nesting import NestedAlgorithm, nest
from winograd.algebra.toom_cook import toom_cook
from winograd.networks.builder import Conv, Sizes
from winograd.nn.modules import Conv3d
from winograd.quoting import quote


def hybrid_algorithm(taps: tuple[int, int, int], tile: int = 2) -> NestedAlgorithm:
    """Return the nested algorithm with ``tile`` outputs along each axis that has more than one tap, and one elsewhere.

    Examples
    --------
    >>> hybrid_algorithm((3, 1, 1)).rank, hybrid_algorithm((1, 3, 3), tile=4).rank
    (4, 36)
    """
    return nest(*(toom_cook(tile, count) if count > 1 else toom_cook(1, 1) for count in taps))


def hybrid(tile: int = 2) -> Conv:
    """Return a builder of convolutions that are made for this algorithm, whatever would be the fastest.

    Convolutions of one tap, and strided ones, are torch's. `winograd.convert_` leaves what is built here as it is.

    Parameters
    ----------
    tile : int
        Outputs along each axis that has taps, at least 1.

    Examples
    --------
    >>> from winograd.networks.lightweight import FullySeparable
    >>> block = FullySeparable(8, 8, kernel_size=3, padding=1, conv=hybrid(4))
    >>> [type(layer).__module__.split(".")[0] for layer in (block.time, block.space, block.mix)]
    ['winograd', 'winograd', 'torch']
    >>> block.time.algorithm.tile, block.space.algorithm.tile
    ((6, 1, 1), (1, 6, 6))
    """
    if isinstance(tile, bool) or not isinstance(tile, int):
        raise TypeError(f"tile is {quote(tile)}, must be an integer of at least 1")
    if tile < 1:
        raise ValueError(f"tile is {tile}, must be at least 1")

    def conv(channels: int, outputs: int, *, kernel_size: Sizes, stride: Sizes = 1, **options: Any) -> nn.Module:
        taps = (kernel_size,) * 3 if isinstance(kernel_size, int) else kernel_size
        if len(taps) != 3 or max(taps) == 1 or stride not in {1, (1, 1, 1)}:
            return nn.Conv3d(channels, outputs, kernel_size=taps, stride=stride, **options)  # type: ignore[arg-type]
        algorithm = hybrid_algorithm((taps[0], taps[1], taps[2]), tile)
        return Conv3d(channels, outputs, kernel_size=taps, algorithm=algorithm, **options)

    return conv
