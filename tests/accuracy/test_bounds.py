from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.strategies import MAX_TILE, algorithms
from winograd.accuracy import bounds
from winograd.accuracy.bounding import rounding_stages, transform_bounds
from winograd.accuracy.bounding.adversarial import adversarial_signs
from winograd.accuracy.bounds import error_bound
from winograd.accuracy.formats import FloatFormat, float_format
from winograd.accuracy.measuring import pipeline
from winograd.accuracy.measuring.pipeline import run_tiles
from winograd.accuracy.orders import Order, axis_programs
from winograd.accuracy.protocol import STANDARD, ChannelSum, Experiment, FilterRounding
from winograd.accuracy.reference import direct_exact
from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import NestedAlgorithm, nest
from winograd.algebra.toom_cook import toom_cook
from winograd.codegen.interpret import Contraction
from winograd.codegen.lower import AxisPrograms
from winograd.codegen.program import Program

Array = NDArray[np.floating]
TRIALS = 4

EXPERIMENTS = [
    Experiment("textbook", channels=2),
    Experiment("fused", channels=3, contraction=Contraction.FUSED),
    Experiment("blocks", channels=3, channel_block=2, contraction=Contraction.FUSED),
    Experiment("once", contraction=Contraction.FUSED, filter_rounding=FilterRounding.ONCE),
]


@st.composite
def nests(draw: st.DrawFn) -> NestedAlgorithm:
    ndim = draw(st.integers(1, 3))
    return nest(*(draw(algorithms({1: 6}.get(ndim, MAX_TILE[ndim]))) for _ in range(ndim)))


