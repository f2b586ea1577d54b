"""torch's own convolution: the fallback, and its named variants for comparison.

In: torch tensors. Out: tensors, or callables that each run one variant. Nothing here goes through
``torch.nn.functional.conv3d``. Refused: what torch refuses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from winograd.conv.layout import FORMATS, Layout, as_channels_last, is_channels_last
from winograd.conv.shape import ConvShape

Tensor = torch.Tensor

FUNCTIONS: Mapping[int, Callable[..., Tensor]] = {1: torch.conv1d, 2: torch.conv2d, 3: torch.conv3d}
"""torch's own convolution by number of axes."""

_REORDER = {2: "mkldnn_reorder_conv2d_weight", 3: "mkldnn_reorder_conv3d_weight"}


_SMALL_INPUT = 20480
"""Channels times the first two sizes up to which torch keeps an input of batch 1 from oneDNN."""

_LEAST_MACS = {2: 5_000_000, 3: 1_000_000}
"""By axes: from so many multiplications on, oneDNN saves more than its call and reordering the weight cost."""

_LEAST_PACKED_MACS = {2: 1_000_000, 3: 300_000}
"""The same with a packed weight."""

_LEAST_REORDERED_MACS, _LEAST_REORDERED = 600_000, 16_000
"""Multiplications, or numbers of the blocked weight, from which on torch, where it calls oneDNN itself, takes longer to
reorder the weight each time than a packed one takes to look after."""

_BLOCK = 16
"""oneDNN fills up channels and outputs of a weight to a multiple of this."""

_LEAST_UNFOLDED = 60_000
"""Elements of the unfolded input from which on writing them is what takes torch so long."""

_LEAST_POINTWISE_MACS = 10_000_000
"""The same for one tap, where torch, too, has nothing but a matrix product to compute."""

_LEAST_PACKED_POINTWISE_MACS = 1_000_000

_LEAST_PLACES = 48
"""Outputs of a channel below which reordering the weight takes longer than the convolution."""

_FEW_CHANNELS, _MANY_OUTPUTS = 4, 100
"""Input channels, and outputs for each number of the weight, with which a packed weight makes oneDNN slower in 2D."""

_FEW_OUTPUTS, _MANY_TAPS = 16, 64
"""Outputs up to which, and taps from which on, oneDNN is faster channels first than channels last."""

_CHEAPLY_COPIED = 100_000
"""Outputs that stay in the cache until they are copied into another memory format."""


def convolve_direct(input: Tensor, weight: Tensor, bias: Tensor | None, shape: ConvShape) -> Tensor:
    """Return torch's own convolution; uneven padding becomes zeros around the input first, as torch does for 'same'."""
    return FUNCTIONS[shape.ndim](_pad_rest(input, shape), weight, bias, *_arguments(shape))


def convolve_onednn(input: Tensor, weight: Tensor, bias: Tensor | None, shape: ConvShape) -> Tensor:
    """Return direct convolution by oneDNN, without a gradient, for inputs of (N, C, sizes...) in any memory format."""
    stride, padding, dilation, groups = _arguments(shape)
    with torch.no_grad():
        return torch.mkldnn_convolution(_pad_rest(input, shape), weight, bias, padding, stride, dilation, groups)


def is_slow_in_torch(weight: Tensor, shape: ConvShape) -> bool:
    """Return whether torch keeps this shape from oneDNN, which computes it faster with the weight as it is.

    torch does so at batch 1 for small inputs and kernels, by unfolding the input and a matrix product.
    """
    if not is_unfolded(shape) or math.prod(shape.output) < _LEAST_PLACES or not _packable(weight, shape):
        return False
    return shape.macs >= (_LEAST_MACS[shape.ndim] if _taps(shape) > 1 else _LEAST_POINTWISE_MACS)


def is_faster_packed(shape: ConvShape, layout: Layout) -> bool:
    """Return whether oneDNN is faster with a packed weight than with the weight as it is, for outputs of a layout.

    With a packed weight it writes channels last; where the output is to be contiguous, copying it may cost more than
    reordering the weight does, and does so for one tap.
    """
    outputs = shape.batch * shape.outputs * math.prod(shape.output)
    weights = math.prod(shape.weight_sizes)
    if layout is Layout.CHANNELS_LAST:
        few = shape.ndim == 2 and shape.channels <= _FEW_CHANNELS and not is_unfolded(shape)
        return not (few and outputs > _MANY_OUTPUTS * weights)
    large = shape.outputs <= _FEW_OUTPUTS and _taps(shape) >= _MANY_TAPS
    return _taps(shape) > 1 and not large and (outputs <= _CHEAPLY_COPIED or weights >= 2 * outputs)


