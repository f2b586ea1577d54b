"""Selection on a GPU: forms in the order of the cost model, of those whose memory is allowed.

In: a `ConvShape` with a card, whether filters are kept, limits on memory. Out: algorithms with kernels, products and
batches, and their predicted times. Errors, which take longer to predict, are left to whoever chooses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Final

from winograd.algebra.nesting import NestedAlgorithm, nest
from winograd.codegen.nested import count_passes, lower_nested
from winograd.codegen.targets.triton.fused import MOST_POSITIONS
from winograd.conv.choosing.candidates import AxisChoice, Candidate, axis_choices
from winograd.conv.choosing.selection import Filters
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.gpu.form import ALIGNED, Form, extent_of
from winograd.conv.gpu.products import OFFERED
from winograd.conv.gpu.roofline import Instructions, card_of, gpu_ms
from winograd.conv.gpu.schedule import FUSED, STAGED, Products
from winograd.conv.gpu.stage import ATTAINED

MOST_OUTPUTS: Final = 4
"""Largest m of an axis: transforms of larger tiles do not fit into the registers of a thread."""

MOST_TILE: Final = 8
"""Largest tile of an axis, for the same reason."""

LEAST_BATCH_BYTES: Final = 16 << 20
"""V and M of a batch at least, where there are as many: smaller batches do not fill a card."""


@dataclass(frozen=True, slots=True)
class GpuCandidate:
    """An algorithm in a form, with its predicted time.

    Parameters
    ----------
    source : Candidate or NestedAlgorithm
    form : Form
    milliseconds : float
        Of a call.
    filters : Filters
        LIVE as well where a transformed filter above the limit would have been kept.
    """

    source: Candidate | NestedAlgorithm
    form: Form
    milliseconds: float
    filters: Filters

    @property
    def algorithm(self) -> NestedAlgorithm:
        """The exact algorithm, built and proved when it is first asked for."""
        return self.source.algorithm if isinstance(self.source, Candidate) else self.source


@dataclass(frozen=True, slots=True)
class GpuLimits:
    """Limits in bytes of one convolution on a card: of V and M, and of a kept filter; None for no limit."""

    workspace: int | None
    filters: int | None


def gpu_candidates(shape: ConvShape, filters: Filters, limits: GpuLimits) -> tuple[GpuCandidate, ...]:
    """Return all forms of all candidates that fit into the limits, the fastest by the model first.

    Of equally fast forms the one with the more exact products comes first.
    """
    found = [
        timed
        for candidate in _nests(shape)
        for products in OFFERED[shape.dtype]
        for timed in best_forms(shape, candidate, products, filters, limits)
    ]
    return tuple(sorted(found, key=lambda one: one.milliseconds))


def best_forms(
    shape: ConvShape, algorithm: Candidate | NestedAlgorithm, products: Products, filters: Filters, limits: GpuLimits
) -> tuple[GpuCandidate, ...]:
    """Return the fastest batches of tiles for an algorithm by each kind of kernels that can do it within the limits."""
    found: dict[str, GpuCandidate] = {}
    for form in _forms(shape, algorithm, products, limits):
        kept = limits.filters is None or extent_of(shape, form).filter_bytes <= limits.filters
        settled = filters if kept else Filters.LIVE
        milliseconds = gpu_ms(shape, form, instructions_of(algorithm), live=settled is Filters.LIVE)
        former = found.get(form.kind)
        if former is None or milliseconds < former.milliseconds:
            found[form.kind] = GpuCandidate(algorithm, form, milliseconds, settled)
    return tuple(found.values())


def _forms(
    shape: ConvShape, algorithm: Candidate | NestedAlgorithm, products: Products, limits: GpuLimits
) -> Iterator[Form]:
    sizes = algorithm.m, algorithm.r, algorithm.ranks, products
    if is_fusible(Form(*sizes, FUSED, 0)):
        yield Form(*sizes, FUSED, 0)
    staged = extent_of(shape, Form(*sizes, STAGED))
    most = staged.columns * staged.column_bytes + ALIGNED
    if limits.workspace is not None:
        most = min(most, limits.workspace)
    if most < staged.column_bytes + ALIGNED:
        return
    held = int(ATTAINED.cache_held * card_of(shape).l2_bytes)
    batch = max(LEAST_BATCH_BYTES, staged.column_bytes + ALIGNED)
    sizes_of_batches = {most, *(size for size in (held, held // 2) if size > batch)}
    while batch < most:
        sizes_of_batches.add(batch)
        batch *= 4
    for each in sorted(size for size in sizes_of_batches if size <= most):
        yield Form(*sizes, STAGED, each)


def is_fusible(form: Form) -> bool:
    """Return whether there are fused kernels for a form."""
    return form.positions <= MOST_POSITIONS


def _nests(shape: ConvShape) -> Iterator[Candidate]:
    """Yield the candidates: least products, at most `MOST_OUTPUTS` outputs per axis, one axis transformed at least."""
    for axes in product(*map(_choices, shape.taps, shape.output)):
        if any(axis.m > 1 for axis in axes):
            yield Candidate(axes)


@lru_cache(maxsize=1024)
def _choices(taps: int, outputs: int) -> tuple[AxisChoice, ...]:
    return tuple(
        choice
        for choice in axis_choices(taps, outputs)
        if choice.m == 1 or (choice.m <= MOST_OUTPUTS and choice.rank == choice.tile <= MOST_TILE)
    )


@lru_cache(maxsize=4096)
def instructions_of(algorithm: Candidate | NestedAlgorithm) -> Instructions:
    """Return the instructions of the transforms of a tile, direct axes left out."""
    if isinstance(algorithm, Candidate):
        inner = Candidate(tuple(axis for axis in algorithm.axes if axis.m > 1 and axis.r > 1))
        return Instructions(inner.data_instructions, inner.inverse_instructions)
    axes = [axis for axis in algorithm.axes if axis.m > 1 and axis.r > 1]
    if not axes:
        return Instructions(0, 0)
    passes = lower_nested(nest(*axes))
    return Instructions(count_passes(passes.data).instructions, count_passes(passes.inverse).instructions)
