"""The second-moment model: the error to expect for independent zero-mean inputs, without running anything.

In: an algorithm, and what is computed in which dtype. Out: a `Prediction`, from the programs that are executed: every
instruction that rounds adds an independent error, which passes through what follows it exactly.
Not covered: inputs with a mean (rectified normal ones come out 10 to 25 % below the prediction), and overflow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from math import prod

from winograd.accuracy.arguments import checked_integer
from winograd.accuracy.formats import float_format
from winograd.accuracy.modelling.accumulation import accumulation
from winograd.accuracy.modelling.prediction import Prediction, rms_by_output, scale
from winograd.accuracy.modelling.rounding import PHI
from winograd.accuracy.orders import Order, as_order
from winograd.accuracy.protocol import Experiment, FilterRounding, as_experiment, checked_formats
from winograd.algebra import growth
from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import NestedAlgorithm, as_nested
from winograd.codegen.interpret import Contraction

__all__ = [
    "PHI",
    "Prediction",
    "kappa",
    "predict_direct_relative_l2",
    "predict_error",
    "predict_experiment",
    "predict_relative_l2",
]


def kappa(algorithm: BilinearAlgorithm | NestedAlgorithm) -> float:
    """Return the mean squared amplification of independent relative errors of the products.

    Per axis (1 / (m r)) sum_t |A_t|^2 |G_t|^2 |B_t|^2 with A_t column t of at, G_t and B_t row t of g and bt; the
    product over the axes. Scaling the factors of a product changes nothing. With many channels it decides the ranking.

    `winograd.algebra.growth.kappa` has it exactly, for one axis.

    Raises
    ------
    NotImplementedError
        If an entry is not rational.
    OverflowError
        If it is beyond float64.

    Examples
    --------
    >>> from winograd import nest, toom_cook
    >>> axis = toom_cook(4, 3)
    >>> round(kappa(axis), 3), round(kappa(nest(axis, axis)), 2)
    (4.78, 22.85)
    >>> round(kappa(toom_cook(4, 3, "0,1,-1,2,-2,inf")), 3)
    10.773
    """
    return float(prod(growth.kappa(axis) for axis in as_nested(algorithm).axes))


def predict_relative_l2(
    algorithm: BilinearAlgorithm | NestedAlgorithm,
    *,
    dtype: object = "float32",
    channels: int = 1,
    channel_block: int | None = None,
) -> float:
    """Return the relative L2 error to expect of one layer that the generated code computes.

    Filters are transformed in float64 and rounded once, data and inverse transforms run the programs of `lower_axis`
    with fused multiply-add, and so do the sums over the channels, all in ``dtype``.

    Parameters
    ----------
    algorithm : BilinearAlgorithm or NestedAlgorithm
    dtype : dtype
        float16, bfloat16, float32 or float64.
    channels : int
        At least 1.
    channel_block : int, optional
        Channels of one partial sum; None is one running sum.

    Returns
    -------
    float
        sqrt(E |error|^2 / E |output|^2).

    Raises
    ------
    TypeError, ValueError
        For something that is no algorithm, another dtype, channels or channel_block that are no integers or below 1.
    NotImplementedError
        If an entry of the matrices is not rational.

    Examples
    --------
    >>> from winograd import nest, toom_cook
    >>> axis = toom_cook(4, 3)
    >>> f"{predict_relative_l2(nest(axis, axis, axis), channels=64):.1e}"
    '1.6e-06'
    """
    experiment = Experiment(
        "layer",
        channels=channels,
        channel_block=channel_block,
        contraction=Contraction.FUSED,
        filter_rounding=FilterRounding.ONCE,
    )
    return predict_experiment(algorithm, experiment, dtype=dtype, order=Order.LOWERED)


def predict_direct_relative_l2(
    taps: Sequence[int], *, dtype: object = "float32", channels: int = 1, block: int | None = None
) -> float:
    """Return the relative L2 error to expect of direct convolution by fused multiply-adds.

    Parameters
    ----------
    taps : sequence of int
        Taps per axis.
    dtype : dtype
        float16, bfloat16, float32 or float64.
    channels : int
        At least 1.
    block : int, optional
        Products of one partial sum; None is one running sum over all taps and channels. The order moves the error by a
        factor of 4 in 3D.

    Raises
    ------
    TypeError, ValueError
        For another dtype, no taps, and for channels, taps or block that are no integers or below 1.

    Examples
    --------
    >>> f"{predict_direct_relative_l2((3, 3, 3), channels=64):.1e}"
    '7.4e-07'
    >>> f"{predict_direct_relative_l2((3, 3, 3), channels=64, block=27):.1e}"
    '1.7e-07'
    """
    fmt = float_format(dtype)
    if not isinstance(taps, Sequence) or isinstance(taps, str):
        raise TypeError(f"taps is {taps!r}, must be a sequence of integers")
    if not taps:
        raise ValueError("taps is empty, must have one number per axis")
    products = checked_integer("channels", channels, 1) * prod(checked_integer("taps", size, 1) for size in taps)
    sums = Experiment("direct", channels=products, channel_block=block, contraction=Contraction.FUSED)
    return fmt.roundoff * math.sqrt(PHI / 3 * accumulation(sums, fmt))


def predict_error(
    algorithm: BilinearAlgorithm | NestedAlgorithm,
    dtype: object = "float32",
    experiment: str | Experiment = "layer",
    order: str | Order = "lowered",
) -> Prediction:
    """Predict the error that `winograd.measure_error` measures with the same arguments, without running anything.

    Parameters
    ----------
    algorithm : BilinearAlgorithm or NestedAlgorithm
        One to three axes.
    dtype : dtype
        float16, bfloat16, float32 or float64.
    experiment : str or Experiment
        "layer", "standard", or any other.
    order : str or Order
        "lowered" for the generated programs, "huffman" or "sequential".

    Returns
    -------
    Prediction
        Within 5 % for 64 channels and more, 8 % for one, where nothing overflows. Normal inputs of 16 bits whose
        transforms are stored in 16 bits come out up to 6 % too small for F(2,2) and F(3,2) in one dimension.

    Raises
    ------
    TypeError, ValueError
        For something that is no algorithm, an unknown dtype, experiment or order, formats that do not contain each
        other, and constants that overflow.
    NotImplementedError
        If an entry of the matrices is not rational.

    Examples
    --------
    >>> from winograd import nest, toom_cook
    >>> axis = toom_cook(4, 3)
    >>> predict_error(nest(axis, axis, axis))
    <Prediction F(4x4x4,3x3x3): rms 2.25e-05, relative_l2 1.62e-06; float32, lowered, layer, 64 channels>
    """
    nested, fmt = as_nested(algorithm), float_format(dtype)
    protocol, chosen = checked_formats(as_experiment(experiment), fmt), as_order(order)
    rms = math.sqrt(float((rms_by_output(nested, fmt, protocol, chosen) ** 2).mean()))
    return Prediction(
        algorithm=nested,
        dtype=fmt.name,
        order=chosen.value,
        experiment=protocol,
        rms=rms,
        relative_l2=rms / (scale(protocol) * math.sqrt(prod(nested.r))),
    )


def predict_experiment(
    algorithm: BilinearAlgorithm | NestedAlgorithm, experiment: Experiment, *, dtype: object, order: Order
) -> float:
    """Return the relative L2 error to expect of an experiment; see `predict_error` for what is raised."""
    return predict_error(algorithm, dtype, experiment, order).relative_l2
