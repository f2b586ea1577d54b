"""The reference backend by phases: strides, dilations and groups as dense convolutions of stride 1, in NumPy.

In: arrays of any dtype that the reference backend takes, `Phases`. Out: the convolution, exact where that is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import NestedAlgorithm
from winograd.conv.geometry.phases import AxisPhases, Phases
from winograd.conv.reference.convolve import convolve_reference

Array = np.ndarray[Any, np.dtype[Any]]


def convolve_reference_phases(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    algorithm: BilinearAlgorithm | NestedAlgorithm,
    phases: Phases,
) -> Array:
    """Return a convolution with stride, dilation and groups, its dense convolutions computed by the algorithm.

    Parameters
    ----------
    input : array of shape (N, C, sizes...)
    weight : array of shape (K, C / groups, taps...)
        Of the same dtype.
    bias : array of shape (K,), optional
    algorithm : BilinearAlgorithm or NestedAlgorithm
        For the taps of the core of the phases.
    phases : Phases
        Of the whole batch.

    Returns
    -------
    array of shape (N, K, sizes...)

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> from winograd.conv.arguments import ConvArguments
    >>> from winograd.conv.geometry.phases import phases_of
    >>> line, weight = np.arange(7).reshape(1, 1, 7), np.array([[[1, 10, 100]]])
    >>> phases = phases_of(ConvArguments(stride=2).shape(line.shape, weight.shape, dtype="int64"))
    >>> convolve_reference_phases(line, weight, algorithm=toom_cook(2, 2), phases=phases)
    array([[[210, 432, 654]]])
    """
    outputs = phases.core.outputs
    parts = []
    for group, (samples, taps) in enumerate(zip(split_samples(input, phases), split_taps(weight, phases), strict=True)):
        shift = None if bias is None else bias[group * outputs : (group + 1) * outputs]
        parts.append(convolve_reference(samples, taps, shift, algorithm=algorithm, padding=phases.core.padding))
    return join_outputs(np.stack(parts, dtype=input.dtype), phases)


def split_samples(input: Array, phases: Phases) -> Array:
    """Return the inputs of the dense convolutions: (groups, images, channels, sizes...)."""
    shape, axes = phases.shape, phases.axes
    found = input
    for position, axis in enumerate(axes):
        found = _taken(found, 2 + 3 * position, axis)
    grouped = found.reshape(shape.batch, shape.groups, -1, *found.shape[2:])
    order = (1, 0, *_every_third(3, shape.ndim), *_every_third(4, shape.ndim), 2, *_every_third(5, shape.ndim))
    core = phases.core
    return grouped.transpose(order).reshape(shape.groups, core.batch, core.channels, *core.sizes)


def split_taps(weight: Array, phases: Phases) -> Array:
    """Return the weights of the dense convolutions: (groups, outputs, channels, taps...)."""
    axes, core = phases.axes, phases.core
    whole = np.zeros((*weight.shape[:2], *(axis.core_taps * axis.tap_phases for axis in axes)), dtype=weight.dtype)
    whole[:, :, *(slice(axis.taps) for axis in axes)] = weight
    split = whole.reshape(*weight.shape[:2], *(count for axis in axes for count in (axis.core_taps, axis.tap_phases)))
    ndim = len(axes)
    order = (0, *range(3, 3 + 2 * ndim, 2), 1, *range(2, 2 + 2 * ndim, 2))
    return split.transpose(order).reshape(phases.groups, core.outputs, core.channels, *core.taps)


def join_outputs(dense: Array, phases: Phases) -> Array:
    """Return the output (N, K, sizes...) from those of the dense convolutions, (groups, images, outputs, sizes...)."""
    shape, axes, ndim = phases.shape, phases.axes, phases.shape.ndim
    split = dense.reshape(phases.groups, shape.batch, *(axis.output_phases for axis in axes), *dense.shape[2:])
    places = [place for axis in range(ndim) for place in (3 + ndim + axis, 2 + axis)]
    whole = split.transpose(1, 0, 2 + ndim, *places)
    sizes = (axis.core_output * axis.output_phases for axis in axes)
    return whole.reshape(shape.batch, shape.outputs, *sizes)[:, :, *(slice(size) for size in shape.output)]


def _taken(values: Array, position: int, axis: AxisPhases) -> Array:
    """Return one axis taken apart into (output phases, tap phases, samples), with zeros where there are none."""
    counts = (axis.output_phases, axis.tap_phases, axis.core_size)
    places = np.array([axis.sample(*phase) for phase in np.ndindex(*counts)])
    outside = (places < 0) | (places >= axis.size)
    taken = np.take(values, np.where(outside, 0, places), axis=position)
    taken[(slice(None),) * position + (outside,)] = 0
    return taken.reshape(*values.shape[:position], *counts, *values.shape[position + 1 :])


def _every_third(first: int, count: int) -> range:
    return range(first, first + 3 * count, 3)
