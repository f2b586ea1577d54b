from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.strategies import algorithms
from winograd.accuracy.bounding import range_stages
from winograd.accuracy.bounding.range_stages import without_fused
from winograd.accuracy.bounding.subnormals import subnormal_loss
from winograd.accuracy.formats import float_format
from winograd.accuracy.measuring.pipeline import run_tiles, transform
from winograd.accuracy.orders import Order, axis_programs
from winograd.accuracy.protocol import Experiment, FilterRounding
from winograd.accuracy.ranges import safe_range
from winograd.algebra.bilinear import BilinearAlgorithm, fraction_rows
from winograd.algebra.nesting import NestedAlgorithm, nest
from winograd.algebra.toom_cook import toom_cook
from winograd.codegen.interpret import Contraction, interpret

INTEGER_POINTS = {2: "0,1,-1,inf", 4: "0,1,-1,2,-2,inf", 6: "0,1,-1,2,-2,1/2,-1/2,inf"}


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize(("m", "known"), [(2, 8188.0), (4, 65.504), (6, 65504 / 15**3)])
def test_known_ranges_of_the_data_transform_in_3d(m: int, known: float, order: Order) -> None:
    axis = toom_cook(m, 3, INTEGER_POINTS[m])
    assert safe_range(nest(axis, axis, axis), "float16", order=order).data == pytest.approx(known, rel=1e-12)


def corners(nested: NestedAlgorithm, size: float) -> np.ndarray:
    """All data of this absolute value: every sign pattern of a small one-dimensional tile."""
    signs = np.array(list(product((-1.0, 1.0), repeat=nested.tile[0])))
    return (size * signs.T[:, None, :]).astype(np.float16)


@given(algorithms(5), st.sampled_from(Order), st.sampled_from(Contraction))
def test_largest_input_overflows_nowhere(axis: BilinearAlgorithm, order: Order, contraction: Contraction) -> None:
    nested = nest(axis)
    found = safe_range(nested, "float16", order=order)
    assume(found.largest > 2.0**-10)
    size = np.float16(found.largest)
    data = corners(nested, float(size if size <= found.largest else np.nextafter(size, np.float16(0))))
    rng = np.random.default_rng(0)
    filters = rng.choice([-1.0, 1.0], (axis.r, 1, data.shape[-1])).astype(np.float16)
    experiment = Experiment("corners", contraction=contraction)
    with np.errstate(all="ignore"):
        assert np.isfinite(run_tiles(nested, data, filters, order, experiment)).all()


@given(algorithms(5), st.sampled_from(Order))
def test_no_larger_input_is_safe_for_the_data_transform(axis: BilinearAlgorithm, order: Order) -> None:
    found = safe_range(axis, "float16", order=order)
    assume(2.0**-10 < found.data < 60_000)
    # 4 % beyond, more than all roundings of a float16 program of this size take away.
    data = corners(nest(axis), 1.04 * found.data)
    with np.errstate(all="ignore"):
        program = without_fused(axis_programs(axis, order).data)
        every = replace(program, outputs=tuple(range(program.inputs + len(program.nodes))))
        values = interpret(every, list(data), Contraction.SEPARATE)
    assert not np.isfinite(np.stack(values)).all()


def test_results_alone_would_miss_what_overflows_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    axis = toom_cook(4, 3, INTEGER_POINTS[4])
    program = axis_programs(axis, Order.LOWERED).filter
    true_limit = safe_range(axis, "float16").filter
    bound = range_stages.transform_bound
    monkeypatch.setattr(
        range_stages, "_transform", lambda one, fmt: range_stages.TransformValues(bound(one, fmt), bound(one, fmt))
    )
    range_stages.axis_values.cache_clear()
    monkeypatch.setattr(range_stages, "_sizes_in_inverse", lambda _: [np.inf])
    limit_of_results = safe_range(axis, "float16").filter
    range_stages.axis_values.cache_clear()
    assert limit_of_results > 1.1 * true_limit
    signs = np.array(list(product((-1.0, 1.0), repeat=3))).T
    with np.errstate(all="ignore"):
        below, beyond = (
            transform([program], (size * signs).astype(np.float16), Contraction.SEPARATE)
            for size in (0.98 * true_limit, 0.98 * limit_of_results)
        )
    assert np.isfinite(below).all()
    assert not np.isfinite(beyond).all()


