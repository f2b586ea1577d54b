"""Inputs of tile experiments: drawn at random, or taken at random from given arrays.

In: shapes, a format, a seed. Out: data of shape (*tile, channels, count) and filters of shape (*taps, channels, count),
the next ones of each stream at every call. Streams run trial by trial: how many are drawn at a time changes nothing.
Refused: given arrays whose shape does not fit, or that hold what the format cannot.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from winograd.accuracy.formats import FloatFormat, float_format
from winograd.accuracy.measuring.sums import Array
from winograd.accuracy.protocol import Experiment, Inputs
from winograd.algebra.nesting import NestedAlgorithm

Draw = Callable[[int], Array]
"""The next values of a stream, of shape (*sizes, channels, count)."""


@dataclass(frozen=True, slots=True)
class Source:
    """The inputs of an experiment: two independent streams, and the largest datum and tap, or inf."""

    data: Draw
    filters: Draw
    magnitudes: tuple[float, float]


def draw_uniform(rng: np.random.Generator, shape: tuple[int, ...], fmt: FloatFormat) -> Array:
    """Draw numbers uniform on [-1, 1) on the grid of C++'s ``uniform_real_distribution``.

    A random number below 1 is rounded to the format and then mapped to 2 x - 1, so that the numbers are multiples of
    about u. Numbers on the full grid of the format would be rounded more often: F(2,3) would come out 8 % worse.

    Examples
    --------
    >>> from winograd.accuracy.formats import float_format
    >>> values = draw_uniform(np.random.default_rng(0), (1000,), float_format("float32"))
    >>> bool(np.all(values * 2.0**25 == np.round(values * 2.0**25)))
    True
    """
    if fmt.name == "float64":
        canonical = rng.integers(2**64, size=shape, dtype=np.uint64) * 2.0**-64
    else:
        bits = rng.integers(2**32, size=shape, dtype=np.uint32)
        # A power of two scales exactly, so float32 may be rounded to before it: without float64, in half the time.
        wide: Array = bits.astype(np.float32 if fmt.name == "float32" else np.float64)
        np.multiply(wide, wide.dtype.type(2.0**-32), out=wide)
        canonical = _rounded(wide, fmt)
    kind = fmt.dtype.type
    np.minimum(canonical, kind(1 - fmt.roundoff), out=canonical)
    canonical *= kind(2)
    canonical -= kind(1)
    return canonical


def draw_normal(rng: np.random.Generator, shape: tuple[int, ...], fmt: FloatFormat) -> Array:
    """Draw standard normal numbers, rounded once to the format.

    Examples
    --------
    >>> from winograd.accuracy.formats import float_format
    >>> draw_normal(np.random.default_rng(0), (3,), float_format("float16"))
    array([ 0.1257, -0.1321,  0.6406], dtype=float16)
    """
    return fmt.round(rng.standard_normal(shape))


_DRAWN: Final = {Inputs.UNIFORM: (draw_uniform, 1.0), Inputs.NORMAL: (draw_normal, math.inf)}
"""What draws, and the largest magnitude that it draws."""


def open_source(
    nested: NestedAlgorithm,
    fmt: FloatFormat,
    experiment: Experiment,
    seed: int,
    *,
    data: object = None,
    weights: object = None,
) -> Source:
    """Return the inputs of an experiment from their beginning, held in the dtype of ``fmt``.

    Parameters
    ----------
    nested : NestedAlgorithm
    fmt : FloatFormat
        Of the measurement; the numbers are those of the experiment's interface where it has one.
    experiment : Experiment
    seed : int
    data : array_like of shape (N, channels, *sizes), optional
        Tiles are taken from it anywhere, not only where a tiling would place them. None draws.
    weights : array_like of shape (K, channels, *taps), optional
        Filters are taken from it. None draws.

    Raises
    ------
    TypeError, ValueError
        If an array holds no real numbers, or none, or what is not finite once it is rounded, or has another shape.
    """
    grid = float_format(experiment.interface or fmt.name)
    first, second = np.random.default_rng(seed).spawn(2)
    tiles, largest = _stream("data", data, nested.tile, grid, experiment, first)
    taps, heaviest = _stream("weights", weights, nested.r, grid, experiment, second)
    return Source(_trials_last(tiles, fmt), _trials_last(taps, fmt), (largest, heaviest))


def _stream(
    name: str,
    values: object,
    sizes: tuple[int, ...],
    grid: FloatFormat,
    experiment: Experiment,
    rng: np.random.Generator,
) -> tuple[Draw, float]:
    """Return what draws one of the two inputs, and the largest magnitude that it draws."""
    if values is None:
        drawn, largest = _DRAWN[experiment.inputs]
        return _random(drawn, rng, (*sizes, experiment.channels), grid), largest
    held = checked_array(name, values, sizes, grid, exact=name == "weights")
    if held.shape[1] != experiment.channels:
        raise ValueError(
            f"{name} has {held.shape[1]} channels, must have those of the experiment, {experiment.channels}"
        )
    return _taken(rng, held, sizes), float(np.abs(held.astype(np.float64)).max())


def as_array(name: str, values: object) -> Array:
    """Return what was given as an array.

    Raises
    ------
    TypeError
        If NumPy makes no array of it, as of nested lists of several lengths.
    """
    try:
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(
            f"{name} is a {type(values).__name__} that is no array: {str(error).splitlines()[0]}"
        ) from error


def real_array(name: str, values: object) -> Array:
    """Return what was given as an array of real numbers.

    Raises
    ------
    TypeError
        If it is no array, or one of something else.
    """
    array = as_array(name, values)
    if array.dtype.kind not in "fiu" and array.dtype.name != "bfloat16":
        raise TypeError(f"{name} has dtype {array.dtype}, must be real numbers")
    return array


def checked_array(name: str, values: object, sizes: tuple[int, ...], grid: FloatFormat, *, exact: bool) -> Array:
    """Return a given array rounded once to a format, if its spatial axes have these sizes, or more unless ``exact``."""
    array = real_array(name, values)
    spatial = array.shape[2:]
    fits = len(spatial) == len(sizes) and array.shape[0] > 0 and array.shape[1] > 0
    if not fits or any(have != size if exact else have < size for have, size in zip(spatial, sizes, strict=True)):
        least = "" if exact else ", or larger after the second axis"
        wanted = ", ".join(map(str, ("any", "channels", *sizes)))
        raise ValueError(f"{name} has shape {array.shape}, must be ({wanted}){least}")
    held = _rounded(array if array.dtype == grid.dtype else array.astype(np.float64), grid)
    if not np.isfinite(held).all():
        raise ValueError(f"{name} holds numbers that are not finite in {grid.name}, must be finite")
    return held


def _random(drawn: Callable[..., Array], rng: np.random.Generator, shape: tuple[int, ...], grid: FloatFormat) -> Draw:
    return lambda count: drawn(rng, (count, *shape), grid)


def _taken(rng: np.random.Generator, values: Array, sizes: tuple[int, ...]) -> Draw:
    """Return the stream of windows of these sizes, at random, of shape (count, *sizes, channels)."""
    windows = np.lib.stride_tricks.sliding_window_view(values, sizes, tuple(range(2, values.ndim)))
    starts = (windows.shape[0], *windows.shape[2 : values.ndim])

    def draw(count: int) -> Array:
        image, *places = rng.integers(0, starts, size=(count, len(starts))).T
        return np.moveaxis(windows[(image, slice(None), *places)], 1, -1)

    return draw


def _trials_last(draw: Draw, fmt: FloatFormat) -> Draw:
    return lambda count: np.ascontiguousarray(np.moveaxis(draw(count), 0, -1), dtype=fmt.dtype)


def _rounded(values: Array, fmt: FloatFormat) -> Array:
    return values if values.dtype == fmt.dtype else fmt.round(values)
