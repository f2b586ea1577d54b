"""How far the result of one transform can be from the exact one, instruction by instruction.

In: a `Program` and a `FloatFormat`; bounds of sizes and errors of what is transformed. Out: the same of the results.
Assumed: rounding to nearest and no overflow. Fused and separate multiply-add are both covered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from winograd.accuracy.formats import FloatFormat
from winograd.accuracy.linear import Matrix, as_float, forms_exact, is_power_of_two
from winograd.codegen.program import Program

Bounded = tuple[Matrix, Matrix]
"""Bounds of the sizes of exact values, and of the errors of the computed ones."""


@dataclass(frozen=True, slots=True)
class TransformBound:
    """The bound of one program: |computed - matrix @ x| <= error @ |x| + underflow, for numbers x of the format.

    Parameters
    ----------
    size : ndarray of shape (outputs, inputs)
        Absolute values of the exact matrix.
    error : ndarray of shape (outputs, inputs)
        What rounding adds for each input.
    underflow : ndarray of shape (outputs,)
        What underflow adds.
    """

    size: Matrix
    error: Matrix
    underflow: Matrix

    @property
    def row_norms(self) -> Bounded:
        """Euclidean norms of the rows: sizes and errors for inputs of norm 1."""
        return np.linalg.norm(self.size, axis=1), np.linalg.norm(self.error, axis=1)


def transform_bound(program: Program, fmt: FloatFormat) -> TransformBound:
    """Return the bound of a program, following the error of every value through its instructions."""
    sizes = np.abs(as_float(forms_exact(program)))
    error, underflow = np.zeros_like(sizes), np.zeros(len(sizes))
    u = fmt.roundoff
    for number, node in enumerate(program.nodes, start=program.inputs):
        for place, argument in enumerate(node.args):
            term = error[argument], underflow[argument]
            if node.constant is not None and place == 0:
                term = _multiplied(node.constant, sizes[argument], *term, fmt)
            error[number] += term[0]
            underflow[number] += term[1]
        if len(node.args) == 2:
            error[number] += u * (sizes[number] + error[number])
            underflow[number] *= 1 + u
    kept = list(program.outputs)
    return TransformBound(size=sizes[kept], error=error[kept], underflow=underflow[kept])


def _multiplied(
    constant: Fraction, size: Matrix, error: Matrix, underflow: float, fmt: FloatFormat
) -> tuple[Matrix, float]:
    """Return error and underflow of a value after its multiplication by a constant, which is rounded, too."""
    rounded = fmt.rounded(constant)
    factor, deviation = abs(float(rounded)), abs(float(rounded - constant))
    error = factor * error + deviation * size
    underflow = factor * underflow
    if not is_power_of_two(rounded):
        error = error + fmt.roundoff * (float(abs(constant)) * size + error)
        underflow *= 1 + fmt.roundoff
    return error, underflow + fmt.underflow


def transformed(bounds: Sequence[TransformBound], values: Bounded) -> Bounded:
    """Follow sizes and errors through one transform of each leading axis, the first axis first."""
    for axis, bound in enumerate(bounds):
        values = transformed_along(bound, values, axis)
    return values


def transformed_along(bound: TransformBound, values: Bounded, axis: int) -> Bounded:
    """Follow sizes and errors through the transform of one axis."""
    size, error = values
    underflow = bound.underflow.reshape(-1, *(1,) * (size.ndim - axis - 1))
    error = _along(bound.size, error, axis) + _along(bound.error, size + error, axis) + underflow
    return _along(bound.size, size, axis), error


def _along(matrix: Matrix, values: Matrix, axis: int) -> Matrix:
    return np.asarray(np.moveaxis(np.tensordot(matrix, values, axes=(1, axis)), 0, axis))


def rounded_to(values: Bounded, roundoff: float, underflow: float) -> Bounded:
    """Follow sizes and errors through one rounding."""
    size, error = values
    return size, error + roundoff * (size + error) + underflow


def outer_bounds(first: Bounded, second: Bounded) -> Bounded:
    """Return sizes and errors of all products of one value of each."""
    size = np.multiply.outer(first[0], second[0])
    error = np.multiply.outer(first[1], second[0]) + np.multiply.outer(first[0] + first[1], second[1])
    return size, error
