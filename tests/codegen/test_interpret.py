"""The interpreter: exact where inputs are exact, one rounding per instruction where they are not."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from winograd.algebra.toom_cook import toom_cook
from winograd.codegen.interpret import Contraction, interpret, multiply_add
from winograd.codegen.lower import lower_axis
from winograd.codegen.program import Node, Op, Program

THIRD = Fraction(1, 3)
FMA = Program(inputs=2, nodes=(Node(Op.FMA, (0, 1), THIRD),), outputs=(2,))
FMS = Program(inputs=2, nodes=(Node(Op.FMS, (0, 1), THIRD),), outputs=(2,))
float32s = st.floats(-(2.0**20), 2.0**20, width=32)


def test_exact_numbers_stay_exact() -> None:
    assert interpret(FMA, [Fraction(1, 7), Fraction(1)]) == [Fraction(22, 21)]
    a, b = sympy.symbols("a b")
    assert sympy.expand(interpret(FMA, [a, b])[0] - (a / 3 + b)) == 0
    array = np.array([Fraction(1, 7), 3], dtype=object)
    assert interpret(FMA, [array, array])[0].tolist() == [Fraction(4, 21), Fraction(4)]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble, np.complex64])
def test_results_stay_in_the_dtype_with_the_constant_rounded_to_it(dtype: type) -> None:
    one, zero = np.ones(1, dtype), np.zeros(1, dtype)
    [value] = interpret(FMA, [one, zero])
    assert value.dtype == dtype
    assert value[0] == dtype(1) / dtype(3)


@given(float32s, float32s)
def test_separate_rounds_the_product_and_the_sum(a: float, b: float) -> None:
    x, y, third = np.float32(a), np.float32(b), np.float32(1 / 3)
    assert interpret(FMA, [np.array(x), np.array(y)])[0] == np.float32(np.float32(third * x) + y)
    assert interpret(FMS, [np.array(x), np.array(y)])[0] == np.float32(np.float32(third * x) - y)


@given(float32s, float32s)
def test_fused_rounds_once(a: float, b: float) -> None:
    x, y = np.float32(a), np.float32(b)
    exact = Fraction(float(np.float32(1 / 3))) * Fraction(float(x)) + Fraction(float(y))
    fused = interpret(FMA, [np.array(x), np.array(y)], Contraction.FUSED)[0]
    # One rounding of the exact value to float32, up to the rounding of the sum in float64 before it.
    spacing = Fraction(float(np.spacing(np.abs(fused))))
    assert abs(Fraction(float(fused)) - exact) <= spacing / 2 + abs(exact) / 2**52


def test_fused_keeps_what_separate_loses() -> None:
    x, third = np.float32(1 + 2**-12), np.float32(1 / 3)
    product = third * x
    inputs = [np.array([x]), np.array([product])]
    lost = np.float64(third) * np.float64(x) - np.float64(product)
    assert lost != 0
    assert interpret(FMS, inputs, Contraction.SEPARATE)[0] == 0
    assert interpret(FMS, inputs, Contraction.FUSED)[0] == lost


@pytest.mark.parametrize("dtype", [np.float64, np.complex64, object, np.int64])
def test_fused_is_for_narrow_floats(dtype: type) -> None:
    with pytest.raises(TypeError, match="only float16, bfloat16 and float32"):
        interpret(FMA, [np.ones(1, dtype), np.ones(1, dtype)], Contraction.FUSED)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_number_of_inputs_must_match(count: int) -> None:
    with pytest.raises(ValueError, match=f"{count} inputs given, the program has 2"):
        interpret(FMA, [Fraction(1)] * count)


def test_one_dtype_at_a_time() -> None:
    with pytest.raises(TypeError, match=r"float32.*float64"):
        interpret(FMA, [np.ones(1, np.float32), np.ones(1, np.float64)])


@pytest.mark.parametrize("value", [np.array([np.inf]), np.float32(np.nan), np.array([np.inf], np.float16)])
def test_zero_is_zero_whatever_the_inputs_are(value: np.ndarray) -> None:
    [zero] = interpret(Program(inputs=1, nodes=(Node(Op.ZERO),), outputs=(1,)), [value])
    assert zero == 0
    assert zero.dtype == value.dtype


def test_arrays_are_not_changed() -> None:
    rows = list(np.arange(6, dtype=np.float32).reshape(6, 1))
    before = [row.copy() for row in rows]
    interpret(lower_axis(toom_cook(4, 3)).data, rows)
    assert all((row == old).all() for row, old in zip(rows, before, strict=True))


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_fused_in_16_bits_rounds_the_exact_value_once(name: str) -> None:
    dtype = np.dtype(pytest.importorskip("ml_dtypes").bfloat16 if name == "bfloat16" else name)
    digits = 8 if name == "bfloat16" else 11
    rng = np.random.default_rng(0)
    a, b = (rng.uniform(-4, 4, 2000).astype(dtype) for _ in range(2))
    fused = interpret(FMA, [a, b], Contraction.FUSED)[0]
    assert fused.dtype == dtype
    third = Fraction(float(dtype.type(1 / 3)))
    for x, y, value in zip(a.astype(float), b.astype(float), fused.astype(float), strict=True):
        exact = third * Fraction(x) + Fraction(y)
        unit = Fraction(2) ** (int(np.frexp(float(exact))[1]) - digits)
        assert Fraction(value) == round(exact / unit) * unit
    assert (fused != interpret(FMA, [a, b])[0]).any()


def test_fused_float32_rounds_twice_within_the_stated_excess() -> None:
    # Exactly 1 + 2^-24 + 2^-60: float64 loses the last bit, and the middle between two numbers goes to the even one.
    a, b, c = np.float32(1 + 2**-12), np.float32((1 - 2**-12 + 2**-24) * 2**-24), np.float32(1)
    exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
    assert exact == 1 + Fraction(1, 2**24) + Fraction(1, 2**60)
    fused = Fraction(float(multiply_add(a, b, c)))
    assert fused == 1
    assert abs(fused - exact) <= exact / 2**24 * (1 + Fraction(1, 2**28))
