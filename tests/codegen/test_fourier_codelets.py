"""Codelets: discrete Fourier transforms, exact where roots of unity are simple, to float64 rounding for all lengths."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import sympy

from winograd.codegen.fourier.codelets import (
    complex_codelet,
    complex_count,
    complex_inverse_codelet,
    real_codelet,
    real_inverse_codelet,
)
from winograd.codegen.fourier.combinations import as_float
from winograd.codegen.interpret import interpret
from winograd.codegen.program import Op, Program

LENGTHS = [*range(1, 21), 24, 25, 27, 30, 32]
SIMPLE = [1, 2, 3, 4, 6, 8, 12]
"""Lengths whose cosines are rational multiples of 1, sqrt(2) and sqrt(3)."""


def half_complex(rows: np.ndarray) -> np.ndarray:
    """Return the transforms of real rows in half-complex order."""
    length = rows.shape[-1]
    found = np.fft.fft(rows)
    last = complex_count(length)
    return np.concatenate([found.real[:, : length // 2 + 1], found.imag[:, 1 : last + 1][:, ::-1]], axis=1)


def parts(rows: np.ndarray) -> np.ndarray:
    return np.concatenate([rows.real, rows.imag], axis=1)


def run(program: Program, rows: np.ndarray) -> np.ndarray:
    return np.array(interpret(program, list(rows.T.copy()))).T


def tolerance(length: int) -> float:
    """Return what float64 may be off by, relative to the norm: as many roundings as a line has additions in a row.

    A transform of length n sums n numbers; each of its and NumPy's roundings is at most u = 2^-53 of the norm of all
    numbers at that time, which is that of the output.
    """
    return 2 * (length + 2) * 2.0**-53


def off(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / np.linalg.norm(expected, axis=1).max())


@pytest.mark.parametrize("length", LENGTHS)
def test_lines_are_those_of_numpy(length: int) -> None:
    generator = np.random.default_rng(length)
    real = generator.standard_normal((20, length))
    line = real + 1j * generator.standard_normal((20, length))
    assert off(run(real_codelet(length, length), real), half_complex(real)) <= tolerance(length)
    assert off(run(complex_codelet(length, length), parts(line)), parts(np.fft.fft(line))) <= tolerance(length)
    inverse = parts(length * np.fft.ifft(line))
    assert off(run(complex_inverse_codelet(length, length), parts(line)), inverse) <= tolerance(length)


@pytest.mark.parametrize("length", LENGTHS)
def test_the_inverse_of_a_real_line_undoes_it(length: int) -> None:
    real = np.random.default_rng(length).standard_normal((20, length))
    found = half_complex(real)
    weights = np.full(length, 2.0 / length)
    weights[0] = 1 / length
    if length % 2 == 0:
        weights[length // 2] = 1 / length
    assert off(run(real_inverse_codelet(length, length), found * weights), real) <= 2 * tolerance(length)


@pytest.mark.parametrize(("length", "given"), [(8, 3), (10, 5), (12, 7), (9, 2)])
def test_inputs_that_are_zero_and_outputs_that_nobody_needs_cost_nothing(length: int, given: int) -> None:
    generator = np.random.default_rng(0)
    real = np.zeros((5, length))
    real[:, :given] = generator.standard_normal((5, given))
    assert off(run(real_codelet(length, given), real[:, :given]), half_complex(real)) <= tolerance(length)
    whole, less = real_codelet(length, length).counts.instructions, real_codelet(length, given).counts.instructions
    assert less < whole
    line = generator.standard_normal((5, length)) + 1j * generator.standard_normal((5, length))
    few, all_ = complex_inverse_codelet(length, given), complex_inverse_codelet(length, length)
    expected = parts(length * np.fft.ifft(line)[:, :given])
    assert off(run(few, parts(line)), expected) <= 2 * tolerance(length)
    assert few.counts.instructions < all_.counts.instructions


def exactly(program: Program) -> sympy.Matrix:
    """Return the matrix of a program, exactly."""
    unit = sympy.eye(program.inputs)
    columns = [interpret(program, list(unit[:, column])) for column in range(program.inputs)]
    return sympy.Matrix(columns).T


def wrong_entries(program: Program, expected: sympy.Matrix) -> int:
    return sum(sympy.radsimp(sympy.expand(entry)) != 0 for entry in exactly(program) - expected)


def real_matrix(length: int) -> sympy.Matrix:
    angle = 2 * sympy.pi / length
    rows = [[sympy.cos(angle * k * j) for j in range(length)] for k in range(length // 2 + 1)]
    rows += [[-sympy.sin(angle * k * j) for j in range(length)] for k in range(complex_count(length), 0, -1)]
    return sympy.Matrix(rows)


def complex_matrix(length: int) -> sympy.Matrix:
    angle = 2 * sympy.pi / length
    cosines = sympy.Matrix(length, length, lambda k, j: sympy.cos(angle * k * j))
    sines = sympy.Matrix(length, length, lambda k, j: sympy.sin(angle * k * j))
    return sympy.Matrix(sympy.BlockMatrix([[cosines, sines], [-sines, cosines]]))


@pytest.mark.parametrize("length", SIMPLE)
def test_lines_are_exact(length: int) -> None:
    assert wrong_entries(real_codelet(length, length), real_matrix(length)) == 0
    assert wrong_entries(real_inverse_codelet(length, length), real_matrix(length).T) == 0
    assert wrong_entries(complex_codelet(length, length), complex_matrix(length)) == 0
    assert wrong_entries(complex_inverse_codelet(length, length), complex_matrix(length).T) == 0


@pytest.mark.parametrize("length", [4, 8, 12])
def test_any_instruction_that_is_wrong_is_noticed(length: int) -> None:
    program = complex_codelet(length, length)
    other = {Op.ADD: Op.SUB, Op.SUB: Op.ADD, Op.FMA: Op.FMS, Op.FMS: Op.FMA}
    for place, node in enumerate(program.nodes[:: max(length // 4, 1)]):
        number = place * max(length // 4, 1)
        nodes = list(program.nodes)
        nodes[number] = replace(node, op=other[node.op])
        assert wrong_entries(replace(program, nodes=tuple(nodes)), complex_matrix(length)) > 0


@pytest.mark.parametrize("length", LENGTHS)
def test_no_constant_is_beyond_one(length: int) -> None:
    for program in (real_codelet(length, length), complex_codelet(length, length)):
        constants = [node.constant for node in program.nodes if node.constant is not None]
        assert all(abs(as_float(sympy.sympify(constant))) <= 1 for constant in constants)


@pytest.mark.parametrize(
    ("length", "real", "complex_"),
    [(2, 2, 4), (4, 6, 16), (6, 16, 36), (8, 20, 52), (10, 38, 84), (12, 40, 96), (16, 60, 148)],
)
def test_instructions(length: int, real: int, complex_: int) -> None:
    assert real_codelet(length, length).counts.instructions == real
    assert complex_codelet(length, length).counts.instructions == complex_


def test_rational_constants_are_fractions() -> None:
    constants = {node.constant for node in complex_codelet(6, 6).nodes} - {None}
    assert Fraction(-1, 2) in constants
    assert sympy.sqrt(3) / 2 in constants
