"""`BenchLayer` and `Suite`: what is measured, as shapes. Nothing is computed here.

In: names and shapes. Out: suites, whole or a part of them, and their multiplications.
Refused: suites without layers, patterns and parts that no layer is of.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum
from fnmatch import fnmatchcase
from math import prod

from winograd.conv.geometry.shape import ConvShape


class Part(Enum):
    """What kind of convolution a layer is; each is one of these."""

    STRIDE_1 = "stride1"
    STRIDED = "strided"
    GROUPED = "grouped"
    POINTWISE = "pointwise"


def part_of(shape: ConvShape) -> Part:
    """Return GROUPED with several groups, POINTWISE with one tap, STRIDED with a stride or dilation, else STRIDE_1.

    Examples
    --------
    >>> from winograd.conv.arguments import ConvArguments
    >>> part_of(ConvArguments(stride=2).shape((1, 4, 8, 8), (4, 4, 3, 3), dtype="float32"))
    <Part.STRIDED: 'strided'>
    """
    if shape.groups > 1:
        return Part.GROUPED
    if prod(shape.taps) == 1:
        return Part.POINTWISE
    return Part.STRIDED if max(*shape.stride, *shape.dilation) > 1 else Part.STRIDE_1


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
    def macs(self) -> int:
        """Multiply-accumulates of direct convolution, every layer as often as the network has it."""
        return sum(layer.count * layer.macs for layer in self.layers)

    def matching(self, *patterns: str) -> Suite:
        """Return the suite of the layers whose names match a shell pattern such as ``"conv3*"``, or one of several.

        Raises
        ------
        ValueError
            If no name matches one of them; the message has the names.
        """
        names = [layer.name for layer in self.layers]
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in names):
                raise ValueError(
                    f"{pattern[:40]!a} matches no layer of {self.name}, which has {', '.join(names[:_NAMED])}"
                    + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
                )
        kept = (layer for layer in self.layers if any(fnmatchcase(layer.name, pattern) for pattern in patterns))
        return replace(self, layers=tuple(kept))

    def only(self, part: Part) -> Suite:
        """Return the suite of the layers of one kind.

        Raises
        ------
        ValueError
            If there is none; the message has the kinds that there are.
        """
        kept = tuple(layer for layer in self.layers if part_of(layer.shape) is part)
        if not kept:
            kinds = sorted({part_of(layer.shape).value for layer in self.layers})
            raise ValueError(f"{part.value} is no layer of {self.name}, which has {', '.join(kinds)}")
        return replace(self, layers=kept)

    def of_dtype(self, dtype: str) -> Suite:
        """Return the same layers with tensors of another dtype."""
        layers = (replace(layer, shape=replace(layer.shape, dtype=dtype)) for layer in self.layers)
        return replace(self, layers=tuple(layers))


_NAMED = 20
"""Names of layers that a message has room for."""


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