def test_rounding_can_overflow_what_exact_arithmetic_does_not() -> None:
    axis = toom_cook(4, 3, INTEGER_POINTS[4])
    nested = nest(axis, axis, axis)
    found = safe_range(nested, "float16")
    rows = [np.sign([float(x) for x in fraction_rows(axis.bt)[0]])] * 3
    signs = np.einsum("a,b,c->abc", *rows)[..., None, None]
    program = axis_programs(axis, Order.LOWERED).data
    with np.errstate(all="ignore"):
        at_limit = transform([program] * 3, (np.float16(65.5) * signs).astype(np.float16), Contraction.SEPARATE)
        safe = (np.float16(found.largest) * signs).astype(np.float16)
        assert np.isfinite(transform([program] * 3, safe, Contraction.SEPARATE)).all()
    assert found.data > 65.5
    assert not np.isfinite(at_limit).all()


def test_stages_scale_with_weights_and_channels() -> None:
    axis = toom_cook(4, 3)
    one, four = safe_range(axis, "float16"), safe_range(axis, "float16", 0.5, channels=8)
    assert four.data == one.data
    assert four.filter == one.filter
    assert four.products == pytest.approx(one.products / 4)
    assert four.inverse == pytest.approx(one.inverse / 4)
    assert safe_range(axis, "float16", weights_largest=1e5).largest == 0


def test_wider_transforms_widen_the_range() -> None:
    nested = nest(*[toom_cook(6, 3)] * 3)
    mixed = Experiment("mixed", transforms="float32", filter_rounding=FilterRounding.ONCE)
    stored = Experiment("stored", storage="float16", interface="float16", filter_rounding=FilterRounding.ONCE)
    plain = safe_range(nested, "float16")
    # V is still stored in float16, but intermediate values are not; with float32 sums nothing else counts.
    assert plain.data <= safe_range(nested, "float16", experiment=mixed).data
    assert safe_range(nested, "float32", experiment=stored).products > 1e30
    assert safe_range(nested, "float32", experiment=replace(stored, storage=None)).data > 1e30


@pytest.mark.parametrize("value", ["1", None, True])
def test_weights_that_are_no_number_are_refused(value: object) -> None:
    with pytest.raises(TypeError, match=r"^weights_largest is .*, must be a number$"):
        safe_range(toom_cook(2, 3), weights_largest=value)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^weights_rms is .*, must be a number$"):
        subnormal_loss(toom_cook(2, 3), weights_rms=value)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [0, -1.0, float("inf"), float("nan")])
def test_weights_of_impossible_size_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"^weights_largest is .*, must be positive and finite$"):
        safe_range(toom_cook(2, 3), weights_largest=value)
    with pytest.raises(ValueError, match=r"^weights_rms is .*, must be positive and finite$"):
        subnormal_loss(toom_cook(2, 3), weights_rms=value)


def test_range_shows_itself() -> None:
    found = safe_range(toom_cook(2, 3))
    assert "\n" not in repr(found)
    assert "<td>inverse</td>" in found._repr_html_()
    loss = subnormal_loss(toom_cook(2, 3))
    assert "\n" not in repr(loss)
    assert "<td>share</td>" in loss._repr_html_()


@pytest.mark.parametrize("weights_rms", [1.0, 1e-3, 1e-5, 1e-6])
def test_subnormal_loss_meets_a_simulation(weights_rms: float) -> None:
    nested, trials = nest(*[toom_cook(4, 3)] * 2), 20_000
    loss = subnormal_loss(nested, "float16", weights_rms)
    rng = np.random.default_rng(0)
    filters = weights_rms * rng.standard_normal((*nested.r, 1, trials))
    data = rng.standard_normal((*nested.tile, 1, trials))
    programs = [axis_programs(axis, Order.LOWERED) for axis in nested.axes]
    u = transform([x.filter for x in programs], filters, Contraction.SEPARATE)
    v = transform([x.data for x in programs], data, Contraction.SEPARATE)
    lost = u - u.astype(np.float16)
    change, exact = (
        transform([x.inverse for x in programs], (w * v).sum(axis=-2), Contraction.SEPARATE) for w in (lost, u)
    )
    squares, sizes = ((x**2).reshape(-1, trials).mean(axis=0) for x in (change, exact))
    measured = np.sqrt(squares.mean() / sizes.mean())
    # Four standard errors of the measurement, halved by the root, and 2 % for the shape of a few numbers' roundings.
    tolerance = 2 * np.hypot(*(x.std() / x.mean() / np.sqrt(trials) for x in (squares, sizes))) + 0.02
    assert loss.relative_l2 == pytest.approx(measured, rel=tolerance)
    share = float((np.abs(u) < float_format("float16").least_normal).mean())
    assert loss.share == pytest.approx(share, abs=4 * np.sqrt(0.25 / trials))
    if weights_rms <= 1e-5:
        assert loss.without_underflow < 0.5 * measured
