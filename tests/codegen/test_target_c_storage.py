"""16 bits in C: both conversions at every width, by instructions and by portable code; files that store in them."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from tests.codegen.c_files import BUILDS, SANITIZED, Transforms, flags_of, self_test
from winograd import emit, nest, toom_cook
from winograd.codegen.lower import Lowering
from winograd.codegen.nested import lower_nested

STORED = {"float16": np.dtype(np.float16), "bfloat16": np.dtype(ml_dtypes.bfloat16)}
IDENTITY = nest(toom_cook(1, 1))
EVERY = np.arange(2**16, dtype=np.uint32).astype(np.uint16)


def float32_numbers(dtype: np.dtype) -> np.ndarray:
    """Every stored number, the middle to the next one, the neighbours of both, and random bits of every kind."""
    stored = EVERY.view(dtype).astype(np.float32)
    upper = (EVERY + 1).astype(np.uint16).view(dtype).astype(np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        middles = ((stored.astype(np.float64) + upper.astype(np.float64)) / 2).astype(np.float32)
        near = [np.nextafter(x, np.float32(y)) for x in (stored, middles) for y in (-np.inf, np.inf)]
    bits = np.random.default_rng(2).integers(0, 2**32, 2**16, dtype=np.uint32).view(np.float32)
    tiny = np.array([65519.996, 65520, 65536, 3.4e38, 2**-25, 2**-149, 2**-133], np.float32)
    return np.concatenate([stored, middles, *near, bits, tiny, -tiny, np.array([np.inf, -np.inf, np.nan], np.float32)])


def same_numbers(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal bits, but any NaN is any quiet NaN of the same sign."""
    nan = np.isnan(b.astype(np.float32))
    bits = f"u{a.dtype.itemsize}"
    sign = a.view(bits) >> (8 * a.dtype.itemsize - 1) == b.view(bits) >> (8 * b.dtype.itemsize - 1)
    return bool(np.where(nan, np.isnan(a.astype(np.float32)) & sign, a.view(bits) == b.view(bits)).all())


@pytest.mark.parametrize(
    ("build", "dtype"),
    [
        *((build, "float16") for build in BUILDS),
        *((build, "bfloat16") for build in ("native", "avx512", "avx2", "128 bits", "scalar")),
    ],
)
def test_conversions_are_right_on_every_number(tmp_path, build: str, dtype: str) -> None:
    stored = STORED[dtype]
    compiled = Transforms(IDENTITY, tmp_path, *flags_of(build), dtype=dtype)
    wide = compiled.run("data", EVERY[None], (1,), "float32")[0]
    assert same_numbers(wide, EVERY.view(stored).astype(np.float32))
    numbers = float32_numbers(stored)
    narrow = compiled.run("inverse", numbers[None], (1,), "uint16")[0]
    with np.errstate(over="ignore", invalid="ignore"):
        assert same_numbers(narrow.view(stored), numbers.astype(stored))
    # Whole vectors at first and a part of one at last, of every length, are what one call after another has.
    for count in range(1, 40):
        some = compiled.run("data", EVERY[None, 0x3F80 : 0x3F80 + count], (1,), "float32")[0]
        assert some.tobytes() == wide[0x3F80 : 0x3F80 + count].tobytes()
        assert compiled.run("inverse", numbers[None, :count], (1,), "uint16")[0].tobytes() == narrow[:count].tobytes()
    # Filters are read one by one, not in vectors.
    finite = EVERY[np.isfinite(EVERY.view(stored).astype(np.float32))]
    u = compiled.run("filter", finite[None], (1,), "float32")[0]
    assert same_numbers(u, finite.view(stored).astype(np.float32))


@pytest.mark.parametrize("dtype", STORED)
def test_not_a_number_becomes_quiet(tmp_path, dtype: str) -> None:
    compiled = Transforms(IDENTITY, tmp_path, dtype=dtype)
    signalling = np.array([0x7F800001, 0xFFBFFFFF], np.uint32).view(np.float32)
    quiet = {"float16": 0x0200, "bfloat16": 0x0040}[dtype]
    assert (compiled.run("inverse", signalling[None], (1,), "uint16") & quiet).all()


@pytest.mark.parametrize("dtype", STORED)
def test_truncation_would_be_found(tmp_path, dtype: str) -> None:
    """The comparison can fail: rounding towards zero is not the rounding asked for."""
    numbers = float32_numbers(STORED[dtype])
    numbers = numbers[np.isfinite(numbers)]
    with np.errstate(over="ignore"):
        right = numbers.astype(STORED[dtype])
        away = np.abs(right.astype(np.float64)) > np.abs(numbers)
    right.view(np.uint16)[away] -= 1
    compiled = Transforms(IDENTITY, tmp_path, dtype=dtype)
    assert not same_numbers(compiled.run("inverse", numbers[None], (1,), "uint16")[0].view(STORED[dtype]), right)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("dtype", STORED)
def test_arithmetic_is_float32_and_rounds_once_more(tmp_path, dtype: str, transposed: bool) -> None:
    nested, lowering = nest(toom_cook(4, 3)), Lowering(fma=False, transposed=transposed)
    half = Transforms(nested, tmp_path, dtype=dtype, lowering=lowering)
    (tmp_path / "single").mkdir()
    single = Transforms(nested, tmp_path / "single", lowering=lowering)
    for stage in ("data", "filter", "inverse"):
        program = getattr(lower_nested(nested, lowering), stage)[0].program
        x = np.random.default_rng(3).standard_normal((program.inputs, 40)).astype(STORED[dtype])
        right = single.run(stage, x.astype(np.float32), (len(program.outputs),), "float32")
        if (stage == "inverse") is not transposed:
            y = half.run(stage, x.astype(np.float32), (len(program.outputs),), "uint16")
            assert y.tobytes() == right.astype(STORED[dtype]).tobytes()
        else:
            y = half.run(stage, x.view(np.uint16), (len(program.outputs),), "float32")
            assert y.tobytes() == right.tobytes()


@pytest.mark.parametrize(
    ("dtype", "build"),
    [
        ("float64", "avx512"),
        ("float16", "plain"),
        ("bfloat16", "scalar"),
        *((dtype, "native") for dtype in ("float32", "float16", "bfloat16")),
    ],
)
def test_convolutions_pass_under_the_sanitizers(tmp_path, dtype: str, build: str) -> None:
    source = emit(nest(toom_cook(4, 3)), "c", dtype=dtype).source
    done = self_test(source, tmp_path, *SANITIZED, *flags_of(build))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("dtype", "old", "new"),
    [
        ("float16", "0x0fffu + ", "0x1fffu + "),
        ("bfloat16", "bits + 0x7fffu", "bits + 0x0fffu"),
        ("float16", "magnitude << 13", "magnitude << 12"),
    ],
)
def test_a_broken_conversion_fails_its_self_test(tmp_path, dtype: str, old: str, new: str) -> None:
    source = emit(nest(toom_cook(4, 3)), "c", stage="all", dtype=dtype, lowering=Lowering(fma=False)).source
    assert source.count(old) == 1
    assert self_test(source, tmp_path).returncode == 0
    assert self_test(source.replace(old, new), tmp_path).returncode == 1
