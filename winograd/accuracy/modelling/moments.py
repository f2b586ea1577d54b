"""Second moments of one axis: what the roundings of its transforms become in its outputs.

In: an axis, an order, the format of its transforms, how they round, how inputs are drawn. Out: `AxisMoments`.
Every instruction that rounds adds an independent error, which passes through what follows it exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
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
from winograd.accuracy.modelling.proportions import Multiple, multiples
from winograd.accuracy.modelling.rounding import PHI, UNIFORM_KURTOSIS, phi
from winograd.accuracy.orders import Order, axis_programs
from winograd.accuracy.protocol import FilterRounding, Inputs
from winograd.algebra.bilinear import BilinearAlgorithm, fraction_rows
from winograd.codegen.interpret import Contraction
from winograd.codegen.lower import AxisPrograms
from winograd.codegen.program import Op, Program

DEVIATIONS = {Inputs.UNIFORM: 3**-0.5, Inputs.NORMAL: 1.0}
"""Standard deviations of inputs and taps."""

KURTOSES = {Inputs.UNIFORM: UNIFORM_KURTOSIS, Inputs.NORMAL: 0.0}
"""Excess kurtoses of inputs and taps."""


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
) -> AxisMoments:
    """Return the moments of an axis whose transforms run in ``fmt``. Arrays are shared: they are not to be written."""
    at, g, bt = _matrices(axis)
    programs = axis_programs(axis, order)
    gg, bb = g @ g.T, bt @ bt.T
    transforms = [(programs.data, gg)]
    if rounding is FilterRounding.EVERY_INSTRUCTION:
        transforms.append((programs.filter, bb))
    first, later = np.zeros((axis.m, axis.m)), np.zeros((axis.m, axis.m))
    for program, other in transforms:
        for form, response in roundings(program, contraction):
            square, peak = _square_and_peak(form)
            covariance = square * _passed_on(at * response, other)
            first += float(phi(DEVIATIONS[inputs] * np.sqrt(square), KURTOSES[inputs] * peak)) * covariance
            later += PHI * covariance
    inverse = np.zeros((axis.m, axis.m))
    for form, response in roundings(programs.inverse, contraction):
        inverse += PHI * (form @ (gg * bb) @ form) * np.outer(response, response)
    filter_squares, filter_peaks = _square_and_peak(g)
    data_squares, data_peaks = _square_and_peak(bt)
    overlap, change = _changed_tensor(axis, programs, fmt, rounding)
    return AxisMoments(
        at=at,
        exact=np.eye(axis.m) * axis.r,
        products=(at * (filter_squares * data_squares)) @ at.T,
        first=first,
        later=later,
        inverse=inverse,
        filter_squares=filter_squares,
        data_squares=data_squares,
        filter_peaks=filter_peaks,
        data_peaks=data_peaks,
        overlap=overlap,
        change=change,
    )


def _square_and_peak(forms: Matrix) -> tuple[Matrix, Matrix]:
    """Return squared norms and peaks of one form or of each row; a row of zeros has the peak of one input."""
    square = np.asarray((forms**2).sum(axis=-1))
    peak = (forms**4).sum(axis=-1) / np.where(square > 0, square, 1.0) ** 2
    return square, np.where(square > 0, peak, 1.0)


def _passed_on(passed: Matrix, other: Matrix) -> Matrix:
    """Return the covariance of the outputs for an error that reaches the products; ``other``: G G^T or B B^T."""
    return np.asarray(passed @ other @ passed.T)


def roundings(program: Program, contraction: Contraction) -> Iterator[tuple[Matrix, Matrix]]:
    """Yield form and response of every value that is rounded, products of unfused instructions included.

    Values that are equal up to a sign and a power of two have one error: they are one, with all that they change.
    """
    forms, response = as_float(forms_exact(program)), responses(program)
    found: dict[object, tuple[Matrix, Matrix]] = {}

    def add(multiple: Multiple, form: Matrix, passed: Matrix) -> None:
        factor, key = float(multiple[0]), multiple[1]
        before = found[key][1] if key in found else 0.0
        found[key] = form / factor, before + factor * passed

    both = zip(program.nodes, multiples(program), strict=True)
    for number, (node, (product, value)) in enumerate(both, start=program.inputs):
        multiplies = node.constant is not None and not is_power_of_two(node.constant)
        if multiplies and (node.op is Op.SCALE or contraction is Contraction.SEPARATE):
            add(product, float(node.constant or 0) * forms[node.args[0]], response[number])
        if len(node.args) == 2:
            add(value, forms[number], response[number])
    yield from found.values()


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
