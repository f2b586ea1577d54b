"""What the outputs of a convolution are, exactly, and how far from that a right kernel can come.

In: float64 data (N, C, sizes...) and weights (K, C, taps...), padding, an algorithm. Out: arrays (N, K, outputs...).
Tiles begin at the first output. Non-finite inputs make the bound of the tiles that read them nan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from winograd.accuracy.bounds import ErrorBound
from winograd.algebra.nesting import NestedAlgorithm
from winograd.algebra.tiling import Tiling, tile_axes

Array = NDArray[np.float64]

_CHUNK_VALUES = 2**21
"""Products that are held at once."""


@dataclass(frozen=True, eq=False)
class Convolution:
    """A convolution of stride 1 and the algorithm that is to compute it.

    Parameters
    ----------
    data : ndarray of shape (N, C, sizes...)
        float64.
    weights : ndarray of shape (K, C, taps...)
        float64.
    algorithm : NestedAlgorithm
    padding : sequence of (low, high)
        Zeros before and after each axis.

    Raises
    ------
    ValueError
        If the shapes do not fit each other or the algorithm.
    """

    data: Array
    weights: Array
    algorithm: NestedAlgorithm
    padding: Sequence[tuple[int, int]]

    def __post_init__(self) -> None:
        ndim = self.algorithm.ndim
        if self.data.ndim != ndim + 2:
            raise ValueError(f"data of shape {self.data.shape}, must have {ndim + 2} axes: (N, C, sizes...)")
        wanted = (self.channels, *self.algorithm.r)
        if self.weights.shape[1:] != wanted:
            raise ValueError(f"weights of shape {self.weights.shape}, must be (K, {', '.join(map(str, wanted))})")
        if not (self.weights.shape[0] and self.data.shape[0] and self.channels):
            shapes = f"data of shape {self.data.shape}, weights of shape {self.weights.shape}"
            raise ValueError(f"{shapes}: batch, channels and outputs must not be empty")

    @property
    def channels(self) -> int:
        """Input channels."""
        return int(self.data.shape[1])

    @cached_property
    def tiling(self) -> Tiling:
        """How the outputs are cut into tiles."""
        return tile_axes(self.data.shape[2:], self.algorithm.m, self.algorithm.r, self.padding)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the outputs."""
        return (len(self.data), len(self.weights), *self.tiling.output)

    @property
    def tile_count(self) -> int:
        """Number of tiles of all images and outputs."""
        return len(self.data) * len(self.weights) * self.tiling.count

    @cached_property
    def _padded(self) -> Array:
        margins = [(axis.low, axis.padded_high) for axis in self.tiling.axes]
        return np.pad(self.data, [(0, 0), (0, 0), *margins])

    @cached_property
    def _windows(self) -> Array:
        """What every output reads, of shape (N, C, outputs..., taps...)."""
        windows = sliding_window_view(self._padded, self.algorithm.r, axis=tuple(range(2, self.data.ndim)))
        return windows[:, :, *(slice(size) for size in self.tiling.output)]

    def float64(self) -> Array:
        """Return the outputs in float64, within `float64_error` of the exact ones."""
        return _direct(self._windows, self.weights)

    def float64_error(self) -> Array:
        """Return (n + 1) 2^-53 sum |w| |d| for the n products of every output; see `winograd.accuracy.reference`."""
        terms = self.weights[0].size
        sizes = _direct(np.abs(self._windows), np.abs(self.weights))
        return np.asarray((terms + 1) * 2.0**-53 * sizes)

    def exact(self, place: tuple[int, ...]) -> Fraction:
        """Return one output exactly; its inputs must be finite."""
        image, output, *position = place
        windows, weight = np.moveaxis(self._windows, 1, self.algorithm.ndim + 1), self.weights[output]
        window = np.asarray(windows[(image, *position)])
        pairs = zip(window.ravel().tolist(), weight.ravel().tolist(), strict=True)
        return sum((Fraction(x) * Fraction(y) for x, y in pairs), start=Fraction(0))

    def bound(self, bound: ErrorBound) -> Array:
        """Return what the error of every output cannot exceed, before it is rounded to a narrower dtype."""
        tiles, filters = self._tiles(), np.moveaxis(self.weights, (0, 1), (-1, -2))
        found = np.empty((*self.algorithm.m, tiles.shape[-1], len(self.weights)))
        width = max(1, _CHUNK_VALUES // (self.algorithm.rank * self.channels))
        columns = min(width, len(self.weights))
        for rows, part in product(_slices(tiles.shape[-1], width // columns), _slices(len(self.weights), columns)):
            found[..., rows, part] = bound.componentwise(tiles[..., rows, None], filters[..., None, part])
        return self._untiled(found)

    def finite(self) -> NDArray[np.bool_]:
        """Return whether the tile and the filter of every output are finite."""
        filters = np.isfinite(self.weights).reshape(len(self.weights), -1).all(axis=1)
        tiles = self._tiles()
        whole = np.isfinite(tiles).reshape(-1, tiles.shape[-1]).all(axis=0)
        both = np.logical_and.outer(whole, filters)
        return self._untiled(np.broadcast_to(both, (*self.algorithm.m, *both.shape)))

    def _tiles(self) -> Array:
        """Return the whole tiles, of shape (*tile, C, N * tiles)."""
        ndim = self.algorithm.ndim
        windows = sliding_window_view(self._padded, self.algorithm.tile, axis=tuple(range(2, self.data.ndim)))
        strided = windows[:, :, *(slice(None, None, axis.m) for axis in self.tiling.axes)]
        order = (*range(ndim + 2, 2 * ndim + 2), 1, 0, *range(2, ndim + 2))
        return strided.transpose(order).reshape(*self.algorithm.tile, self.channels, -1)

    def _untiled(self, values: NDArray[Any]) -> NDArray[Any]:
        """Put values of tiles, (*m, N * tiles, K), where their outputs are."""
        ndim, (batch, outputs, *sizes) = self.algorithm.ndim, self.shape
        split = values.reshape(*self.algorithm.m, batch, *self.tiling.tiles, outputs)
        sides = [place for axis in range(ndim) for place in (ndim + 1 + axis, axis)]
        whole = split.transpose(ndim, 2 * ndim + 1, *sides).reshape(
            batch, outputs, *(axis.tiles * axis.m for axis in self.tiling.axes)
        )
        return whole[:, :, *map(slice, sizes)]

    def largest_of_tiles(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the largest value of every tile, of shape (N, K, tiles...)."""
        for position, axis in enumerate(self.tiling.axes, start=2):
            values = np.maximum.reduceat(values, range(0, axis.output, axis.m), axis=position)
        return values


def as_padding(padding: Any, ndim: int) -> tuple[tuple[int, int], ...]:
    """Return (low, high) per axis from an integer, an integer per axis, or (low, high) per axis.

    Raises
    ------
    ValueError
        If it is none of these, or negative.

    Examples
    --------
    >>> as_padding(1, 2), as_padding([(0, 2)], 1)
    (((1, 1), (1, 1)), ((0, 2),))
    """
    try:
        listed = np.broadcast_to(np.asarray(padding), (ndim,)) if np.ndim(padding) < 2 else np.asarray(padding)
        pairs = np.stack([listed, listed], axis=-1) if listed.ndim == 1 else listed
        fits = pairs.shape == (ndim, 2) and np.issubdtype(pairs.dtype, np.integer) and (pairs >= 0).all()
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"padding is {padding!r}, must be an integer of at least 0, or one or two of them per axis")
    return tuple((int(low), int(high)) for low, high in pairs)


def _slices(length: int, step: int) -> list[slice]:
    return [slice(first, first + step) for first in range(0, length, step)]


def _direct(windows: Array, weights: Array) -> Array:
    """Return the sum over channels and taps of windows (N, C, outputs..., taps...) and weights (K, C, taps...)."""
    ndim = weights.ndim - 2
    summed = (1, *range(windows.ndim - ndim, windows.ndim))
    with np.errstate(all="ignore"):
        found = np.tensordot(windows, weights, axes=(summed, range(1, weights.ndim)))
    return np.asarray(np.moveaxis(found, -1, 1))
