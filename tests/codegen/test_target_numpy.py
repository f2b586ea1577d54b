"""The emitted NumPy module: exact convolution, complete guards, no need of anything but NumPy."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import nested_algorithms, shapes
from winograd.algebra.nesting import nest
from winograd.algebra.tiling import tile_axes
from winograd.algebra.toom_cook import toom_cook
from winograd.codegen.emit import emit
from winograd.codegen.kernel import Kernel
from winograd.codegen.module import python_module
from winograd.codegen.tolerance import float64_tolerance

F23 = python_module(emit(toom_cook(2, 3), "numpy"))
MIXED = nest(toom_cook(2, 3), toom_cook(4, 2))


def convolve_ref(x: np.ndarray, w: np.ndarray, padding: tuple[int, ...]) -> np.ndarray:
    """Return the convolution by its definition, one output at a time."""
    x = np.pad(x, ((0, 0), (0, 0), *((zero, zero) for zero in padding)))
    output = tuple(size - taps + 1 for size, taps in zip(x.shape[2:], w.shape[2:], strict=True))
    y = np.zeros((len(x), len(w), *output), dtype=object)
    for n, k, *at in product(*map(range, y.shape)):
        window = tuple(slice(start, start + taps) for start, taps in zip(at, w.shape[2:], strict=True))
        y[(n, k, *at)] = (x[(n, slice(None), *window)] * w[k]).sum()
    return y


def fractions(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    numerators, denominators = generator.integers(-9, 10, shape), generator.integers(1, 7, shape)
    return np.vectorize(lambda p, q: Fraction(int(p), int(q)), otypes=[object])(numerators, denominators)


@settings(max_examples=20)
@given(st.data())
def test_the_module_convolves_exactly(data: st.DataObject) -> None:
    nested = data.draw(nested_algorithms())
    shape = data.draw(shapes(nested, max_channels=2))
    generator = np.random.default_rng(data.draw(st.integers(0, 99)))
    x = fractions(generator, (shape.batch, shape.channels, *shape.sizes))
    w = fractions(generator, (shape.outputs, shape.channels, *nested.r))
    y = python_module(emit(nested, "numpy")).convolve(x, w, padding=shape.symmetric_padding)
    assert y.tolist() == convolve_ref(x, w, shape.symmetric_padding).tolist()


@pytest.mark.parametrize("padding", [0, 1, 2, 5])
@pytest.mark.parametrize("extra", range(5))
def test_geometry_is_that_of_the_other_backends(extra: int, padding: int) -> None:
    sizes = (3 + extra, 4 + extra)
    module = python_module(emit(MIXED, "numpy"))
    y = module.convolve(np.ones((1, 1, *sizes), int), np.ones((1, 1, *MIXED.r), int), padding=padding)
    assert y.shape[2:] == tile_axes(sizes, MIXED.m, MIXED.r, ((padding, padding),) * 2).output


def test_every_flipped_constant_breaks_the_module() -> None:
    kernel = emit(toom_cook(4, 3), "numpy")
    x, w = np.arange(1, 9).reshape(1, 1, 8) ** 2, np.array([[[2, 3, 5]]])
    right = convolve_ref(x, w, (1,)).tolist()
    assert python_module(kernel).convolve(x, w, padding=1).tolist() == right
    constants = [match for match in re.finditer(r"c\(-?\d", kernel.source) if "lambda" not in match.group()]
    assert len(constants) > 10
    for match in constants:
        sign = "" if match.group()[2] == "-" else "-"
        flipped = f"c({sign}{match.group().removeprefix('c(').removeprefix('-')}"
        source = kernel.source[: match.start()] + flipped + kernel.source[match.end() :]
        wrong = Kernel(target="numpy", name="wrong", source=source, algorithm=kernel.algorithm)
        assert python_module(wrong).convolve(x, w, padding=1).tolist() != right, match


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble", "complex64", "complex128"])
def test_floating_results_keep_the_dtype_and_are_close(dtype: str) -> None:
    generator = np.random.default_rng(0)
    x, w = generator.integers(-9, 10, (2, 3, 7, 9)), generator.integers(-9, 10, (2, 3, 3, 2))
    y = python_module(emit(MIXED, "numpy")).convolve(x.astype(dtype), w.astype(dtype), padding=(1, 0))
    expected = convolve_ref(x, w, (1, 0)).astype(float)
    assert y.dtype == np.dtype(dtype)
    # The bound of the self-test is for float64 and one channel; three channels add three of it and two roundings each.
    unit = np.finfo(np.float32 if dtype == "float16" else dtype).eps / np.finfo(float).eps
    bound = 3 * 2 * max(unit, 1) * float64_tolerance(MIXED, 9)
    final = np.abs(expected) * np.finfo(np.float16).eps if dtype == "float16" else 0
    assert (np.abs(y - expected) <= bound + final).all()


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int64", "uint64"])
def test_integers_are_exact_where_their_dtype_would_overflow(dtype: str) -> None:
    largest = 1 if dtype == "bool" else np.iinfo(dtype).max
    x, w = np.full((1, 2, 5), largest, dtype), np.full((1, 2, 3), largest, dtype)
    assert F23.convolve(x, w).tolist() == [[[6 * int(largest) ** 2] * 3]]


@pytest.mark.filterwarnings("ignore:overflow|invalid value:RuntimeWarning")
def test_float16_is_computed_in_float32() -> None:
    module = python_module(emit(toom_cook(6, 3, ["0", "1", "-1", "2", "-2", "3", "-3", "inf"]), "numpy"))
    x, w = np.array([[[1000, 1000, -1000, -1000] * 2]], np.float16), np.array([[[0.25, 0, -0.25]]], np.float16)
    assert not np.isfinite(module.data_transform(x)).all()
    assert module.convolve(x, w).tolist() == [[[500.0, 500.0, -500.0, -500.0, 500.0, 500.0]]]


@pytest.mark.parametrize(
    ("x", "w", "padding", "message"),
    [
        ((3, 5), (1, 3, 3), 0, r"input has shape \(3, 5\), must be \(N, C\) and 1 sizes"),
        ((1, 3, 5, 5), (1, 3, 3), 0, "input has shape"),
        ((1, 3, 5), (3, 3), 0, r"weight has shape \(3, 3\), must be \(K, 3\) and the taps \(3,\)"),
        ((1, 3, 5), (1, 2, 3), 0, "weight has shape"),
        ((1, 3, 5), (1, 3, 2), 0, "weight has shape"),
        ((1, 3, 5), (1, 3, 3), -1, "padding is -1, must be"),
        ((1, 3, 5), (1, 3, 3), (1, 1), r"padding is \(1, 1\), must be .* or 1 of them"),
        ((1, 3, 5), (1, 3, 3), 0.5, "padding is 0.5"),
        ((1, 3, 5), (1, 3, 3), True, "padding is True, must be"),
        ((1, 3, 5), (1, 3, 3), [False], r"padding is \[False\], must be"),
        ((1, 3, 2), (1, 3, 3), 0, "smaller than the taps"),
    ],
)
def test_wrong_arguments_are_named(x: tuple[int, ...], w: tuple[int, ...], padding: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        F23.convolve(np.zeros(x), np.zeros(w), padding=padding)


@pytest.mark.parametrize(("stage", "size"), [("filter_transform", 3), ("data_transform", 4), ("inverse_transform", 4)])
def test_transforms_guard_their_shape(stage: str, size: int) -> None:
    transform = getattr(F23, stage)
    assert transform(np.zeros((5, 0, size))).shape[:2] == (5, 0)
    for shape in ((), (size + 1,), (2, size - 1), (size, 1)):
        with pytest.raises(ValueError, match=re.escape(f"has shape {shape}, its last axes must be ({size},)")):
            transform(np.zeros(shape))
    with pytest.raises(TypeError, match="has no arithmetic"):
        transform(np.zeros(size, "datetime64[s]"))


def test_empty_batches_channels_and_outputs() -> None:
    for n, c, k in product((0, 2), repeat=3):
        y = F23.convolve(np.ones((n, c, 6), np.float32), np.ones((k, c, 3), np.float32))
        assert (y.shape, y.dtype) == ((n, k, 4), np.float32)
        assert (y == 3 * c).all()


def test_inputs_are_not_changed_and_may_be_lists() -> None:
    x = np.arange(6).reshape(1, 1, 6)
    before = x.copy()
    F23.convolve(x[:, :, ::-1], [[[1, 2, 3]]])
    assert (x == before).all()


@pytest.mark.parametrize(("old", "new"), [("-", "+"), ("+", "-")])
def test_the_self_test_can_fail(old: str, new: str, capsys: pytest.CaptureFixture[str]) -> None:
    right = emit(toom_cook(2, 3), "numpy").source
    source, count = re.subn(rf"(x\d+ = x\d+) [{old}] (x\d+)", rf"\1 {new} \2", right, count=1)
    assert count == 1
    with pytest.raises(SystemExit) as stopped:
        exec(compile(source, "wrong", "exec"), {"__name__": "__main__"})
    assert stopped.value.code == 1
    assert "WRONG" in capsys.readouterr().out


def test_a_bias_is_added_before_the_result_is_rounded() -> None:
    x, w, b = np.ones((2, 1, 5)), np.ones((3, 1, 3)), np.array([0, 1, 2])
    assert F23.convolve(x.astype(int), w.astype(int), b).tolist() == [[[3] * 3, [4] * 3, [5] * 3]] * 2
    # 2049 lies between two numbers of float16, and 2050 is one.
    halves = [np.array(values, np.float16) for values in ([[[1000, 1000, 49]]], [[[1, 1, 1]]], [1])]
    assert F23.convolve(*halves).tolist() == [[[2050.0]]]
    with pytest.raises(ValueError, match=r"bias has shape \(2,\), must be \(3,\)"):
        F23.convolve(x, w, b[:2])


@pytest.mark.parametrize("order", ["C", "F"])
def test_transforms_take_any_layout_and_lists(order: str) -> None:
    d = np.arange(32.0).reshape(2, 4, 4)
    module = python_module(emit(nest(toom_cook(2, 3), toom_cook(2, 3)), "numpy"))
    expected = module.data_transform(d)
    assert (module.data_transform(np.asarray(d, order=order)) == expected).all()
    assert (module.data_transform(d[:, ::-1, ::-1].copy()[:, ::-1, ::-1]) == expected).all()
    assert (module.data_transform(d.tolist()) == expected).all()


def test_what_is_left_out_is_named() -> None:
    with pytest.raises(TypeError, match="input is None, must be an array"):
        F23.convolve(None, np.zeros((1, 1, 3)))
    with pytest.raises(TypeError, match="weight is None, must be an array"):
        F23.convolve(np.zeros((1, 1, 4)), None)


@pytest.mark.parametrize("padding", [np.int64(1), (np.int8(1),), [1]])
def test_padding_may_be_any_integer(padding: object) -> None:
    x, w = np.arange(5).reshape(1, 1, 5), np.array([[[1, 2, 3]]])
    assert F23.convolve(x, w, padding=padding).tolist() == convolve_ref(x, w, (1,)).tolist()


def test_only_python_becomes_a_module() -> None:
    with pytest.raises(ValueError, match="kernel is c code; emit it for numpy or torch"):
        python_module(emit(toom_cook(2, 3), "c"))