def draw_inputs(
    nested: NestedAlgorithm, kind: str, channels: int, trials: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    shapes = (*nested.tile, channels, trials), (*nested.r, channels, trials)
    if kind == "uniform":
        return rng.uniform(-1, 1, shapes[0]), rng.uniform(-1, 1, shapes[1])
    if kind == "adversarial":
        signs = adversarial_signs(nested)
        data, filters = (rng.uniform(0.5, 1, shape) for shape in shapes)
        return data * signs[0][..., None, None], filters * signs[1][..., None, None]
    # Sizes from subnormal to normal in float16, zeros among them.
    data, filters = (rng.uniform(-1, 1, shape) * 2.0 ** rng.integers(-26, 1, shape) for shape in shapes)
    return data, filters


def largest_constant(nested: NestedAlgorithm, order: Order) -> Fraction:
    programs = [axis_programs(axis, order) for axis in nested.axes]
    nodes = [node for one in programs for program in (one.data, one.filter, one.inverse) for node in program.nodes]
    return max((abs(node.constant) for node in nodes if node.constant is not None), default=Fraction(0))


def exact_errors(result: Array, data: Array, filters: Array) -> Array:
    exact = direct_exact(data, filters)
    distances = np.frompyfunc(lambda x, y: abs(Fraction(float(x)) - y), 2, 1)(result, exact)
    return np.asarray(distances, dtype=np.float64)


@given(
    nests(),
    st.sampled_from(["float32", "float16"]),
    st.sampled_from(Order),
    st.sampled_from(EXPERIMENTS),
    st.sampled_from(["uniform", "adversarial", "subnormal"]),
    st.integers(0, 2**32 - 1),
)
def test_error_stays_under_the_worst_case_bound(
    nested: NestedAlgorithm, dtype: str, order: Order, experiment: Experiment, kind: str, seed: int
) -> None:
    data, filters = draw_inputs(nested, kind, experiment.channels, TRIALS, np.random.default_rng(seed))
    data, filters = data.astype(dtype), filters.astype(dtype)
    assume(largest_constant(nested, order) <= float_format(dtype).largest)
    bound = error_bound(nested, dtype, experiment.channels, order)
    with np.errstate(all="ignore"):
        result = run_tiles(nested, data, filters, order, experiment)
    assume(np.isfinite(result).all())  # the bound assumes no overflow
    errors = exact_errors(result, data, filters)
    assert np.all(errors <= bound.componentwise(data, filters))
    assert errors.max() <= bound.max_abs
    if dtype == "float32":  # nothing underflows
        axes = tuple(range(nested.ndim + 1))
        norms = (np.sqrt((x.astype(np.float64) ** 2).sum(axis=axes)) for x in (data, filters))
        assert np.all(errors.reshape(-1, TRIALS).max(axis=0) <= bound.norm_factor * np.prod(list(norms), axis=0))


MIXED = [
    ("float32", Experiment("float16 storage", channels=3, contraction=Contraction.FUSED, storage="float16")),
    ("float32", Experiment("bfloat16 storage", channels=5, channel_sum=ChannelSum.PAIRWISE, storage="bfloat16")),
    ("float32", Experiment("tf32 products", channels=2, filter_rounding=FilterRounding.ONCE, storage="tf32")),
    ("float16", Experiment("wider transforms", channels=2, transforms="float32")),
    ("bfloat16", Experiment("wide", transforms="float64", filter_rounding=FilterRounding.ONCE)),
    ("float32", Experiment("narrow outside", channels=2, interface="float16", storage="float16")),
    ("bfloat16", Experiment("all in bfloat16", channels=4, channel_block=2)),
    ("float16", Experiment("pairs", channels=7, channel_sum=ChannelSum.PAIRWISE)),
]


@given(
    nests(),
    st.sampled_from(Order),
    st.sampled_from(MIXED),
    st.sampled_from(["uniform", "adversarial", "subnormal"]),
    st.integers(0, 2**32 - 1),
)
def test_mixed_experiments_stay_under_their_bounds(
    nested: NestedAlgorithm, order: Order, mixed: tuple[str, Experiment], kind: str, seed: int
) -> None:
    dtype, experiment = mixed
    data, filters = inputs_on_grid(nested, dtype, experiment, kind, TRIALS, seed)
    assume(largest_constant(nested, order) <= float_format(dtype).largest)
    bound = error_bound(nested, dtype, order=order, experiment=experiment)
    with np.errstate(all="ignore"):
        result = run_tiles(nested, data, filters, order, experiment)
    assume(np.isfinite(result).all())  # the bound assumes no overflow
    errors = exact_errors(result, data, filters)
    assert np.all(errors <= bound.componentwise(data, filters))
    assert errors.max() <= bound.max_abs


def inputs_on_grid(
    nested: NestedAlgorithm, dtype: str, experiment: Experiment, kind: str, trials: int, seed: int
) -> tuple[Array, Array]:
    grid, fmt = float_format(experiment.interface or dtype), float_format(dtype)
    drawn = draw_inputs(nested, kind, experiment.channels, trials, np.random.default_rng(seed))
    data, filters = (grid.round(x).astype(fmt.dtype) for x in drawn)
    return data, filters


FORGOTTEN = {
    "storage": ("float32", Experiment("stored", storage="bfloat16"), {"stored_data": None, "stored_filter": None}),
    "outputs": ("float32", Experiment("outputs", interface="bfloat16"), {"outputs": ()}),
    "sums": ("float16", Experiment("sums", channels=64), {"depth": 1}),
}


@pytest.mark.parametrize("forgotten", FORGOTTEN)
def test_a_bound_that_forgets_one_stage_is_broken(monkeypatch: pytest.MonkeyPatch, forgotten: str) -> None:
    # An identity: what is forgotten is most of what there is.
    nested = nest(toom_cook(1, 1))
    dtype, experiment, changes = FORGOTTEN[forgotten]
    data, filters = inputs_on_grid(nested, dtype, experiment, "adversarial", 200, 0)
    errors = exact_errors(run_tiles(nested, data, filters, Order.LOWERED, experiment), data, filters)
    right = error_bound(nested, dtype, experiment=experiment)
    assert np.all(errors <= right.componentwise(data, filters))
    forget(monkeypatch, dtype, experiment, changes)
    assert np.any(errors > right.componentwise(data, filters))


def forget(monkeypatch: pytest.MonkeyPatch, dtype: str, experiment: Experiment, changes: dict[str, Any]) -> None:
    stages = rounding_stages.checked_stages(float_format(dtype), 1, experiment)
    monkeypatch.setattr(bounds, "checked_stages", lambda *_: replace(stages, **changes))


def test_an_experiment_sharpens_the_bound() -> None:
    nested = nest(*[toom_cook(4, 3)] * 2)
    any_order = error_bound(nested, channels=64)
    pairs = Experiment("pairs", channels=64, channel_sum=ChannelSum.PAIRWISE)
    assert error_bound(nested, experiment=pairs).max_abs < 0.6 * any_order.max_abs
    assert error_bound(nested, experiment=Experiment("in order", channels=64)).max_abs == any_order.max_abs
    stored = error_bound(nested, experiment=replace(pairs, storage="float16"))
    assert stored.max_abs > any_order.max_abs
    assert stored.digest != any_order.digest
    assert "pairs" in repr(stored)


def test_channels_that_contradict_the_experiment_are_refused() -> None:
    with pytest.raises(ValueError, match="channels is 2, must be the 64 of experiment layer"):
        error_bound(toom_cook(2, 3), channels=2, experiment="layer")
    with pytest.raises(ValueError, match="experiment is 'other'"):
        error_bound(toom_cook(2, 3), experiment="other")


def test_4096_channels_of_one_output_stay_under_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    axis, experiment = toom_cook(1, 3), Experiment("deep", channels=4096, contraction=Contraction.FUSED)
    data, filters = np.random.default_rng(0).uniform(0.5, 1, (2, 3, 4096, 2)).astype(np.float32)
    errors = exact_errors(run_tiles(nest(axis), data, filters, Order.LOWERED, experiment), data, filters)
    found = error_bound(axis, experiment=experiment)
    for bound in (error_bound(axis, channels=4096), found):
        assert np.all(errors <= bound.componentwise(data, filters))
    forget(monkeypatch, "float32", experiment, {"depth": 1})
    assert np.any(errors > found.componentwise(data, filters))


def largest_share(
    nested: NestedAlgorithm, dtype: str = "float32", kind: str = "adversarial", trials: int = 500
) -> float:
    """Return the largest error over bound of any output, in one channel."""
    data, filters = draw_inputs(nested, kind, 1, trials, np.random.default_rng(0))
    data, filters = data.astype(dtype), filters.astype(dtype)
    return share_of(nested, data, filters)


def share_of(nested: NestedAlgorithm, data: Array, filters: Array) -> float:
    errors = exact_errors(run_tiles(nested, data, filters, Order.LOWERED, STANDARD), data, filters)
    bound = error_bound(nested, data.dtype).componentwise(data, filters)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.where(errors == 0, 0, errors / bound).max())


