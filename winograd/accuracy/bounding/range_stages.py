"""What meets an input on its way through all stages: the largest sizes of all values, and the errors on them.

In: an algorithm's axes, where it rounds, sizes of inputs and weights. Out: bounds by stage, and the limits they set.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from winograd.accuracy.bounding.axis_transforms import AxisTransforms, follow_axis
from winograd.accuracy.bounding.largest_errors import OWN_ROUNDING
from winograd.accuracy.bounding.rounding_stages import RoundingStages, product_bound, stored_bound
from winograd.accuracy.bounding.transform_bounds import Bounded, TransformBound, transform_bound, transformed_along
from winograd.accuracy.formats import FloatFormat
from winograd.accuracy.linear import Matrix, as_float, forms_exact
from winograd.accuracy.modelling.variance import outer
from winograd.accuracy.orders import Order, axis_programs
from winograd.algebra.bilinear import BilinearAlgorithm, fraction_rows
from winograd.codegen.program import Op, Program, ProgramBuilder


@dataclass(frozen=True, slots=True)
class TransformValues:
    """The bounds of a program's results, and of all its values."""

    outputs: TransformBound
    values: TransformBound


@dataclass(frozen=True, slots=True)
class AxisValues:
    """The three transforms of one axis."""

    transforms: AxisTransforms[TransformValues]
    bilinear: Matrix
    """Largest sizes of the values of the inverse transform, for data and filters up to 1 of this axis alone."""


@lru_cache(maxsize=256)
def axis_values(axis: BilinearAlgorithm, order: Order, data: FloatFormat, filter_: FloatFormat) -> AxisValues:
    """Return the bounds of an axis whose data and inverse transforms run in one format, the filter's in another."""
    return AxisValues(
        transforms=follow_axis(_transform, axis, order, data, filter_),
        bilinear=_bilinear_sizes(axis, without_fused(axis_programs(axis, order).inverse)),
    )


def _bilinear_sizes(axis: BilinearAlgorithm, inverse: Program) -> Matrix:
    """Return sum_kj abs(sum_t l_t g_tk b_tj) for every value l of the inverse transform."""
    g, bt = (np.array(fraction_rows(matrix), dtype=np.float64) for matrix in (axis.g, axis.bt))
    forms = np.einsum("vt,tk,tj->vkj", as_float(forms_exact(inverse)), g, bt, optimize=True)
    return np.asarray(np.abs(forms).sum(axis=(1, 2)))


def _transform(program: Program, fmt: FloatFormat) -> TransformValues:
    unfused = without_fused(program)
    every = replace(unfused, outputs=tuple(range(unfused.inputs + len(unfused.nodes))))
    return TransformValues(outputs=transform_bound(program, fmt), values=transform_bound(every, fmt))


def without_fused(program: Program) -> Program:
    """Return the program with the product of every fused instruction as a value of its own.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from winograd.codegen.program import Node
    >>> without_fused(Program(inputs=2, nodes=(Node(Op.FMA, (0, 1), Fraction(3)),), outputs=(2,)))
    <Program 2 -> 1, 2 instructions>
    """
    builder = ProgramBuilder(program.inputs)
    numbers = list(range(program.inputs))
    for node in program.nodes:
        arguments = [numbers[argument] for argument in node.args]
        if node.op in _SUMS:
            product = builder.emit(Op.SCALE, arguments[0], constant=node.constant)
            numbers.append(builder.emit(_SUMS[node.op], product, arguments[1]))
        else:
            numbers.append(builder.emit(node.op, *arguments, constant=node.constant))
    return builder.build([numbers[output] for output in program.outputs])


_SUMS = {Op.FMA: Op.ADD, Op.FMS: Op.SUB}

Values = list[tuple[FloatFormat, Bounded]]
"""What must not overflow, and in which format."""


