"""The interpreter: what a `Program` means, exactly or in a dtype.

Values may be anything with +, - and *: Fractions, sympy expressions, NumPy arrays of any dtype. In a floating dtype
constants are rounded to it once, and every instruction rounds once; a multiply-add rounds once or twice by choice.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from enum import Enum
from fractions import Fraction
from typing import Any

import numpy as np

from winograd.codegen.program import Node, Op, Program


class Contraction(Enum):
    """How ``c * a + b`` rounds: once, as hardware FMA does, or after the product and after the sum."""

    FUSED = "fused"
    SEPARATE = "separate"


_WITHOUT_CONSTANT: dict[Op, Callable[..., Any]] = {Op.NEG: operator.neg, Op.ADD: operator.add, Op.SUB: operator.sub}
_FUSED = ("float16", "bfloat16", "float32")
_BELOW_FLOAT32 = np.uint64(2**29 - 1)
"""The bits of a float64 number that float32 has no room for."""
_LONG = frozenset({np.dtype(np.longdouble), np.dtype(np.clongdouble)})


def interpret(program: Program, inputs: Sequence[Any], contraction: Contraction = Contraction.SEPARATE) -> list[Any]:
    """Return the outputs of a program for the given inputs.

    Parameters
    ----------
    program : Program
    inputs : sequence
        One value per input: Fractions, sympy expressions, or arrays of one dtype (``object`` included) and shape.
    contraction : Contraction
        FUSED needs float16, bfloat16 or float32 arrays; see `multiply_add` for its rounding.

    Returns
    -------
    list
        One value per output, exact for exact inputs, else rounded to the dtype of the inputs.

    Raises
    ------
    ValueError
        For a wrong number of inputs.
    TypeError
        For FUSED with another dtype, integer arrays included when a constant is not an integer.

    Examples
    --------
    >>> program = Program(inputs=2, nodes=(Node(Op.FMA, (0, 1), Fraction(1, 3)),), outputs=(2,))
    >>> interpret(program, [Fraction(3), Fraction(1)])
    [Fraction(2, 1)]
    """
    if len(inputs) != program.inputs:
        raise ValueError(f"{len(inputs)} inputs given, the program has {program.inputs}")
    dtype = _float_dtype(inputs)
    if contraction is Contraction.FUSED and (dtype is None or dtype.name not in _FUSED):
        raise TypeError(f"fused evaluation of {dtype}, only float16, bfloat16 and float32 are emulated")
    constant = _exact if dtype is None else _rounder(dtype)
    values = list(inputs)
    for node in program.nodes:
        values.append(_evaluate(node, values, constant, contraction))
    return [values[output] for output in program.outputs]


def multiply_add(a: Any, b: Any, c: Any) -> Any:
    """Return a * b + c rounded once, as hardware FMA does, for float16, bfloat16 or float32 numbers of one dtype.

    The product is exact in float64, and the sum rounds there first. So the error is at most u |x| (1 + 2^-28), not
    u |x|: twice in a row rounds wrongly only where the exact x lies within 2^-53 |x| of the middle between two numbers.
    In float16 it never does, because its numbers are too few.

    Examples
    --------
    >>> x = np.float32(1 + 2**-12)
    >>> float(multiply_add(x, x, np.float32(-1 - 2**-11))) == 2.0**-24
    True
    """
    wide = a.astype(np.float64) * b.astype(np.float64) + c.astype(np.float64)
    return narrowed(wide, c.dtype)


def narrowed(values: Any, dtype: np.dtype[Any]) -> Any:
    """Return float64 numbers rounded to a narrower dtype, once where they are normal numbers of it.

    Casts to bfloat16 go through float32. Before them all that float32 cannot hold is gathered in its last bit, which
    leaves the second rounding what the first one would have needed to know (rounding to odd).

    Examples
    --------
    >>> float(narrowed(np.float64(1 + 2**-11 + 2**-40), np.dtype(np.float16)))
    1.0009765625
    """
    if dtype.kind == "f":  # NumPy's own; bfloat16 is of kind V, and its name takes long to ask for
        return values.astype(dtype)
    bits = np.asarray(values).view(np.uint64)
    lost = bits & _BELOW_FLOAT32
    odd = np.where(lost != 0, (bits ^ lost) | (_BELOW_FLOAT32 + np.uint64(1)), bits).view(np.float64)
    return odd.astype(dtype)[()]


def _float_dtype(inputs: Sequence[Any]) -> np.dtype[Any] | None:
    dtypes = {value.dtype for value in inputs if isinstance(value, (np.ndarray, np.generic))}
    floats = {dtype for dtype in dtypes if dtype.kind not in "Oiub"}
    if len(floats) > 1:
        raise TypeError(f"inputs of dtypes {sorted(map(str, floats))}, must be one")
    return floats.pop() if floats else None


def _exact(constant: Fraction) -> Fraction | int:
    if not isinstance(constant, Fraction):  # an irrational number, as Fourier transforms have them
        return constant
    return constant.numerator if constant.denominator == 1 else constant


def _rounder(dtype: np.dtype[Any]) -> Callable[[Fraction], Any]:
    if dtype in _LONG:
        return lambda constant: dtype.type(constant.numerator) / dtype.type(constant.denominator)
    # float(Fraction) rounds correctly; a second rounding to a narrower dtype differs only in ties that no short
    # rational constant meets, and every target prints the same twice-rounded literal.
    return lambda constant: dtype.type(float(constant))


def _evaluate(node: Node, values: Sequence[Any], constant: Callable[[Fraction], Any], contraction: Contraction) -> Any:
    if node.op is Op.ZERO:
        return _zero_like(values[0])
    arguments = [values[argument] for argument in node.args]
    if node.constant is None:
        return _WITHOUT_CONSTANT[node.op](*arguments)
    factor = constant(node.constant)
    if node.op is Op.SCALE:
        return factor * arguments[0]
    a, b = arguments
    if contraction is Contraction.FUSED:
        return multiply_add(factor, a, b if node.op is Op.FMA else -b)
    return factor * a + b if node.op is Op.FMA else factor * a - b


def _zero_like(value: Any) -> Any:
    # Not value * 0, which is NaN for an infinite value.
    return np.zeros_like(value)[()] if isinstance(value, (np.ndarray, np.generic)) else value * 0
