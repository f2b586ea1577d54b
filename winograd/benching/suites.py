"""Suites by name: layers of a network of the registry, or of a published definition.

In: the name of a suite and a batch size. Out: a `Suite` in float32. Refused: unknown names and batches below 1.
Loads no torch before a suite of the registry is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import partial
from typing import Final

from winograd.benching.layers import BenchLayer, Suite, each_once
from winograd.benching.published import PublishedLayer, i3d_rgb, r2plus1d_18, r3d_18
from winograd.conv.arguments import ConvArguments

_DTYPE: Final = "float32"


def make_suite(name: str, batch: int = 1) -> Suite:
    """Return the suite of that name.

    Parameters
    ----------
    name : str
        One of `SUITES`.
    batch : int
        Images, at least 1.

    Raises
    ------
    ValueError
        If the name is unknown, with the nearest ones, or the batch below 1.

    Examples
    --------
    >>> suite = make_suite("r3d_18")
    >>> [(layer.name, layer.count) for layer in suite.layers]
    [('layer1.0.conv1.0', 4), ('layer2.0.conv2.0', 3), ('layer3.0.conv2.0', 3), ('layer4.0.conv2.0', 3)]
    >>> suite.macs
    36762550272
    """
    if name not in SUITES:
        nearest = get_close_matches(name, SUITES, n=3, cutoff=0.4)
        raise ValueError(f"suite {name[:40]!a} is unknown, must be one of {', '.join(nearest or SUITES)}")
    if batch < 1:
        raise ValueError(f"batch is {batch}, must be at least 1")
    return Suite(name, SUITES[name](batch))


def _c3d(batch: int, *, names: Iterable[str] | None = None) -> tuple[BenchLayer, ...]:
    """Return layers of the network by name, each of them once; those of its stack, each shape once, for None."""
    import torch

    from winograd.networks import create
    from winograd.nn.compare import record_inputs

    with torch.device("meta"):  # sizes only
        model = create("c3d").eval()
        inputs = record_inputs(model, model.stack if names is None else names, torch.empty(batch, *model.input_shape))
    found = []
    for name, input in inputs.items():
        layer = model.get_submodule(name)
        assert isinstance(layer, torch.nn.Conv3d)
        arguments = ConvArguments(layer.stride, layer.padding, layer.dilation, layer.groups)
        shape = arguments.shape(tuple(input.shape), tuple(layer.weight.shape), dtype=_DTYPE)
        found.append(BenchLayer(name, shape, layer.bias is not None))
    return tuple(found)


def _published(batch: int, *, layers: Callable[[], Iterable[PublishedLayer]]) -> tuple[BenchLayer, ...]:
    """Return the layers, which have no bias: a normalisation follows each of them."""
    return each_once(
        BenchLayer(
            layer.name,
            ConvArguments(padding="same").shape(
                (batch, layer.channels, *layer.sizes), (layer.outputs, layer.channels, *layer.taps), dtype=_DTYPE
            ),
            has_bias=False,
        )
        for layer in layers()
    )


SUITES: Final[Mapping[str, Callable[[int], tuple[BenchLayer, ...]]]] = {
    "c3d": _c3d,
    "c3d_stem": partial(_c3d, names=("conv1",)),
    "i3d_rgb": partial(_published, layers=i3d_rgb),
    "r2plus1d_18": partial(_published, layers=r2plus1d_18),
    "r3d_18": partial(_published, layers=r3d_18),
}
"""What makes the layers of each suite at a batch size."""
