"""One forward of a network on the meta device, recorded: its layers, its blocks, and the memory of its tensors.

In: a network whose parameters are on the meta device, and the sizes of its clips. Out: records in the order of
execution. Refused: sizes that the network cannot take, with what it says about them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from math import prod
from typing import Any, Final

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from winograd.networks.convolutions import NetworkConvolution, convolutions_of
from winograd.networks.description.kinds import LayerKind, kind_of
from winograd.networks.description.layer import Layer
from winograd.networks.description.living import Living
from winograd.networks.video_network import VideoNetwork

_UNLISTED: Final = (_BatchNorm, nn.ReLU, nn.Dropout, nn.Identity)
"""Layers that change no size: they are counted, and not listed."""

_POOLS: Final = (
    *(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d),
)


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a network as it is drawn: a layer, or the smallest module around several that is no mere sequence.

    Parameters
    ----------
    name, type : str
        In the network, and of its class.
    output : tuple of int
        Sizes of what it gives, with the batch.
    """

    name: str
    type: str
    output: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Call:
    name: str
    module: nn.Module
    input: tuple[int, ...]
    output: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Recording:
    """What one forward tells.

    Parameters
    ----------
    output : tuple of int
        Sizes of the scores.
    layers, blocks : tuple
        What computes or changes sizes, and coarser parts, in the order of execution.
    peak_bytes, made_bytes : int
        Of the clips and all tensors of the forward: alive at most at a time, and made in all.
    """

    output: tuple[int, ...]
    layers: tuple[Layer, ...]
    blocks: tuple[Block, ...]
    peak_bytes: int
    made_bytes: int


def record(model: nn.Module, input: tuple[int, ...]) -> Recording:
    """Return what one forward tells.

    Parameters
    ----------
    model : Module
        On the meta device.
    input : tuple of int
        Sizes of the clips, with the batch.
    """
    leaves: list[_Call] = []
    parts: list[_Call] = []
    whole: list[_Call] = []
    names = set(_block_names(model))
    with ExitStack() as cleanup:
        for name, module in model.named_modules():
            if _is_leaf(module) and not isinstance(module, _UNLISTED):
                cleanup.callback(module.register_forward_hook(_recorder(name, leaves)).remove)
            if name in names:
                cleanup.callback(module.register_forward_hook(_recorder(name, parts)).remove)
        cleanup.callback(model.register_forward_hook(_recorder("", whole)).remove)
        living = cleanup.enter_context(Living([*model.parameters(), *model.buffers()]))
        found = iter(convolutions_of(model, input[0], input[1:]))
    seen: set[str] = set()
    layers = []
    for call in leaves:
        layers.append(_layer(call, found, again=call.name in seen))
        seen.add(call.name)
    blocks = tuple(Block(call.name, type(call.module).__name__, call.output) for call in parts)
    return Recording(whole[-1].output, tuple(layers), blocks, living.peak_bytes, living.made_bytes)


def _is_leaf(module: nn.Module) -> bool:
    return next(module.children(), None) is None


def _block_names(module: nn.Module, prefix: str = "") -> Iterator[str]:
    """Yield the names of the blocks: sequences and networks are opened, other modules are not."""
    for name, child in module.named_children():
        if isinstance(child, nn.Sequential | VideoNetwork):
            yield from _block_names(child, f"{prefix}{name}.")
        elif not isinstance(child, _UNLISTED):
            yield prefix + name


def _recorder(name: str, calls: list[_Call]) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
    def note(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if isinstance(output, Tensor):
            calls.append(_Call(name, module, tuple(inputs[0].shape), tuple(output.shape)))

    return note


def _layer(call: _Call, found: Iterator[NetworkConvolution], *, again: bool) -> Layer:
    module = call.module
    shape, macs, kind, input = None, 0, LayerKind.OTHER, call.input
    if isinstance(module, _ConvNd):
        shape = next(found).shape
        macs, kind, input = shape.macs, kind_of(shape), (shape.batch, shape.channels, *shape.sizes)
    elif isinstance(module, nn.Linear):
        macs, kind = prod(call.input[:-1]) * module.weight.numel(), LayerKind.LINEAR
    elif isinstance(module, _POOLS):
        kind = LayerKind.POOLING
    own = 0 if again else sum(parameter.numel() for parameter in module.parameters())
    return Layer(call.name, type(module).__name__, kind, input, call.output, own, macs, shape)
