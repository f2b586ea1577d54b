"""Reductions of stride, dilation and large kernels: exact equality with direct convolution, counts, proof, refusals."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import product
from math import gcd, prod
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import axis_reductions, reduced_shapes, reduced_sizes
from winograd.algebra.bilinear import BilinearAlgorithm, ProofError
from winograd.algebra.reduction import (
    AxisReduction,
    Large,
    Piece,
    Progression,
    Reduction,
    reduce_axis,
    reduce_convolution,
)
from winograd.algebra.toom_cook import toom_cook
from winograd.conv.reference import convolve_reference
from winograd.conv.reference.convolve import direct_ref

Array = np.ndarray[Any, np.dtype[Any]]
Padding = Sequence[tuple[int, int]]


def numbers(shape: Sequence[int], seed: int = 0) -> Array:
    """Rationals, none of them zero, so that a wrong index shows."""
    generator = np.random.default_rng(seed)
    values = [Fraction(int(p), int(q)) for p, q in generator.integers(1, 60, (prod(shape), 2))]
    return np.array(values, dtype=object).reshape(shape)


def direct(reduction: Reduction, input: Array, weight: Array, padding: Padding) -> list[Any]:
    """Direct convolution by its definition, output by output."""
    stride, dilation = ([getattr(axis, name) for axis in reduction.axes] for name in ("stride", "dilation"))
    output: Array = direct_ref(input[None, None], weight[None, None], padding=padding, stride=stride, dilation=dilation)
    return output[0, 0].tolist()


def law_holds(reduction: Reduction, sizes: Sequence[int], padding: Padding) -> bool:
    input, weight = numbers(sizes, 1), numbers(reduction.taps, 2)
    return reduction.apply(input.tolist(), weight.tolist(), padding) == direct(reduction, input, weight, padding)


def unproved(axis: AxisReduction, *pieces: Piece) -> AxisReduction:
    """The axis with other pieces, past the proof."""
    wrong = replace(axis)
    object.__setattr__(wrong, "pieces", pieces)
    return wrong


@settings(max_examples=80)
@given(reduced_shapes())
def test_a_reduction_is_the_convolution(case: tuple[Reduction, Sequence[int], Padding]) -> None:
    reduction, sizes, padding = case
    assert law_holds(reduction, sizes, padding)
    for axis in reduction.axes:
        axis.verify()


@given(st.data())
def test_a_dropped_or_shifted_piece_breaks_the_law_and_the_proof(data: st.DataObject) -> None:
    axis = data.draw(axis_reductions())
    size, margin = data.draw(reduced_sizes(axis, 12))
    size += sum(margin) + axis.dilation * axis.stride  # no tap falls into the padding only, every piece has an output
    number = data.draw(st.integers(0, len(axis.pieces) - 1))
    piece, others = axis.pieces[number], axis.pieces[:number] + axis.pieces[number + 1 :]
    shifted = replace(piece, samples=replace(piece.samples, start=piece.samples.start + 1))
    assert law_holds(Reduction((axis,)), (size,), [(0, 0)])
    for pieces, message in (((*others, shifted), "reads its first sample"), (others, "taken by 0 pieces")):
        assert not law_holds(Reduction((unproved(axis, *pieces),)), (size,), [(0, 0)])
        with pytest.raises(ProofError, match=message):
            replace(axis, pieces=pieces)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"samples": Progression(3, 6)}, "piece 0 reads its first sample at 3, must be 0"),
        ({"samples": Progression(0, 3)}, "piece 0 reads samples in steps of 3, must be 6"),
        ({"taps": Progression(0, 1)}, "piece 0 takes taps so that samples step by 2, must be 6"),
        ({"taps": Progression(1, 3), "samples": Progression(2, 6)}, "piece 0 takes tap 7, there are 7"),
        ({"taps": Progression(3, 3), "samples": Progression(6, 6)}, "piece 0 takes tap 9, there are 7"),
        ({"outputs": Progression(2, 2), "samples": Progression(6, 6)}, "adds to its first output at 2, must be 0"),
        ({"algorithm": toom_cook(2, 2)}, "tap 6 of output 0 is taken by 0 pieces"),
        ({"outputs": Progression(1, 2), "samples": Progression(3, 6)}, "tap 0 of output 0 is taken by 0 pieces"),
    ],
)
def test_wrong_geometry_is_refused_with_the_piece_named(change: dict[str, Any], message: str) -> None:
    axis = reduce_axis(7, stride=3, dilation=2)
    with pytest.raises(ProofError, match=message):
        replace(axis, pieces=(replace(axis.pieces[0], **change), *axis.pieces[1:]))


def test_a_repeated_piece_is_refused() -> None:
    axis = reduce_axis(7, stride=2)
    with pytest.raises(ProofError, match="tap 0 of output 0 is taken by 2 pieces, must be by 1"):
        replace(axis, pieces=(*axis.pieces, axis.pieces[0]))


def test_verifying_again_proves_the_algorithms() -> None:
    algorithm = BilinearAlgorithm(m=1, r=2, at=[[1, 1]], g=[[1, 0], [0, 1]], bt=[[1, 0], [0, 1]])
    axis = reduce_axis(4, stride=2, m=1, family=lambda *_: algorithm)
    axis.verify()
    object.__setattr__(algorithm, "bt", sympy.ImmutableMatrix([[1, 1], [0, 1]]))
    with pytest.raises(ProofError, match=r"F\(1,2\)"):
        axis.verify()


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """A number that notes every multiplication by another of its kind; those by coefficients are free."""

    value: Fraction
    notes: list[None]

    def __mul__(self, other: object) -> Counted:
        if isinstance(other, Counted):
            self.notes.append(None)
            return replace(self, value=self.value * other.value)
        return replace(self, value=self.value * other)  # type: ignore[operator]

    def __add__(self, other: object) -> Counted:
        return replace(self, value=self.value + (other.value if isinstance(other, Counted) else other))  # type: ignore[operator]

    def __sub__(self, other: Counted) -> Counted:
        return replace(self, value=self.value - other.value)

    __rmul__, __radd__ = __mul__, __add__


def performed(reduction: Reduction, sizes: Sequence[int], padding: Padding) -> int:
    """Multiplications of data by weights that `Reduction.apply` performs."""
    notes: list[None] = []
    counted = np.vectorize(partial(Counted, notes=notes), otypes=[object])
    reduction.apply(counted(numbers(sizes)).tolist(), counted(numbers(reduction.taps)).tolist(), padding)
    return len(notes)


@given(reduced_shapes())
def test_the_count_is_that_of_the_multiplications_performed(case: tuple[Reduction, Sequence[int], Padding]) -> None:
    reduction, sizes, padding = case
    assert reduction.multiplications(sizes, padding) == performed(reduction, sizes, padding)


@given(axis_reductions())
def test_the_count_per_output_is_exact_where_no_tile_is_ragged(axis: AxisReduction) -> None:
    outputs = 12 * axis.dilation * prod({piece.algorithm.m for piece in axis.pieces})
    size = axis.span + axis.stride * (outputs - 1)
    assert axis.output(size) == outputs
    assert Fraction(axis.multiplications(size), outputs) == axis.multiplications_per_output


def test_counts_without_a_piece_differ() -> None:
    axis = reduce_axis(7, stride=2)
    wrong = Reduction((unproved(axis, axis.pieces[0]),))
    assert performed(wrong, (20,), [(3, 2)]) != Reduction((axis,)).multiplications((20,), [(3, 2)])
    assert wrong.multiplications_per_output != axis.multiplications_per_output


@pytest.mark.parametrize(
    ("taps", "stride", "dilation", "sizes", "padding"),
    [
        ((7, 4), (2, 1), (1, 3), (9, 8), ((3, 2), (4, 5))),
        ((2, 3), (1, 2), (2, 1), (5, 6), ((1, 0), (0, 2))),
    ],
)
def test_placements_are_all_that_a_backend_of_stride_1_needs(
    taps: Sequence[int], stride: Sequence[int], dilation: Sequence[int], sizes: Sequence[int], padding: Padding
) -> None:
    reduction = reduce_convolution(taps, stride, dilation)
    input, weight = numbers((2, 3, *sizes)), numbers((2, 3, *taps), 1)
    output = np.zeros((2, 2, *reduction.output(sizes, padding)), dtype=object)
    for piece, placements in reduction.placements(sizes, padding):
        output[:, :, *(placed.output for placed in placements)] += convolve_reference(
            input[:, :, *(placed.input for placed in placements)],
            weight[:, :, *piece.taps],
            algorithm=piece.algorithm,
            padding=[placed.padding for placed in placements],
        )
    expected = direct_ref(input, weight, padding=padding, stride=stride, dilation=dilation)
    assert (output == expected).all()


@given(axis_reductions())
def test_pieces_are_as_many_as_the_phases(axis: AxisReduction) -> None:
    common = gcd(axis.stride, axis.dilation)
    taps = {piece.taps.start % (axis.stride // common) for piece in axis.pieces}
    outputs = {piece.outputs.start for piece in axis.pieces}
    assert len(taps) == min(axis.taps, axis.stride // common)
    assert outputs == set(range(axis.dilation // common))


def test_stride_and_dilation_that_share_a_factor_cancel() -> None:
    assert len(reduce_axis(3, stride=2, dilation=2).pieces) == 1
    assert [piece.algorithm.r for piece in reduce_axis(5, stride=4, dilation=2).pieces] == [3, 2]
    assert [piece.outputs for piece in reduce_axis(3, stride=2, dilation=4).pieces] == [
        Progression(0, 2),
        Progression(1, 2),
    ]


@pytest.mark.parametrize(("taps", "limit", "parts"), [(17, 6, [6, 6, 5]), (7, 6, [4, 3]), (6, 6, [6]), (5, 1, [1] * 5)])
def test_splitting_is_as_equal_as_can_be(taps: int, limit: int, parts: list[int]) -> None:
    assert [piece.algorithm.r for piece in reduce_axis(taps, limit=limit).pieces] == parts


def test_any_family_will_do() -> None:
    at_other_points = reduce_axis(3, m=2, family=lambda m, r: toom_cook(m, r, list(range(m + r - 1))))
    assert at_other_points.pieces[0].algorithm == toom_cook(2, 3, [0, 1, 2, 3])


def test_reductions_are_values() -> None:
    stem = reduce_convolution((3, 7, 7), (1, 2, 2))
    assert stem == reduce_convolution((3, 7, 7), (1, 2, 2)) != reduce_convolution((3, 7, 7), (1, 2, 1))
    assert hash(stem) == hash(reduce_convolution((3, 7, 7), (1, 2, 2)))
    assert repr(reduce_axis(3)) == "<3 taps = F(4,3), 3/2 multiplications per output>"
    assert [piece.algorithm.r for piece in stem.pieces] == [(3, *rest) for rest in product((4, 3), repeat=2)]


def test_floats_and_shapes_that_do_not_fit_are_refused() -> None:
    plane = reduce_convolution((2, 2))
    ones = [[1, 1], [1, 1]]
    with pytest.raises(TypeError, match=r"input holds 0\.5, must hold exact numbers"):
        plane.apply([[1, 0.5], [1, 1]], ones, [(0, 0)] * 2)
    with pytest.raises(TypeError, match="weight is not nested deep enough"):
        plane.apply(ones, [1, 1], [(0, 0)] * 2)
    with pytest.raises(ValueError, match="input is ragged"):
        plane.apply([[1, 1], [1]], ones, [(0, 0)] * 2)
    with pytest.raises(ValueError, match="input is empty"):
        plane.apply([], ones, [(1, 1)] * 2)
    with pytest.raises(ValueError, match=r"weight has \(2, 1\) taps, must have \(2, 2\)"):
        plane.apply(ones, [[1], [1]], [(0, 0)] * 2)
    with pytest.raises(ValueError, match="sizes and padding are for 2 and 1 axes, must be for the 2 axes"):
        plane.apply(ones, ones, [(0, 0)])
    with pytest.raises(ValueError, match="padded input of 3 is smaller than the filter, which spans 7"):
        reduce_axis(3, dilation=3).output(1, 2, 0)
    with pytest.raises(ValueError, match="low is -1, must be at least 0"):
        reduce_axis(3).output(9, -1, 0)
    algebraic = reduce_axis(2, m=2, family=lambda m, r: toom_cook(m, r, [sympy.sqrt(2), -sympy.sqrt(2), "inf"]))
    with pytest.raises(NotImplementedError, match="not rational"):
        Reduction((algebraic,)).apply([1, 2], [1, 2], [(0, 0)])


def test_an_empty_axis_is_all_padding() -> None:
    assert Reduction((reduce_axis(3),)).apply([], [1, 2, 3], [(2, 2)]) == [0, 0]


@pytest.mark.parametrize("name", ["taps", "stride", "dilation", "m", "limit"])
@pytest.mark.parametrize("value", [0, -1, True, np.True_, 1.0, "3", None])
def test_only_positive_integers_are_sizes(name: str, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=rf"^{name} is .*, must be (an integer of )?at least 1$"):
        reduce_axis(**{"taps": 3, name: value})


def test_numpy_integers_are_sizes() -> None:
    assert reduce_axis(np.int64(3), np.int8(2), np.uint8(1), m=np.array(4)) == reduce_axis(3, 2)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"taps": 3, "m": 1000}, r"F\(1000,3\) has a tile of 1002, at most 64 is allowed"),
        ({"taps": 65, "limit": 100}, r"F\(4,65\) has a tile of 68"),
        ({"taps": 50, "m": 16, "large": Large.ITERATE}, r"F\(18,50\) has a tile of 67"),
        ({"taps": 9, "large": "cut"}, "'cut' is not a valid Large"),
        ({"taps": 9, "limit": 1, "large": Large.ITERATE}, "limit is 1, must be at least 2"),
        ({"taps": 10**9}, "reduction has 166666667 pieces, at most 4096 are allowed"),
        ({"taps": 10**9, "stride": 10**9}, "reduction has 1000000000 pieces"),
        ({"taps": 3, "dilation": 10**9}, "reduction has 1000000000 pieces"),
    ],
)
def test_what_is_too_large_is_refused_at_once(arguments: dict[str, Any], message: str) -> None:
    started = time.thread_time()  # of the processor: other work on the machine does not count
    with pytest.raises(ValueError, match=message):
        reduce_axis(**arguments)
    assert time.thread_time() - started < 2


def test_one_to_three_axes() -> None:
    axis = reduce_axis(3)
    for count in (0, 4):
        with pytest.raises(ValueError, match=f"{count} axes given, 1 to 3"):
            Reduction((axis,) * count)
    with pytest.raises(TypeError, match="axis 1 is a str, must be an AxisReduction"):
        Reduction((axis, "3"))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="stride is for 2 axes, must be for the 3 axes of taps"):
        reduce_convolution((3, 3, 3), stride=(1, 2))
    with pytest.raises(TypeError, match="taps is 3, must be one integer per axis"):
        reduce_convolution(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="reduction has 4913 pieces"):
        Reduction((reduce_axis(1, dilation=17),) * 3)
