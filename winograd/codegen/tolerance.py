"""What a self-test in floating point must allow: a bound, derived from the programs, on the error of one tile.

In: an algorithm or one of its transforms, and the largest magnitude of the inputs. Out: a bound that correct code
cannot exceed in float64.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from winograd.algebra.nesting import NestedAlgorithm
from winograd.codegen.interpret import interpret
from winograd.codegen.lower import DEFAULT_LOWERING, AxisPrograms, Lowering, lower_axis
from winograd.codegen.nested import AxisPass
from winograd.codegen.program import Node, Op, Program

_FLOAT64_UNIT = Fraction(1, 2**53)

_WITHOUT_SIGN = {Op.SUB: Op.ADD, Op.FMS: Op.FMA}

# Rounding the constant counts as one.
_ROUNDINGS = {Op.ZERO: 0, Op.NEG: 0, Op.ADD: 1, Op.SUB: 1, Op.SCALE: 2, Op.FMA: 3, Op.FMS: 3}


def float64_tolerance(
    nested: NestedAlgorithm, magnitude: int, channels: int = 1, lowering: Lowering = DEFAULT_LOWERING
) -> float:
    """Return a bound on the error of any output of one tile, computed in float64.

    Every value on the way is at most what the programs make of magnitudes without signs, and carries at most K relative
    roundings of u = 2**-53, K being the longest path through the three programs of every axis, one for the
    multiplication, and one for every further channel, in whatever order those are summed. So the error is at most
    K u / (1 - K u) times that magnitude.

    Parameters
    ----------
    nested : NestedAlgorithm
    magnitude : int
        Largest absolute value of data and filter.
    channels : int
        How many products are summed at every position.
    lowering : Lowering
        How the programs are made, not transposed.

    References
    ----------
    N. Higham, Accuracy and Stability of Numerical Algorithms, section 3.1.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> 1e-15 < float64_tolerance(NestedAlgorithm((toom_cook(2, 3),)), 1) < 1e-14
    True
    """
    axes = [lower_axis(axis, lowering) for axis in nested.axes]
    roundings = channels + sum(longest_path(program) for axis in axes for program in _three(axis))
    return _bound(roundings, channels * magnitude**2 * math.prod((_growth(axis) for axis in axes), start=Fraction(1)))


def transform_tolerance(passes: Sequence[AxisPass], magnitude: int | Fraction, unit: Fraction = _FLOAT64_UNIT) -> float:
    """Return a bound on the error of any output of one transform of a tile.

    As `float64_tolerance`, with K the sum of the longest paths of the passes.

    Parameters
    ----------
    passes : sequence of AxisPass
    magnitude : int or Fraction
        Largest absolute value of the inputs.
    unit : Fraction
        Unit roundoff of the arithmetic, float64's unless given.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> from winograd.codegen.nested import lower_nested
    >>> passes = lower_nested(NestedAlgorithm((toom_cook(2, 3),))).inverse
    >>> 6 < transform_tolerance(passes, 1) * 2**53 < 6.001  # sums of 3 with 2 roundings
    True
    """
    return _bound(sum(longest_path(step.program) for step in passes), magnitude * transform_growth(passes), unit)


def transform_growth(passes: Sequence[AxisPass]) -> Fraction:
    """Return a bound on any value on the way through one transform of a tile whose inputs are at most 1.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> from winograd.codegen.nested import lower_nested
    >>> transform_growth(lower_nested(NestedAlgorithm((toom_cook(2, 3),) * 2)).inverse)
    Fraction(9, 1)
    """
    return math.prod((max(output_sizes(step.program)) for step in passes), start=Fraction(1))


def output_sizes(program: Program) -> list[Fraction]:
    """Return a bound on every output of a program, and on the values it is made of, for inputs of at most 1.

    Examples
    --------
    >>> output_sizes(Program(inputs=2, nodes=(Node(Op.FMS, (0, 1), Fraction(1, 2)),), outputs=(2, 1)))
    [Fraction(3, 2), Fraction(1, 1)]
    """
    return interpret(without_signs(program), [Fraction(1)] * program.inputs)


def without_signs(program: Program) -> Program:
    """Return the program that adds where the given one subtracts, with the absolute values of its constants."""
    return replace(program, nodes=tuple(_absolute(node) for node in program.nodes))


def longest_path(program: Program) -> int:
    """Return the largest number of roundings, those of constants included, between an input and an output.

    Examples
    --------
    >>> nodes = (Node(Op.FMA, (0, 1), Fraction(1, 3)), Node(Op.ADD, (0, 2)))
    >>> longest_path(Program(inputs=2, nodes=nodes, outputs=(3,)))
    4
    """
    lengths = [0] * program.inputs
    for node in program.nodes:
        lengths.append(_ROUNDINGS[node.op] + max((lengths[argument] for argument in node.args), default=0))
    return max(lengths[output] for output in program.outputs)


def _absolute(node: Node) -> Node:
    if node.op is Op.NEG:
        return Node(Op.SCALE, node.args, Fraction(1))
    return Node(_WITHOUT_SIGN.get(node.op, node.op), node.args, None if node.constant is None else abs(node.constant))


def _bound(roundings: int, size: Fraction, unit: Fraction = _FLOAT64_UNIT) -> float:
    relative = roundings * unit
    return math.nextafter(float(min(relative / (1 - relative) * size, Fraction(sys.float_info.max))), math.inf)


def _growth(axis: AxisPrograms) -> Fraction:
    filter_ = interpret(without_signs(axis.filter), [Fraction(1)] * axis.filter.inputs)
    data = interpret(without_signs(axis.data), [Fraction(1)] * axis.data.inputs)
    products = [u * v for u, v in zip(filter_, data, strict=True)]
    outputs: list[Fraction] = interpret(without_signs(axis.inverse), products)
    return max(outputs)


def _three(axis: AxisPrograms) -> tuple[Program, Program, Program]:
    return axis.data, axis.filter, axis.inverse
