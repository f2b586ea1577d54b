"""Random convolutions for the kernels of a GPU, small enough for Triton's interpreter.

In: a number. Out: a `Case`: shape, algorithm, products, settings of the kernels, how tensors lie in memory.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from math import prod

import torch

from winograd import nest, toom_cook
from winograd.algebra.nesting import NestedAlgorithm
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.gpu.card import card_named
from winograd.conv.gpu.form import ALIGNED, Form, extent_of
from winograd.conv.gpu.schedule import Products
from winograd.conv.tensors.layout import as_channels_last

CARD = card_named("h100")

MOST_RANK = 64
"""Products of a tile of a case, at most."""


@dataclass(frozen=True)
class Case:
    shape: ConvShape
    algorithm: NestedAlgorithm
    products: Products
    config: dict[str, int]
    layout: str
    has_bias: bool
    has_residual: bool
    relu: bool

    @property
    def name(self) -> str:
        shape = self.shape
        sizes = "x".join(map(str, (shape.batch, shape.channels, shape.outputs, *shape.sizes)))
        return f"{self.algorithm.label}-{sizes}-{self.products}-{self.layout}"


def draw_case(number: int, outputs: tuple[int, ...], products: tuple[Products, ...]) -> Case:
    """Return a case with so many outputs per axis; one of them makes an axis direct."""
    draw = random.Random(number)
    ndim = draw.choice((1, 1, 2, 2, 3))
    m = [draw.choice(outputs) for _ in range(ndim)]
    if set(m) == {1}:
        m[draw.randrange(ndim)] = max(outputs)
    while prod(size + 2 for size in m) > MOST_RANK:  # what the interpreter takes longest for
        m[m.index(max(m))] -= 1
    taps = [draw.choice((3, 3, 3, 2, 1)) if size == 1 else draw.choice((3, 3, 2)) for size in m]
    padding = tuple((draw.randint(0, 2), draw.randint(0, 2)) for _ in m)
    most = {1: 9, 2: 5, 3: 3}[ndim]
    sizes = tuple(max(draw.randint(1, most), r - low - high) for r, (low, high) in zip(taps, padding, strict=True))
    channels, filters = draw.choice((1, 2, 3, 8, 9, 17)), draw.choice((1, 2, 5, 8, 16, 19))
    shape = ConvShape(
        *(draw.randint(1, 2), channels, filters, sizes, tuple(taps), (1,) * ndim, (1,) * ndim, padding, 1, "float32"),
        card=CARD,
    )
    algorithm = nest(*(toom_cook(*pair) for pair in zip(m, taps, strict=True)))
    chosen = draw.choice(products)
    extent = extent_of(shape, Form.of(algorithm, chosen))
    columns = -(-extent.columns // draw.choice((1, 1, 2, 3)))
    config = {"workspace_bytes": columns * extent.column_bytes + ALIGNED, "block_t": draw.choice((16, 64, 64))}
    layout = draw.choice(("contiguous", "channels_last", "gaps", "turned"))
    flags = (draw.random() < 0.5 for _ in range(3))
    return Case(shape, algorithm, chosen, config, layout, *flags)


def laid_out(tensor: torch.Tensor, layout: str) -> torch.Tensor:
    """Return the same values as they lie in another tensor: in channels last, with gaps, with axes turned."""
    if layout == "channels_last":
        return as_channels_last(tensor)
    if layout == "gaps":
        wide = tensor.new_full((*tensor.shape[:-1], 2 * tensor.shape[-1] + 1), float("nan"))
        wide[..., 1::2] = tensor
        return wide[..., 1::2]
    if layout == "turned":
        return tensor.transpose(0, -1).contiguous().transpose(0, -1)
    return tensor


def exact(case: Case, x: torch.Tensor, w: torch.Tensor, b: torch.Tensor | None, r: torch.Tensor | None) -> torch.Tensor:
    """Return what a case is to give, in float64."""
    convolve = {1: torch.conv1d, 2: torch.conv2d, 3: torch.conv3d}[case.shape.ndim]
    zeros = [side for pair in reversed(case.shape.padding) for side in pair]
    found = convolve(torch.nn.functional.pad(x.double(), zeros), w.double(), None if b is None else b.double())
    found = found if r is None else found + r.double()
    return torch.relu(found) if case.relu else found


def sizes_of(case: Case) -> dict[str, tuple[int, ...]]:
    """Return the sizes of input, weight, bias and residual."""
    shape = case.shape
    return {
        "input": (shape.batch, shape.channels, *shape.sizes),
        "weight": shape.weight_sizes,
        "bias": (shape.outputs,),
        "residual": (shape.batch, shape.outputs, *shape.output),
    }
