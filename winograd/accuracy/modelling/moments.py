"""Second moments of one axis: what the roundings of its transforms become in its outputs.

In: an axis, an order, the format of its transforms, how they round, how inputs are drawn. Out: `AxisMoments`.
Every instruction that rounds adds an independent error, which passes through what follows it exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from winograd.accuracy.formats import FloatFormat
from winograd.accuracy.linear import (
    Matrix,
    as_float,
    forms_exact,
    is_power_of_two,
    matrix_exact,
    responses,
    with_rounded_constants,
)
from winograd.accuracy.modelling.exactness import Grid, rounded_forms, rounded_products, squares_and_peaks
from winograd.accuracy.modelling.proportions import Multiple, multiples
from winograd.accuracy.orders import Order, axis_programs
from winograd.accuracy.protocol import FilterRounding, Inputs
from winograd.algebra.bilinear import BilinearAlgorithm, fraction_rows
from winograd.codegen.interpret import Contraction
from winograd.codegen.lower import AxisPrograms
from winograd.codegen.program import Op, Program


@dataclass(frozen=True, slots=True, eq=False)
class AxisMoments:
    """Second moments of one axis, per unit variance of inputs and taps; roundings in units of u^2 / 3.

    Parameters
    ----------
    at : ndarray of shape (m, rank)
        The inverse transform.
    exact : ndarray of shape (m, m)
        r times the identity: covariance of the outputs of independent errors of inputs or of outputs before this axis.
    products : ndarray of shape (m, m)
        Covariance of the outputs for independent relative errors of the products.
    first, later : ndarray of shape (m, m)
        Covariance from the roundings of data and filter transform, where this is the first axis, and where it is not.
    inverse : ndarray of shape (m, m)
        Covariance from the roundings of the inverse transform.
    filter_squares, data_squares : ndarray of shape (rank,)
        Squared norms of the rows of g and bt: variances of transformed taps and data.
    filter_peaks, data_peaks : ndarray of shape (rank,)
        Sum of fourth powers over squared sum of squares of each row: what is left of the inputs' excess kurtosis.
    filter_grid, data_grid : Grid
        Of the rows of g and bt.
    overlap, change : ndarray of shape (m,)
        Inner product with the tensor of what rounded constants change in it, and the square of the change.
    """

    at: Matrix
    exact: Matrix
    products: Matrix
    first: Matrix
    later: Matrix
    inverse: Matrix
    filter_squares: Matrix
    data_squares: Matrix
    filter_peaks: Matrix
    data_peaks: Matrix
    filter_grid: Grid
    data_grid: Grid
    overlap: Matrix
    change: Matrix


@lru_cache(maxsize=1024)
def axis_moments(
    axis: BilinearAlgorithm,
    order: Order,
    fmt: FloatFormat,
    contraction: Contraction,
    rounding: FilterRounding,
    inputs: Inputs,
    spare: int,
) -> AxisMoments:
    """Return the moments of an axis whose transforms run in ``fmt``. Arrays are shared: they are not to be written.

    ``spare``: how many digits more than the inputs ``fmt`` has.
    """
    at, g, bt = _matrices(axis)
    programs = axis_programs(axis, order)
    transforms = [(programs.data, g @ g.T)]
    if rounding is FilterRounding.EVERY_INSTRUCTION:
        transforms.append((programs.filter, bt @ bt.T))
    before = [_before(program, contraction, at, other, inputs, spare) for program, other in transforms]
    filter_squares, filter_peaks = squares_and_peaks(g)
    data_squares, data_peaks = squares_and_peaks(bt)
    overlap, change = _changed_tensor(axis, programs, fmt, rounding)
    return AxisMoments(
        at=at,
        exact=np.eye(axis.m) * axis.r,
        products=(at * (filter_squares * data_squares)) @ at.T,
        first=np.sum([first for first, _ in before], axis=0),
        later=np.sum([later for _, later in before], axis=0),
        inverse=_inverse(programs.inverse, contraction, (g @ g.T) * (bt @ bt.T)),
        filter_squares=filter_squares,
        data_squares=data_squares,
        filter_peaks=filter_peaks,
        data_peaks=data_peaks,
        filter_grid=Grid.of(g),
        data_grid=Grid.of(bt),
        overlap=overlap,
        change=change,
    )


def _before(
    program: Program, contraction: Contraction, at: Matrix, other: Matrix, inputs: Inputs, spare: int
) -> tuple[Matrix, Matrix]:
    """Return first and later from the transform before the products whose counterpart has the products ``other``."""
    rounded = roundings(program, contraction)
    passed = np.einsum("ot,kt->kot", at, rounded.responses)
    covariances = passed @ other @ passed.swapaxes(1, 2)
    first, later = rounded_forms(rounded.forms, rounded.summands, inputs, spare)
    return np.tensordot(first, covariances, axes=1), np.tensordot(later, covariances, axes=1)


def _inverse(program: Program, contraction: Contraction, covariance: Matrix) -> Matrix:
    """Return the covariance from the roundings of the inverse transform of products of this covariance."""
    rounded = roundings(program, contraction)
    variances = rounded_products(rounded.forms, rounded.summands, covariance)
    return np.asarray((rounded.responses.T * variances) @ rounded.responses)


@dataclass(frozen=True, slots=True, eq=False)
class Roundings:
    """What is rounded in a program: values that are equal up to a sign and a power of two have one error.

    Parameters
    ----------
    forms : ndarray of shape (roundings, inputs)
    summands : ndarray of shape (2, roundings, inputs)
        The forms whose unfused sum it is; 0 for products, and for sums of a product that is not rounded itself.
    responses : ndarray of shape (roundings, outputs)
    """

    forms: Matrix
    summands: Matrix
    responses: Matrix


def roundings(program: Program, contraction: Contraction) -> Roundings:
    """Return every value that is rounded, products of unfused instructions included."""
    forms, response = as_float(forms_exact(program)), responses(program)
    found: dict[object, tuple[Matrix, Matrix]] = {}

    def add(multiple: Multiple, parts: Sequence[Matrix], passed: Matrix) -> None:
        factor, key = float(multiple[0]), multiple[1]
        before = found[key][1] if key in found else 0.0
        found[key] = np.stack(parts) / factor, before + factor * passed

    none = np.zeros(program.inputs)
    both = zip(program.nodes, multiples(program), strict=True)
    for number, (node, (product, value)) in enumerate(both, start=program.inputs):
        constant = 1.0 if node.constant is None else float(node.constant)
        multiplies = node.constant is not None and not is_power_of_two(node.constant)
        separate = node.op is Op.SCALE or contraction is Contraction.SEPARATE
        if multiplies and separate:
            add(product, (constant * forms[node.args[0]], none, none), response[number])
        if len(node.args) == 2:
            summands = (constant * forms[node.args[0]], forms[node.args[1]])
            add(value, (forms[number], *(summands if separate or not multiplies else (none, none))), response[number])
    stacked = np.array([parts for parts, _ in found.values()]).reshape(-1, 3, program.inputs)
    passed = np.array([passed for _, passed in found.values()]).reshape(-1, len(program.outputs))
    return Roundings(stacked[:, 0], np.stack([stacked[:, 1], stacked[:, 2]]), passed)


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
