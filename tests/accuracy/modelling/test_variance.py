"""Variances of several axes: what rounded constants change in the tensor of a nest, against the tensor itself."""

from __future__ import annotations

from functools import reduce
from types import SimpleNamespace

import numpy as np
import pytest

from winograd.accuracy.formats import float_format
from winograd.accuracy.modelling.moments import axis_moments
from winograd.accuracy.modelling.rounding import PHI
from winograd.accuracy.modelling.variance import _constants, _storage
from winograd.accuracy.orders import Order
from winograd.accuracy.protocol import Experiment, FilterRounding, Inputs
from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.codegen.interpret import Contraction


def test_changes_of_the_axes_make_that_of_the_nest() -> None:
    rng = np.random.default_rng(0)
    sizes = ((2, 5), (3, 4), (2, 3))  # outputs, and entries of the tensor of each
    exact = [rng.standard_normal(size) for size in sizes]
    change = [rng.standard_normal(size) for size in sizes]
    for count in (1, 2, 3):
        axes = [
            SimpleNamespace(exact=np.diag((t**2).sum(axis=1)), overlap=(t * x).sum(axis=1), change=(x**2).sum(axis=1))
            for t, x in zip(exact[:count], change[:count], strict=True)
        ]
        whole = reduce(np.multiply.outer, [t + x for t, x in zip(exact[:count], change[:count], strict=True)])
        difference = whole - reduce(np.multiply.outer, exact[:count])
        expected = (difference**2).sum(axis=tuple(range(1, 2 * count, 2)))
        assert _constants(axes) == pytest.approx(expected)  # type: ignore[arg-type]


# Uniform numbers: the half of them from 1/2 to 1 have the unit 2 u / 2, a quarter the half of it, ...: together
# 4 u^2 (1/8 + 1/64 + ...) / 12 = u^2 / 21, of a variance of 1/3. Normal ones: PHI / 3, which is their mean over scales.
STORED = {Inputs.UNIFORM: 1 / 7, Inputs.NORMAL: PHI / 3}


@pytest.mark.parametrize("inputs", Inputs)
def test_what_is_stored_is_rounded_in_proportion_to_its_size(inputs: Inputs) -> None:
    experiment, fmt = Experiment("stored", storage="float16", inputs=inputs), float_format("float32")
    for factor in (1, 4):
        axis = BilinearAlgorithm(m=1, r=1, at=[[1]], g=[[factor]], bt=[[f"1/{factor}"]])
        found = axis_moments(axis, Order.LOWERED, fmt, Contraction.SEPARATE, FilterRounding.ONCE, inputs, 0)
        filters, data = _storage([found], fmt, experiment)
        # Within 1 %: of one scale it is 0.4 % from the mean over all.
        assert filters.item() == pytest.approx(factor**2 * 2.0**-22 * STORED[inputs], rel=0.01)
        assert filters.item() == pytest.approx(factor**4 * data.item(), rel=1e-9)
