"""The NumPy target: transforms and a convolution that need NumPy alone.

In: an algorithm. Out: a module for arrays of any dtype: exact with Python's integers and Fractions (dtype ``object``,
and integer arrays, which become that), rounded once per constant and operation in a floating dtype; with a self-test.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from winograd.codegen.targets.contract import Request, Stage, Target
from winograd.codegen.targets.straight_line import Transform, function, transforms
from winograd.codegen.tolerance import float64_tolerance

_PRELUDE = '''\
"""Convolution by {label} for NumPy, generated: y = inverse_transform(filter_transform(w) * data_transform(d)).

Arrays of dtype object are computed exactly with whatever numbers they hold; integers and booleans become Python
integers first. In a floating or complex dtype constants are rounded to it once.
"""

import itertools
from fractions import Fraction

import numpy as np

NAME = "{name}"
M = {m}
R = {r}
TILE = {tile}
RANKS = {ranks}


def filter_transform(w):
    """Map filters (..., *R) to (..., *RANKS)."""
    return _transform("w", w, R, {filter})


def data_transform(d):
    """Map tiles of data (..., *TILE) to (..., *RANKS)."""
    return _transform("d", d, TILE, {data})


def inverse_transform(p):
    """Map products, summed over channels, (..., *RANKS) to outputs (..., *M)."""
    return _transform("p", p, RANKS, {inverse})


def convolve(input, weight, padding=0):
    """Return the convolution (cross-correlation) of stride 1 of input (N, C, *sizes) with weight (K, C, *R).

    padding: zeros on both sides of every axis, one int or one per axis. Returns (N, K, *sizes + 2 * padding - R + 1) in
    the common dtype of both, object for integers; float16 is computed in float32 and rounded once.
    """
    x, w = (_exact_integers(np.asarray(value)) for value in (input, weight))
    dtype = np.result_type(x, w)
    padding = _checked(x, w, padding)
    work = np.result_type(dtype, np.float32) if dtype == np.float16 else dtype
    output = tuple(size + 2 * zeros - r + 1 for size, zeros, r in zip(x.shape[2:], padding, R))
    tiles = tuple(-(-size // m) for size, m in zip(output, M))
    u = filter_transform(w.astype(work))
    v = data_transform(_tiles(x.astype(work), padding, tiles))
    free = (slice(None), slice(None), *(None for _ in M))
    products = np.zeros((len(x), len(w), *tiles, *RANKS), work)
    for channel in range(x.shape[1]):
        products = products + u[None, :, channel][free] * v[:, None, channel]
    return _assembled(inverse_transform(products), output).astype(dtype)


def _checked(x, w, padding):
    axes = len(R)
    if x.ndim != axes + 2:
        raise ValueError(f"input has shape {{x.shape}}, must be (N, C) and {{axes}} sizes")
    if w.ndim != axes + 2 or w.shape[1:] != (x.shape[1], *R):
        raise ValueError(f"weight has shape {{w.shape}}, must be (K, {{x.shape[1]}}) and the taps {{R}}")
    zeros = (padding,) * axes if np.ndim(padding) == 0 else tuple(padding)
    if len(zeros) != axes or any(not isinstance(zero, (int, np.integer)) or zero < 0 for zero in zeros):
        raise ValueError(f"padding is {{padding!r}}, must be an integer of at least 0, or {{axes}} of them")
    for size, zero, r in zip(x.shape[2:], zeros, R):
        if size + 2 * zero < r:
            raise ValueError(f"input of sizes {{x.shape[2:]}} and padding {{zeros}} is smaller than the taps {{R}}")
    return tuple(int(zero) for zero in zeros)


def _tiles(x, padding, tiles):
    padded = np.zeros((*x.shape[:2], *(m * count + r - 1 for m, count, r in zip(M, tiles, R))), x.dtype)
    padded[(..., *(slice(zero, zero + size) for zero, size in zip(padding, x.shape[2:])))] = x
    windows = np.lib.stride_tricks.sliding_window_view(padded, TILE, tuple(range(2, x.ndim)))
    return windows[(slice(None), slice(None), *(slice(None, None, m) for m in M))]


def _assembled(y, output):
    axes = len(M)
    order = (0, 1, *(axis for n in range(axes) for axis in (2 + n, 2 + axes + n)))
    whole = tuple(m * count for m, count in zip(M, y.shape[2 : 2 + axes]))
    joined = y.transpose(order).reshape(*y.shape[:2], *whole)
    return joined[(..., *(slice(size) for size in output))]


def _transform(name, x, sizes, passes):
    x = _exact_integers(np.asarray(x))
    if x.shape[-len(sizes):] != sizes:
        raise ValueError(f"{{name}} has shape {{x.shape}}, its last axes must be {{sizes}}")
    constant = _constant(x.dtype)
    for axis, function in passes:
        x = np.stack(function(constant, *np.moveaxis(x, axis, 0)), axis)
    return x


def _exact_integers(x):
    return x.astype(object) if x.dtype.kind in "biu" else x


def _constant(dtype):
    if dtype.kind not in "Ofc":
        raise TypeError(f"dtype {{dtype}} has no arithmetic; use numbers")
    if dtype.kind == "O":
        return lambda p, q=1: Fraction(p, q) if q != 1 else p
    if dtype in (np.longdouble, np.clongdouble):
        return lambda p, q=1: dtype.type(p) / dtype.type(q)
    return lambda p, q=1: dtype.type(p / q)  # the division of Python's integers rounds once
'''

_SELF_TEST = """\
def _direct(x, w, padding):
    x = np.pad(x, ((0, 0), (0, 0), *((zero, zero) for zero in padding)))
    output = tuple(size - r + 1 for size, r in zip(x.shape[2:], R))
    y = np.zeros((len(x), len(w), *output), x.dtype)
    for tap in itertools.product(*map(range, R)):
        window = x[(..., *(slice(k, k + size) for k, size in zip(tap, output)))]
        y = y + np.einsum("nc...,kc->nk...", window, w[(..., *tap)])
    return y


