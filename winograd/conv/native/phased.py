"""The native backend by phases: convolutions with stride, dilation and groups as dense ones of stride 1.

In: tensors, `Phases`, the compiled convolution of their core. Out: packed filters, one a group, and the convolution.
Refused: what the compiled convolution refuses.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import torch

from winograd.algebra.tiling import tile_axes
from winograd.conv.geometry.phases import Phases
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.native.copying import Copier
from winograd.conv.native.kernel import NativeConvolution
from winograd.conv.native.operands import PackedFilter, fresh_tensor, readable
from winograd.conv.native.schedule import Schedule
from winograd.conv.scratch import carve
from winograd.conv.tensors.layout import Layout


@dataclass(frozen=True, slots=True)
class PackedGroups:
    """Transformed filters of the dense convolutions, one a group."""

    filters: tuple[PackedFilter, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of the transformed filters."""
        return sum(packed.nbytes for packed in self.filters)


def core_weights(phases: Phases, weight: torch.Tensor) -> torch.Tensor:
    """Return the filters of the dense convolutions, of shape (groups, outputs, channels, *taps).

    Tap q of channel c of phase t is tap (stride / g) q + t of channel c, with zeros beyond the last.

    Examples
    --------
    >>> from winograd.conv.arguments import ConvArguments
    >>> from winograd.conv.geometry.phases import phases_of
    >>> phases = phases_of(ConvArguments(stride=2).shape((1, 1, 9), (1, 1, 3), dtype="float32"))
    >>> core_weights(phases, torch.tensor([[[1.0, 2.0, 3.0]]]))
    tensor([[[[1., 3.],
              [2., 0.]]]])
    """
    axes, ndim = phases.axes, phases.shape.ndim
    rest = [side for axis in reversed(axes) for side in (0, axis.core_taps * axis.tap_phases - axis.taps)]
    split = [count for axis in axes for count in (axis.core_taps, axis.tap_phases)]
    whole = torch.constant_pad_nd(weight, rest).reshape(*weight.shape[:2], *split)
    taps, phase = range(2, 2 + 2 * ndim, 2), range(3, 3 + 2 * ndim, 2)
    core = phases.core
    return whole.permute(0, *phase, 1, *taps).reshape(phases.groups, core.outputs, core.channels, *core.taps)


def pack_groups(native: NativeConvolution, phases: Phases, weight: torch.Tensor) -> PackedGroups:
    """Transform the filters of the dense convolutions; raises as `NativeConvolution.pack`."""
    return PackedGroups(tuple(map(native.pack, core_weights(phases, weight))))


def convolve_phases(
    native: NativeConvolution,
    phases: Phases,
    input: torch.Tensor,
    packed: PackedGroups,
    bias: torch.Tensor | None = None,
    *,
    residual: torch.Tensor | None = None,
    relu: bool = False,
    schedule: Schedule | None = None,
    layout: Layout = Layout.CHANNELS_FIRST,
    cap: int | None = None,
) -> torch.Tensor:
    """Convolve, add the bias and the residual, and set negative outputs to zero if ``relu``.

    Parameters
    ----------
    native : NativeConvolution
        By an algorithm of the core.
    phases : Phases
    input : Tensor of the shape of the phases
    packed : PackedGroups
        From `pack_groups`.
    bias : Tensor of shape (outputs,), optional
        float32, float64 for float64.
    residual : Tensor of the shape of the result, optional
        Not where the phases join outputs: these are rounded before they are put where they belong.
    relu : bool
    schedule : Schedule, optional
    layout : Layout
        Of the result.
    cap : int, optional
        Bytes of memory that the thread may keep for later calls, see `winograd.conv.scratch.scratch`.

    Raises
    ------
    ValueError
        If the residual has another shape than the result, or for what the compiled convolution refuses.
    """
    shape = phases.shape
    sizes = (shape.batch, shape.outputs, *shape.output)
    if residual is not None and residual.shape != sizes:
        raise ValueError(f"residual has shape {tuple(residual.shape)}, the output has {sizes}")
    source, own = readable(input)
    output = fresh_tensor(sizes, native.dtype, layout)
    for first in range(0, shape.batch, phases.images):
        images = slice(first, min(first + phases.images, shape.batch))
        part = replace(phases, images=images.stop - first)
        needed = _workspace_bytes(native, part.core, schedule, own, layout)
        workspace, samples, outputs = carve((needed, *part.copies_bytes), cap)
        copier, added = Copier(part), None if residual is None else residual[images]
        for group, filters in enumerate(packed.filters):
            channels = slice(group * part.core.outputs, (group + 1) * part.core.outputs)
            whole = output[images, channels]
            dense = native.convolve(
                copier.split(source[images], own, group, samples),
                filters,
                None if bias is None else bias[channels],
                part.core.padding,
                relu,
                added,
                schedule,
                layout,
                copier.dense_output(whole, layout, outputs) if part.joins else whole,
                partial(_given, workspace),
            )
            if part.joins:
                copier.join(dense, whole, layout)
    return output


def _workspace_bytes(
    native: NativeConvolution, core: ConvShape, schedule: Schedule | None, own: Layout, layout: Layout
) -> int:
    tiling = tile_axes(core.sizes, native.algorithm.m, native.algorithm.r, core.padding)
    return native.workspace_bytes(tiling, core.batch, core.channels, core.outputs, schedule, own, layout)


def _given(memory: torch.Tensor, _size: int) -> torch.Tensor:
    return memory
