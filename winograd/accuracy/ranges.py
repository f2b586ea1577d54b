"""Range: the largest inputs for which no stage of an algorithm overflows, whatever their signs.

In: an algorithm, a dtype, the largest weight, channels or an experiment. Out: a `SafeRange`.
Every value of the programs is followed, not only results: its largest size is a row sum of absolute values.
"""

from __future__ import annotations

import html
import math
from dataclasses import dataclass
from numbers import Real

from winograd.accuracy.bounding.range_stages import axis_values, data_stages, filter_values, limits_of
from winograd.accuracy.bounding.rounding_stages import checked_stages
from winograd.accuracy.formats import float_format
from winograd.accuracy.orders import Order, as_order
from winograd.accuracy.protocol import Experiment
from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import NestedAlgorithm, as_nested


@dataclass(frozen=True, slots=True)
class SafeRange:
    """The largest absolute inputs that overflow in no stage.

    The limits of the stages are those of exact arithmetic: some input of that size reaches the largest finite number
    (in the inverse transform: may reach it). ``largest`` leaves room for the rounding of every step.

    Parameters
    ----------
    algorithm : NestedAlgorithm
    dtype : str
    order : str
    channels : int
    weights_largest : float
        Largest absolute weight that is assumed.
    data : float
        Largest input for the data transform and the storage of its result.
    filter : float
        Largest weight for the filter transform and the storage of its result.
    products : float
        Largest input for products and their sum over the channels.
    inverse : float
        Largest input for the inverse transform and the outputs.
    largest : float
        No input up to this overflows anywhere, rounding included; 0 where the weights themselves may overflow.
    """

    algorithm: NestedAlgorithm
    dtype: str
    order: str
    channels: int
    weights_largest: float
    data: float
    filter: float
    products: float
    inverse: float
    largest: float

    @property
    def limits(self) -> tuple[tuple[str, float], ...]:
        """Stage and largest input (for "filter": largest weight), for tables."""
        return tuple((name, getattr(self, name)) for name in ("data", "filter", "products", "inverse", "largest"))

    @property
    def _conditions(self) -> str:
        return f"{self.dtype}, {self.order}, {self.channels} channels, weights up to {self.weights_largest:g}"

    def __repr__(self) -> str:
        figures = ", ".join(f"{name} {value:.3g}" for name, value in self.limits)
        return f"<SafeRange {self.algorithm.label}: {figures}; {self._conditions}>"

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><td>{name}</td><td>{value:.4g}</td></tr>" for name, value in self.limits)
        caption = html.escape(f"{self.algorithm.label}: {self._conditions}")
        return f"<table><caption>{caption}</caption><tr><th>stage</th><th>largest</th></tr>{rows}</table>"


def safe_range(
    algorithm: BilinearAlgorithm | NestedAlgorithm,
    dtype: object = "float16",
    weights_largest: float = 1.0,
    channels: int = 1,
    order: str | Order = "lowered",
    experiment: str | Experiment | None = None,
) -> SafeRange:
    """Return the largest absolute input that cannot overflow, stage by stage.

    A value that is the form sum_j l_j x_j of inputs up to X reaches X sum_j abs(l_j); over several axes the sums
    multiply. A value of the inverse transform is a bilinear form of data and filter, and reaches at most the sum of the
    absolute values of its coefficients; ``inverse`` is on the safe side where both cannot be reached together.

    Parameters
    ----------
    algorithm : BilinearAlgorithm or NestedAlgorithm
    dtype : dtype
        float16, bfloat16, float32 or float64: of everything that the experiment does not put elsewhere.
    weights_largest : float
        Largest absolute weight, positive and finite.
    channels : int
        Channels that are summed, at least 1. An experiment brings its own.
    order : str or Order
        "lowered" for the generated programs, "huffman" or "sequential".
    experiment : str or Experiment, optional
        Where transforms, storage and outputs have other dtypes. None is one dtype throughout.

    Returns
    -------
    SafeRange

    Raises
    ------
    TypeError, ValueError
        For something that is no algorithm, another dtype, order or experiment, channels that are no integer or below 1,
        a largest weight that is no positive finite number, and constants that overflow.
    NotImplementedError
        If an entry of the matrices is not rational.

    Examples
    --------
    >>> from winograd import nest, toom_cook
    >>> axis = toom_cook(4, 3, "0,1,-1,2,-2,inf")
    >>> safe_range(nest(axis, axis, axis), channels=64).data
    65.504
    >>> print(str(safe_range(axis)).partition(";")[0])
    <SafeRange F(4,3): data 6.55e+03, filter 1.31e+04, products 6.55e+03, inverse 4.09e+03, largest 4.07e+03
    """
    nested, chosen = as_nested(algorithm), as_order(order)
    stages = checked_stages(float_format(dtype), channels, experiment)
    weight = _checked_weight(weights_largest)
    axes = [axis_values(axis, chosen, stages.data, stages.filter) for axis in nested.axes]
    none, some = (data_stages(axes, stages, size, weight) for size in (0.0, 1.0))
    filters = limits_of(filter_values(axes, stages, 0.0), filter_values(axes, stages, 1.0))
    found = {name: limits_of(none[name], some[name]) for name in some}
    largest = min(rounded for _, rounded in found.values()) if weight <= filters[1] else 0.0
    return SafeRange(
        algorithm=nested,
        dtype=stages.sums.name,
        order=chosen.value,
        channels=stages.channels,
        weights_largest=weight,
        filter=filters[0],
        largest=max(0.0, largest),
        **{name: exact for name, (exact, _) in found.items()},
    )


def _checked_weight(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"weights_largest is {value!r}, must be a number")
    weight = float(value)
    if not 0 < weight < math.inf:
        raise ValueError(f"weights_largest is {weight!r}, must be positive and finite")
    return weight
