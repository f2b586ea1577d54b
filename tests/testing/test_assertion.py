"""assert_within_bound: right kernels pass whatever their shape, dtype and inputs; the smallest wrong one does not."""

from __future__ import annotations

import re
import warnings
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from winograd import conv1d, conv2d, conv3d, error_bound, nest, toom_cook
from winograd.accuracy.measuring.pipeline import run_tiles
from winograd.accuracy.orders import Order
from winograd.accuracy.protocol import Experiment
from winograd.conv.reference import convolve_reference
from winograd.testing import assert_within_bound, nested_algorithms, shapes
from winograd.testing.convolution import Convolution, as_padding
from winograd.testing.tolerance import independent_tiles, tiles_beyond

F23, F43 = toom_cook(2, 3), toom_cook(4, 3)
F43_2D = nest(F43, F43)
OURS = {1: conv1d, 2: conv2d, 3: conv3d}
FAILURE = re.compile(
    r"output \[[\d, ]+\] is \S+, off by \S+, at most \S+ is allowed: worst case of F\(\S+\) in \w+, \d+ channels, "
    r"order lowered; \d+ of \d+ outputs are beyond"
)


def uniform(seed: int, *sizes: int, dtype: str = "float32") -> Any:
    return np.random.default_rng(seed).uniform(-1, 1, sizes).astype(dtype)


@given(st.data(), st.sampled_from(["float16", "float32", "float64"]), st.integers(0, 2**32 - 1))
def test_the_reference_backend_passes(data: st.DataObject, dtype: str, seed: int) -> None:
    nested = data.draw(nested_algorithms())
    shape = data.draw(shapes(nested))
    inputs = uniform(seed, shape.batch, shape.channels, *shape.sizes, dtype=dtype)
    weights = uniform(seed + 1, shape.outputs, shape.channels, *nested.r, dtype=dtype)
    result = convolve_reference(inputs, weights, algorithm=nested, padding=shape.padding)
    assert_within_bound(result, inputs, weights, nested, padding=shape.padding)


@given(st.data(), st.integers(0, 2**32 - 1))
def test_a_change_just_beyond_the_bound_is_refused_and_one_just_below_is_not(data: st.DataObject, seed: int) -> None:
    nested = data.draw(nested_algorithms())
    shape = data.draw(shapes(nested))
    inputs = uniform(seed, shape.batch, shape.channels, *shape.sizes, dtype="float64")
    weights = uniform(seed + 1, shape.outputs, shape.channels, *nested.r, dtype="float64")
    convolution = Convolution(inputs, weights, nested, shape.padding)
    exact, bound = convolution.float64(), convolution.bound(error_bound(nested, "float32", shape.channels))
    place = tuple(data.draw(st.tuples(*(st.integers(0, size - 1) for size in exact.shape))))
    sign = data.draw(st.sampled_from([-1, 1]))
    changed = exact.copy()
    changed[place] = exact[place] + 0.999 * sign * bound[place]
    assert_within_bound(changed, inputs, weights, nested, "float32", padding=shape.padding)
    changed[place] = exact[place] + 1.001 * sign * bound[place]
    if bound[place] > 0:  # outputs that read padding alone are exact
        with pytest.raises(AssertionError) as failure:
            assert_within_bound(changed, inputs, weights, nested, "float32", padding=shape.padding)
        assert FAILURE.fullmatch(str(failure.value))
        assert str(failure.value).startswith(f"output {[*place]} is ")


def test_bounds_of_a_whole_convolution_are_those_of_its_tiles() -> None:
    nested, bound = nest(F43, F23), error_bound(nest(F43, F23), "float32", 2)
    data, weights = uniform(0, 2, 2, 7, 6), uniform(1, 3, 2, 3, 3)
    found = Convolution(data.astype(np.float64), weights.astype(np.float64), nested, ((1, 1), (0, 0))).bound(bound)
    padded = np.pad(data, [(0, 0), (0, 0), (1, 3), (0, 0)])
    for image, output, i, j in np.ndindex(2, 3, 2, 2):
        tile = padded[image, :, 4 * i : 4 * i + 6, 2 * j : 2 * j + 4]
        alone = bound.componentwise(np.moveaxis(tile, 0, -1), np.moveaxis(weights[output], 0, -1))
        kept = found[image, output, 4 * i : 4 * i + 4, 2 * j : 2 * j + 2]
        np.testing.assert_allclose(kept, alone[: len(kept)], rtol=1e-13)


