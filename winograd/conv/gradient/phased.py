"""The gradient of a filter by phases: with stride, dilation and groups, as that of dense convolutions of stride 1.

In: an input and the gradient of the output, `Phases`, the compiled gradient of the filter of their core. Out: the
gradient of the filter. Refused: what the compiled gradient refuses.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from winograd.algebra.tiling import tile_axes
from winograd.conv.geometry.phases import Phases
from winograd.conv.gradient.native import NativeFilterGradient
from winograd.conv.native.copying import Copier
from winograd.conv.native.operands import readable
from winograd.conv.scratch import carve
from winograd.conv.tensors.layout import Layout

Tensor = torch.Tensor


def phased_weight_gradient(
    native: NativeFilterGradient,
    phases: Phases,
    input: Tensor,
    grad_output: Tensor,
    block: int | None = None,
) -> Tensor:
    """Return the gradient of the filter: of every group, those of the phases of its taps, summed over parts of a batch.

    Parameters
    ----------
    native : NativeFilterGradient
        By an algorithm of the core.
    phases : Phases
    input : Tensor of shape (N, C, sizes...)
        Of the shape of the phases.
    grad_output : Tensor of shape (N, K, output sizes...)
    block : int, optional
        Tiles that are held at a time.

    Returns
    -------
    Tensor of shape (K, C / groups, taps...)
    """
    source, layout = readable(input)
    outputs = phases.core.outputs
    found = []
    for group in range(phases.groups):
        channels = slice(group * outputs, (group + 1) * outputs)
        total: Tensor | None = None
        for first in range(0, phases.shape.batch, phases.images):
            images = slice(first, min(first + phases.images, phases.shape.batch))
            part = replace(phases, images=images.stop - first)
            slope = core_slope(part, grad_output[images, channels])
            gradient = _core_gradient(native, part, group, source[images], layout, slope, block)
            total = gradient if total is None else total.add_(gradient)
        assert total is not None
        found.append(total)
    return whole_taps(phases, torch.stack(found))


def _core_gradient(
    native: NativeFilterGradient,
    part: Phases,
    group: int,
    source: Tensor,
    layout: Layout,
    slope: Tensor,
    block: int | None,
) -> Tensor:
    """Return the gradient of the filter of the core, of a part of the batch."""
    core, first = part.core, Layout.CHANNELS_FIRST  # takes most workspace
    tiling = tile_axes(core.sizes, native.algorithm.m, native.algorithm.r, core.padding)
    needed = native.workspace_bytes(tiling, core.batch, core.channels, core.outputs, block, first, first)
    workspace, samples = carve((needed, part.copies_bytes[0]))
    split = Copier(part).split(source, layout, group, samples)
    return native.gradient(split, slope, core.padding, block, lambda _: workspace)


def core_slope(phases: Phases, grad_output: Tensor) -> Tensor:
    """Return the gradients of the outputs of the core, from those of a group; zeros for those that are dropped.

    Examples
    --------
    >>> from winograd.conv.arguments import ConvArguments
    >>> from winograd.conv.geometry.phases import phases_of
    >>> phases = phases_of(ConvArguments(dilation=2).shape((1, 1, 9), (1, 1, 3), dtype="float32"))
    >>> core_slope(phases, torch.tensor([[[1.0, 2.0, 3.0, 4.0, 5.0]]]))
    tensor([[[1., 3., 5.]],
    <BLANKLINE>
            [[2., 4., 0.]]])
    """
    axes, ndim = phases.axes, phases.shape.ndim
    if phases.output_phases == 1:
        return grad_output
    rest = [side for axis in reversed(axes) for side in (0, axis.core_output * axis.output_phases - axis.output)]
    split = [count for axis in axes for count in (axis.core_output, axis.output_phases)]
    whole = torch.constant_pad_nd(grad_output, rest).reshape(*grad_output.shape[:2], *split)
    places, phase = range(2, 2 + 2 * ndim, 2), range(3, 3 + 2 * ndim, 2)
    return whole.permute(0, *phase, 1, *places).flatten(0, ndim)


def whole_taps(phases: Phases, gradients: Tensor) -> Tensor:
    """Return the gradient of the filter from those of the filters of the core: `core_weights`, transposed.

    Parameters
    ----------
    phases : Phases
    gradients : Tensor of shape (groups, outputs of a group, channels of the core, core taps...)

    Returns
    -------
    Tensor of shape (K, C / groups, taps...)

    Examples
    --------
    >>> from winograd.conv.arguments import ConvArguments
    >>> from winograd.conv.geometry.phases import phases_of
    >>> phases = phases_of(ConvArguments(stride=2).shape((1, 1, 9), (1, 1, 3), dtype="float32"))
    >>> whole_taps(phases, torch.tensor([[[[1.0, 3.0], [2.0, 7.0]]]]))
    tensor([[[1., 2., 3.]]])
    """
    axes, shape = phases.axes, phases.shape
    phase_counts, taps = ([getattr(axis, name) for axis in axes] for name in ("tap_phases", "core_taps"))
    split = gradients.reshape(shape.outputs, *phase_counts, shape.channels // shape.groups, *taps)
    first = 1 + shape.ndim
    order = [place for axis in range(shape.ndim) for place in (first + 1 + axis, 1 + axis)]
    sizes = [axis.core_taps * axis.tap_phases for axis in axes]
    whole = split.permute(0, first, *order).reshape(*shape.weight_sizes[:2], *sizes)
    return whole[:, :, *(slice(axis.taps) for axis in axes)].contiguous()
