"""The composed backend: Winograd convolution from plain torch operations, for autograd, vmap and any device.

In: torch tensors of one floating or complex dtype. Out: the convolution, differentiable twice.
16-bit inputs are transformed and multiplied in float32 and rounded once. Slower than direct convolution on a CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch

from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import NestedAlgorithm, as_nested
from winograd.algebra.tiling import Tiling, tile_axes
from winograd.codegen.emit import emit
from winograd.conv.tensors.facts import autocasts

Tensor = torch.Tensor

_SIXTEEN_BITS = frozenset({torch.float16, torch.bfloat16})


@dataclass(frozen=True, slots=True)
class Transforms:
    """The transforms of one algorithm, each over the last axes of a tensor."""

    filter: Callable[[Tensor], Tensor]
    data: Callable[[Tensor], Tensor]
    inverse: Callable[[Tensor], Tensor]


@lru_cache(maxsize=256)
def load_transforms(algorithm: NestedAlgorithm) -> Transforms:
    """Return the transforms that the emitted torch module of an algorithm defines."""
    kernel = emit(algorithm, target="torch")
    module: dict[str, Any] = {"__name__": f"winograd_{algorithm.digest[:16]}"}
    exec(compile(kernel.source, f"<{kernel.name} {algorithm.label}>", "exec"), module)
    return Transforms(module["filter_transform"], module["data_transform"], module["inverse_transform"])


def convolve_composed(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    algorithm: BilinearAlgorithm | NestedAlgorithm,
    padding: Sequence[tuple[int, int]],
) -> Tensor:
    """Return the convolution of stride 1, rounded in the dtype of the input.

    Parameters
    ----------
    input : Tensor of shape (N, C, sizes...)
    weight : Tensor of shape (K, C, taps...)
        Of the same dtype and device.
    bias : Tensor of shape (K,), optional
    algorithm : BilinearAlgorithm or NestedAlgorithm
        One axis for each of ``sizes``, with as many taps.
    padding : sequence of (low, high)
        Zeros before and after each axis.

    Returns
    -------
    Tensor of shape (N, K, sizes...)

    Raises
    ------
    ValueError
        If the numbers of axes differ, or the padded input is smaller than the kernel.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> line, taps = torch.arange(5.0).reshape(1, 1, 5), torch.tensor([[[1.0, 0.0, -1.0]]])
    >>> convolve_composed(line, taps, algorithm=toom_cook(2, 3), padding=[(1, 1)])
    tensor([[[-1., -2., -2., -2.,  3.]]])
    """
    nested = as_nested(algorithm)
    tiling = tile_axes(input.shape[2:], nested.m, nested.r, padding)
    kind = input.device.type
    narrow = autocasts(kind)
    with torch.autocast(kind, enabled=False) if narrow else nullcontext():
        wide_input, wide_weight = widened(input), widened(weight)
        transforms = load_transforms(nested)
        u = transforms.filter(wide_weight).flatten(2)
        v = transforms.data(tiles_of(wide_input, tiling)).flatten(-nested.ndim).flatten(2, -2)
        products = torch.einsum("nctr,kcr->nktr", v, u)
        split = products.reshape(*products.shape[:2], *tiling.tiles, *nested.ranks)
        output = _untiled(transforms.inverse(split), tiling)
        if bias is not None:
            output = output + widened(bias).reshape(-1, *(1,) * nested.ndim)
    # Autocast narrows float32 and 16 bits, as for torch's own convolution, and leaves float64 alone.
    narrowed = narrow and (input.dtype in _SIXTEEN_BITS or input.dtype == torch.float32)
    return output.to(torch.get_autocast_dtype(kind) if narrowed else input.dtype)


def widened(tensor: Tensor) -> Tensor:
    """Return the tensor in the dtype that it is computed in: float32 for 16 bits."""
    return tensor.float() if tensor.dtype in _SIXTEEN_BITS else tensor


def tiles_of(input: Tensor, tiling: Tiling) -> Tensor:
    """Return the whole tiles that (N, C, sizes...) is cut into, zeros at the edges: (N, C, tiles..., tile...)."""
    margins = [side for axis in reversed(tiling.axes) for side in (axis.low, axis.padded_high)]
    tiles = torch.constant_pad_nd(input, margins)
    for position, axis in enumerate(tiling.axes):
        tiles = tiles.unfold(position + 2, axis.tile, axis.m)
    return tiles


def _untiled(outputs: Tensor, tiling: Tiling) -> Tensor:
    """Put tiles of outputs, (N, K, tiles..., m...), side by side and crop them: (N, K, sizes...)."""
    ndim = len(tiling.axes)
    order = [axis for pair in zip(range(2, 2 + ndim), range(2 + ndim, 2 + 2 * ndim), strict=True) for axis in pair]
    whole = outputs.permute(0, 1, *order).reshape(*outputs.shape[:2], *(axis.tiles * axis.m for axis in tiling.axes))
    for position, axis in enumerate(tiling.axes):
        whole = whole.narrow(position + 2, 0, axis.output)
    return whole
