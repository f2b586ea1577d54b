"""What rounding in float32 may do to one transform: a bound that correct code cannot exceed.

In: the passes of a transform. Out: the bound, relative to the largest input.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from fractions import Fraction

from winograd.codegen.interpret import interpret
from winograd.codegen.nested import AxisPass
from winograd.codegen.tolerance import longest_path, without_signs


def growth(passes: Sequence[AxisPass]) -> Fraction:
    """Return the largest value that the programs make of ones when they subtract nothing.

    Examples
    --------
    >>> from winograd.algebra.nesting import nest
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> from winograd.codegen.nested import lower_nested
    >>> growth(lower_nested(nest(toom_cook(2, 3), toom_cook(2, 3))).data)
    Fraction(4, 1)
    """
    ones = [[Fraction(1)] * step.program.inputs for step in passes]
    programs = [without_signs(step.program) for step in passes]
    return math.prod((max(interpret(*pair)) for pair in zip(programs, ones, strict=True)), start=Fraction(1))


def error_bound(passes: Sequence[AxisPass], *, wide: bool) -> float:
    """Return a bound on the error of a transform whose inputs are at most 1, against a float64 reference.

    Every value on the way is at most `growth`, and carries at most K relative roundings of u = 2**-24, so the error is
    at most K u / (1 - K u) times that. K is the longest path through the programs; one rounding that the reference is
    allowed comes on top. Arithmetic in float64 rounds once at the end, and its own roundings are less than another one.

    Parameters
    ----------
    passes : sequence of AxisPass
    wide : bool
        Whether arithmetic is in float64, and only the result is rounded to float32.

    References
    ----------
    N. Higham, Accuracy and Stability of Numerical Algorithms, section 3.1.
    """
    steps = 2 if wide else sum(longest_path(step.program) for step in passes)
    roundings = Fraction(1 + steps, 2**24)
    bound = growth(passes) * roundings / (1 - roundings)
    return math.nextafter(float(min(bound, Fraction(sys.float_info.max))), math.inf)