@pytest.mark.parametrize("m", [2, 4, 6])
@pytest.mark.parametrize(("ndim", "share"), [(1, 0.08), (2, 0.01)])
def test_adversarial_signs_reach_a_good_part_of_the_bound(m: int, ndim: int, share: float) -> None:
    nested = nest(*[toom_cook(m, 3)] * ndim)
    assert share <= largest_share(nested, trials=2000 // m ** (2 * ndim - 1)) <= 1


def patch_programs(
    monkeypatch: pytest.MonkeyPatch, axis: BilinearAlgorithm, change: Callable[[Program], Program]
) -> None:
    right = axis_programs(axis, Order.LOWERED)
    wrong = AxisPrograms(data=change(right.data), filter=right.filter, inverse=right.inverse)
    monkeypatch.setattr(pipeline, "axis_programs", lambda *_: wrong)


def perturb_constant(program: Program) -> Program:
    """Change the first constant by 2^-16 of itself, 256 roundoffs."""
    place = next(place for place, node in enumerate(program.nodes) if node.constant is not None)
    node = program.nodes[place]
    assert node.constant is not None
    wrong = replace(node, constant=node.constant * (1 + Fraction(1, 2**16)))
    return replace(program, nodes=(*program.nodes[:place], wrong, *program.nodes[place + 1 :]))


def drop_instruction(program: Program) -> Program:
    """Return the first argument of the last instruction in its place."""
    last = program.inputs + len(program.nodes) - 1
    outputs = tuple(program.nodes[-1].args[0] if output == last else output for output in program.outputs)
    return replace(program, outputs=outputs)


@pytest.mark.parametrize("change", [perturb_constant, drop_instruction])
def test_a_wrong_program_breaks_the_bound(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[Program], Program]
) -> None:
    axis = toom_cook(4, 3)
    assert largest_share(nest(axis)) <= 1
    patch_programs(monkeypatch, axis, change)
    assert largest_share(nest(axis)) > 1


def test_a_bound_without_underflow_is_broken_by_subnormal_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    nested = nest(toom_cook(2, 3))
    assert largest_share(nested, "float16", "subnormal") <= 1
    monkeypatch.setattr(FloatFormat, "underflow", 0.0)
    bounds._axis_bound.cache_clear()
    share = largest_share(nested, "float16", "subnormal")
    bounds._axis_bound.cache_clear()
    assert share > 1


