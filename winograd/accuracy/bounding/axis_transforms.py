"""One thing for each of the three transforms of an axis: bounds of its results, or of all its values.

In: an axis, an order, the formats it runs in, what follows a program. Out: `AxisTransforms`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from winograd.accuracy.formats import FloatFormat
from winograd.accuracy.orders import Order, axis_programs
from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.codegen.program import Program

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class AxisTransforms(Generic[T]):
    """What belongs to data, filter and inverse transform."""

    data: T
    filter: T
    inverse: T


def follow_axis(
    follow: Callable[[Program, FloatFormat], T],
    axis: BilinearAlgorithm,
    order: Order,
    data: FloatFormat,
    filter_: FloatFormat,
) -> AxisTransforms[T]:
    """Follow the programs of an axis whose data and inverse transforms run in one format, the filter's in another."""
    programs = axis_programs(axis, order)
    return AxisTransforms(
        data=follow(programs.data, data),
        filter=follow(programs.filter, filter_),
        inverse=follow(programs.inverse, data),
    )
