"""What a self-test in floating point must allow: a bound, derived from the programs, on the error of one tile.

In: an algorithm and the largest magnitude of its inputs. Out: a bound that correct code cannot exceed in float64.
"""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from fractions import Fraction

from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import NestedAlgorithm
from winograd.codegen.interpret import interpret
from winograd.codegen.lower import lower_axis
from winograd.codegen.program import Node, Op, Program

_WITHOUT_SIGN = {Op.SUB: Op.ADD, Op.FMS: Op.FMA}

# Rounding the constant counts as one.
_ROUNDINGS = {Op.ZERO: 0, Op.NEG: 0, Op.ADD: 1, Op.SUB: 1, Op.SCALE: 2, Op.FMA: 3, Op.FMS: 3}


def float64_tolerance(nested: NestedAlgorithm, magnitude: int) -> float:
    """Return a bound on the error of any output of one tile of one channel, computed in float64.

    Every value on the way is at most what the programs make of magnitudes without signs, and carries at most K relative
    roundings of u = 2**-53, K being the longest path through the three programs of every axis and one for the
    multiplication. So the error is at most K u / (1 - K u) times that magnitude.

    Parameters
    ----------
    nested : NestedAlgorithm
    magnitude : int
        Largest absolute value of data and filter.

    References
    ----------
    N. Higham, Accuracy and Stability of Numerical Algorithms, section 3.1.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> 1e-15 < float64_tolerance(NestedAlgorithm((toom_cook(2, 3),)), 1) < 1e-14
    True
    """
    roundings = Fraction(1 + sum(_longest_axis_path(axis) for axis in nested.axes), 2**53)
    bound = roundings / (1 - roundings) * magnitude**2 * math.prod(_growth(axis) for axis in nested.axes)
    return math.nextafter(float(min(bound, Fraction(sys.float_info.max))), math.inf)


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


def _growth(axis: BilinearAlgorithm) -> Fraction:
    programs = lower_axis(axis)
    filter_ = interpret(without_signs(programs.filter), [Fraction(1)] * axis.r)
    data = interpret(without_signs(programs.data), [Fraction(1)] * axis.tile)
    products = [u * v for u, v in zip(filter_, data, strict=True)]
    outputs: list[Fraction] = interpret(without_signs(programs.inverse), products)
    return max(outputs)


def _longest_axis_path(axis: BilinearAlgorithm) -> int:
    programs = lower_axis(axis)
    return sum(longest_path(program) for program in (programs.data, programs.filter, programs.inverse))
