"""Error measurement: an algorithm is run on random tiles in a dtype and compared with exact results.

In: an algorithm, a dtype, an experiment, a number of trials, an order, a seed. Out: an `ErrorReport`, or the errors
themselves, the same for the same arguments. No global state is read or changed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from winograd.accuracy.measuring.figures import figures_of
from winograd.accuracy.measuring.measurement import TileFunction, plan
from winograd.accuracy.orders import Order
from winograd.accuracy.protocol import Experiment
from winograd.accuracy.report import ErrorReport
from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import NestedAlgorithm

__all__ = ["TileFunction", "measure_error", "sample_errors"]


def measure_error(
    algorithm: BilinearAlgorithm | NestedAlgorithm,
    dtype: object = "float32",
    experiment: str | Experiment = "standard",
    trials: int = 5000,
    order: str | Order | TileFunction = "huffman",
    seed: int = 0,
    *,
    data: object = None,
    weights: object = None,
    progress: bool = False,
) -> ErrorReport:
    """Measure the rounding error of an algorithm on random tiles.

    Parameters
    ----------
    algorithm : BilinearAlgorithm or NestedAlgorithm
        One to three axes.
    dtype : dtype
        float16, bfloat16, float32 or float64: the arithmetic that is measured. float64 needs exact references, which
        are slow; bfloat16 needs ml_dtypes.
    experiment : str or Experiment
        "standard": one tile, one channel, data and filter uniform on (-1, 1) on the grid of C++'s generator, matrices
        rounded once. "layer": 64 channels, filters transformed in float64, fused multiply-add, as generated kernels do.
    trials : int
        Number of tiles, 2 to 10^8. The first trials of a longer run are those of a shorter one.
    order : str, Order or function
        "huffman" or "sequential" order of every matrix row, or "lowered" for the generated programs. A function
        computes outputs (*m, trials) from data (*tile, channels, trials) and filters (*taps, channels, trials), in its
        own arithmetic: dtype and experiment then say which inputs it is given, and nothing else. It returns float16,
        bfloat16, float32 or float64. `winograd.accuracy.measuring.kernel_order.kernel_order` makes it of a generated
        kernel.
    seed : int
        Of NumPy's default generator, at least 0.
    data : array_like of shape (N, channels, *sizes), optional
        Where tiles are taken from, at random places, instead of drawing them: a layer's activations. A preset then has
        their number of channels. Numbers that the dtype (or the experiment's interface) lacks are rounded once, before
        anything is measured.
    weights : array_like of shape (K, channels, *taps), optional
        Where filters are taken from, likewise.
    progress : bool
        Show a bar on standard error, if that is a terminal. Needs tqdm.

    Returns
    -------
    ErrorReport

    Raises
    ------
    TypeError, ValueError
        For something that is no algorithm, an unknown dtype, experiment or order, too few or many trials, a negative
        seed, constants that overflow the dtype, fused experiments in float64, formats that do not contain each other,
        arrays that do not fit, a kernel of another algorithm, and a function that returns another shape or dtype.
    NotImplementedError
        If an entry of the matrices is not rational.
    ModuleNotFoundError
        Without ml_dtypes for bfloat16, or tqdm for progress.

    References
    ----------
    B. Barabasz et al., Error analysis and improving the accuracy of Winograd convolution, arXiv 1803.10986, section 6.

    Examples
    --------
    >>> from winograd import nest, toom_cook
    >>> axis = toom_cook(2, 3)
    >>> report = measure_error(nest(axis, axis), trials=1000)
    >>> f"{report.mean_abs:.1e}"
    '7.8e-08'
    """
    measurement = plan(algorithm, dtype, experiment, trials, order, seed, data=data, weights=weights)
    worst = measurement.worst_case
    figures = figures_of(measurement.chunks(progress=progress))
    mean_abs, mean_abs_interval = figures.mean_abs
    rms, rms_interval = figures.rms
    relative_l2, relative_l2_interval = figures.relative_l2
    return ErrorReport(
        mean_abs=mean_abs,
        mean_abs_interval=mean_abs_interval,
        max_abs=figures.max_abs,
        max_abs_interval=(figures.max_abs, max(worst, figures.max_abs)),
        rms=rms,
        rms_interval=rms_interval,
        relative_l2=relative_l2,
        relative_l2_interval=relative_l2_interval,
        trials=measurement.trials,
        seed=measurement.seed,
        dtype=measurement.fmt.name,
        order=measurement.order_name,
        protocol=measurement.experiment,
        algorithm=measurement.nested,
    )


def sample_errors(
    algorithm: BilinearAlgorithm | NestedAlgorithm,
    dtype: object = "float32",
    experiment: str | Experiment = "standard",
    trials: int = 5000,
    order: str | Order | TileFunction = "huffman",
    seed: int = 0,
    *,
    data: object = None,
    weights: object = None,
    progress: bool = False,
) -> NDArray[np.float64]:
    """Return the errors that `measure_error` makes its figures of.

    Parameters
    ----------
    algorithm, dtype, experiment, trials, order, seed, data, weights, progress
        As there, and so is what is raised.

    Returns
    -------
    ndarray of shape (trials, *m)
        Signed: computed minus exact, inf where the computed output is not finite.

    Examples
    --------
    >>> from winograd import toom_cook
    >>> errors = sample_errors(toom_cook(2, 3), trials=1000)
    >>> errors.shape
    (1000, 2)
    >>> bool(abs(errors).mean() == measure_error(toom_cook(2, 3), trials=1000).mean_abs)
    True
    """
    measurement = plan(algorithm, dtype, experiment, trials, order, seed, data=data, weights=weights)
    parts = [errors for errors, _ in measurement.chunks(progress=progress)]
    return np.ascontiguousarray(np.moveaxis(np.concatenate(parts, axis=-1), -1, 0))
