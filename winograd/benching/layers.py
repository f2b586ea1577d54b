"""`BenchLayer` and `Suite`: what is measured, as shapes. Nothing is computed here.

In: names and shapes. Out: suites, whole or a part of them, and their multiplications.
Refused: suites without layers, patterns that no layer matches.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from winograd.conv.shape import ConvShape


@dataclass(frozen=True, slots=True)
class BenchLayer:
    """One convolution of a network, and how often the network has it.

    Parameters
    ----------
    name : str
        In the network; of the first one where several have the same shape.
    shape : ConvShape
    has_bias : bool
        Whether a bias is added, as the network has it.
    count : int
        Convolutions of this shape, at least 1.
    """

    name: str
    shape: ConvShape
    has_bias: bool
    count: int = 1

    @property
    def input(self) -> tuple[int, ...]:
        """Sizes of the input, (N, C, sizes...)."""
        return (self.shape.batch, self.shape.channels, *self.shape.sizes)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of direct convolution, once."""
        return self.shape.macs


@dataclass(frozen=True, slots=True)
class Suite:
    """Layers that are measured together, and summed up as often as their network has them.

    Parameters
    ----------
    name : str
    layers : tuple of BenchLayer
        At least one, each shape once.

    Raises
    ------
    ValueError
        If there is no layer.
    """

    name: str
    layers: tuple[BenchLayer, ...]

    def __post_init__(self) -> None:
        if not self.layers:
            raise ValueError(f"suite {self.name} has no layers, at least 1 is needed")

    @property
    def batch(self) -> int:
        """Images of every layer."""
        return self.layers[0].shape.batch

    @property
    def macs(self) -> int:
        """Multiply-accumulates of direct convolution, every layer as often as the network has it."""
        return sum(layer.count * layer.macs for layer in self.layers)

    def matching(self, pattern: str) -> Suite:
        """Return the suite of the layers whose names match a shell pattern such as ``"conv3*"``.

        Raises
        ------
        ValueError
            If no name matches; the message has the names.
        """
        kept = tuple(layer for layer in self.layers if fnmatchcase(layer.name, pattern))
        if not kept:
            names = ", ".join(layer.name for layer in self.layers)
            raise ValueError(f"{pattern[:40]!a} matches no layer of {self.name}, which has {names}")
        return replace(self, layers=kept)


def each_once(layers: Iterable[BenchLayer]) -> tuple[BenchLayer, ...]:
    """Return the layers with every shape once, under the name of the first, counted.

    Examples
    --------
    >>> from winograd.conv.arguments import ConvArguments
    >>> shape = ConvArguments(padding=1).shape((1, 4, 8), (4, 4, 3), dtype="float32")
    >>> [(layer.name, layer.count) for layer in each_once(BenchLayer(name, shape, False) for name in "abc")]
    [('a', 3)]
    """
    found: dict[tuple[ConvShape, bool], BenchLayer] = {}
    for layer in layers:
        first = found.setdefault((layer.shape, layer.has_bias), replace(layer, count=0))
        found[layer.shape, layer.has_bias] = replace(first, count=first.count + layer.count)
    return tuple(found.values())
