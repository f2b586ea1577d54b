"""`Layer`: one call of one layer of a network, and what Winograd tiles would make of it.

In: sizes. Out: multiplications and bytes, exact integers. Nothing is chosen here: that a tile multiplies less says
nothing about its time or its error, which plans know.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import prod
from operator import itemgetter
from typing import Any, Final

from winograd.algebra.tiling import tile_axes
from winograd.conv.geometry.shape import ConvShape
from winograd.networks.description.kinds import LayerKind

NUMBER_BYTES: Final = 4
"""Of a float32."""

MOST_OUTPUTS: Final = 8
"""Outputs of the largest tile per axis that is looked at where the best one is asked for."""

Tile = int | None
"""Outputs of a tile per axis; None for those that multiply least, axis by axis, up to `MOST_OUTPUTS`."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One call of one layer.

    Parameters
    ----------
    name : str
        In the network.
    type : str
        Name of its class.
    kind : LayerKind
    input, output : tuple of int
        Sizes of the tensors, with the batch.
    parameters : int
        Of the layer; 0 where the network calls it again, so that sums count them once.
    macs : int
        Multiply-accumulates, zeros of the padding included, without bias.
    shape : ConvShape or None
        Of a convolution.
    """

    name: str
    type: str
    kind: LayerKind
    input: tuple[int, ...]
    output: tuple[int, ...]
    parameters: int
    macs: int
    shape: ConvShape | None = None

    @property
    def is_transformable(self) -> bool:
        """Whether tiles are for this layer: a convolution of more than one tap, stride 1 and dilation 1."""
        shape = self.shape
        return shape is not None and prod(shape.taps) > 1 and max(shape.stride + shape.dilation) == 1

    def multiplications(self, m: Tile) -> int:
        """Return the multiplications with F(m, r) on every axis of more than one tap, ragged tiles whole.

        Those of direct convolution where tiles are not for the layer.

        Examples
        --------
        >>> from winograd.networks import describe
        >>> conv2 = describe("c3d").layer("conv2")
        >>> conv2.macs / conv2.multiplications(4)  # 16 and 56 are multiples of 4
        8.0
        """
        if self.shape is None or not self.is_transformable:
            return self.macs
        shape = self.shape
        return shape.batch * prod(shape.weight_sizes[:2]) * prod(axis[0] for axis in self._axes(m))

    def filter_bytes(self, m: Tile) -> int:
        """Return the bytes of the transformed filter U in float32, or 0 where tiles are not for the layer."""
        if self.shape is None or not self.is_transformable:
            return 0
        return NUMBER_BYTES * prod(self.shape.weight_sizes[:2]) * prod(axis[1] for axis in self._axes(m))

    def _axes(self, m: Tile) -> list[tuple[int, int]]:
        """Return per axis the products of all its tiles, and of one."""
        assert self.shape is not None
        sizes = range(1, MOST_OUTPUTS + 1) if m is None else (m,)
        axes = zip(self.shape.sizes, self.shape.taps, self.shape.padding, strict=True)
        return [min((_on_axis(*axis, size) for size in sizes), key=itemgetter(0)) for axis in axes]

    def as_dict(self, tiles: tuple[int, ...]) -> dict[str, Any]:
        """Return all of it, ready for JSON."""
        shape = self.shape
        convolution = {} if shape is None else {
            name: getattr(shape, name) for name in ("taps", "stride", "dilation", "padding", "groups")
        }  # fmt: skip
        return {
            **{name: getattr(self, name) for name in ("name", "type", "input", "output", "parameters", "macs")},
            "kind": self.kind.value,
            **convolution,
            "multiplications": {str(m): self.multiplications(m) for m in tiles},
            "filter_bytes": {str(m): self.filter_bytes(m) for m in tiles},
        }


@cache
def _on_axis(size: int, taps: int, padding: tuple[int, int], m: int) -> tuple[int, int]:
    """Return the products of all tiles of an axis, and of one tile; one tap needs no tiles."""
    m = m if taps > 1 else 1
    tiles = tile_axes((size,), (m,), (taps,), (padding,)).count
    return tiles * (m + taps - 1), m + taps - 1
