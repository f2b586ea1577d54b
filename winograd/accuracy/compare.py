"""`compare`: several algorithms side by side, under one experiment.

In: algorithms, and what `predict_error` takes. Out: a `Comparison`. Refused: nothing to compare, and what those refuse.
"""

from __future__ import annotations

from fractions import Fraction
from math import prod

from winograd.accuracy.bounds import error_bound
from winograd.accuracy.cataloguing.comparison import ComparedAlgorithm, Comparison
from winograd.accuracy.experiment import measure_error
from winograd.accuracy.formats import float_format
from winograd.accuracy.model import kappa, predict_error
from winograd.accuracy.orders import Order, as_order
from winograd.accuracy.protocol import Experiment, as_experiment
from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import NestedAlgorithm, as_nested
from winograd.codegen.nested import count_passes, lower_nested


def compare(
    *algorithms: BilinearAlgorithm | NestedAlgorithm,
    dtype: object = "float32",
    experiment: str | Experiment = "layer",
    order: str | Order = "lowered",
    trials: int | None = None,
    seed: int = 0,
) -> Comparison:
    """Put algorithms side by side: products, instructions, kappa, predicted error, bound, and what is measured.

    Parameters
    ----------
    *algorithms : BilinearAlgorithm or NestedAlgorithm
        At least one; they may differ in size and number of axes.
    dtype : dtype
        float16, bfloat16, float32 or float64.
    experiment : str or Experiment
        "layer", "standard", or any other.
    order : str or Order
        "lowered" for the generated programs, "huffman" or "sequential".
    trials : int, optional
        Tiles that each algorithm is measured with as well; None measures nothing.
    seed : int
        Of the measurement.

    Returns
    -------
    Comparison
        ``repr`` is one line, ``str`` a table, and a notebook shows it.

    Raises
    ------
    TypeError, ValueError
        If no algorithm is given, and for what `predict_error` and `measure_error` refuse.
    NotImplementedError
        If an entry of the matrices is not rational.

    Examples
    --------
    >>> from winograd import toom_cook
    >>> compare(toom_cook(4, 3), toom_cook(4, 3, "0,1,-1,2,-2,inf")).best.algorithm.axes[0].points
    (0, 5/8, -5/8, 3/2, -3/2, INFINITY)
    """
    if not algorithms:
        raise ValueError("no algorithm is given, must be at least one")
    fmt, protocol, chosen = float_format(dtype), as_experiment(experiment), as_order(order)
    rows = []
    for nested in map(as_nested, algorithms):
        report = None
        if trials is not None:
            report = measure_error(nested, fmt.name, protocol, trials, chosen, seed)
        rows.append(
            ComparedAlgorithm(
                algorithm=nested,
                products_per_output=Fraction(nested.rank, prod(nested.m)),
                instructions=_instructions(nested),
                kappa=kappa(nested),
                relative_l2=predict_error(nested, fmt.name, protocol, chosen).relative_l2,
                bound=error_bound(nested, fmt.name, order=chosen, experiment=protocol).max_abs,
                measured=report,
            )
        )
    return Comparison(tuple(rows), fmt.name, chosen.value, protocol)


def _instructions(nested: NestedAlgorithm) -> tuple[int, int, int]:
    programs = lower_nested(nested)
    data, filter_, inverse = (
        count_passes(passes).instructions for passes in (programs.data, programs.filter, programs.inverse)
    )
    return data, filter_, inverse
