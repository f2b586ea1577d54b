"""The second-moment model: the relative L2 error to expect for independent zero-mean inputs.

In: an algorithm, and what is computed in which dtype. Out: a prediction, from the programs that are executed: every
instruction that rounds adds an independent error, which passes through what follows it exactly.
Not covered: inputs with a mean (rectified normal ones come out 10 to 25 % below the prediction), underflow, overflow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from math import prod

import numpy as np

from winograd.accuracy.arguments import checked_integer
from winograd.accuracy.formats import FloatFormat, float_format
from winograd.accuracy.linear import (
    Matrix,
    as_float,
    forms_exact,
    is_power_of_two,
    matrix_exact,
    responses,
    with_rounded_constants,
)
from winograd.accuracy.orders import Order, axis_programs
from winograd.accuracy.protocol import Experiment, FilterRounding
from winograd.algebra import growth
from winograd.algebra.bilinear import BilinearAlgorithm, fraction_rows
from winograd.algebra.nesting import NestedAlgorithm, as_nested
from winograd.codegen.interpret import Contraction
from winograd.codegen.lower import AxisPrograms
from winograd.codegen.program import Op, Program

PHI = 3 / (8 * math.log(2))
"""E[4^floor(log2 |v|)] / E[v^2], averaged over the scale of v: rounding v adds PHI u^2 / 3 of its variance."""


def kappa(algorithm: BilinearAlgorithm | NestedAlgorithm) -> float:
    """Return the mean squared amplification of independent relative errors of the products.

    Per axis (1 / (m r)) sum_t |A_t|^2 |G_t|^2 |B_t|^2 with A_t column t of at, G_t and B_t row t of g and bt; the
    product over the axes. Scaling the factors of a product changes nothing. With many channels it decides the ranking.

    `winograd.algebra.growth.kappa` has it exactly, for one axis.

    Raises
    ------
    NotImplementedError
        If an entry is not rational.
    OverflowError
        If it is beyond float64.

    Examples
    --------
    >>> from winograd import nest, toom_cook
    >>> axis = toom_cook(4, 3)
    >>> round(kappa(axis), 3), round(kappa(nest(axis, axis)), 2)
    (4.78, 22.85)
    >>> round(kappa(toom_cook(4, 3, "0,1,-1,2,-2,inf")), 3)
    10.773
    """
    return float(prod(growth.kappa(axis) for axis in as_nested(algorithm).axes))


def predict_relative_l2(
    algorithm: BilinearAlgorithm | NestedAlgorithm,
    *,
    dtype: object = "float32",
    channels: int = 1,
    channel_block: int | None = None,
) -> float:
    """Return the relative L2 error to expect of one layer that the generated code computes.

    Filters are transformed in float64 and rounded once, data and inverse transforms run the programs of `lower_axis`
    with fused multiply-add, and so do the sums over the channels, all in ``dtype``.

    Parameters
    ----------
    algorithm : BilinearAlgorithm or NestedAlgorithm
    dtype : dtype
        float16, float32 or float64.
    channels : int
        At least 1.
    channel_block : int, optional
        Channels of one partial sum; None is one running sum.

    Returns
    -------
    float
        sqrt(E |error|^2 / E |output|^2).

    Raises
    ------
    TypeError, ValueError
        For something that is no algorithm, another dtype, channels or channel_block that are no integers or below 1.
    NotImplementedError
        If an entry of the matrices is not rational.

    Examples
    --------
    >>> from winograd import nest, toom_cook
    >>> axis = toom_cook(4, 3)
    >>> f"{predict_relative_l2(nest(axis, axis, axis), channels=64):.1e}"
    '1.6e-06'
    """
    experiment = Experiment(
        "layer",
        channels=channels,
        channel_block=channel_block,
        contraction=Contraction.FUSED,
        filter_rounding=FilterRounding.ONCE,
    )
    return predict_experiment(algorithm, experiment, dtype=dtype, order=Order.LOWERED)


def predict_direct_relative_l2(
    taps: Sequence[int], *, dtype: object = "float32", channels: int = 1, block: int | None = None
) -> float:
    """Return the relative L2 error to expect of direct convolution by fused multiply-adds.

    Parameters
    ----------
    taps : sequence of int
        Taps per axis.
    dtype : dtype
        float16, float32 or float64.
    channels : int
        At least 1.
    block : int, optional
        Products of one partial sum; None is one running sum over all taps and channels. The order moves the error by a
        factor of 4 in 3D.

    Raises
    ------
    TypeError, ValueError
        For another dtype, and for channels, taps or block that are no integers or below 1.

    Examples
    --------
    >>> f"{predict_direct_relative_l2((3, 3, 3), channels=64):.1e}"
    '7.4e-07'
    >>> f"{predict_direct_relative_l2((3, 3, 3), channels=64, block=27):.1e}"
    '1.7e-07'
    """
    fmt = float_format(dtype)
    products = checked_integer("channels", channels, 1) * prod(checked_integer("taps", size, 1) for size in taps)
    sums = Experiment("direct", channels=products, channel_block=block, contraction=Contraction.FUSED)
    return fmt.roundoff * math.sqrt(PHI / 3 * _accumulation(sums))


def predict_experiment(
    algorithm: BilinearAlgorithm | NestedAlgorithm, experiment: Experiment, *, dtype: object, order: Order
) -> float:
    """Return the relative L2 error to expect of an experiment; see `predict_relative_l2` for what is raised.

    Per axis: P is the response to independent relative errors of the products; D, F and N add up what the instructions
    of the data, filter and inverse transforms contribute. Axes transformed earlier contribute P, later ones r, in the
    inverse transform the other way round.
    """
    fmt = float_format(dtype)
    axes = [_axis_moments(axis, order, fmt, experiment) for axis in as_nested(algorithm).axes]
    relative = fmt.roundoff**2 / 3 * _rounding_variance(axes, experiment) + _constant_variance(axes)
    return math.sqrt(float(relative.mean()) / prod(axis.r for axis in axes))


def _rounding_variance(axes: Sequence[_AxisMoments], experiment: Experiment) -> Matrix:
    """Return the variance of each output in units of u^2 / 3 and of the variance of one product, shape (*m,)."""
    rounded_once = float(experiment.filter_rounding is FilterRounding.ONCE)
    total = PHI * (rounded_once + _accumulation(experiment)) * _outer([axis.products for axis in axes])
    for place, axis in enumerate(axes):
        before, after = axes[:place], axes[place + 1 :]
        total = total + _outer([*(x.products for x in before), axis.before_products, *(x.exact for x in after)])
        total = total + _outer([*(x.exact for x in before), axis.inverse, *(x.products for x in after)])
    return total


def _accumulation(experiment: Experiment) -> float:
    """Return the variance that products and sums add, in units of PHI u^2 / 3 and of the sum's own variance."""
    blocks = [len(block) for block in experiment.blocks]
    fused = experiment.contraction is Contraction.FUSED
    products = len(blocks) if fused else experiment.channels
    within = sum(size * (size + 1) // 2 - 1 for size in blocks)
    between = sum(sum(blocks[: count + 1]) for count in range(1, len(blocks)))
    return (products + within + between) / experiment.channels


def _constant_variance(axes: Sequence[_AxisMoments]) -> Matrix:
    """Return what rounded constants contribute: the squared norm of what they change in the tensor, shape (*m,).

    With T the exact tensor of an axis and X its change, the change over two axes is X (x) T + T (x) X + X (x) X.
    """
    exact, overlap, change = axes[0].exact, axes[0].overlap, axes[0].change
    for axis in axes[1:]:
        t, c, x = exact, overlap, change
        change = (
            _outer([x, axis.exact + 2 * axis.overlap + axis.change])
            + _outer([t + 2 * c, axis.change])
            + 2 * _outer([c, axis.overlap])
        )
        overlap = _outer([c, axis.exact + axis.overlap]) + _outer([t, axis.overlap])
        exact = _outer([t, axis.exact])
    return change


def _outer(parts: Sequence[Matrix]) -> Matrix:
    return reduce(np.multiply.outer, parts)


@dataclass(frozen=True, slots=True)
class _AxisMoments:
    """Second moments of one axis, one figure per output: arrays of shape (m,), in units of u^2 / 3 where they round."""

    r: int
    exact: Matrix
    products: Matrix
    before_products: Matrix
    inverse: Matrix
    overlap: Matrix
    change: Matrix


@lru_cache(maxsize=256)
def _moments(
    axis: BilinearAlgorithm, order: Order, fmt: FloatFormat, contraction: Contraction, rounding: FilterRounding
) -> _AxisMoments:
    at, g, bt = _matrices(axis)
    programs = axis_programs(axis, order)
    gg, bb = g @ g.T, bt @ bt.T
    before = _injected(programs.data, contraction, at, gg)
    if rounding is FilterRounding.EVERY_INSTRUCTION:
        before = before + _injected(programs.filter, contraction, at, bb)
    inverse = np.zeros(axis.m)
    for form, response in _roundings(programs.inverse, contraction):
        inverse += PHI * (form @ (gg * bb) @ form) * response**2
    overlap, change = _changed_tensor(axis, programs, fmt, rounding)
    return _AxisMoments(
        r=axis.r,
        exact=np.full(axis.m, float(axis.r)),
        products=at**2 @ (np.diag(gg) * np.diag(bb)),
        before_products=before,
        inverse=inverse,
        overlap=overlap,
        change=change,
    )


def _axis_moments(axis: BilinearAlgorithm, order: Order, fmt: FloatFormat, experiment: Experiment) -> _AxisMoments:
    return _moments(axis, order, fmt, experiment.contraction, experiment.filter_rounding)


def _injected(program: Program, contraction: Contraction, at: Matrix, other: Matrix) -> Matrix:
    """Return what the roundings of a data or filter transform add to each output; ``other``: G G^T or B B^T."""
    total = np.zeros(len(at))
    for form, response in _roundings(program, contraction):
        passed = at * response
        total += PHI * (form @ form) * np.einsum("oa,ab,ob->o", passed, other, passed)
    return total


def _roundings(program: Program, contraction: Contraction) -> Iterator[tuple[Matrix, Matrix]]:
    """Yield form and response of every value that is rounded, products of unfused instructions included."""
    forms, response = as_float(forms_exact(program)), responses(program)
    for number, node in enumerate(program.nodes, start=program.inputs):
        multiplies = node.constant is not None and not is_power_of_two(node.constant)
        if multiplies and (node.op is Op.SCALE or contraction is Contraction.SEPARATE):
            yield float(node.constant or 0) * forms[node.args[0]], response[number]
        if len(node.args) == 2:
            yield forms[number], response[number]


def _changed_tensor(
    axis: BilinearAlgorithm, programs: AxisPrograms, fmt: FloatFormat, rounding: FilterRounding
) -> tuple[Matrix, Matrix]:
    """Return, per output, the inner product of the change of rounded constants with the tensor, and its square."""
    at, g, bt = _matrices(axis)
    at_change, bt_change = (_matrix_change(program, fmt) for program in (programs.inverse, programs.data))
    g_change = np.zeros_like(g)
    if rounding is FilterRounding.EVERY_INSTRUCTION:
        g_change = _matrix_change(programs.filter, fmt)
    change = (
        _tensor(at_change, g, bt)
        + _tensor(at + at_change, g_change, bt)
        + _tensor(at + at_change, g + g_change, bt_change)
    )
    outputs, taps = np.arange(axis.m), np.arange(axis.r)
    overlap = change[outputs[:, None], taps, outputs[:, None] + taps].sum(axis=1)
    return overlap, (change**2).sum(axis=(1, 2))


def _matrix_change(program: Program, fmt: FloatFormat) -> Matrix:
    return as_float(matrix_exact(with_rounded_constants(program, fmt)) - matrix_exact(program))


def _tensor(at: Matrix, g: Matrix, bt: Matrix) -> Matrix:
    return np.asarray(np.einsum("it,tk,tj->ikj", at, g, bt, optimize=True))


def _matrices(axis: BilinearAlgorithm) -> tuple[Matrix, Matrix, Matrix]:
    at, g, bt = (np.array(fraction_rows(matrix), dtype=np.float64) for matrix in (axis.at, axis.g, axis.bt))
    return at, g, bt
