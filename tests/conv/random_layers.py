"""300 convolution layers drawn from one seed, and the plan that each of them runs by: what their tests share.

One, two and three axes, taps of 1, 3 and 5 in mixtures, any channels, sizes and padding, three dtypes. Every layer runs
in generated C: by its own plan where that takes it, else by an algorithm that is forced. So that they compile in a
minute, layers share few algorithms.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from winograd import best, nest
from winograd.algebra.nesting import NestedAlgorithm
from winograd.conv.choosing.prediction import float32_error
from winograd.conv.choosing.selection import Filters
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.plan.record import Backend, Plan
from winograd.conv.planning.make import make_plan
from winograd.testing.tolerance import MODEL_ERROR

COUNT = 300
SEED = 20_061
TOLERANCES = (1e-6, 2e-6, 1e-5)
SIZES = {1: 60, 2: 19, 3: 11}
"""Largest size of an axis, by the number of axes."""

LARGE = [(12, 12, 12), (9, 11, 10), (4, 14, 15)]
"""Sizes of the layers that are large enough for plans of their own: few, so that plans repeat themselves."""

MOST_MACS = 40_000_000
OWN_ALGORITHMS = 6
"""Algorithms beyond the forced ones that plans may take before theirs, too, are forced."""

MOST_ALGORITHMS = 30
"""Kernels to compile, at a second each."""

OUTPUTS = {
    (3,): [(4,)],
    (5,): [(2,), (4,)],
    (3, 3): [(4, 4), (2, 3)],
    (3, 5): [(4, 2)],
    (5, 5): [(2, 2)],
    (3, 3, 3): [(4, 4, 4), (2, 4, 4)],
    (1, 3, 3): [(1, 4, 4)],
    (3, 1, 1): [(4, 1, 1)],
    (5, 3, 3): [(2, 2, 2)],
    (1, 5, 5): [(1, 3, 3)],
    (3, 1, 5): [(4, 1, 2)],
}
"""Outputs per axis of the algorithms that are forced, by taps: of the catalogue, with the fewest products."""

NARROW = {
    "float16": [((3,), (4,)), ((3, 3, 3), (2, 4, 4)), ((1, 3, 3), (1, 4, 4))],
    "bfloat16": [((3, 3), (4, 4)), ((3, 1, 1), (4, 1, 1)), ((5, 3, 3), (2, 2, 2))],
}
"""Taps and outputs of those in 16 bits: another dtype is another kernel."""


@dataclass(frozen=True)
class Layer:
    """A layer, the error it tolerates, how its input lies in memory, and the plan that runs it."""

    number: int
    shape: ConvShape
    tolerance: float
    is_channels_last: bool
    plan: Plan
    is_forced: bool

    @property
    def algorithm(self) -> NestedAlgorithm:
        """The algorithm of the plan."""
        assert self.plan.algorithm is not None
        return self.plan.algorithm


def dtype_of(number: int) -> str:
    """Return the dtype of a layer: one in ten is float16, one bfloat16."""
    return {8: "float16", 9: "bfloat16"}.get(number % 10, "float32")


@lru_cache(maxsize=1)
def layers() -> tuple[Layer, ...]:
    """Return all layers, the same in every process."""
    generator = np.random.default_rng(SEED)
    own: set[NestedAlgorithm] = set()
    return tuple(_layer(number, generator, own) for number in range(COUNT))


@lru_cache(maxsize=32)
def forced(taps: tuple[int, ...], dtype: str) -> tuple[NestedAlgorithm, ...]:
    """Return the algorithms that layers of these taps share."""
    outputs = OUTPUTS[taps] if dtype == "float32" else [m for other, m in NARROW[dtype] if other == taps]
    superlinear = {
        (3,): nest(best(4, 3, products=7)),
        (3, 3): nest(*[best(6, 3, products=9)] * 2),
        (3, 3, 3): nest(*[best(4, 3, products=7)] * 3),
    }
    more = [superlinear[taps]] if dtype == "float32" and taps in superlinear else []
    return (*(nest(*map(best, m, taps)) for m in outputs), *more)


def _layer(number: int, generator: np.random.Generator, own: set[NestedAlgorithm]) -> Layer:
    shape = _large(generator) if number % 10 == 0 else _small(generator, dtype_of(number))
    tolerance = float(generator.choice(TOLERANCES))
    plan = make_plan(shape, tolerance=tolerance, filters=Filters.FROZEN)
    shared = forced(shape.taps, shape.dtype)
    is_own = plan.backend is Backend.NATIVE and (
        plan.algorithm in shared or len(own | {plan.algorithm}) <= OWN_ALGORITHMS
    )
    if not is_own:
        tolerated = [algorithm for algorithm in shared if most_expected(shape, algorithm) <= tolerance]
        tolerance = tolerance if tolerated else TOLERANCES[-1]
        plan = make_plan(shape, algorithm=(tolerated or shared)[int(generator.integers(len(tolerated or shared)))])
    elif plan.algorithm not in shared:
        own.add(plan.algorithm)
    return Layer(number, shape, tolerance, bool(generator.integers(2)), plan, not is_own)


def most_expected(shape: ConvShape, algorithm: NestedAlgorithm) -> float:
    """Return the error to expect before outputs are rounded to 16 bits, and by how much more the model may be off."""
    return (1 + MODEL_ERROR) * float32_error(shape, algorithm)


def _large(generator: np.random.Generator) -> ConvShape:
    """Return a layer that is large enough for its plan to take generated C."""
    channels, outputs = (int(generator.choice([64, 65, 70])) for _ in range(2))
    sizes = LARGE[int(generator.integers(len(LARGE)))]
    return _shape(1, channels, outputs, sizes, (3, 3, 3), ((1, 1),) * 3, "float32")


def _small(generator: np.random.Generator, dtype: str) -> ConvShape:
    known = list(OUTPUTS) if dtype == "float32" else [taps for taps, _ in NARROW[dtype]]
    taps = known[int(generator.integers(len(known)))]
    while True:
        channels, outputs = (int(generator.choice([1, 3, 17, 65, 70, generator.integers(1, 71)])) for _ in range(2))
        sizes = tuple(int(size) for size in generator.integers(1, SIZES[len(taps)] + 1, len(taps)))
        sides = [generator.integers(0, count + 1, 2) for count in taps]
        padding = tuple((int(low), int(high)) for low, high in sides)
        if any(size + sum(pair) < count for size, pair, count in zip(sizes, padding, taps, strict=True)):
            continue
        shape = _shape(int(generator.integers(1, 4)), channels, outputs, sizes, taps, padding, dtype)
        if shape.macs <= MOST_MACS:
            return shape


def _shape(
    batch: int,
    channels: int,
    outputs: int,
    sizes: tuple[int, ...],
    taps: tuple[int, ...],
    padding: tuple[tuple[int, int], ...],
    dtype: str,
) -> ConvShape:
    ones = (1,) * len(taps)
    return ConvShape(batch, channels, outputs, sizes, taps, ones, ones, padding, 1, dtype)
