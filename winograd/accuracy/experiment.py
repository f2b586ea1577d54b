"""Error measurement: an algorithm is run on random tiles in a dtype and compared with exact results.

In: an algorithm, a dtype, an experiment, a number of trials, an order, a seed. Out: an `ErrorReport`, the same for the
same arguments. No global state is read or changed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from winograd.accuracy.arguments import checked_integer
from winograd.accuracy.bounds import error_bound
from winograd.accuracy.formats import FloatFormat, float_format
from winograd.accuracy.orders import Order, as_order
from winograd.accuracy.pipeline import Array, run_tiles
from winograd.accuracy.protocol import Experiment, as_experiment
from winograd.accuracy.reference import direct_ref, errors_of
from winograd.accuracy.report import ErrorReport, Interval
from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import NestedAlgorithm, as_nested
from winograd.codegen.interpret import Contraction

__all__ = ["Experiment", "draw_uniform", "measure_error"]

_CHUNK_VALUES = 2**21
"""Transformed values that are held at once, at most, unless one trial has more."""

_NORMAL_95 = 1.959964
"""Quantile of the normal distribution for two-sided 95 %."""


def measure_error(
    algorithm: BilinearAlgorithm | NestedAlgorithm,
    dtype: object = "float32",
    experiment: str | Experiment = "standard",
    trials: int = 5000,
    order: str | Order = "huffman",
    seed: int = 0,
) -> ErrorReport:
    """Measure the rounding error of an algorithm on random tiles.

    Parameters
    ----------
    algorithm : BilinearAlgorithm or NestedAlgorithm
        One to three axes.
    dtype : dtype
        float16, float32 or float64: the arithmetic that is measured. float64 needs exact references, which are slow.
    experiment : str or Experiment
        "standard": one tile, one channel, data and filter uniform on (-1, 1) on the grid of `draw_uniform`, matrices
        rounded once. "layer": 64 channels, filters transformed in float64, fused multiply-add, as generated kernels do.
    trials : int
        Number of tiles, at least 2.
    order : str or Order
        "huffman" or "sequential" order of every matrix row, or "lowered" for the generated programs.
    seed : int
        Of NumPy's default generator, at least 0.

    Returns
    -------
    ErrorReport

    Raises
    ------
    TypeError, ValueError
        For something that is no algorithm, an unknown dtype, experiment or order, too few trials, a negative seed,
        constants that overflow the dtype, and fused experiments in float64.
    NotImplementedError
        If an entry of the matrices is not rational.

    References
    ----------
    B. Barabasz et al., Error analysis and improving the accuracy of Winograd convolution, arXiv 1803.10986, section 6.

    Examples
    --------
    >>> from winograd import nest, toom_cook
    >>> axis = toom_cook(2, 3)
    >>> report = measure_error(nest(axis, axis), trials=1000)
    >>> f"{report.mean_abs:.1e}"
    '7.6e-08'
    """
    nested, fmt = as_nested(algorithm), float_format(dtype)
    protocol, chosen = as_experiment(experiment), as_order(order)
    trials, seed = checked_integer("trials", trials, 2), checked_integer("seed", seed, 0)
    if fmt.name == "float64" and protocol.contraction is Contraction.FUSED:
        raise ValueError(f"experiment {protocol.name} in float64 is fused, must be in float16 or float32, or separate")
    worst = error_bound(nested, fmt.name, protocol.channels, chosen).max_abs
    parts = list(_measure(nested, fmt, protocol, chosen, trials=trials, seed=seed))
    sums, squares, sizes, largest = (np.concatenate(column) for column in zip(*parts, strict=True))
    outputs = math.prod(nested.m)
    max_abs = float(largest.max())
    mean_abs, mean_abs_interval = _mean(sums / outputs)
    relative_l2, relative_l2_interval = _root_ratio(squares, sizes)
    return ErrorReport(
        mean_abs=mean_abs,
        mean_abs_interval=mean_abs_interval,
        max_abs=max_abs,
        max_abs_interval=(max_abs, max(worst, max_abs)),
        relative_l2=relative_l2,
        relative_l2_interval=relative_l2_interval,
        trials=trials,
        seed=seed,
        dtype=fmt.name,
        order=chosen.value,
        protocol=protocol,
        algorithm=nested,
    )


def draw_uniform(rng: np.random.Generator, shape: tuple[int, ...], fmt: FloatFormat) -> Array:
    """Draw numbers uniform on [-1, 1) on the grid of C++'s ``uniform_real_distribution``.

    A random number below 1 is rounded to the format and then mapped to 2 x - 1, so that the numbers are multiples of
    about u. Numbers on the full grid of the format would be rounded more often: F(2,3) would come out 8 % worse.

    Examples
    --------
    >>> values = draw_uniform(np.random.default_rng(0), (1000,), float_format("float32"))
    >>> bool(np.all(values * 2.0**25 == np.round(values * 2.0**25)))
    True
    """
    kind = fmt.dtype.type
    if fmt.name == "float64":
        canonical = rng.integers(2**64, size=shape, dtype=np.uint64) * 2.0**-64
    else:
        canonical = rng.integers(2**32, size=shape, dtype=np.uint32) * 2.0**-32
    below_one = np.minimum(canonical.astype(kind), np.nextafter(kind(1), kind(0)))
    return np.asarray(kind(2) * below_one - kind(1))


Figures = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
"""Per trial: sum of absolute errors, sum of squared errors, sum of squared outputs, largest absolute error."""


def _measure(
    nested: NestedAlgorithm, fmt: FloatFormat, protocol: Experiment, order: Order, *, trials: int, seed: int
) -> Iterator[Figures]:
    rng = np.random.default_rng(seed)
    chunk = max(1, _CHUNK_VALUES // (nested.rank * protocol.channels))
    for start in range(0, trials, chunk):
        count = min(chunk, trials - start)
        data = draw_uniform(rng, (*nested.tile, protocol.channels, count), fmt)
        filters = draw_uniform(rng, (*nested.r, protocol.channels, count), fmt)
        with np.errstate(all="ignore"):
            result = run_tiles(nested, data, filters, order, protocol)
        errors = np.abs(errors_of(result, data, filters)).reshape(-1, count)
        outputs = direct_ref(data.astype(np.float64), filters.astype(np.float64)).reshape(-1, count)
        yield errors.sum(axis=0), (errors**2).sum(axis=0), (outputs**2).sum(axis=0), errors.max(axis=0)


def _mean(values: NDArray[np.float64]) -> tuple[float, Interval]:
    mean = float(values.mean())
    if not math.isfinite(mean):
        return math.inf, (math.inf, math.inf)
    half = _NORMAL_95 * float(values.std(ddof=1)) / math.sqrt(len(values))
    return mean, (max(0.0, mean - half), mean + half)


def _root_ratio(squares: NDArray[np.float64], sizes: NDArray[np.float64]) -> tuple[float, Interval]:
    """Return sqrt(sum squares / sum sizes); its interval is that of the ratio, linearised around it."""
    ratio = float(squares.sum() / sizes.sum())
    if not math.isfinite(ratio):
        return math.inf, (math.inf, math.inf)
    spread = float((squares - ratio * sizes).std(ddof=1))
    half = _NORMAL_95 * spread / (math.sqrt(len(squares)) * float(sizes.mean()))
    return math.sqrt(ratio), (math.sqrt(max(0.0, ratio - half)), math.sqrt(ratio + half))
