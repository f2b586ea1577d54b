"""What the tests of the native backend share: random layers, and what they must give."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from winograd.conv.tensors.layout import Layout, in_layout

DIRECT: dict[int, Any] = {1: torch.conv1d, 2: torch.conv2d, 3: torch.conv3d}


def direct_f64(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    padding: tuple[tuple[int, int], ...],
) -> torch.Tensor:
    """Return the convolution in float64, padded by hand."""
    sides = [side for pair in reversed(padding) for side in pair]
    padded = torch.nn.functional.pad(input.double(), sides)
    convolved: torch.Tensor = DIRECT[input.ndim - 2](padded, weight.double(), None if bias is None else bias.double())
    return convolved


def integers(*shape: int, seed: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(-4, 5, shape).astype(np.float32))


@st.composite
def cases(draw: st.DrawFn) -> tuple[tuple[int, ...], int, tuple[tuple[int, int], ...], int]:
    """Draw sizes, padding and channels of one to three axes, small first."""
    ndim = draw(st.integers(1, 3))
    sizes = draw(st.tuples(*[st.integers(1, 9)] * ndim))
    padding = tuple(draw(st.tuples(st.integers(0, 3), st.integers(max(0, 2 - size), 3))) for size in sizes)
    padding = tuple((low, max(high, 3 - size - low)) for size, (low, high) in zip(sizes, padding, strict=True))
    batch, channels, outputs = draw(st.integers(1, 2)), draw(st.integers(1, 70)), draw(st.integers(1, 40))
    return (batch, channels, *sizes), outputs, padding, draw(st.integers(0, 2**31))


@st.composite
def wide_cases(draw: st.DrawFn) -> tuple[tuple[int, ...], int, tuple[tuple[int, int], ...], int]:
    """Draw layers of more tiles along the width than a run has, few channels, and padding of more than a tile."""
    ndim = draw(st.integers(1, 3))
    sizes = (*draw(st.tuples(*[st.integers(3, 5)] * (ndim - 1))), draw(st.integers(3, 70)))
    padding = tuple(draw(st.tuples(st.integers(0, 9), st.integers(0, 9))) for _ in sizes[-1:])
    padding = ((1, 1),) * (ndim - 1) + padding
    batch, channels, outputs = draw(st.integers(1, 2)), draw(st.integers(1, 20)), draw(st.integers(1, 40))
    return (batch, channels, *sizes), outputs, padding, draw(st.integers(0, 2**31))


def lies_in(tensor: torch.Tensor, layout: Layout) -> bool:
    """Return whether a tensor lies in a layout; both may be true."""
    return in_layout(tensor, layout).data_ptr() == tensor.data_ptr()
