"""One measurement: which tiles are run, in which arithmetic, and the errors of their outputs chunk by chunk.

In: the arguments of `winograd.measure_error`, unchecked. Out: a `Measurement`. Refused: what does not fit together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from winograd.accuracy.arguments import checked_integer
from winograd.accuracy.bounds import error_bound
from winograd.accuracy.formats import ALLOWED, FloatFormat, float_format
from winograd.accuracy.measuring.pipeline import run_tiles
from winograd.accuracy.measuring.samples import as_array, open_source
from winograd.accuracy.measuring.sums import Array
from winograd.accuracy.orders import Order, as_order
from winograd.accuracy.progress import no_progress, progress_bar
from winograd.accuracy.protocol import Experiment, as_experiment, checked_formats, is_preset
from winograd.accuracy.reference import compare
from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import NestedAlgorithm, as_nested
from winograd.codegen.interpret import Contraction

TileFunction = Callable[[Array, Array], Array]
"""Computes outputs (*m, trials) from data (*tile, channels, trials) and filters (*taps, channels, trials).

It is given arrays of its own, may write on them, and returns float16, bfloat16, float32 or float64. Where it has a
nested algorithm as its attribute `algorithm`, that must be what is measured.
"""

_CHUNK_VALUES = 2**16
"""Transformed values that are held at once, at most, unless one trial has more: what the cache of a core holds.

With many channels 16 times as many are faster: their sum, which calls NumPy for each, then has longer arrays to add.
"""

MOST_TRIALS: Final = 10**8
"""Of one measurement: three figures of every trial are kept for the intervals, 2.4 GB of so many."""

Errors = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Errors and exact outputs of some trials, each of shape (*m, count)."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What is measured; `plan` makes it.

    Parameters
    ----------
    nested : NestedAlgorithm
    fmt : FloatFormat
    experiment : Experiment
    order : Order or function
    trials, seed : int
    data, weights : array_like, optional
    """

    nested: NestedAlgorithm
    fmt: FloatFormat
    experiment: Experiment
    order: Order | TileFunction
    trials: int
    seed: int
    data: Any = None
    weights: Any = None

    @property
    def order_name(self) -> str:
        """Name of the order, or of the function."""
        if isinstance(self.order, Order):
            return self.order.value
        return str(getattr(self.order, "__name__", type(self.order).__name__))

    @property
    def worst_case(self) -> float:
        """What no output's error can exceed; inf where no bound is known: for functions, and normal inputs."""
        if not isinstance(self.order, Order):
            return math.inf
        bound = error_bound(self.nested, self.fmt.name, order=self.order, experiment=self.experiment)
        return bound.up_to(*open_source(**self._inputs).magnitudes)

    def chunks(self, *, progress: bool) -> Iterator[Errors]:
        """Yield the errors of all trials in order."""
        source = open_source(**self._inputs)
        channels = self.experiment.channels
        chunk = max(1, _CHUNK_VALUES * min(channels, 16) // (self.nested.rank * channels))
        with progress_bar(self.trials, self.nested.label) if progress else no_progress() as update:
            for start in range(0, self.trials, chunk):
                count = min(chunk, self.trials - start)
                data, filters = source.data(count), source.filters(count)
                with np.errstate(all="ignore"):
                    yield compare(self._run(data, filters), data, filters)
                update(count)

    @property
    def _inputs(self) -> dict[str, Any]:
        return {
            "nested": self.nested,
            "fmt": self.fmt,
            "experiment": self.experiment,
            "seed": self.seed,
            "data": self.data,
            "weights": self.weights,
        }

    def _run(self, data: Array, filters: Array) -> Array:
        if isinstance(self.order, Order):
            return run_tiles(self.nested, data, filters, self.order, self.experiment)
        # Copies, since a function may compute in place: the reference is of what it was given.
        return self._checked_result(self.order(data.copy(), filters.copy()), (*self.nested.m, data.shape[-1]))

    def _checked_result(self, returned: object, expected: tuple[int, ...]) -> Array:
        result = as_array(f"what order {self.order_name} returned", returned)
        if result.dtype.name not in ALLOWED:
            allowed = ", ".join(ALLOWED)
            raise TypeError(f"order {self.order_name} returned dtype {result.dtype}, must return one of {allowed}")
        if result.shape != expected:
            raise ValueError(f"order {self.order_name} returned shape {result.shape}, must return {expected}")
        return result


def plan(
    algorithm: BilinearAlgorithm | NestedAlgorithm,
    dtype: object,
    experiment: object,
    trials: object,
    order: object,
    seed: object,
    *,
    data: object = None,
    weights: object = None,
) -> Measurement:
    """Return the measurement that these arguments mean; see `winograd.measure_error` for what is raised."""
    nested, fmt = as_nested(algorithm), float_format(dtype)
    protocol = checked_formats(as_experiment(experiment), fmt)
    if is_preset(protocol) and not (data is None and weights is None):
        protocol = replace(protocol, channels=_channels(data, weights, protocol.channels))
    chosen = _checked_function(order, nested) if callable(order) else as_order(order)
    if isinstance(chosen, Order):
        _check_contraction(protocol, fmt)
    return Measurement(
        nested=nested,
        fmt=fmt,
        experiment=protocol,
        order=chosen,
        trials=checked_integer("trials", trials, 2, MOST_TRIALS),
        seed=checked_integer("seed", seed, 0),
        data=data,
        weights=weights,
    )


def _checked_function(order: TileFunction, nested: NestedAlgorithm) -> TileFunction:
    """Return the function, unless it says that it computes another algorithm, as kernels do."""
    computed = getattr(order, "algorithm", nested)
    if isinstance(computed, NestedAlgorithm) and computed != nested:
        found, wanted = (" by ".join(map(repr, one.axes)) for one in (computed, nested))
        raise ValueError(f"order computes {found}, must compute the algorithm, {wanted}")
    return order


def _channels(data: object, weights: object, otherwise: int) -> int:
    """Return the second size of a given array, where it has one of at least 1; others are refused later."""
    given = (("data", data), ("weights", weights))
    sizes = [as_array(name, values).shape[1:2] for name, values in given if values is not None]
    return next((size for size, *_ in filter(None, sizes) if size > 0), otherwise)


def _check_contraction(experiment: Experiment, fmt: FloatFormat) -> None:
    if fmt.name == "float64" and experiment.contraction is Contraction.FUSED:
        name = experiment.name
        raise ValueError(f"experiment {name} in float64 is fused, must be in a narrower dtype, or separate")
