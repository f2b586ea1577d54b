"""What a search minimises: kappa, an error from the model, a measured one, or one of them weighed against operations.

In: names, or a `Cost`. Out: an `Objective` or a `Cost`, and a `Norm`. Refused: unknown names, weights that are no
numbers of at least 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from math import prod

from winograd.algebra.nesting import NestedAlgorithm
from winograd.codegen.nested import count_passes, lower_nested


class Objective(Enum):
    """By which figure candidates are ranked."""

    KAPPA = "kappa"
    """The mean squared amplification of errors of the products; of equal ones, the model's error."""
    MODEL = "model"
    """The error that the second-moment model predicts."""
    MEASUREMENT = "measurement"
    """The measured error; the model decides on what is measured."""


class Norm(Enum):
    """Which norm of the error is meant."""

    MEAN_ABS = "mean_abs"
    RMS = "rms"
    RELATIVE_L2 = "relative_l2"


@dataclass(frozen=True, slots=True)
class Cost:
    """A compromise: error_weight log(error) + instruction_weight log(operations per output), the error being measured.

    With weights 1 and 1, half the error is worth twice the operations. See `operations_per_output`.

    Parameters
    ----------
    error_weight, instruction_weight : float
        At least 0, not both 0.

    Raises
    ------
    TypeError, ValueError
        For weights that are no such numbers.

    Examples
    --------
    >>> Cost(1.0, 2.0).of(error=1.0, operations=math.e)
    2.0
    """

    error_weight: float = 1.0
    instruction_weight: float = 1.0

    def __post_init__(self) -> None:
        for name in ("error_weight", "instruction_weight"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise TypeError(f"{name} is {value!r}, must be a number of at least 0")
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} is {value!r}, must be a number of at least 0")
            object.__setattr__(self, name, float(value))
        if self.error_weight == self.instruction_weight == 0:
            raise ValueError("error_weight and instruction_weight are both 0, one must be above 0")

    @property
    def value(self) -> str:
        """As text, for reports."""
        return f"{self.error_weight:g} log error + {self.instruction_weight:g} log operations"

    def of(self, error: float, operations: float) -> float:
        """Return the cost of an error and a number of operations per output."""
        return self.error_weight * math.log(error) + self.instruction_weight * math.log(operations)


def as_objective(value: object) -> Objective | Cost:
    """Return an objective from its name or itself.

    Raises
    ------
    ValueError
        If there is none of that name.

    Examples
    --------
    >>> as_objective("kappa")
    <Objective.KAPPA: 'kappa'>
    """
    if isinstance(value, Cost):
        return value
    try:
        return Objective(value)
    except ValueError:
        allowed = ", ".join(one.value for one in Objective)
        raise ValueError(f"objective is {value!r}, must be one of {allowed}, or a Cost") from None


def as_norm(value: object) -> Norm:
    """Return a `Norm` from its name or itself.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    try:
        return Norm(value)
    except ValueError:
        allowed = ", ".join(one.value for one in Norm)
        raise ValueError(f"norm is {value!r}, must be one of {allowed}") from None


def operations_per_output(algorithm: NestedAlgorithm) -> float:
    """Return what a tile with one input and one output channel takes, filters transformed beforehand, per output.

    Instructions of the generated data and inverse transforms, where an addition, a multiplication or a fused
    multiply-add is one, and one for each product.

    Examples
    --------
    >>> from winograd import nest, toom_cook
    >>> operations_per_output(nest(toom_cook(2, 3)))  # 4 for the data, 4 for the outputs, 4 products
    6.0
    """
    programs = lower_nested(algorithm)
    transforms = sum(count_passes(passes).instructions for passes in (programs.data, programs.inverse))
    return (transforms + algorithm.rank) / prod(algorithm.m)