def _self_test():
    generator = np.random.default_rng(0)
    failures = 0
    for extra in (0, 1, M[0]):
        padding = tuple((extra + n) % 3 for n in range(len(R)))
        sizes = tuple(tile + extra for tile in TILE)
        x = generator.integers(-{magnitude}, {above}, (2, 3, *sizes))
        w = generator.integers(-{magnitude}, {above}, (2, 3, *R))
        exact = convolve(x, w, padding).tolist() == _direct(x, w, padding).tolist()
        failures += not exact
        print(f"{{NAME}}: sizes {{sizes}}, padding {{padding}}: {{'exact' if exact else 'WRONG'}}")
    w = generator.integers(-{magnitude}, {above}, (16, *R))
    d = generator.integers(-{magnitude}, {above}, (16, *TILE))
    expected = inverse_transform(filter_transform(w) * data_transform(d)).astype(float)
    y = inverse_transform(filter_transform(w.astype(float)) * data_transform(d.astype(float)))
    error = np.abs(y - expected).max()
    allowed = {tolerance}  # derived from the operation counts and the magnitudes on the way
    failures += not error <= allowed
    decided = "" if allowed < 0.5 else ", which decides nothing"
    print(f"{{NAME}}: largest error {{error:.1e}} in float64, {{allowed:.1e}} allowed{{decided}}")
    return failures


if __name__ == "__main__":
    raise SystemExit(1 if _self_test() else 0)
"""

_MAGNITUDE = 9


def source(request: Request) -> str:
    """Return the text of the NumPy module."""
    nested = request.algorithm
    filter_, data, inverse = all_three = transforms(request.programs)
    prelude = _PRELUDE.format(
        label=nested.label,
        name=request.name,
        m=nested.m,
        r=nested.r,
        tile=nested.tile,
        ranks=nested.ranks,
        filter=filter_.calls(),
        data=data.calls(),
        inverse=inverse.calls(),
    )
    self_test = _SELF_TEST.format(
        magnitude=_MAGNITUDE, above=_MAGNITUDE + 1, tolerance=repr(float64_tolerance(nested, _MAGNITUDE))
    )
    comments = "".join(f"# {line}\n" for line in request.header)
    return "\n\n".join([comments + prelude, *_functions(all_three), self_test])


def _functions(all_three: Sequence[Transform]) -> list[str]:
    return [
        "\n".join(function(name, program, _constant, "np.zeros_like(x0)", first=["c"])) + "\n"
        for transform in all_three
        for name, program in transform.functions.items()
    ]


def _constant(constant: Fraction) -> str:
    numbers = (constant.numerator,) if constant.denominator == 1 else (constant.numerator, constant.denominator)
    return f"c({', '.join(map(str, numbers))})"


TARGET = Target(source=source, comment="#", range_dtype="float64", stages=(Stage.CONV,))
