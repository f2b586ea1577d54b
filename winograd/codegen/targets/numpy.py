"""The NumPy target: transforms and a convolution that need NumPy alone.

In: a request. Out: a module for arrays of any dtype: exact with Python's integers and Fractions (dtype ``object``, and
integer arrays, which become that), rounded once per constant and operation in a floating dtype, a multiply-add twice;
with a self-test.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from winograd.codegen.targets.contract import TRANSFORMS, Request, Target
from winograd.codegen.targets.python_file import Language, python_source
from winograd.codegen.targets.straight_line import Dialect

_NUMBERS: Final = """\
Arrays of dtype object are computed exactly where they hold int and Fraction; integers and booleans become Python
integers first. In a floating or complex dtype constants are rounded to it once, and every product and every sum rounds:
NumPy has no fused multiply-add.
"""

_TRANSFORM: Final = """\
def _transform(name, x, sizes, passes):
    x = _exact_integers(np.asarray(x))
    _check_sizes(name, x, sizes)
    constant = _constant(x.dtype)
    for axis, function in passes:
        x = np.stack(function(constant, *np.moveaxis(x, axis, 0)), axis)
    return x


def _exact_integers(x):
    return x.astype(object) if x.dtype.kind in "biu" else x


def _constant(dtype):
    if dtype.kind not in "Ofc":
        raise TypeError(f"dtype {dtype} has no arithmetic; use numbers")
    if dtype.kind == "O":
        return lambda p, q=1: Fraction(p, q) if q != 1 else p
    if dtype in (np.longdouble, np.clongdouble):
        return lambda p, q=1: dtype.type(p) / dtype.type(q)
    return lambda p, q=1: dtype.type(p / q)  # the division of Python's integers rounds once
"""

_PARTS: Final = '''\
def _operands(input, weight, bias):
    for name, value in (("input", input), ("weight", weight)):
        if value is None:
            raise TypeError(f"{name} is None, must be an array")
    operands = input, weight, bias
    arrays = [None if value is None else _exact_integers(np.asarray(value)) for value in operands]
    dtype = np.result_type(*(x for x in arrays if x is not None))
    work = np.result_type(dtype, np.float32) if dtype == np.float16 else dtype
    return [None if x is None else x.astype(work) for x in arrays], dtype


def _padded(x, below, above):
    """Return x with zeros around it; np.pad would put np.int64 numbers, which overflow, into an object array."""
    sizes = x.shape[2:]
    padded = np.zeros((*x.shape[:2], *(sum(parts) for parts in zip(below, sizes, above))), x.dtype)
    padded[(..., *(slice(zeros, zeros + size) for zeros, size in zip(below, sizes)))] = x
    return padded


def _windows(x):
    windows = np.lib.stride_tricks.sliding_window_view(x, TILE, tuple(range(2, x.ndim)))
    return windows[(slice(None), slice(None), *(slice(None, None, m) for m in M))]


def _summed(u, v):
    """Return the products (N, K, *counts, *RANKS), summed over channels one after another."""
    free = (slice(None), slice(None), *(None for _ in M))
    products = np.zeros((len(v), len(u), *v.shape[2:]), v.dtype)
    for channel in range(v.shape[1]):
        products = products + u[None, :, channel][free] * v[:, None, channel]
    return products
'''

_AGREES: Final = """\
def _integers(seed, *shape):
    return np.random.default_rng(seed).integers(-9, 10, shape)


def _agrees(label, expected, limits, function, *arguments):
    exact = function(*arguments).reshape(-1).tolist() == [value for value, scale in expected]
    with np.errstate(over="ignore", invalid="ignore"):
        y = function(*(x.astype(float) for x in arguments))
    error, (allowed, step) = _largest_error(y.reshape(-1).tolist(), expected), limits
    decides = allowed < step / 2
    remark = "" if decides else ", which decides nothing"
    print(f"{NAME}, {label}: {'exact' if exact else 'WRONG'} in integers and fractions;")
    print(f"  largest error {error:.1e} in float64, {allowed:.1e} allowed{remark}")
    return exact and (error <= allowed or not decides)
"""


def _constant(constant: Fraction) -> str:
    numbers = (constant.numerator,) if constant.denominator == 1 else (constant.numerator, constant.denominator)
    return f"c({', '.join(map(str, numbers))})"


NUMPY: Final = Language(
    title="NumPy",
    library="np",
    imports="import numpy as np",
    standard=("from fractions import Fraction",),
    numbers=_NUMBERS,
    convolution="the common dtype of all, object for integers; float16 is computed in float32 and rounded once.",
    integers="(int, np.integer)",
    permute="np.transpose",
    cast="astype",
    transform=_TRANSFORM,
    parts=_PARTS,
    agrees=_AGREES,
    dialect=Dialect(_constant, "np.zeros_like(x0)", first=("c",)),
)
"""What NumPy is to `python_source`."""


def source(request: Request) -> str:
    """Return the text of the NumPy module."""
    return python_source(request, NUMPY)


TARGET = Target(source=source, comment="#", range_dtype="float64", unfused=TRANSFORMS, machines=())
