"""Suites by name: all convolutions of a network of the registry, and some that are put together here.

In: the name of a suite and a batch size. Out: a `Suite` in float32. Refused: unknown names and batches below 1.
Loads no torch before layers of a network are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Final

from winograd.benching.layers import BenchLayer, Suite, each_once
from winograd.benching.random_layers import RANDOM_LAYERS, random_layers
from winograd.conv.arguments import ConvArguments

_DTYPE: Final = "float32"

RANDOM: Final = "random"
"""The suite whose layers are drawn."""

_C3D_STACK: Final = ("conv2", "conv3a", "conv3b", "conv4a", "conv4b", "conv5a")

_STEMS: Final = {
    "c3d": ("conv1",),
    "i3d_rgb": ("Conv3d_1a_7x7.conv3d",),
    "r3d_18": ("stem.0", "layer2.0.conv1.0", "layer3.0.conv1.0", "layer4.0.conv1.0"),
}
"""First layers of networks, with 3 channels, and 3x3x3 convolutions with stride 2."""

_VGG16: Final = (
    ("conv1_1", 3, 64, 224), ("conv1_2", 64, 64, 224), ("conv2_1", 64, 128, 112), ("conv2_2", 128, 128, 112),
    ("conv3_1", 128, 256, 56), ("conv3_2", 256, 256, 56), ("conv3_3", 256, 256, 56), ("conv4_1", 256, 512, 28),
    ("conv4_2", 512, 512, 28), ("conv4_3", 512, 512, 28), ("conv5_1", 512, 512, 14), ("conv5_2", 512, 512, 14),
    ("conv5_3", 512, 512, 14),
)  # fmt: skip
"""Name, channels, outputs and size of the 3x3 convolutions of VGG-16, arXiv 1409.1556, configuration D."""


def make_suite(name: str, batch: int = 1, *, number: int = RANDOM_LAYERS, seed: int = 0) -> Suite:
    """Return the suite of that name.

    Parameters
    ----------
    name : str
        One of `suite_names`.
    batch : int
        Images, at least 1.
    number, seed : int
        Of the convolutions that are drawn for ``"random"``.

    Raises
    ------
    ValueError
        If the name is unknown, with the nearest ones, or the batch below 1.

    Examples
    --------
    >>> suite = make_suite("vgg16")
    >>> [(layer.name, layer.count) for layer in suite.layers[-2:]]
    [('conv4_2', 2), ('conv5_1', 3)]
    >>> suite.macs
    15346630656
    """
    if batch < 1:
        raise ValueError(f"batch is {batch}, must be at least 1")
    if name == RANDOM:
        return Suite(name, random_layers(number, seed, batch))
    if name in SUITES:
        return Suite(name, SUITES[name](batch))
    return Suite(name, each_once(_network(_known(name), batch)))


def suite_names() -> tuple[str, ...]:
    """Return the names of all suites: networks first."""
    from winograd.networks import list_networks

    return (*list_networks(), *SUITES, RANDOM)


def _known(name: str) -> str:
    names = suite_names()
    if name not in names:
        nearest = get_close_matches(name, names, n=3, cutoff=0.4)
        near = f"nearest: {', '.join(nearest)}" if nearest else f"known: {', '.join(names)}"
        raise ValueError(f"{name[:40]!a} is unknown; {near}")
    return name


def _network(name: str, batch: int) -> Iterator[BenchLayer]:
    from winograd.networks.convolutions import convolutions

    for layer in convolutions(name, batch):
        yield BenchLayer(layer.name, layer.shape, layer.has_bias)


def _c3d_stack(batch: int) -> tuple[BenchLayer, ...]:
    """Return each shape of C3D behind its first layer, once."""
    return tuple(_named("c3d", _C3D_STACK, batch))


def _stems(batch: int) -> tuple[BenchLayer, ...]:
    return tuple(
        BenchLayer(f"{network}.{layer.name}", layer.shape, layer.has_bias)
        for network, names in _STEMS.items()
        for layer in _named(network, names, batch)
    )


def _named(network: str, names: Iterable[str], batch: int) -> Iterator[BenchLayer]:
    layers = {layer.name: layer for layer in _network(network, batch)}
    return (layers[name] for name in names)


def _vgg16(batch: int) -> tuple[BenchLayer, ...]:
    arguments = ConvArguments(padding=1)
    return each_once(
        BenchLayer(
            name, arguments.shape((batch, channels, size, size), (outputs, channels, 3, 3), dtype=_DTYPE), has_bias=True
        )
        for name, channels, outputs, size in _VGG16
    )


_LAN_2017: Final = (
    ("conv2", 32, 64, (16, 56, 56)), ("conv3", 64, 256, (8, 28, 28)), ("conv4", 256, 256, (4, 14, 14)),
    ("conv5", 256, 256, (2, 7, 7)),
)  # fmt: skip
"""Name, channels, outputs and sizes of the 3x3x3 convolutions of Lan et al. 2017, doi 10.1155/2017/8348671, table 2."""


def _lan_2017(batch: int) -> tuple[BenchLayer, ...]:
    arguments = ConvArguments(padding=1)
    return tuple(
        BenchLayer(
            name, arguments.shape((batch, channels, *sizes), (outputs, channels, 3, 3, 3), dtype=_DTYPE), has_bias=False
        )
        for name, channels, outputs, sizes in _LAN_2017
    )


SUITES: Final[Mapping[str, Callable[[int], tuple[BenchLayer, ...]]]] = {
    "c3d_stack": _c3d_stack,
    "lan2017": _lan_2017,
    "stems": _stems,
    "vgg16": _vgg16,
}
"""What makes the layers at a batch size, of the suites that are no whole network."""
