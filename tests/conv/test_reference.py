"""The reference backend: exact for Fractions and integers, rounded once for 16 bits, honest about Inf and NaN."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import Shape, algorithms, nested_algorithms, shapes
from winograd import conv1d, error_bound, nest, toom_cook
from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import NestedAlgorithm
from winograd.conv.arguments import ConvArguments
from winograd.conv.reference import convolve_reference
from winograd.conv.reference.convolve import Array, direct_ref
from winograd.conv.reference.taps import convolve_taps

F43 = toom_cook(4, 3)


def fractions(generator: np.random.Generator, sizes: tuple[int, ...]) -> Array:
    """Nonzero random Fractions, with too many digits to meet a wrong law by chance."""
    numerators = generator.integers(1, 10**6, sizes) * generator.choice([-1, 1], sizes)
    fraction = np.frompyfunc(lambda numerator, denominator: Fraction(int(numerator), int(denominator)), 2, 1)
    values: Array = fraction(numerators, generator.integers(1, 8, sizes))
    return values


def operands(generator: np.random.Generator, nested: NestedAlgorithm, shape: Shape) -> tuple[Array, Array, Array]:
    return (
        fractions(generator, (shape.batch, shape.channels, *shape.sizes)),
        fractions(generator, (shape.outputs, shape.channels, *nested.r)),
        fractions(generator, (shape.outputs,)),
    )


@settings(max_examples=40)
@given(data=st.data(), seed=st.integers(0, 2**32))
def test_fractions_equal_direct_convolution_exactly(data: st.DataObject, seed: int) -> None:
    nested = data.draw(nested_algorithms())
    shape = data.draw(shapes(nested, max_channels=2))
    input_, weight, bias = operands(np.random.default_rng(seed), nested, shape)
    result = convolve_reference(input_, weight, bias, algorithm=nested, padding=shape.padding)
    assert np.array_equal(result, direct_ref(input_, weight, bias, padding=shape.padding))


def flipped(axis: BilinearAlgorithm, name: str, entry: int) -> BilinearAlgorithm:
    """The algorithm with the sign of one coefficient flipped, past its proof."""
    matrix = sympy.Matrix(getattr(axis, name))
    matrix[entry] = -matrix[entry]
    broken = object.__new__(BilinearAlgorithm)
    for field in ("m", "r", "at", "g", "bt", "points"):
        object.__setattr__(broken, field, getattr(axis, field))
    object.__setattr__(broken, name, sympy.ImmutableMatrix(matrix))
    return broken


@given(data=st.data(), seed=st.integers(0, 2**32))
def test_a_flipped_coefficient_breaks_equality(data: st.DataObject, seed: int) -> None:
    axis = data.draw(algorithms())
    name = data.draw(st.sampled_from(["at", "g", "bt"]))
    entry = data.draw(st.sampled_from([place for place, value in enumerate(getattr(axis, name)) if value]))
    generator = np.random.default_rng(seed)
    input_, weight = fractions(generator, (1, 1, axis.tile)), fractions(generator, (1, 1, axis.r))
    result = convolve_reference(input_, weight, algorithm=flipped(axis, name, entry), padding=[(0, 0)])
    assert not np.array_equal(result, direct_ref(input_, weight, padding=[(0, 0)]))


SMALL = [(m, tile + 1 - m) for tile in range(1, 10) for m in range(1, tile + 1)]


@pytest.mark.parametrize(("m", "r"), SMALL)
def test_all_small_algorithms_are_exact_at_their_default_points(m: int, r: int) -> None:
    input_ = fractions(np.random.default_rng(0), (1, 2, 2 * m + r))
    weight = fractions(np.random.default_rng(1), (2, 2, r))
    result = convolve_reference(input_, weight, algorithm=toom_cook(m, r), padding=[(1, 0)])
    assert np.array_equal(result, direct_ref(input_, weight, padding=[(1, 0)]))


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint16])
def test_integers_are_exact_and_keep_their_dtype(dtype: type[np.integer]) -> None:
    generator = np.random.default_rng(0)
    input_, weight = (generator.integers(0, 4, sizes).astype(dtype) for sizes in ((2, 2, 7, 6), (2, 2, 3, 3)))
    result = convolve_reference(input_, weight, algorithm=nest(F43, F43), padding=[(1, 1)] * 2)
    assert result.dtype == dtype
    assert np.array_equal(result, direct_ref(input_, weight, padding=[(1, 1)] * 2))


def extremes(generator: np.random.Generator, dtype: np.dtype, sizes: tuple[int, ...]) -> Array:
    """Random integers from the whole range of the dtype, both ends of it among them."""
    limits = np.iinfo(dtype)
    values = generator.integers(limits.min, limits.max, sizes, dtype=dtype.newbyteorder("="), endpoint=True)
    values.flat[:2] = limits.min, limits.max
    return values.astype(dtype)


@pytest.mark.parametrize("dtype", [*np.typecodes["AllInteger"], ">i4", ">u8"])
def test_large_integers_wrap_around_as_their_dtype_does(dtype: str) -> None:
    generator, kind = np.random.default_rng(0), np.dtype(dtype)
    input_, weight = (extremes(generator, kind, sizes) for sizes in ((2, 3, 9, 7), (2, 3, 3, 3)))
    bias = extremes(generator, kind, (2,))
    padding = [(1, 1), (0, 2)]
    result = convolve_reference(input_, weight, bias, algorithm=nest(F43, toom_cook(2, 3)), padding=padding)
    exact = direct_ref(*(values.astype(object) for values in (input_, weight, bias)), padding=padding)
    assert result.dtype == kind
    assert np.abs(exact).max() > np.iinfo(kind).max
    assert not ((result.astype(object) - exact) % 2 ** (8 * kind.itemsize)).any()


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint64, np.int64])
def test_with_and_without_an_algorithm_integers_wrap_alike(dtype: type[np.integer]) -> None:
    line = np.full((1, 9), np.iinfo(dtype).max - 55, dtype)
    weight = np.full((1, 1, 3), np.iinfo(dtype).max - 55, dtype)
    assert np.array_equal(conv1d(line, weight, algorithm=toom_cook(2, 3)), conv1d(line, weight))


def test_objects_may_be_integers_of_any_size() -> None:
    line, weight = np.array([[[10**30, 1, -(10**20), 7]]], dtype=object), np.array([[[1, 2**70, 3]]], dtype=object)
    shape = ConvArguments(padding=1).shape(line.shape, weight.shape, dtype="object")
    expected = direct_ref(line, weight, padding=shape.padding)
    assert convolve_reference(line, weight, algorithm=F43, padding=shape.padding).tolist() == expected.tolist()
    assert convolve_taps(line, weight, None, shape).tolist() == expected.tolist()


def test_booleans_are_refused_by_name() -> None:
    ones = np.ones((1, 1, 5), dtype=bool)
    with pytest.raises(TypeError, match="input has dtype bool"):
        convolve_reference(ones, ones[..., :3], algorithm=toom_cook(2, 3), padding=[(0, 0)])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_stay_under_the_worst_case_bound(dtype: type[np.floating]) -> None:
    generator = np.random.default_rng(0)
    nested, channels = nest(F43, F43), 5
    input_ = generator.uniform(-1, 1, (2, channels, 9, 7)).astype(dtype)
    weight = generator.uniform(-1, 1, (3, channels, 3, 3)).astype(dtype)
    result = convolve_reference(input_, weight, algorithm=nested, padding=[(1, 1)] * 2)
    wide = np.longdouble
    exact = convolve_taps(
        input_.astype(wide), weight.astype(wide), None,
        ConvArguments(padding=1).shape(input_.shape, weight.shape, dtype="longdouble"),
    )  # fmt: skip
    # The bound counts an FMA as one rounding and the filter as rounded once. Here every instruction rounds: at most two
    # roundings for one, and a third stage beside two.
    bound = 3 * error_bound(nested, dtype=np.dtype(dtype).name, channels=channels).max_abs
    assert result.dtype == dtype
    assert np.abs(result - exact).max() <= bound


def test_float16_is_transformed_in_float32_and_rounded_once() -> None:
    generator = np.random.default_rng(0)
    nested = nest(F43, F43, F43)
    input_ = np.full((1, 1, 6, 6, 6), 70, dtype=np.float16) * generator.choice([-1, 1], (6, 6, 6)).astype(np.float16)
    weight = generator.uniform(-1, 1, (1, 1, 3, 3, 3)).astype(np.float16)
    result = convolve_reference(input_, weight, algorithm=nested, padding=[(0, 0)] * 3)
    exact = direct_ref(input_.astype(np.float64), weight.astype(np.float64), padding=[(0, 0)] * 3)
    bound = 70 * 3 * error_bound(nested, channels=1).max_abs + 2.0**-11 * np.abs(exact)
    assert result.dtype == np.float16
    assert np.isfinite(result).all()
    assert (np.abs(result - exact) <= bound).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [(5, 5), (0, 0), (0, 6), (10, 10)], ids=["centre", "corner", "edge", "last"])
def test_non_finite_values_reach_what_they_reach_directly_and_stay_in_their_tiles(
    value: float, place: tuple[int, int]
) -> None:
    generator = np.random.default_rng(0)
    input_, weight = generator.uniform(-1, 1, (1, 1, 11, 11)), generator.uniform(-1, 1, (1, 1, 3, 3))
    weight[0, 0, 1, 1] = 0  # Inf * 0 is NaN
    input_[0, 0, *place] = value
    with np.errstate(invalid="ignore"):
        ours = convolve_reference(input_, weight, algorithm=nest(F43, F43), padding=[(1, 1)] * 2)[0, 0]
        direct = direct_ref(input_, weight, padding=[(1, 1)] * 2)[0, 0]
    assert not np.isfinite(ours[~np.isfinite(direct)]).any()
    touched = tiles_reading(place)
    assert all(np.isfinite(ours[i, j]) or (i // 4, j // 4) in touched for i, j in product(range(11), repeat=2))
    assert touched != set(product(range(3), repeat=2))


def tiles_reading(place: tuple[int, int]) -> set[tuple[int, int]]:
    """Tiles of F(4,3), padding 1, whose six inputs per axis include the place."""
    axes = [[tile for tile in range(3) if 4 * tile - 1 <= index < 4 * tile + 5] for index in place]
    return set(product(*axes))


@pytest.mark.parametrize("algorithm", [nest(F43), nest(F43, F43, F43)])
def test_axes_must_match(algorithm: NestedAlgorithm) -> None:
    with pytest.raises(ValueError, match="same number"):
        convolve_reference(np.ones((1, 1, 5, 5)), np.ones((1, 1, 3, 3)), algorithm=algorithm, padding=[(0, 0)] * 2)


@given(
    stride=st.integers(1, 3), dilation=st.integers(1, 3), groups=st.integers(1, 3), padding=st.integers(0, 3),
    seed=st.integers(0, 2**32),
)  # fmt: skip
def test_taps_equal_direct_convolution_exactly(
    stride: int, dilation: int, groups: int, padding: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    input_ = generator.integers(-9, 9, (2, 2 * groups, 7, 8))
    weight, bias = generator.integers(-9, 9, (3 * groups, 2, 3, 2)), generator.integers(-9, 9, 3 * groups)
    shape = ConvArguments(stride, padding, dilation, groups).shape(input_.shape, weight.shape, dtype="int64")
    expected = direct_ref(
        input_, weight, bias,
        padding=shape.padding, stride=shape.stride, dilation=shape.dilation, groups=groups,
    )  # fmt: skip
    assert np.array_equal(convolve_taps(input_, weight, bias, shape), expected)


def test_direct_convolution_by_hand() -> None:
    line, weight = np.array([[[1, 2, 3, 4, 5]]]), np.array([[[1, 10]]])
    assert direct_ref(line, weight, padding=[(1, 0)], stride=[2]).tolist() == [[[10, 32, 54]]]
    assert direct_ref(line, weight, np.array([100]), padding=[(0, 0)], dilation=[3]).tolist() == [[[141, 152]]]


@pytest.mark.parametrize("dtype", [">f4", ">f8", ">i4"])
def test_the_order_of_bytes_stays_with_a_stride(dtype: str) -> None:
    line, weight = np.arange(7).reshape(1, 1, 7).astype(dtype), np.array([[[1, 10, 100]]]).astype(dtype)
    found = conv1d(line, weight, stride=2, algorithm=toom_cook(2, 2))
    assert found.dtype == line.dtype
    assert found.tolist() == [[[210, 432, 654]]]


def test_groups_of_several_images_are_convolved_tap_by_tap() -> None:
    numbers = np.random.default_rng(0).integers(-9, 10, 2 * 6 * 5 * 4 + 3 * 2 * 3 * 2)
    input, weight = numbers[:240].reshape(2, 6, 5, 4), numbers[240:].reshape(3, 2, 3, 2)
    arguments = ConvArguments(stride=(2, 1), padding=(1, 0), dilation=(1, 2), groups=3)
    shape = arguments.shape(input.shape, weight.shape, dtype="int64")
    expected = direct_ref(input, weight, padding=shape.padding, stride=(2, 1), dilation=(1, 2), groups=3)
    assert np.array_equal(convolve_taps(input, weight, None, shape), expected)
