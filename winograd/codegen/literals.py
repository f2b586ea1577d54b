"""Constants as text: the one place where targets round.

In: exact constants of programs. Out: float64 literals that read back exactly. Refused: what a dtype cannot hold.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from winograd.algebra.nesting import NestedAlgorithm
from winograd.codegen.lower import DEFAULT_LOWERING, Lowering, lower_axis
from winograd.codegen.targets.contract import Stage


def float64_literal(constant: Fraction) -> str:
    """Return the shortest decimal that reads back as the float64 nearest to a constant.

    Examples
    --------
    >>> float64_literal(Fraction(1, 3)), float64_literal(Fraction(-4))
    ('0.3333333333333333', '-4.0')
    """
    return repr(float(constant))


def check_range(
    nested: NestedAlgorithm,
    dtype: str = "float64",
    stage: Stage = Stage.ALL,
    lowering: Lowering = DEFAULT_LOWERING,
) -> None:
    """Check that every constant of an algorithm's programs is a normal number where it is used.

    Parameters
    ----------
    nested : NestedAlgorithm
    dtype : str
        Of the data and inverse transforms; filters are transformed in float64.
    stage : Stage
        Whose programs are used.
    lowering : Lowering
        How they are made.

    Raises
    ------
    ValueError
        If a constant would overflow or lose digits by underflow; names the axis.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> check_range(NestedAlgorithm((toom_cook(2, 3, [0, 1, 10**40, "inf"]),)), "float32")
    Traceback (most recent call last):
    ...
    ValueError: axis 0: F(2,3) has a constant beyond float32; choose a smaller tile, or points closer to 1
    """
    for number, axis in enumerate(nested.axes):
        made = lower_axis(axis, lowering)
        programs = {Stage.DATA: made.data, Stage.FILTER: made.filter, Stage.INVERSE: made.inverse}
        for one in stage.transforms:
            used = "float64" if one is Stage.FILTER else dtype
            if not all(_is_normal(node.constant, used) for node in programs[one].nodes if node.constant is not None):
                raise ValueError(
                    f"axis {number}: F({axis.m},{axis.r}) has a constant beyond {used}; "
                    "choose a smaller tile, or points closer to 1"
                )


def _is_normal(constant: Fraction, dtype: str) -> bool:
    limits = np.finfo(dtype)
    return Fraction(float(limits.smallest_normal)) <= abs(constant) <= Fraction(float(limits.max))