def _through(transforms: Sequence[TransformValues], values: Bounded) -> Iterator[tuple[Bounded, Bounded]]:
    """Yield, axis by axis, all values of the transform of that axis, and its results."""
    for place, transform in enumerate(transforms):
        every = transformed_along(transform.values, values, place)
        values = transformed_along(transform.outputs, values, place)
        yield every, values


def _followed(
    transforms: Sequence[TransformValues], values: Bounded, inside: FloatFormat, after: FloatFormat | None
) -> tuple[Values, Bounded]:
    """Return everything on the way through all axes and the rounding of the results, and the results."""
    steps = list(_through(transforms, values))
    result = stored_bound(steps[-1][1], after)
    met = [(inside, every) for every, _ in steps]
    return [*met, *([(after, result)] if after else [])], result


def _inputs(transforms: Sequence[TransformValues], size: float) -> Bounded:
    shape = tuple(transform.outputs.size.shape[1] for transform in transforms)
    return np.full(shape, size), np.zeros(shape)


def filter_values(axes: Sequence[AxisValues], stages: RoundingStages, size: float) -> Values:
    """Return what meets weights of this size on their way through the filter transform and storage."""
    transforms = [axis.transforms.filter for axis in axes]
    return _followed(transforms, _inputs(transforms, size), stages.filter, stages.stored_filter)[0]


def data_stages(axes: Sequence[AxisValues], stages: RoundingStages, size: float, weight: float) -> dict[str, Values]:
    """Return what meets inputs of this size, by stage."""
    data, filters, inverse = zip(*(_transforms(axis) for axis in axes), strict=True)
    met, v = _followed(data, _inputs(data, size), stages.data, stages.stored_data)
    u = _followed(filters, _inputs(filters, weight), stages.filter, stages.stored_filter)[1]
    one_size, one_error = product_bound(u, v, stages)
    products = stages.channels * one_size, stages.channels * one_error
    largest = size * weight * stages.channels
    after = [
        (stages.data, (np.minimum(every[0], largest * sizes), every[1]))
        for (every, _), sizes in zip(_through(inverse, products), _sizes_in_inverse(axes), strict=True)
    ]
    outputs = np.full(1, largest * math.prod(one.outputs.size.shape[1] for one in filters)), after[-1][1][1].max()
    for fmt in stages.outputs:
        outputs = stored_bound(outputs, fmt)
        after.append((fmt, outputs))
    return {"data": met, "products": [(stages.sums, products)], "inverse": after}


def _transforms(axis: AxisValues) -> tuple[TransformValues, TransformValues, TransformValues]:
    return axis.transforms.data, axis.transforms.filter, axis.transforms.inverse


def _sizes_in_inverse(axes: Sequence[AxisValues]) -> list[Matrix]:
    """Return the largest sizes of all values of the inverse transform of each axis, for data and filters up to 1."""
    outputs, products = [], []
    for data, filter_, inverse in map(_transforms, axes):
        outputs.append(np.full(len(inverse.outputs.size), float(filter_.outputs.size.shape[1])))
        products.append(filter_.outputs.size.sum(axis=1) * data.outputs.size.sum(axis=1))
    return [outer([*outputs[:place], axis.bilinear, *products[place + 1 :]]) for place, axis in enumerate(axes)]


def limits_of(none: Values, some: Values) -> tuple[float, float]:
    """Return the largest inputs without and with rounding, from what meets inputs of size 0 and 1: it is linear."""
    exact, rounded = math.inf, math.inf
    for (fmt, at_zero), (_, at_one) in zip(none, some, strict=True):
        lost = at_zero[0] + at_zero[1]
        gain = (at_one[0] + at_one[1] - lost) * OWN_ROUNDING
        exact = min(exact, fmt.largest / float(at_one[0].max()))
        with np.errstate(divide="ignore", over="ignore"):
            rounded = min(rounded, float(((fmt.largest - lost) / gain).min()))
    return exact, rounded
