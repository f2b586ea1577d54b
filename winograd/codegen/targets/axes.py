"""What several targets need of the axes of an algorithm: missing ones, passes that do nothing, matrices by stage.

In: algorithms and passes. Out: the same with three axes, the passes that do something, the matrix of a transform.
"""

from __future__ import annotations

from collections.abc import Sequence

import sympy

from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import NestedAlgorithm
from winograd.algebra.toom_cook import toom_cook
from winograd.codegen.nested import AxisPass
from winograd.codegen.targets.contract import Stage


def pad_axes(nested: NestedAlgorithm) -> NestedAlgorithm:
    """Return the algorithm with leading axes of size 1, F(1, 1), to make three.

    Examples
    --------
    >>> pad_axes(NestedAlgorithm((toom_cook(2, 3),)))
    <F(1x1x2,1x1x3), 4 multiplications>
    """
    return NestedAlgorithm((*(toom_cook(1, 1),) * (3 - nested.ndim), *nested.axes))


def without_identities(passes: Sequence[AxisPass]) -> list[AxisPass]:
    """Return the passes that do something, or the first where none does.

    Examples
    --------
    >>> from winograd.codegen.nested import lower_nested
    >>> data = lower_nested(pad_axes(NestedAlgorithm((toom_cook(2, 3),)))).data
    >>> [step.axis for step in without_identities(data)]
    [2]
    """
    kept = [step for step in passes if step.program.outputs != tuple(range(step.program.inputs))]
    return kept or list(passes[:1])


def matrix_of(axis: BilinearAlgorithm, stage: Stage, transposed: bool = False) -> sympy.ImmutableMatrix:
    """Return what the transform of a stage multiplies by along an axis.

    Examples
    --------
    >>> matrix_of(toom_cook(2, 3), Stage.INVERSE).shape, matrix_of(toom_cook(2, 3), Stage.INVERSE, True).shape
    ((2, 4), (4, 2))
    """
    matrix = {Stage.DATA: axis.bt, Stage.FILTER: axis.g, Stage.INVERSE: axis.at}[stage]
    return matrix.T if transposed else matrix
