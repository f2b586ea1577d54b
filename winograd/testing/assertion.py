"""The tolerance of a convolution kernel's test, derived rather than chosen.

In: what a kernel computed, its inputs, and the algorithm it implements. Out: nothing, or an AssertionError that names
the worst output. Refused: shapes that do not fit, other dtypes.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from winograd.accuracy.arguments import checked_number
from winograd.accuracy.formats import float_format
from winograd.accuracy.protocol import Experiment
from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import NestedAlgorithm, as_nested
from winograd.testing.convolution import Array, Convolution, as_padding
from winograd.testing.tolerance import allowed_beyond, tile_quantile, worst_case
from winograd.testing.values import Values, read_values


def assert_within_bound(
    actual: Any,
    data: Any,
    weights: Any,
    algorithm: BilinearAlgorithm | NestedAlgorithm,
    dtype: object = None,
    *,
    padding: Any = 0,
    order: str = "lowered",
    share: float | None = None,
    experiment: str | Experiment | None = None,
) -> None:
    """Assert that a convolution of stride 1 is as close to the exact one as its algorithm must come.

    Without ``share``, every output is held against its own worst case (`ErrorBound.componentwise`), which a right
    kernel never exceeds: the bound covers fused multiply-adds or none, filters transformed in the dtype or beforehand,
    and sums of the channels in any order. With ``share``, the largest error of every tile is held against the model's
    quantile and 8 % more, which is orders of magnitude smaller and holds for independent zero-mean inputs.

    One tile is a convolution whose input is as large as the tile; a batch of tiles is a batch of images.

    Where direct convolution is not finite, ``actual`` must not be finite; other outputs of a tile that reads a NaN or
    Inf may be anything; tiles that read none are judged as ever.

    Parameters
    ----------
    actual : array or tensor of shape (N, K, outputs...)
        What was computed: float16, bfloat16, float32 or float64, without bias.
    data : array or tensor of shape (N, C, sizes...)
        The very numbers that the kernel was given.
    weights : array or tensor of shape (K, C, taps...)
        Likewise, not transformed.
    algorithm : BilinearAlgorithm or NestedAlgorithm
        One axis for each of ``sizes``; its tiles begin at the first output.
    dtype : dtype, optional
        Dtype of transforms, products and sums. None is that of ``actual``, or float32 where that has 16 bits. Where
        ``actual`` is narrower, one more rounding to it is allowed.
    padding : int, sequence of int, or sequence of (low, high)
        Zeros around the data.
    order : str
        Order of the sums in the transforms: "lowered" for the programs that `winograd.emit` prints, "huffman" or
        "sequential".
    share : float, optional
        Share of tiles whose largest error the quantile covers, up to 0.9999, or what the model's sample allows. As many
        tiles may exceed it as a right kernel has with a probability of more than 1 - share, if tiles of the same data,
        and of the same filter, hang together as they do for independent inputs: many outputs of little data with few
        channels say little.
    experiment : str or Experiment, optional
        What the kernel does; its channels are those of the data. None is anything that stays in the dtype for the worst
        case, and "layer" for the quantile. Needed where U and V are stored in 16 bits, or transforms are wider.

    Raises
    ------
    AssertionError
        Naming the worst output, its error and what is allowed.
    TypeError, ValueError
        For shapes that do not fit, something that is no array or no algorithm, another dtype, order, share or
        experiment, and an experiment whose formats do not contain each other.
    NotImplementedError
        If an entry of the algorithm's matrices is not rational.

    Examples
    --------
    >>> from winograd import conv1d, toom_cook
    >>> rng = np.random.default_rng(0)
    >>> data, weights = (rng.uniform(-1, 1, shape).astype(np.float32) for shape in ((2, 8, 20), (4, 8, 3)))
    >>> f43 = toom_cook(4, 3)
    >>> result = conv1d(data, weights, padding=1, algorithm=f43)
    >>> assert_within_bound(result, data, weights, f43, padding=1)
    >>> assert_within_bound(result, data, weights, f43, padding=1, share=0.999)
    >>> result[1, 2, 5] += 1e-3
    >>> assert_within_bound(result, data, weights, f43, padding=1)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    AssertionError: output [1, 2, 5] is ..., off by 0.001, at most ... is allowed: worst case of F(4,3) ...
    """
    nested = as_nested(algorithm)
    wanted = None if share is None else checked_number("share", share)
    computed = read_values("actual", actual)
    inputs, filters = read_values("data", data), read_values("weights", weights)
    convolution = Convolution(inputs.array, filters.array, nested, as_padding(padding, nested.ndim))
    if computed.array.shape != convolution.shape:
        raise ValueError(f"actual of shape {computed.array.shape}, must be {convolution.shape}")
    working = float_format(_working_dtype(computed) if dtype is None else dtype)
    conditions = f"of {nested.label} in {working.name}, {convolution.channels} channels, order {order}"
    with np.errstate(all="ignore"):
        if wanted is None:
            allowed, most = worst_case(convolution, working, order, computed.fmt, experiment), 0
            what = f"worst case {conditions}"
        else:
            allowed = tile_quantile(convolution, working, order, computed.fmt, wanted, experiment)
            most = allowed_beyond(convolution, wanted)
            what = f"{wanted:.4%} quantile {conditions}, which {most} of {convolution.tile_count} tiles may exceed"
        errors = _errors(convolution, computed, allowed)
        beyond = (errors > allowed) | np.isinf(errors)
        if np.isinf(errors).any() or convolution.largest_of_tiles(beyond).sum() > most:
            raise AssertionError(_report(computed.array, errors, np.nan_to_num(allowed), what))


def _working_dtype(computed: Values) -> str:
    return computed.fmt.name if computed.fmt.name == "float64" else "float32"


def _errors(convolution: Convolution, computed: Values, allowed: Array) -> Array:
    """Return |actual - exact| to within the float64 reference's error, and exactly where that could change the verdict.

    It is 0 where nothing is claimed, in tiles that read values that are not finite, and inf where a finite value stands
    for one that is not, or the other way round. Rounding to the last dtype may overflow as it must.
    """
    actual, expected = computed.array, convolution.float64()
    errors = np.asarray(np.abs(actual - expected))
    known, given = np.isfinite(expected), np.isfinite(actual)
    slack = convolution.float64_error() + 2.0**-52 * errors
    for place in np.argwhere(known & given & (np.abs(errors - allowed) <= slack)):
        index = tuple(place.tolist())
        errors[index] = float(abs(Fraction(float(actual[index])) - convolution.exact(index)))
    errors[known != given] = np.inf
    unclaimed = (known & ~np.isfinite(allowed)) | (~known & ~given)
    furthest = np.sign(actual) * expected + allowed
    overflown = np.isinf(actual) & (furthest > computed.fmt.largest)
    errors[unclaimed | (known & overflown)] = 0
    return errors


def _report(actual: Array, errors: Array, allowed: Array, what: str) -> str:
    """Return one line that names the output whose error is the largest part of what is allowed."""
    shares = np.where(errors == 0, 0, errors / allowed)
    index = np.unravel_index(int(shares.argmax()), shares.shape)
    place = [int(number) for number in index]
    count = int((errors > allowed).sum())
    return (
        f"output {place} is {actual[index]:.9g}, off by {errors[index]:.3g}, at most {allowed[index]:.3g} is allowed: "
        f"{what}; {count} of {errors.size} outputs are beyond"
    )
