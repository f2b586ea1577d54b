"""Range: the largest inputs for which no stage of an algorithm overflows, whatever their signs.

In: an algorithm, a dtype, the largest weight, channels or an experiment. Out: a `SafeRange`.
Every value of the programs is followed, not only results: its largest size is a row sum of absolute values.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from numbers import Real

import numpy as np

from winograd.accuracy.formats import FloatFormat, float_format
from winograd.accuracy.linear import Matrix, as_float, forms_exact
from winograd.accuracy.orders import Order, as_order, axis_programs
from winograd.accuracy.protocol import Experiment
from winograd.accuracy.rounding_stages import RoundingStages, checked_stages, product_bound, stored_bound
from winograd.accuracy.transform_bounds import Bounded, TransformBound, transform_bound, transformed_along
from winograd.accuracy.variance import outer
from winograd.algebra.bilinear import BilinearAlgorithm, fraction_rows
from winograd.algebra.nesting import NestedAlgorithm, as_nested
from winograd.codegen.program import Op, Program, ProgramBuilder

_OWN_ROUNDING = 1 + 2.0**-28
"""Covers the rounding of the figures themselves."""


@dataclass(frozen=True, slots=True)
class SafeRange:
    """The largest absolute inputs that overflow in no stage.

    The limits of the stages are those of exact arithmetic: some input of that size reaches the largest finite number
    (in the inverse transform: may reach it). ``largest`` leaves room for the rounding of every step.

    Parameters
    ----------
    algorithm : NestedAlgorithm
    dtype : str
    order : str
    channels : int
    weights_largest : float
        Largest absolute weight that is assumed.
    data : float
        Largest input for the data transform and the storage of its result.
    filter : float
        Largest weight for the filter transform and the storage of its result.
    products : float
        Largest input for products and their sum over the channels.
    inverse : float
        Largest input for the inverse transform and the outputs.
    largest : float
        No input up to this overflows anywhere, rounding included; 0 where the weights themselves may overflow.
    """

    algorithm: NestedAlgorithm
    dtype: str
    order: str
    channels: int
    weights_largest: float
    data: float
    filter: float
    products: float
    inverse: float
    largest: float

    @property
    def limits(self) -> tuple[tuple[str, float], ...]:
        """Stage and largest input (for "filter": largest weight), for tables."""
        return tuple((name, getattr(self, name)) for name in ("data", "filter", "products", "inverse", "largest"))

    @property
    def _conditions(self) -> str:
        return f"{self.dtype}, {self.order}, {self.channels} channels, weights up to {self.weights_largest:g}"

    def __repr__(self) -> str:
        figures = ", ".join(f"{name} {value:.3g}" for name, value in self.limits)
        return f"<SafeRange {self.algorithm.label}: {figures}; {self._conditions}>"

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><td>{name}</td><td>{value:.4g}</td></tr>" for name, value in self.limits)
        caption = html.escape(f"{self.algorithm.label}: {self._conditions}")
        return f"<table><caption>{caption}</caption><tr><th>stage</th><th>largest</th></tr>{rows}</table>"


def safe_range(
    algorithm: BilinearAlgorithm | NestedAlgorithm,
    dtype: object = "float16",
    weights_largest: float = 1.0,
    channels: int = 1,
    order: str | Order = "lowered",
    experiment: str | Experiment | None = None,
) -> SafeRange:
    """Return the largest absolute input that cannot overflow, stage by stage.

    A value that is the form sum_j l_j x_j of inputs up to X reaches X sum_j abs(l_j); over several axes the sums
    multiply. A value of the inverse transform is a bilinear form of data and filter, and reaches at most the sum of the
    absolute values of its coefficients; ``inverse`` is on the safe side where both cannot be reached together.

    Parameters
    ----------
    algorithm : BilinearAlgorithm or NestedAlgorithm
    dtype : dtype
        float16, bfloat16, float32 or float64: of everything that the experiment does not put elsewhere.
    weights_largest : float
        Largest absolute weight, positive and finite.
    channels : int
        Channels that are summed, at least 1. An experiment brings its own.
    order : str or Order
        "lowered" for the generated programs, "huffman" or "sequential".
    experiment : str or Experiment, optional
        Where transforms, storage and outputs have other dtypes. None is one dtype throughout.

    Returns
    -------
    SafeRange

    Raises
    ------
    TypeError, ValueError
        For something that is no algorithm, another dtype, order or experiment, channels that are no integer or below 1,
        a largest weight that is no positive finite number, and constants that overflow.
    NotImplementedError
        If an entry of the matrices is not rational.

    Examples
    --------
    >>> from winograd import nest, toom_cook
    >>> axis = toom_cook(4, 3, "0,1,-1,2,-2,inf")
    >>> safe_range(nest(axis, axis, axis), channels=64).data
    65.504
    >>> print(str(safe_range(axis)).partition(";")[0])
    <SafeRange F(4,3): data 6.55e+03, filter 1.31e+04, products 6.55e+03, inverse 4.09e+03, largest 4.07e+03
    """
    nested, chosen = as_nested(algorithm), as_order(order)
    stages = checked_stages(float_format(dtype), channels, experiment)
    weight = _checked_weight(weights_largest)
    axes = [_axis_values(axis, chosen, stages.data, stages.filter) for axis in nested.axes]
    none, some = (_data_stages(axes, stages, size, weight) for size in (0.0, 1.0))
    filters = _limits(_filter_values(axes, stages, 0.0), _filter_values(axes, stages, 1.0))
    found = {name: _limits(none[name], some[name]) for name in some}
    largest = min(rounded for _, rounded in found.values()) if weight <= filters[1] else 0.0
    return SafeRange(
        algorithm=nested,
        dtype=stages.sums.name,
        order=chosen.value,
        channels=stages.channels,
        weights_largest=weight,
        filter=filters[0],
        largest=max(0.0, largest),
        **{name: exact for name, (exact, _) in found.items()},
    )


def _checked_weight(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"weights_largest is {value!r}, must be a number")
    weight = float(value)
    if not 0 < weight < math.inf:
        raise ValueError(f"weights_largest is {weight!r}, must be positive and finite")
    return weight


@dataclass(frozen=True, slots=True)
class _Transform:
    """The bounds of a program's results, and of all its values."""

    outputs: TransformBound
    values: TransformBound


