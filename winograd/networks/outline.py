"""Networks without memory for weights: sizes only, and whether clips of a shape go through.

In: a name of the registry, or a network, and shapes. Out: a network on the meta device; the reason why a shape does not
go through. Refused: what `create` refuses, and sizes that torch cannot count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from winograd.networks.registry import create
from winograd.networks.video_network import VideoNetwork

_UNCOUNTED = "a tensor of these sizes has 2^63 bytes or more, which torch cannot count"

_Call = tuple[str, nn.Module, tuple[int, ...]]
"""Name of a layer that is run, the layer, and the shape that it is given; () where that is no tensor."""


class ShapeError(ValueError):
    """The network cannot take clips of the frames and size that are asked for."""


def outline(name: str, **options: Any) -> VideoNetwork:
    """Return the network of that name on the meta device, where it has sizes only, in evaluation mode.

    Parameters and errors are those of `create`.

    Raises
    ------
    ValueError
        If a weight has more bytes than torch can count, too.
    """
    with sizes_counted(), torch.device("meta"):
        return create(name, **options).eval()


@contextmanager
def sizes_counted() -> Iterator[None]:
    """Raise a ValueError where torch cannot count the bytes of a tensor that is made within."""
    try:
        yield
    except (RuntimeError, TypeError) as error:
        if not _is_uncounted(error):
            raise
        raise ValueError(_UNCOUNTED) from None


def check_shape(network: VideoNetwork, name: str, shape: Sequence[int]) -> None:
    """Refuse a shape that the network cannot take; sizes are computed only, whether it has memory for weights or not.

    Raises
    ------
    ShapeError
        Naming the network and the shape, with the layer that it fails at and the shape of its own.

    Examples
    --------
    >>> check_shape(outline("c3d"), "c3d", (3, 16, 20, 20))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    winograd.networks.outline.ShapeError: c3d cannot take clips of 3x16x20x20 (its own are 3x16x112x112): fc6 ...
    """
    reason = refusal(network, (1, *shape))
    if reason is not None:
        own = spelled(network.input_shape)
        raise ShapeError(f"{name} cannot take clips of {spelled(shape)} (its own are {own}): {reason}")


def refusal(network: nn.Module, input: Sequence[int]) -> str | None:
    """Return why an input of that shape does not go through, naming the layer, or None where it does.

    Parameters
    ----------
    network : Module
        On any device; only sizes are computed.
    input : sequence of int
        With the batch.
    """
    sizes = {
        key: value.detach().to("meta") for key, value in chain(network.named_parameters(), network.named_buffers())
    }
    reached: list[_Call] = []
    leaves = [(name, layer) for name, layer in network.named_modules() if next(layer.children(), None) is None]
    hooks = [layer.register_forward_pre_hook(_reach(reached, name)) for name, layer in leaves]
    hooks += [layer.register_forward_hook(lambda *_: reached.clear()) for _, layer in leaves]
    try:
        with torch.no_grad():
            functional_call(network, sizes, (torch.empty(*input, device="meta"),))
    except (IndexError, RuntimeError, TypeError, ValueError) as error:
        if _is_uncounted(error):
            return _UNCOUNTED
        at_layer = _at_layer(*reached[0]) if reached else None
        return at_layer or str(error).strip().partition("\n")[0]
    finally:
        for hook in hooks:
            hook.remove()
    return None


def _reach(reached: list[_Call], name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
    def hook(layer: nn.Module, given: tuple[Any, ...]) -> None:
        shape = tuple(given[0].shape) if given and isinstance(given[0], Tensor) else ()
        reached[:] = [(name, layer, shape)]

    return hook


def _is_uncounted(error: Exception) -> bool:
    return "overflow" in str(error).lower()


def _at_layer(name: str, layer: nn.Module, given: tuple[int, ...]) -> str | None:
    """Return what is wrong with the shape that a layer is given, or None where torch has another reason."""
    if isinstance(layer, nn.Linear) and given and given[-1] != layer.in_features:
        return f"{name} takes {layer.in_features} values of a clip, these give {given[-1]}"
    taps = getattr(layer, "kernel_size", None)
    if taps is None or len(given) < 3 or not _is_too_small(given[2:], layer):
        return None
    window = f"{taps} on every axis" if isinstance(taps, int) else spelled(taps)
    return f"{name}, with a window of {window}, gets only {spelled(given[2:])}"


def _is_too_small(sizes: tuple[int, ...], layer: Any) -> bool:
    """Whether the window of a layer is larger than what it slides over, with its padding."""
    padding = getattr(layer, "padding", 0)
    if padding == "same":
        return False
    given = (layer.kernel_size, 0 if padding == "valid" else padding, getattr(layer, "dilation", 1))
    taps, paddings, dilations = ((value,) * len(sizes) if isinstance(value, int) else value for value in given)
    axes = zip(sizes, taps, paddings, dilations, strict=True)
    return any(dilated * (k - 1) >= size + 2 * pad for size, k, pad, dilated in axes)


def spelled(shape: Sequence[int]) -> str:
    """Write a shape, such as 3x16x112x112."""
    return "x".join(map(str, shape))