def is_worth_packing(shape: ConvShape) -> bool:
    """Return whether oneDNN with a packed weight is faster than torch's own convolution by more than its call costs."""
    if shape.ndim not in _REORDER:
        return False
    if _taps(shape) == 1:
        return shape.macs >= _LEAST_PACKED_POINTWISE_MACS
    if _blocked(shape) >= _LEAST_REORDERED:
        return True
    if not is_unfolded(shape):
        return shape.macs >= _LEAST_REORDERED_MACS
    return shape.macs >= _LEAST_PACKED_MACS[shape.ndim] or shape.macs >= shape.outputs * _LEAST_UNFOLDED


def is_unfolded(shape: ConvShape) -> bool:
    """Return whether torch computes this shape by a matrix product of the unfolded input, and not by oneDNN."""
    if shape.ndim not in _REORDER or shape.batch != 1 or shape.groups != 1:
        return False
    return shape.channels * math.prod(shape.sizes[:2]) <= _SMALL_INPUT and min(shape.taps[-2:]) <= 3


def _blocked(shape: ConvShape) -> int:
    """Return the numbers of the weight in the layout that oneDNN reads."""
    channels, outputs = (-(-size // shape.groups // _BLOCK) * _BLOCK for size in (shape.channels, shape.outputs))
    return shape.groups * channels * outputs * _taps(shape)


def _taps(shape: ConvShape) -> int:
    return math.prod(shape.taps)


def _arguments(shape: ConvShape) -> tuple[Any, ...]:
    """Return stride, even padding, dilation and groups, as torch's convolutions take them."""
    return shape.stride, tuple(min(pair) for pair in shape.padding), shape.dilation, shape.groups


def _pad_rest(input: Tensor, shape: ConvShape) -> Tensor:
    rest = _rest(shape)
    return torch.constant_pad_nd(input, rest) if rest else input


def _rest(shape: ConvShape) -> list[int]:
    """Return the zeros that torch's convolutions do not add, in the order of `torch.constant_pad_nd`; none if even."""
    if all(low == high for low, high in shape.padding):
        return []
    return [side - min(pair) for pair in reversed(shape.padding) for side in pair]


def _is_last(input: Tensor, last: torch.memory_format) -> bool:
    return input.is_contiguous(memory_format=last) and not input.is_contiguous()


@dataclass(frozen=True, slots=True)
class TorchsOwn:
    """torch's own convolution of one shape, with the arguments that come after the tensors and the zeros to add first.

    For inputs in channels last there is the weight in that format, too: with one in the other torch copies one of them.
    A call of a small layer takes hardly longer than putting them together.
    """

    function: Callable[..., Tensor]
    arguments: tuple[Any, ...]
    rest: list[int]
    last: Tensor | None

    @property
    def nbytes(self) -> int:
        """Bytes of the weight in channels last."""
        return 0 if self.last is None else self.last.numel() * self.last.element_size()

    def __call__(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return the convolution, without a gradient to the weight where it is kept in channels last."""
        if self.last is not None and _is_last(input, FORMATS[input.ndim]):
            weight = self.last
        padded = torch.constant_pad_nd(input, self.rest) if self.rest else input
        return self.function(padded, weight, bias, *self.arguments)


def torchs_own(weight: Tensor, shape: ConvShape) -> TorchsOwn | None:
    """Return torch's own convolution, or None where `convolve_onednn` is faster."""
    if is_slow_in_torch(weight, shape):
        return None
    last = as_channels_last(weight.detach()) if weight.ndim in FORMATS and weight.is_contiguous() else None
    return TorchsOwn(FUNCTIONS[shape.ndim], _arguments(shape), _rest(shape), last)


@dataclass(frozen=True, slots=True)
class PackedDirect:
    """A weight in the layout that oneDNN's direct convolution of one shape reads; opaque, and not to be saved.

    Beside it lies ready what a call of a small layer would take as long to put together as to run: the rest of the
    arguments, the zeros to be added first, for which layouts of the output it is faster than the weight as it is,
    torch's name of channels last if that is one of them, torch's own convolution for the other layouts, once more if
    channels first is one of these.
    """

    blocked: Tensor
    arguments: tuple[Any, ...]
    rest: list[int]
    layouts: tuple[Layout, ...]
    last: torch.memory_format | None
    own: TorchsOwn | None
    first: TorchsOwn | None

    def takes_at_once(self, input: Tensor) -> bool:
        """Return whether an input lies channels last, and is best computed so: nothing else need be looked at."""
        return self.last is not None and _is_last(input, self.last)

    @property
    def nbytes(self) -> int:
        """Bytes of the packed weight, those that fill up blocks left out."""
        return self.blocked.numel() * self.blocked.element_size()


def pack_direct(weight: Tensor, shape: ConvShape) -> PackedDirect | None:
    """Return the weight reordered once for oneDNN, or None where oneDNN has no such path.

    torch reorders the weight in every call otherwise, and sends small 3D layers at batch 1 through a slower path.

    Parameters
    ----------
    weight : Tensor of shape (K, C / groups, taps...), float32 on the CPU
    shape : ConvShape
        With 2 or 3 axes.
    """
    if not _packable(weight, shape):
        return None
    reorder = getattr(torch._C._nn, _REORDER[shape.ndim])
    sizes = (shape.batch, shape.channels, *_evened_sizes(shape))
    stride, padding, dilation, groups = _arguments(shape)
    with torch.no_grad():
        dense = weight.detach().contiguous().to_mkldnn()
        blocked = reorder(dense, padding, stride, dilation, groups, sizes)
    layouts = tuple(layout for layout in Layout if is_faster_packed(shape, layout))
    last = FORMATS[shape.ndim + 2] if Layout.CHANNELS_LAST in layouts else None
    arguments: tuple[Any, ...] = (padding, stride, dilation, groups, "none", [], "")
    own = torchs_own(weight, shape)
    first = None if Layout.CHANNELS_FIRST in layouts or is_channels_last(weight) else own
    return PackedDirect(blocked, arguments, _rest(shape), layouts, last, own, first)


def _packable(weight: Tensor, shape: ConvShape) -> bool:
    plain = weight.device.type == "cpu" and weight.dtype == torch.float32 and not shape.is_empty
    return plain and shape.ndim in _REORDER and torch._C._has_mkldnn and bool(torch._C._get_mkldnn_enabled())


def _evened_sizes(shape: ConvShape) -> tuple[int, ...]:
    return tuple(size + abs(high - low) for size, (low, high) in zip(shape.sizes, shape.padding, strict=True))


def convolve_packed(input: Tensor, packed: PackedDirect, bias: Tensor | None = None) -> Tensor:
    """Return direct convolution with a packed weight, for inputs of (N, C, sizes...) in any memory format."""
    if torch.is_grad_enabled():
        with torch.no_grad():
            return convolve_packed(input, packed, bias)
    padded = torch.constant_pad_nd(input, packed.rest) if packed.rest else input
    result: Tensor = torch.ops.mkldnn._convolution_pointwise.default(padded, packed.blocked, bias, *packed.arguments)
    return result


def direct_variants(
    input: Tensor, weight: Tensor, bias: Tensor | None, shape: ConvShape, last: Tensor | None = None
) -> dict[str, Callable[[], Tensor]]:
    """Return the variants of direct convolution that exist for these tensors, ready to be timed.

    Copies into another memory format and packing are done here, so that a call computes and nothing else.

    Parameters
    ----------
    input : Tensor of shape (N, C, sizes...)
    weight : Tensor of shape (K, C / groups, taps...)
    bias : Tensor of shape (K,), optional
    shape : ConvShape
    last : Tensor, optional
        The input in channels last, where there is such a copy already.

    Returns
    -------
    dict of name to callable
        "default" always; "channels_last" with 2 or 3 axes; "onednn" and "onednn_prepacked", each also with
        "_channels_last", for float32 on the CPU with oneDNN.
    """
    variants: dict[str, Callable[[], Tensor]] = {"default": partial(convolve_direct, input, weight, bias, shape)}
    if shape.ndim == 1:
        return variants
    last, weight_last = as_channels_last(input) if last is None else last, as_channels_last(weight)
    variants["channels_last"] = partial(convolve_direct, last, weight_last, bias, shape)
    packed = pack_direct(weight, shape)
    if packed is not None and input.dtype == torch.float32 and input.device.type == "cpu":
        variants["onednn"] = partial(convolve_onednn, input, weight, bias, shape)
        variants["onednn_channels_last"] = partial(convolve_onednn, last, weight_last, bias, shape)
        variants["onednn_prepacked"] = partial(convolve_packed, input, packed, bias)
        variants["onednn_prepacked_channels_last"] = partial(convolve_packed, last, packed, bias)
    return variants
