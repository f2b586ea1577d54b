"""`Description`: what a network is, in numbers, as data that compares by value and shows itself.

In: records of one forward. Out: sums, by kind of layer and by tile, all of them exact. Refused: layers that there are
not, with the nearest ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any

from winograd.networks.description.kinds import LayerKind
from winograd.networks.description.layer import NUMBER_BYTES, Layer, Tile
from winograd.networks.description.parameters import Parameters
from winograd.networks.description.recording import Block


@dataclass(frozen=True, slots=True)
class KindSum:
    """What the layers of a kind take together.

    Parameters
    ----------
    layers, parameters, macs : int
    share : float
        Of the multiply-accumulates of the network, 0 to 1.
    """

    layers: int
    parameters: int
    macs: int
    share: float


@dataclass(frozen=True, slots=True)
class Description:
    """A network in numbers, in float32.

    Parameters
    ----------
    network : str
        Its name.
    input, output : tuple of int
        Sizes of clips and scores, with the batch.
    parameters : Parameters
    layers : tuple of Layer
        In the order of execution: what computes or changes sizes. Normalisations, ReLU and sums are not listed.
    blocks : tuple of Block
        The network in coarser parts.
    peak_bytes, made_bytes : int
        Of the clips and the tensors of a forward without gradients: alive at most at a time, and made in all.
    tiles : tuple of int
        Outputs per axis of the tiles that tables show.
    """

    network: str
    input: tuple[int, ...]
    output: tuple[int, ...]
    parameters: Parameters
    layers: tuple[Layer, ...]
    blocks: tuple[Block, ...]
    peak_bytes: int
    made_bytes: int
    tiles: tuple[int, ...]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of convolutions and linear layers."""
        return sum(layer.macs for layer in self.layers)

    @property
    def weight_bytes(self) -> int:
        """Bytes of all parameters and statistics."""
        return NUMBER_BYTES * (self.parameters.total + self.parameters.statistics)

    def layer(self, name: str) -> Layer:
        """Return the first call of the layer of that name.

        Raises
        ------
        KeyError
            If there is none; with the nearest names.
        """
        named = {layer.name: layer for layer in reversed(self.layers)}
        if name not in named:
            nearest = get_close_matches(name, named, n=3, cutoff=0) or ["none"]
            raise KeyError(f"{self.network} has no layer {name!r}; nearest: {', '.join(nearest)}")
        return named[name]

    def part(self, prefix: str) -> tuple[Layer, ...]:
        """Return the layers whose names begin with a text, such as ``"net3d."``."""
        return tuple(layer for layer in self.layers if layer.name.startswith(prefix))

    def multiplications(self, m: Tile) -> int:
        """Return the multiplications with tiles of m outputs, or None for the best tile of every layer and axis.

        Tiles are taken on every axis of more than one tap of every convolution with stride 1; the rest is direct. What
        the transforms add and multiply is not counted.
        """
        return sum(layer.multiplications(m) for layer in self.layers)

    def reduction(self, m: Tile) -> float:
        """Return how many times fewer multiplications these are than those of direct convolution."""
        return self.macs / self.multiplications(m)

    def filter_bytes(self, m: Tile) -> int:
        """Return the bytes of all transformed filters U; weights that are not transformed are not among them."""
        return sum(layer.filter_bytes(m) for layer in self.layers)

    def by_kind(self) -> Mapping[LayerKind, KindSum]:
        """Return the sums of the kinds that the network has, in the order of `LayerKind`."""
        sums = {}
        for kind in LayerKind:
            layers = [layer for layer in self.layers if layer.kind is kind]
            if layers:
                macs = sum(layer.macs for layer in layers)
                parameters = sum(layer.parameters for layer in layers)
                sums[kind] = KindSum(len(layers), parameters, macs, macs / (self.macs or 1))
        return sums

    def as_dict(self) -> dict[str, Any]:
        """Return all of it, ready for JSON."""
        tiles: list[tuple[str, Tile]] = [(str(m), m) for m in self.tiles]
        tiles.append(("best", None))
        return {
            "network": self.network,
            "input": self.input,
            "output": self.output,
            "parameters": {
                **asdict(self.parameters), "weights": self.parameters.weights, "total": self.parameters.total
            },
            "macs": self.macs,
            "kinds": {kind.value: asdict(sums) for kind, sums in self.by_kind().items()},
            "tiles": {
                name: {
                    "multiplications": self.multiplications(m),
                    "reduction": self.reduction(m),
                    "filter_bytes": self.filter_bytes(m),
                }
                for name, m in tiles
            },
            "memory": {
                "weight_bytes": self.weight_bytes, "peak_bytes": self.peak_bytes, "made_bytes": self.made_bytes
            },
            "layers": [layer.as_dict(self.tiles) for layer in self.layers],
            "blocks": [asdict(block) for block in self.blocks],
        }  # fmt: skip

    def __str__(self) -> str:
        from winograd.networks.description.showing import description_text

        return description_text(self)

    def __repr__(self) -> str:
        return f"<{self.network}: {self.parameters.total:,} parameters, {self.macs / 1e9:.3f} GMACs>"

    def _repr_html_(self) -> str:
        from winograd.networks.description.showing import description_html

        return description_html(self)