@dataclass(frozen=True, slots=True)
class _AxisValues:
    data: _Transform
    filter: _Transform
    inverse: _Transform
    bilinear: Matrix
    """Largest sizes of the values of the inverse transform, for data and filters up to 1 of this axis alone."""


@lru_cache(maxsize=256)
def _axis_values(axis: BilinearAlgorithm, order: Order, data: FloatFormat, filter_: FloatFormat) -> _AxisValues:
    programs = axis_programs(axis, order)
    return _AxisValues(
        data=_transform(programs.data, data),
        filter=_transform(programs.filter, filter_),
        inverse=_transform(programs.inverse, data),
        bilinear=_bilinear_sizes(axis, without_fused(programs.inverse)),
    )


def _bilinear_sizes(axis: BilinearAlgorithm, inverse: Program) -> Matrix:
    """Return sum_kj abs(sum_t l_t g_tk b_tj) for every value l of the inverse transform."""
    g, bt = (np.array(fraction_rows(matrix), dtype=np.float64) for matrix in (axis.g, axis.bt))
    forms = np.einsum("vt,tk,tj->vkj", as_float(forms_exact(inverse)), g, bt, optimize=True)
    return np.asarray(np.abs(forms).sum(axis=(1, 2)))


def _transform(program: Program, fmt: FloatFormat) -> _Transform:
    unfused = without_fused(program)
    every = replace(unfused, outputs=tuple(range(unfused.inputs + len(unfused.nodes))))
    return _Transform(outputs=transform_bound(program, fmt), values=transform_bound(every, fmt))


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