def test_a_bound_without_the_rounding_of_constants_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    # Two constants near 1 that are rounded down by almost u each.
    constant = 1 + Fraction(6549, 100 * 2**10)
    nested = nest(BilinearAlgorithm(m=1, r=1, at=[[constant]], g=[[constant]], bt=[[1 / constant**2]]))
    data, filters = np.random.default_rng(0).uniform(1, 1.4, (2, 1, 1, 20_000)).astype(np.float16)
    assert share_of(nested, data, filters) <= 1
    with_deviation = transform_bounds._multiplied
    fmt = float_format("float16")
    monkeypatch.setattr(
        transform_bounds, "_multiplied", lambda constant, *rest: with_deviation(fmt.rounded(constant), *rest)
    )
    bounds._axis_bound.cache_clear()
    share = share_of(nested, data, filters)
    bounds._axis_bound.cache_clear()
    assert share > 1


def test_a_bound_for_fewer_channels_is_broken_by_more() -> None:
    # Ones and a small number that every sum loses: the error grows with the channels.
    axis, channels = toom_cook(1, 1), 4096
    data, filters = np.ones((1, channels, 1), dtype=np.float16), np.ones((1, channels, 1), dtype=np.float16)
    data[0, 1:] = 2.0**-11
    with np.errstate(all="raise"):
        result = run_tiles(nest(axis), data, filters, Order.LOWERED, Experiment("sum", channels=channels))
    error = exact_errors(result, data, filters)
    assert np.all(error <= error_bound(axis, "float16", channels).componentwise(data, filters))
    few = error_bound(axis, "float16", channels=100)
    growth_of_few = few.componentwise(data[:, :100], filters[:, :100]).item() * 2
    assert error.item() > growth_of_few


def test_sums_longer_than_one_over_u_have_a_bound_that_is_finite_and_grows_with_their_length() -> None:
    # In bfloat16 a sum of ones stops at 256: 4096 of them lose 3840, and u is 2^-8.
    axis, channels = toom_cook(1, 1), 4096
    ones = np.ones((1, channels, 1), dtype=float_format("bfloat16").dtype)
    for kind in ChannelSum:
        experiment = Experiment("ones", channels=channels, channel_sum=kind)
        result = run_tiles(nest(axis), ones, ones, Order.LOWERED, experiment)
        found = error_bound(axis, "bfloat16", experiment=experiment)
        assert exact_errors(result, ones, ones).item() <= found.componentwise(ones, ones).item()
        assert found.max_abs <= channels**2 * 2.0**-8 * (1 + 2.0**-27)
    for dtype in ("bfloat16", "float64"):
        for count in (10**9, 2**53):
            bound = error_bound(nest(axis, toom_cook(2, 3)), dtype, channels=count)
            assert all(np.isfinite([bound.max_abs, bound.norm_factor, bound.predicted_relative_l2]))
    with pytest.raises(ValueError, match=r"^channels is 9007199254740993, must be at most 9007199254740992$"):
        error_bound(axis, channels=2**53 + 1)


def test_cancellation_keeps_the_absolute_bound() -> None:
    nested = nest(*[toom_cook(4, 3)] * 2)
    data = np.full((6, 6, 1, 1), 0.7, dtype=np.float32)
    filters = np.array([1, -2, 1, 0, 0, 0, -1, 2, -1], dtype=np.float32).reshape(3, 3, 1, 1)
    errors = exact_errors(run_tiles(nested, data, filters, Order.LOWERED, STANDARD), data, filters)
    assert 0 < errors.max() <= error_bound(nested).componentwise(data, filters).max()


def test_direct_convolution_has_the_bound_of_a_sum_of_products() -> None:
    # m = 1: three products, two sums; (1 + u)^3 - 1 for the earliest product.
    u = 2.0**-24
    assert error_bound(toom_cook(1, 3)).max_abs == pytest.approx(3 * 3 * u, rel=0.2)


@pytest.mark.parametrize("experiment", [None, Experiment("outside", channels=2, interface="float16")], ids=str)
def test_trailing_axes_broadcast(experiment: Experiment | None) -> None:
    nested = nest(toom_cook(4, 3), toom_cook(2, 3))
    bound = error_bound(nested, channels=2, experiment=experiment)
    data, filters = np.random.default_rng(0).uniform(-1, 1, (2, 6, 4, 2, 5, 7))
    data, filters = data[..., :3, :1], filters[:3, :3, :, :1, :]
    whole = bound.componentwise(data, filters)
    assert whole.shape == (4, 2, 3, 7)
    for place in np.ndindex(3, 7):
        alone = bound.componentwise(data[..., place[0], 0], filters[..., 0, place[1]])
        np.testing.assert_allclose(whole[..., *place], alone, rtol=1e-12)
    np.testing.assert_allclose(bound.componentwise(data[..., 0, 0], filters[..., 0, :]), whole[..., 0, :], rtol=1e-12)


