"""The parts of a generated Python file that do not depend on the algorithm.

Templates of `string.Template`: ``$library`` is the name of the library of arrays, the rest is said under each.
"""

from __future__ import annotations

from typing import Final

CONVOLVE: Final = '''\
def convolve(input, weight, bias=None, padding=0):
    """Return the convolution (cross-correlation) of stride 1 of input (N, C, *sizes) with weight (K, C, *R).

    bias: None, or what is added to each output, (K,). padding: zeros on both sides of every axis, one integer or one
    per axis. The result has the shape (N, K, *sizes + 2 * padding - R + 1) and
    $convolution
    """
    (x, w, b), dtype = _operands(input, weight, bias)
    padding = _checked_padding(x, w, b, padding)
    output = tuple(size + 2 * zeros - r + 1 for size, zeros, r in zip(x.shape[2:], padding, R))
    counts = tuple(-(-size // m) for size, m in zip(output, M))
    y = inverse_transform(_summed(filter_transform(w), data_transform(_tiles(x, padding, counts))))
    y = _assembled(y, output)
    return (y if b is None else y + b.reshape(-1, *(1 for _ in M))).$cast(dtype)
'''
"""``$cast``: the method that changes the dtype; ``$convolution``: which dtype the result has."""

GEOMETRY: Final = '''\
def _checked_padding(x, w, b, padding):
    axes = len(R)
    shapes = tuple(x.shape), tuple(w.shape)
    if len(shapes[0]) != axes + 2:
        raise ValueError(f"input has shape {shapes[0]}, must be (N, C) and {axes} sizes")
    if len(shapes[1]) != axes + 2 or shapes[1][1:] != (shapes[0][1], *R):
        raise ValueError(f"weight has shape {shapes[1]}, must be (K, {shapes[0][1]}) and the taps {R}")
    if b is not None and tuple(b.shape) != shapes[1][:1]:
        raise ValueError(f"bias has shape {tuple(b.shape)}, must be {shapes[1][:1]}")
    zeros = tuple(padding) if isinstance(padding, (tuple, list)) else (padding,) * axes
    counted = all(isinstance(zero, $integers) and type(zero) is not bool and zero >= 0 for zero in zeros)
    if len(zeros) != axes or not counted:
        raise ValueError(f"padding is {padding!r}, must be an integer of at least 0, or {axes} of them")
    if any(size + 2 * zero < r for size, zero, r in zip(shapes[0][2:], zeros, R)):
        raise ValueError(f"input of sizes {shapes[0][2:]} and padding {zeros} is smaller than the taps {R}")
    return zeros


def _tiles(x, padding, counts):
    """Return the tiles, which overlap by R - 1, (N, C, *counts, *TILE)."""
    sizes = tuple(m * count + r - 1 for m, count, r in zip(M, counts, R))
    above = tuple(size - zeros - held for size, zeros, held in zip(sizes, padding, x.shape[2:]))
    return _windows(_padded(x, padding, above))


def _assembled(y, output):
    """Return the tiles (N, K, *counts, *M) side by side, without what lies beyond the output."""
    axes = len(M)
    order = (0, 1, *(axis for n in range(axes) for axis in (2 + n, 2 + axes + n)))
    whole = tuple(m * count for m, count in zip(M, y.shape[2 : 2 + axes]))
    joined = $permute(y, order).reshape(*y.shape[:2], *whole)
    return joined[(..., *(slice(size) for size in output))]


$parts'''
"""``$integers``: the types of an integer; ``$permute``: the function that permutes axes; ``$parts``: the text of
``_operands``, ``_padded``, ``_windows`` and ``_summed``.
"""

CHECK_SIZES: Final = """

def _check_sizes(name, x, sizes):
    if tuple(x.shape[-len(sizes) :]) != sizes:
        raise ValueError(f"{name} has shape {tuple(x.shape)}, its last axes must be {sizes}")
"""

DIRECT: Final = '''\
def _direct(x, w):
    """Return the convolution by its definition."""
    output = tuple(size - r + 1 for size, r in zip(x.shape[2:], R))
    y = 0
    for tap in itertools.product(*map(range, R)):
        window = x[(..., *(slice(k, k + size) for k, size in zip(tap, output)))]
        y = y + $library.einsum("nc...,kc->nk...", window, w[(..., *tap)])
    return y
'''

CONVOLVE_CASES: Final = """\
def _cases():
    for extra in (0, 1, M[0]):
        padding = tuple((extra + n) % 3 for n in range(len(R)))
        sizes = tuple(tile + extra for tile in TILE)
        x, w, b = _integers(extra, 2, 3, *sizes), _integers(99, 2, 3, *R), _integers(98, 2)
        y = (_direct(_padded(x, padding, padding), w) + b.reshape(-1, *(1 for _ in M))).reshape(-1).tolist()
        expected = [(value, 1) for value in y]
        yield f"sizes {sizes}, padding {padding}", expected, _LIMITS, _padding_by(padding), x, w, b


def _padding_by(padding):
    return lambda x, w, b: convolve(x, w, b, padding)
"""

TILE_CASES: Final = """\
def _cases():
    d, w = _integers(0, 1, 3, *TILE), _integers(1, 4, 3, *R)
    expected = [(value, 1) for value in _direct(d, w).reshape(-1).tolist()]
    yield "a tile of 3 channels", expected, _LIMITS, _convolved, d, w


def _convolved(d, w):
    return inverse_transform((filter_transform(w) * data_transform(d)).sum(1))
"""

MATRIX_CASES: Final = '''\
def _cases():
    for function, sizes, limits, axes in _TRANSFORMS:
        matrices = [[[Fraction(entry) for entry in row.split()] for row in rows] for rows in axes]
        x = _integers(0, 2, *sizes)
        scale = _flat(_multiplied([[[abs(entry) for entry in row] for row in rows] for rows in matrices], _ones(sizes)))
        expected = [pair for tile in x.tolist() for pair in zip(_flat(_multiplied(matrices, tile)), scale)]
        yield f"{function.__name__}, errors as shares of a row's sum", expected, limits, function, x


def _ones(sizes):
    return [_ones(sizes[1:]) for _ in range(sizes[0])] if sizes else 1


def _multiplied(matrices, x):
    """Return nested lists, multiplied along every axis by its matrix."""
    if not matrices:
        return x
    inner = [_multiplied(matrices[1:], part) for part in x]
    return [_combined(row, inner) for row in matrices[0]]


def _combined(row, parts):
    if not isinstance(parts[0], (tuple, list)):
        return sum(factor * part for factor, part in zip(row, parts) if factor)
    return [_combined(row, column) for column in zip(*parts)]


def _flat(x):
    return [value for part in x for value in _flat(part)] if isinstance(x, list) else [x]
'''

SELF_TEST: Final = '''\
def _self_test():
    return all([_agrees(*case) for case in _cases()])


def _largest_error(got, expected):
    """Return the largest error, where right results come with the scale that errors are measured by."""
    errors = [float(abs(value - exact) / (scale or 1)) for value, (exact, scale) in zip(got, expected)]
    return max(errors) if all(error == error for error in errors) else float("nan")


if __name__ == "__main__":
    raise SystemExit(0 if _self_test() else 1)
'''
