"""The convolutions of a network by name, with the shapes that they meet in one forward. No weight is allocated.

In: a name of the registry and a batch size. Out: one `NetworkConvolution` per call, in the order of execution.
Zeros that the network itself puts around the input of a convolution count as the padding of that convolution.
Refused: unknown names, batches below 1 or beyond what torch counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Final, cast

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from winograd.conv.arguments import ConvArguments
from winograd.conv.geometry.shape import ConvShape
from winograd.networks.outline import outline, sizes_counted
from winograd.networks.video_network import VideoNetwork

_DTYPE: Final = "float32"

_CONVOLUTIONS: Final = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True, slots=True)
class NetworkConvolution:
    """One call of one convolution of a network.

    Parameters
    ----------
    name : str
        Of the layer in the network; it comes again where the network calls the layer again.
    shape : ConvShape
        In float32, over one to three axes.
    has_bias : bool
        Whether the layer adds a bias.
    """

    name: str
    shape: ConvShape
    has_bias: bool


def convolutions(name: str, batch: int = 1) -> tuple[NetworkConvolution, ...]:
    """Return the convolutions of the network of that name, for clips of its own size, in the order of execution.

    Parameters
    ----------
    name : str
        One of `list_networks`.
    batch : int
        Clips, at least 1. A network that looks at single frames folds time into the batch of its convolutions.

    Raises
    ------
    UnknownNetworkError
        If the name is unknown.
    ValueError
        If the batch is below 1, or so large that torch cannot count the bytes of a tensor.

    Examples
    --------
    >>> first, second, *_ = convolutions("c3d", batch=2)
    >>> first.name, first.shape.channels, first.shape.sizes, first.has_bias
    ('conv1', 3, (16, 112, 112), True)
    >>> second.shape.output, second.shape.macs
    ((16, 56, 56), 22196256768)
    """
    if batch < 1:
        raise ValueError(f"batch is {batch}, must be at least 1")
    return convolutions_of(outline(name), batch)


def convolutions_of(
    model: nn.Module, batch: int = 1, input_shape: Sequence[int] | None = None
) -> tuple[NetworkConvolution, ...]:
    """Return the convolutions of a network that was built on the meta device, as `convolutions` does.

    Parameters
    ----------
    model : Module
        On the meta device, so that the forward computes sizes only.
    batch : int
        Clips, at least 1.
    input_shape : sequence of int, optional
        Channels, frames, height and width of a clip; those of the network for None, which a `VideoNetwork` has.
    """
    seen: list[NetworkConvolution] = []
    zeros = _ZerosAround()
    with ExitStack() as cleanup:
        for name, layer in model.named_modules():
            if isinstance(layer, _CONVOLUTIONS):
                hook = layer.register_forward_pre_hook(_recorder(name, zeros, seen))
                cleanup.callback(hook.remove)
        cleanup.enter_context(torch.no_grad())
        cleanup.enter_context(zeros)
        sizes = cast("VideoNetwork", model).input_shape if input_shape is None else input_shape
        cleanup.enter_context(sizes_counted())
        model(torch.empty(batch, *sizes, device="meta"))
    return tuple(seen)


def _recorder(
    name: str, zeros: _ZerosAround, seen: list[NetworkConvolution]
) -> Callable[[nn.Module, tuple[Any, ...]], None]:
    def record(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        assert isinstance(layer, _CONVOLUTIONS)
        arguments = ConvArguments(layer.stride, layer.padding, layer.dilation, layer.groups)
        shape = arguments.shape(tuple(inputs[0].shape), tuple(layer.weight.shape), dtype=_DTYPE)
        seen.append(NetworkConvolution(name, zeros.as_padding(shape, inputs[0]), layer.bias is not None))

    return record


class _ZerosAround(TorchFunctionMode):
    """Remembers, while it is entered, which tensors `torch.nn.functional.pad` made by putting zeros around others."""

    def __init__(self) -> None:
        super().__init__()
        self._padded = WeakTensorKeyDictionary()  # tensors may go as they would without this

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        if func is nn.functional.pad:
            self._remember(output, *args, **(kwargs or {}))
        return output

    def _remember(
        self, output: Tensor, input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None
    ) -> None:
        around_axes = len(pad) <= 2 * (input.ndim - 2)  # neither channels nor batch
        if mode == "constant" and not value and around_axes and min(pad) >= 0:
            self._padded[output] = tuple(pad)

    def as_padding(self, shape: ConvShape, input: Tensor) -> ConvShape:
        """Return the shape of the same convolution of the tensor without the zeros, if the input is one with them."""
        if input not in self._padded:
            return shape
        pad = self._padded[input]
        pairs = list(zip(pad[::2], pad[1::2], strict=True))[::-1]  # torch begins with the last axis
        pairs = [(0, 0)] * (shape.ndim - len(pairs)) + pairs
        own = zip(shape.padding, pairs, strict=True)
        return replace(
            shape,
            sizes=tuple(size - sum(pair) for size, pair in zip(shape.sizes, pairs, strict=True)),
            padding=tuple((low + before, high + after) for (low, high), (before, after) in own),
        )