@pytest.mark.parametrize(
    ("data", "filters", "error", "message"),
    [
        ([[1.0], [1.0, 2.0]], np.ones((3, 1)), TypeError, "data is a list that is no array: "),
        (np.ones((4, 1)) * 1j, np.ones((3, 1)), TypeError, "data has dtype complex128, must be real numbers"),
        (np.ones((4, 1)), np.ones((3, 1), object), TypeError, "filters has dtype object, must be real numbers"),
        (np.ones((4, 1, 2)), np.ones((3, 1, 3)), ValueError, r"data ends in \(2,\), filters in \(3,\), must broadcast"),
        (np.ones(4), np.ones((3, 1)), ValueError, r"data of shape \(4,\), must begin with \(4, 1\)"),
    ],
)
def test_inputs_that_no_bound_is_of_are_refused(data: Any, filters: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{message}") as caught:
        error_bound(toom_cook(2, 3)).componentwise(data, filters)
    assert "\n" not in str(caught.value)


def test_lists_have_the_bound_of_arrays() -> None:
    bound = error_bound(toom_cook(2, 3))
    found = bound.componentwise([[1], [2], [3], [4]], [[1], [1], [1]])
    np.testing.assert_array_equal(found, bound.componentwise(np.arange(1.0, 5)[:, None], np.ones((3, 1))))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_storage_in_the_dtype_itself_rounds_nothing(dtype: str) -> None:
    plain = Experiment("plain", channels=3)
    same = replace(plain, storage=dtype, transforms=dtype, interface=dtype)
    nested, fmt = nest(toom_cook(4, 3)), float_format(dtype)
    assert error_bound(nested, dtype, experiment=same).max_abs == error_bound(nested, dtype, experiment=plain).max_abs
    rng = np.random.default_rng(0)
    data, filters = (fmt.round(rng.uniform(-1, 1, (size, 3, 5))) for size in (6, 3))
    computed = [run_tiles(nested, data, filters, Order.LOWERED, experiment) for experiment in (plain, same)]
    np.testing.assert_array_equal(*computed)


@pytest.mark.parametrize("channels", ["3", 1.5, True, None])
def test_channels_that_are_no_integer_are_refused(channels: object) -> None:
    with pytest.raises(TypeError, match=r"^channels is .*, must be an integer of at least 1"):
        error_bound(toom_cook(2, 3), channels=channels)  # type: ignore[arg-type]


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="channels is 0, must be at least 1"):
        error_bound(toom_cook(2, 3), channels=0)
    with pytest.raises(ValueError, match="overflows float16"):
        error_bound(toom_cook(2, 3, "0,1000,-1000,inf"), "float16")
    with pytest.raises(ValueError, match=r"data of shape \(3, 1\), must begin with \(4, 1\)"):
        error_bound(toom_cook(2, 3)).componentwise(np.ones((3, 1)), np.ones((3, 1)))


def test_bound_shows_itself_and_has_a_digest() -> None:
    first, second = error_bound(toom_cook(2, 3)), error_bound(toom_cook(2, 3), channels=2)
    assert "\n" not in repr(first)
    assert first.digest == error_bound(toom_cook(2, 3)).digest != second.digest
    assert first.predicted_relative_l2 < first.norm_factor


def test_bounds_of_other_sizes_are_those_of_inputs_of_that_size() -> None:
    nested = nest(toom_cook(4, 3), toom_cook(2, 3))
    for experiment in (None, Experiment("outside", channels=3, interface="float16", storage="float16")):
        bound = error_bound(nested, channels=3, experiment=experiment)
        for data, weights in ((1, 1), (2.0**-140, 3e4), (1e3, 0.25), (0, 1)):
            inputs, taps = np.full((*nested.tile, 3), float(data)), np.full((*nested.r, 3), float(weights))
            expected = bound.componentwise(inputs, taps).max()
            assert bound.up_to(data, weights) == pytest.approx(expected, rel=1e-12)
        assert bound.up_to(np.inf, 0) == bound.up_to(1, np.inf) == bound.up_to(1e200, 1e200) == np.inf
    bound = error_bound(nested)
    assert bound.up_to(10**400, 1) == np.inf
    for sizes, name in (((-1, 1), "data is -1"), ((1, float("nan")), "weights is nan")):
        with pytest.raises(ValueError, match=rf"^{name}, must not be negative$"):
            bound.up_to(*sizes)
    for wrong in ("5", None, True, np.ones(2)):
        with pytest.raises(TypeError, match=r"^weights is .*, must be a number$"):
            bound.up_to(1, wrong)  # type: ignore[arg-type]