def test_many_outputs_are_bounded_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    data, weights = uniform(0, 2, 3, 9, 9), uniform(1, 5, 3, 3, 3)
    convolution = Convolution(data.astype(np.float64), weights.astype(np.float64), F43_2D, ((1, 1),) * 2)
    whole = convolution.bound(error_bound(F43_2D, channels=3))
    for values in (1, 36 * 3 * 2, 36 * 3 * 12):
        monkeypatch.setattr("winograd.testing.convolution._CHUNK_VALUES", values)
        np.testing.assert_allclose(convolution.bound(error_bound(F43_2D, channels=3)), whole, rtol=1e-13)


def test_another_algorithm_s_result_is_refused() -> None:
    # F(8,3) at poor points in place of F(2,3): sums of small integers that F(2,3) takes exactly.
    poor = toom_cook(8, 3, "0,1,-1,2,-2,3,-3,4,-4,inf")
    data, weights = uniform(0, 4, 8, 66), uniform(1, 8, 8, 3)
    result = conv1d(data, weights, algorithm=poor)
    assert_within_bound(result, data, weights, poor)
    with pytest.raises(AssertionError, match="worst case of F"):
        assert_within_bound(result, data, weights, F23)


@pytest.mark.parametrize("name", ["at", "g", "bt"])
def test_a_wrong_coefficient_is_refused(name: str) -> None:
    data, weights = uniform(0, 2, 3, 10, dtype="float64"), uniform(1, 2, 3, 3, dtype="float64")
    matrices = {key: np.array(getattr(F43, key).tolist(), dtype=np.float64) for key in ("at", "g", "bt")}
    matrices[name][1, 1] *= 1 + 2.0**-14
    tiles = np.lib.stride_tricks.sliding_window_view(data, 6, axis=2)[:, :, ::4]
    products = np.einsum("tj,nciJ,kcu,tu->nkit".replace("J", "j"), matrices["bt"], tiles, weights, matrices["g"])
    result = np.einsum("ot,nkit->nkio", matrices["at"], products).reshape(2, 2, 8)
    with pytest.raises(AssertionError, match="outputs are beyond"):
        assert_within_bound(result, data, weights, F43, "float32")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_tensors_of_every_dtype_pass_and_a_last_digit_too_far_does_not(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    data = (70 * torch.randn(1, 4, 9, 9, generator=generator)).to(dtype)
    weights = torch.randn(3, 4, 3, 3, generator=generator).to(dtype).requires_grad_()
    result = conv2d(data, weights, padding=1, algorithm=F43_2D)
    assert_within_bound(result, data, weights, F43_2D, padding=1)
    wrong = result.detach().clone()
    place = torch.unravel_index(wrong.abs().argmax(), wrong.shape)
    wrong[place] *= 1 + (2 if dtype.itemsize == 2 else 1000) * torch.finfo(dtype).eps
    with pytest.raises(AssertionError, match=re.escape(f"output {[int(i) for i in place]}")):
        assert_within_bound(wrong, data, weights, F43_2D, padding=1)


def test_the_last_rounding_overflows_where_it_must() -> None:
    data, weights = np.full((1, 8, 4), 100, np.float16), np.full((1, 8, 3), 30, np.float16)
    with np.errstate(over="ignore"):
        result = conv1d(data, weights, algorithm=F23)  # 72 000
    assert np.isposinf(result).all()
    assert_within_bound(result, data, weights, F23)
    with pytest.raises(AssertionError, match="is -inf, off by inf"):
        assert_within_bound(-result, data, weights, F23)
    with pytest.raises(AssertionError, match="is inf, off by inf"):
        assert_within_bound(result.astype(np.float32), data, weights, F23)


def test_arrays_of_bfloat16_pass() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    data, weights = (
        uniform(seed, *shape).astype(ml_dtypes.bfloat16) for seed, shape in ((0, (1, 2, 9)), (1, (1, 2, 3)))
    )
    wide = convolve_reference(*(x.astype(np.float32) for x in (data, weights)), algorithm=F43, padding=[(0, 0)])
    assert_within_bound(wide.astype(ml_dtypes.bfloat16), data, weights, F43)
    with pytest.raises(AssertionError):
        assert_within_bound(wide.astype(ml_dtypes.bfloat16).astype(np.float32), data, weights, F43)


def test_an_error_of_the_reference_never_decides() -> None:
    # One product of 53 digits by 53: float64 rounds it. Errors of its size are decided by Fractions.
    data, weights = np.array([[[1 + 2.0**-52]]]), np.array([[[1 + 2.0**-52]]])
    exact = Fraction(1 + 2.0**-52) ** 2
    direct = toom_cook(1, 1)
    bound = error_bound(direct, "float64").componentwise(data[0], weights[0]).item()
    for steps in range(-4, 5):
        value = 1 + (2 + steps) * 2.0**-52
        right = abs(Fraction(value) - exact) <= Fraction(bound)
        try:
            assert_within_bound(np.array([[[value]]]), data, weights, direct)
        except AssertionError:
            assert not right
        else:
            assert right


def test_total_cancellation_and_zeros_need_no_division() -> None:
    weights = np.array([[[1.0, -2.0, 1.0]]], dtype=np.float32)
    constant = np.full((1, 1, 8), 0.7, dtype=np.float32)
    assert_within_bound(conv1d(constant, weights, algorithm=F43), constant, weights, F43)
    zeros = np.zeros_like(constant)
    assert_within_bound(conv1d(zeros, weights, algorithm=F43), zeros, weights, F43)
    assert_within_bound(conv1d(zeros, weights, algorithm=F43), zeros, weights, F43, share=0.99)
    with pytest.raises(AssertionError, match=r"off by 1, .*; 1 of 6"):
        assert_within_bound(np.eye(1, 6, dtype=np.float32)[None], zeros, weights, F43)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_stay_in_their_tiles(value: float) -> None:
    data, weights = uniform(0, 1, 2, 11), uniform(1, 2, 2, 3)
    data[0, 1, 0] = value
    with np.errstate(invalid="ignore"):
        result = conv1d(data, weights, algorithm=F43)
    for share in (None, 0.999):
        assert_within_bound(result, data, weights, F43, share=share)
        hidden = result.copy()
        hidden[0, 0, 0] = 0  # direct convolution is not finite here
        with pytest.raises(AssertionError, match=r"output \[0, 0, 0\] is 0, off by inf"):
            assert_within_bound(hidden, data, weights, F43, share=share)
        spilt = result.copy()
        spilt[0, 1, 4] = value  # in a tile that reads no such value
        with pytest.raises(AssertionError, match=r"output \[0, 1, 4\] is -?(nan|inf), off by inf"):
            assert_within_bound(spilt, data, weights, F43, share=share)
        poisoned = result.copy()
        poisoned[0, 1, 3] = value  # its tile reads one, this output does not
        assert_within_bound(poisoned, data, weights, F43, share=share)


@pytest.mark.parametrize("share", [None, 0.9])
def test_inputs_that_are_not_finite_at_all_claim_nothing(share: float | None) -> None:
    data, weights = np.full((1, 2, 8), np.nan, np.float32), uniform(1, 2, 2, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_within_bound(np.full((1, 2, 6), np.nan, np.float32), data, weights, F43, share=share)
    with pytest.raises(AssertionError, match="is 0, off by inf"):
        assert_within_bound(np.zeros((1, 2, 6), np.float32), data, weights, F43, share=share)


@pytest.mark.parametrize("exponent", [-600, -300, 300, 600])
def test_the_quantile_knows_inputs_of_any_size(exponent: int) -> None:
    data, weights = uniform(0, 4, 8, 18, dtype="float64") * 2.0**exponent, uniform(1, 4, 8, 3, dtype="float64")
    result = conv1d(data, weights, algorithm=F43)
    assert_within_bound(result, data, weights, F43, share=0.99, experiment="standard")
    with pytest.raises(AssertionError, match="quantile"):
        assert_within_bound(result * (1 + 2.0**-40), data, weights, F43, share=0.99, experiment="standard")


def test_the_quantile_covers_its_share_and_refuses_what_the_worst_case_lets_pass() -> None:
    data, weights = uniform(0, 4, 64, 4, 4), uniform(1, 16, 64, 3, 3)
    f23 = nest(F23, F23)
    result = conv2d(data, weights, algorithm=f23)
    assert_within_bound(result, data, weights, f23, share=0.999)
    noisy = result + np.float32(2e-5) * np.sign(uniform(2, *result.shape))
    assert_within_bound(noisy, data, weights, f23)
    with pytest.raises(AssertionError, match=r"99.9000% quantile of F\(2x2,3x3\) .*, which 2 of 64 tiles may exceed"):
        assert_within_bound(noisy, data, weights, f23, share=0.999)


def test_the_quantile_scales_with_the_inputs_and_knows_the_last_rounding() -> None:
    data, weights = (100 * uniform(0, 2, 16, 8, 8)).astype(np.float16), (uniform(1, 4, 16, 3, 3) / 8).astype(np.float16)
    result = conv2d(data, weights, algorithm=F43_2D)
    assert result.dtype == np.float16
    normal = Experiment("normal", channels=1)
    assert_within_bound(result, data, weights, F43_2D, share=0.999)
    assert_within_bound(result, data, weights, F43_2D, share=0.999, experiment=normal)
    with pytest.raises(AssertionError, match="quantile"):
        assert_within_bound(result.astype(np.float32), data, weights, F43_2D, share=0.999)


@pytest.mark.parametrize("channels", [1, 64])
def test_a_right_kernel_passes_at_every_share_and_one_half_as_good_at_none(channels: int) -> None:
    data, weights = uniform(0, 16, channels, 10, 10), uniform(1, 24, channels, 3, 3)
    f23 = nest(F23, F23)
    result = conv2d(data, weights, algorithm=f23)
    exact = conv2d(data.astype(np.float64), weights.astype(np.float64), algorithm=f23)
    worse = exact + 2 * (result - exact)
    for share in (0.5, 0.9, 0.99, 0.999):
        # In NumPy every instruction rounds, those of the filter transform included.
        assert_within_bound(result, data, weights, f23, share=share, experiment="standard")
        with pytest.raises(AssertionError, match="quantile"):
            assert_within_bound(worse, data, weights, f23, "float32", share=share, experiment="standard")


@pytest.mark.parametrize("share", [0.9, 0.999])
@pytest.mark.parametrize("tiles", [1, 7, 1000])
def test_as_many_tiles_may_be_beyond_as_chance_has_it(tiles: int, share: float) -> None:
    most = tiles_beyond(tiles, share)
    drawn = np.random.default_rng(0).binomial(tiles, 1 - share, 200_000)
    # 5 standard deviations of a count of 200,000.
    slack = 5 * np.sqrt(share * (1 - share) / 200_000)
    assert np.mean(drawn > most) <= 1 - share + slack
    assert most == 0 or np.mean(drawn > most - 1) >= 1 - share - slack


@pytest.mark.parametrize(
    ("batch", "outputs", "channels"), [(1, 1024, 1), (1024, 1, 1), (32, 32, 1), (256, 8, 1), (1, 256, 16), (256, 1, 16)]
)
@pytest.mark.parametrize("m", [2, 8])
def test_a_right_kernel_is_refused_as_rarely_as_stated_whatever_its_tiles_share(
    m: int, batch: int, outputs: int, channels: int
) -> None:
    algorithm, count = nest(toom_cook(m, 3)), 60
    experiment = Experiment("any", channels=channels)
    refused = {0.9: 0, 0.99: 0, 0.999: 0}
    for seed in range(count):
        data, weights = uniform(2 * seed, batch, channels, m + 2), uniform(2 * seed + 1, outputs, channels, 3)
        tiles = np.repeat(np.moveaxis(data, (0, 1), (-1, -2)), outputs, axis=-1)
        filters = np.tile(np.moveaxis(weights, (0, 1), (-1, -2)), batch)
        result = run_tiles(algorithm, tiles, filters, Order.LOWERED, experiment)
        right = np.moveaxis(result, -1, 0).reshape(batch, outputs, m)
        for share in refused:
            try:
                assert_within_bound(right, data, weights, algorithm, share=share, experiment=experiment)
            except AssertionError:
                refused[share] += 1
    # Four standard deviations of a count of 60.
    assert all(n <= count * (1 - share) + 4 * (count * share * (1 - share)) ** 0.5 for share, n in refused.items())


def test_tiles_are_as_many_as_are_independent() -> None:
    def independent(batch: int, outputs: int, channels: int) -> int:
        data, weights = np.ones((batch, channels, 6)), np.ones((outputs, channels, 3))
        return independent_tiles(Convolution(data, weights, nest(F43), ((0, 0),)))

    assert independent(1, 1, 1) == 1
    assert (independent(1, 1024, 1), independent(1024, 1, 1)) == (6, 9)
    assert independent(2, 1, 1) == independent(1, 2, 1) == 2  # a single verdict of two would be stricter than two
    assert independent(32, 32, 10**6) == 1024
    assert independent(32, 32, 1) < independent(32, 32, 4) < independent(32, 32, 64) < 1024


DATA, WEIGHTS = uniform(0, 2, 3, 9, 9), uniform(1, 4, 3, 3, 3)
RESULT = conv2d(DATA, WEIGHTS, algorithm=F43_2D)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((RESULT[0], DATA, WEIGHTS, F43_2D), {}, ValueError, r"actual of shape \(4, 7, 7\), must be \(2, 4, 7, 7\)"),
        ((RESULT, DATA[0], WEIGHTS, F43_2D), {}, ValueError, r"data of shape \(3, 9, 9\), must have 4 axes"),
        ((RESULT, DATA, WEIGHTS[:, :2], F43_2D), {}, ValueError, r"weights of shape .*, must be \(K, 3, 3, 3\)"),
        ((RESULT, DATA, WEIGHTS, F43), {}, ValueError, "data of shape .*, must have 3 axes"),
        ((RESULT, DATA[:0], WEIGHTS, F43_2D), {}, ValueError, "must not be empty"),
        ((RESULT, DATA, WEIGHTS, "F(4,3)"), {}, TypeError, "algorithm is a str"),
        ((RESULT, DATA, WEIGHTS, F43_2D), {"padding": 1}, ValueError, "actual of shape"),
        ((RESULT, DATA, WEIGHTS, F43_2D), {"padding": -1}, ValueError, "padding is -1"),
        ((RESULT, DATA, WEIGHTS, F43_2D), {"padding": [1, 2, 3]}, ValueError, "padding is"),
        ((RESULT, DATA, WEIGHTS, F43_2D), {"padding": "same"}, ValueError, "padding is 'same'"),
        ((RESULT, DATA, WEIGHTS, F43_2D), {"padding": [[1], [1, 2]]}, ValueError, "padding is"),
        ((RESULT, DATA[..., :2], WEIGHTS, F43_2D), {}, ValueError, "smaller than the filter"),
        ((RESULT, DATA.astype(int), WEIGHTS, F43_2D), {}, ValueError, "data: dtype is int64"),
        ((RESULT, DATA, torch.ones(4, 3, 3, 3).int(), F43_2D), {}, ValueError, "weights: dtype is int32"),
        ((RESULT, DATA, WEIGHTS, F43_2D, "int8"), {}, ValueError, "dtype is int8"),
        ((RESULT, DATA, WEIGHTS, F43_2D), {"order": "random"}, ValueError, "order is 'random'"),
        ((RESULT, DATA, WEIGHTS, F43_2D), {"share": 1}, ValueError, "share is 1"),
        ((RESULT, DATA, WEIGHTS, F43_2D), {"share": float("nan")}, ValueError, "share is nan"),
        ((RESULT, DATA, WEIGHTS, F43_2D), {"share": "0.9"}, TypeError, "share is '0.9', must be a number"),
        ((RESULT, DATA, WEIGHTS, F43_2D), {"share": True}, TypeError, "share is True, must be a number"),
        (([[1.0], [2.0, 3.0]], DATA, WEIGHTS, F43_2D), {}, TypeError, "actual is a list that is no array"),
        (
            (RESULT.astype("float16"), DATA, WEIGHTS, F43_2D, "float16"),
            {"experiment": Experiment("x", storage="bfloat16")},
            ValueError,
            "storage of experiment x is bfloat16, must be numbers of dtype float16",
        ),
        (
            (RESULT, DATA, WEIGHTS, F43_2D),
            {"experiment": Experiment("x", transforms="bfloat16"), "share": 0.9},
            ValueError,
            "transforms of experiment x are bfloat16, must hold dtype float32",
        ),
        ((RESULT, DATA, WEIGHTS, F43_2D), {"share": 0.9, "experiment": "x"}, ValueError, "experiment is 'x'"),
    ],
)
def test_bad_arguments_are_named(
    arguments: tuple[Any, ...], options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        assert_within_bound(*arguments, **options)
    assert "\n" not in str(caught.value)


def test_padding_is_what_torch_and_tilings_take() -> None:
    assert as_padding(2, 3) == ((2, 2),) * 3
    assert as_padding((1, 0), 2) == ((1, 1), (0, 0))
    assert as_padding(((1, 0), (2, 3)), 2) == ((1, 0), (2, 3))


def test_warnings_of_the_caller_are_kept_and_inputs_unchanged() -> None:
    before = np.geterr(), DATA.copy(), RESULT.copy()
    assert_within_bound(RESULT, DATA, WEIGHTS, F43_2D)
    assert np.geterr() == before[0]
    assert np.array_equal(DATA, before[1])
    assert np.array_equal(RESULT, before[2])
