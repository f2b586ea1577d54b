"""The cost model of a GPU: operations, traffic and milliseconds of a convolution, stage by stage.

In: a `ConvShape` with a card, a `Form` with the instructions of its transforms. Out: a `GpuStage` for each stage, and
their time. A stage takes the longest of its arithmetic and its traffic, at the shares of a card's peaks that `Attained`
names, and not less than its launches. V and M of a batch of tiles that stays in level 2 do not go through memory.
Nothing here is fitted: the shares are what single kernels are known to attain; `winograd.conv.gpu.tuning` measures, and
``benchmarks/gpu_fit.py`` finds the shares that measured stages had.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum, prod
from typing import Final

from winograd.conv.geometry.shape import ConvShape
from winograd.conv.gpu.card import Card
from winograd.conv.gpu.form import SUM_BYTES, Form, extent_of
from winograd.conv.gpu.schedule import FUSED
from winograd.conv.gpu.stage import ATTAINED, Attained, GpuStage

ELEMENT_BYTES: Final = {"float32": 4, "float16": 2, "bfloat16": 2, "float64": 8}


@dataclass(frozen=True, slots=True)
class Instructions:
    """Of the transforms of a tile: of data for one channel, of outputs for one output channel."""

    data: int
    inverse: int


def gpu_stages(
    shape: ConvShape, form: Form, instructions: Instructions, *, live: bool, attained: Attained = ATTAINED
) -> tuple[GpuStage, ...]:
    """Return the stages of a form.

    Parameters
    ----------
    shape : ConvShape
        With a card.
    form : Form
    instructions : Instructions
    live : bool
        Whether the filter is transformed in every call.
    attained : Attained
        Shares of the peaks; others than those of plans are for fits.

    Examples
    --------
    >>> from winograd import nest, toom_cook
    >>> from winograd.conv.arguments import ConvArguments
    >>> from winograd.conv.gpu.card import card_named
    >>> shape = ConvArguments(padding=1).shape(
    ...     (32, 64, 16, 56, 56), (128, 64, 3, 3, 3), dtype="float32", card=card_named("h200")
    ... )
    >>> form = Form.of(nest(*[toom_cook(4, 3)] * 3), "tf32x3")
    >>> [(stage.name, stage.limit) for stage in gpu_stages(shape, form, Instructions(1296, 912), live=False)]
    [('data', 'memory'), ('products', 'memory'), ('inverse', 'memory')]
    """
    work = _Work(shape, form, instructions, attained)
    stages = (work.fused(),) if form.kind == FUSED else (work.data(), work.products(), work.inverse())
    return (work.filters(), *stages) if live else stages


def gpu_ms(shape: ConvShape, form: Form, instructions: Instructions, *, live: bool) -> float:
    """Return the predicted milliseconds of a call."""
    return fsum(stage.milliseconds for stage in gpu_stages(shape, form, instructions, live=live))


def library_ms(shape: ConvShape, *, tf32: bool = False, attained: Attained = ATTAINED) -> float:
    """Return the predicted milliseconds of the library's direct convolution on the card of a shape.

    Examples
    --------
    >>> from winograd.conv.arguments import ConvArguments
    >>> from winograd.conv.gpu.card import card_named
    >>> shape = ConvArguments(padding=1).shape(
    ...     (32, 64, 16, 56, 56), (128, 64, 3, 3, 3), dtype="float32", card=card_named("h200")
    ... )
    >>> 12 < library_ms(shape) < 15, 2 < library_ms(shape, tf32=True) < 3
    (True, True)
    """
    card = card_of(shape)
    rates = {"float32": card.float32_tflops * attained.library_float32}
    if tf32:
        rates["float32"] = card.tf32_tflops * attained.library_tensor
    half = card.half_tflops * attained.library_tensor
    rate = (rates | {"float16": half, "bfloat16": half}).get(shape.dtype, card.float32_tflops / 2)
    each = ELEMENT_BYTES.get(shape.dtype, 8)
    moved = _input_bytes(shape, each) + _output_bytes(shape, each) + prod(shape.weight_sizes) * each
    return max(2 * shape.macs / rate / 1e9, _memory_ms(card, moved, attained), attained.launch_us / 1e3)


def products_tflops(card: Card, products: str, attained: Attained = ATTAINED) -> float:
    """Return the rate of emitted products."""
    if products == "ieee":
        return card.float32_tflops * attained.plain
    if products in ("float16", "bfloat16"):
        return card.half_tflops * attained.tensor
    return card.tf32_tflops * attained.tensor / (3 if products == "tf32x3" else 1)


def card_of(shape: ConvShape) -> Card:
    """Return the card of a shape that has one."""
    assert shape.card is not None
    return shape.card


class _Work:
    """What the stages of a form take, in milliseconds."""

    def __init__(self, shape: ConvShape, form: Form, instructions: Instructions, attained: Attained) -> None:
        self.attained = attained
        self.shape, self.form, self.card, self.instructions = shape, form, card_of(shape), instructions
        self.extent = extent_of(shape, form)
        self.batches = self.extent.batches(form.batch_bytes)
        each = ELEMENT_BYTES.get(shape.dtype, 4)
        self.input_bytes, self.output_bytes = _input_bytes(shape, each), _output_bytes(shape, each)
        transformed = form.positions * self.extent.columns
        self.v_bytes = transformed * self.extent.read_rows * shape.channels * form.stored_bytes
        self.m_bytes = transformed * self.extent.written_rows * shape.outputs * SUM_BYTES
        self.is_held = self.extent.workspace_bytes(form.batch_bytes) <= self.attained.cache_held * self.card.l2_bytes
        self.block_rows, self.block_outputs, self.u_rows = form.block(shape)
        self.panels = -(-shape.outputs // self.block_outputs)
        tiles = zip(form.m, form.r, form.transformed, strict=True)
        self.overlap = prod((m + r - 1) / m for m, r, is_so in tiles if is_so)

    def filters(self) -> GpuStage:
        taps = prod(self.shape.weight_sizes) * ELEMENT_BYTES.get(self.shape.dtype, 4)
        moved = taps + self.extent.filter_bytes
        return self._stage("filter", 0.0, moved, moved, 1)

    def data(self) -> GpuStage:
        rows = self.extent.columns * self.extent.read_rows
        moved = self.input_bytes + (0 if self.is_held else self.v_bytes)
        cached = self.input_bytes * self.overlap + self.v_bytes
        return self._stage(
            "data", self._transform_ms(rows * self.shape.channels, self.instructions.data), moved, cached, self.batches
        )

    def products(self) -> GpuStage:
        u = self.extent.filter_bytes
        u_held = u <= self.attained.cache_held * self.card.l2_bytes
        moved = (0 if self.is_held else self.v_bytes + self.m_bytes) + u * (1 if u_held else self.batches)
        return self._stage(
            "products", self._products_ms(), moved, self._read_by_products() + self.m_bytes, self.batches
        )

    def inverse(self) -> GpuStage:
        rows = self.extent.columns * self.extent.written_rows
        moved = self.output_bytes + (0 if self.is_held else self.m_bytes)
        arithmetic = self._transform_ms(rows * self.shape.outputs, self.instructions.inverse)
        return self._stage("inverse", arithmetic, moved, self.m_bytes + self.output_bytes, self.batches)

    def fused(self) -> GpuStage:
        """Return the one stage of fused kernels: each panel of outputs transforms the data it reads."""
        columns, panels = self.extent.columns, self.panels
        data = self._transform_ms(
            columns * self.extent.read_rows * self.shape.channels * panels * self.form.taps, self.instructions.data
        )
        inverse = self._transform_ms(columns * self.extent.written_rows * self.shape.outputs, self.instructions.inverse)
        moved = self.input_bytes + self.output_bytes + self.extent.filter_bytes
        blocks = -(-columns * self.extent.written_rows // self.block_rows)
        cached = self.input_bytes * self.overlap * panels * self.form.taps + self.extent.filter_bytes * blocks
        return self._stage("fused", self._products_ms() + data + inverse, moved, cached + self.output_bytes, 1)

    def _products_ms(self) -> float:
        """Return the time of the products: blocks are whole, and multiprocessors wait for the last ones."""
        rows = -(-self.extent.held(self.form.batch_bytes) * self.extent.written_rows // self.block_rows)
        panel = min(self.block_outputs, max(self.shape.outputs, 16))
        together = self.form.positions if self.form.kind == FUSED else 1  # positions that one block computes
        blocks = self.form.positions // together * rows * -(-self.shape.outputs // panel)
        waves = -(-blocks // self.card.multiprocessors) * self.card.multiprocessors
        each = 2.0 * together * self.block_rows * panel * max(self.shape.channels, 16) * self.form.taps
        return waves * each * self.batches / products_tflops(self.card, self.form.products, self.attained) / 1e9

    def _read_by_products(self) -> float:
        """Return the bytes that blocks of products read: V once for each panel of outputs, U for its rows."""
        written = self.form.positions * self.extent.columns * self.extent.written_rows
        v = written * self.form.taps * self.shape.channels * self.form.stored_bytes * self.panels
        rows = self.extent.held(self.form.batch_bytes) * self.extent.written_rows
        return v + self.extent.filter_bytes * self.batches * -(-rows // self.u_rows)

    def _transform_ms(self, lanes: float, instructions: int) -> float:
        return lanes * instructions / (self.card.float32_tflops / 2 * self.attained.transforms) / 1e9

    def _stage(self, name: str, arithmetic_ms: float, moved: float, cached: float, launches: int) -> GpuStage:
        cache_ms = cached / (self.card.memory_gbs * self.attained.cache) / 1e6
        return GpuStage(
            name,
            arithmetic_ms,
            _memory_ms(self.card, moved, self.attained),
            cache_ms,
            launches * self.attained.launch_us / 1e3,
        )


def _memory_ms(card: Card, moved: float, attained: Attained) -> float:
    return moved / (card.memory_gbs * attained.memory) / 1e6


def _input_bytes(shape: ConvShape, each: int) -> int:
    return shape.batch * shape.channels * prod(shape.sizes) * each


def _output_bytes(shape: ConvShape, each: int) -> int:
    return shape.batch * shape.outputs * prod(shape.output) * each