_Values = list[tuple[FloatFormat, Bounded]]
"""What must not overflow, and in which format."""


def _through(transforms: Sequence[_Transform], values: Bounded) -> Iterator[tuple[Bounded, Bounded]]:
    """Yield, axis by axis, all values of the transform of that axis, and its results."""
    for place, transform in enumerate(transforms):
        every = transformed_along(transform.values, values, place)
        values = transformed_along(transform.outputs, values, place)
        yield every, values


def _followed(
    transforms: Sequence[_Transform], values: Bounded, inside: FloatFormat, after: FloatFormat | None
) -> tuple[_Values, Bounded]:
    """Return everything on the way through all axes and the rounding of the results, and the results."""
    steps = list(_through(transforms, values))
    result = stored_bound(steps[-1][1], after)
    met = [(inside, every) for every, _ in steps]
    return [*met, *([(after, result)] if after else [])], result


def _inputs(transforms: Sequence[_Transform], size: float) -> Bounded:
    shape = tuple(transform.outputs.size.shape[1] for transform in transforms)
    return np.full(shape, size), np.zeros(shape)


def _filter_values(axes: Sequence[_AxisValues], stages: RoundingStages, size: float) -> _Values:
    transforms = [axis.filter for axis in axes]
    return _followed(transforms, _inputs(transforms, size), stages.filter, stages.stored_filter)[0]


def _data_stages(axes: Sequence[_AxisValues], stages: RoundingStages, size: float, weight: float) -> dict[str, _Values]:
    """Return what meets inputs of this size, by stage."""
    data, filters, inverse = ([getattr(axis, name) for axis in axes] for name in ("data", "filter", "inverse"))
    met, v = _followed(data, _inputs(data, size), stages.data, stages.stored_data)
    u = _followed(filters, _inputs(filters, weight), stages.filter, stages.stored_filter)[1]
    one_size, one_error = product_bound(u, v, stages)
    products = stages.channels * one_size, stages.channels * one_error
    largest = size * weight * stages.channels
    after = [
        (stages.data, (np.minimum(every[0], largest * sizes), every[1]))
        for (every, _), sizes in zip(_through(inverse, products), _sizes_in_inverse(axes), strict=True)
    ]
    outputs = np.full(1, largest * math.prod(axis.filter.outputs.size.shape[1] for axis in axes)), after[-1][1][1].max()
    for fmt in stages.outputs:
        outputs = stored_bound(outputs, fmt)
        after.append((fmt, outputs))
    return {"data": met, "products": [(stages.sums, products)], "inverse": after}


def _sizes_in_inverse(axes: Sequence[_AxisValues]) -> list[Matrix]:
    """Return the largest sizes of all values of the inverse transform of each axis, for data and filters up to 1."""
    outputs = [np.full(len(axis.inverse.outputs.size), float(axis.filter.outputs.size.shape[1])) for axis in axes]
    products = [axis.filter.outputs.size.sum(axis=1) * axis.data.outputs.size.sum(axis=1) for axis in axes]
    return [outer([*outputs[:place], axis.bilinear, *products[place + 1 :]]) for place, axis in enumerate(axes)]


def _limits(none: _Values, some: _Values) -> tuple[float, float]:
    """Return the largest inputs without and with rounding, from what meets inputs of size 0 and 1: it is linear."""
    exact, rounded = math.inf, math.inf
    for (fmt, at_zero), (_, at_one) in zip(none, some, strict=True):
        lost = at_zero[0] + at_zero[1]
        gain = (at_one[0] + at_one[1] - lost) * _OWN_ROUNDING
        exact = min(exact, fmt.largest / float(at_one[0].max()))
        with np.errstate(divide="ignore", over="ignore"):
            rounded = min(rounded, float(((fmt.largest - lost) / gain).min()))
    return exact, rounded
