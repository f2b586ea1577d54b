"""The tile of an FFT convolution: its passes compute the correlation, and its counts are those of its programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from math import prod

import numpy as np
import pytest

from winograd.algebra.fourier import gauss_fft, regular_fft
from winograd.codegen.fourier.forms import FftForm
from winograd.codegen.fourier.lines import Pass
from winograd.codegen.fourier.tile import FftTile, count_lines, data_passes, filter_passes, in_three, inverse_passes
from winograd.codegen.interpret import interpret

SIZES = [
    ((5,), (3,)),
    ((4,), (1,)),
    ((6, 6), (3, 3)),
    ((2, 3), (3, 2)),
    ((9, 8), (2, 5)),
    ((4, 2, 6), (3, 3, 3)),
    ((3, 5, 4), (3, 1, 3)),
    ((4, 1, 3), (3, 1, 3)),
    ((3, 4, 1), (3, 3, 1)),
    ((1, 6, 6), (1, 3, 3)),
    ((6, 1, 1), (3, 1, 1)),
    ((1, 1, 1), (1, 1, 1)),
    ((2, 2, 2), (4, 3, 4)),
]


def transformed(passes: Sequence[Pass], source: np.ndarray, inside: int, planes: int | None) -> np.ndarray:
    """Run passes over lines in float64; every plane has to be written, once."""
    buffer = np.full(inside, np.nan)
    outside = None if planes is None else np.full(planes, np.nan)
    for number, step in enumerate(passes):
        target = buffer if outside is None or number < len(passes) - 1 else outside
        for lines in step:
            for index in product(*map(range, lines.lengths)):
                values = [np.float64(source[place.at(index)]) for place in lines.reads]
                outputs = interpret(lines.program, values)
                for place, value in zip(lines.writes, outputs, strict=True):
                    assert target is buffer or np.isnan(target[place.at(index)])
                    target[place.at(index)] = value
        source = buffer
    return buffer if outside is None else outside


def products(tile: FftTile, v: np.ndarray, u: np.ndarray) -> np.ndarray:
    if tile.form is FftForm.GAUSS:
        return u * v
    first = tile.real_numbers
    complex_ = (v[first::2] + 1j * v[first + 1 :: 2]) * (u[first::2] + 1j * u[first + 1 :: 2])
    found = u * v
    found[first::2], found[first + 1 :: 2] = complex_.real, complex_.imag
    return found


def correlation(tile: FftTile, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    taps, outputs = in_three(tile.r), in_three(tile.m)
    found = np.empty(outputs)
    for place in product(*map(range, outputs)):
        window = tuple(slice(start, start + length) for start, length in zip(place, taps, strict=True))
        found[place] = (x[window] * w).sum()
    return found


def by_passes(tile: FftTile, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    inside = prod(tile.tile)
    v = transformed(data_passes(tile), x.ravel(), inside, tile.planes)
    u = transformed(filter_passes(tile), w.ravel(), inside, tile.planes)
    y = transformed(inverse_passes(tile), products(tile, v, u), inside, None)
    return y.reshape(in_three(tile.tile))[tuple(slice(m) for m in in_three(tile.m))]


def operands(tile: FftTile) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    return generator.standard_normal(in_three(tile.tile)), generator.standard_normal(in_three(tile.r))


def tolerance(tile: FftTile, x: np.ndarray, w: np.ndarray) -> float:
    """Return what rounding may do in float64: u of the norms for every rounding on the way, all added up."""
    passes = (*data_passes(tile), *filter_passes(tile), *inverse_passes(tile))
    steps = sum(max(len(lines.program.nodes) for lines in step) for step in passes)
    return float(steps * 2.0**-53 * np.linalg.norm(x) * np.linalg.norm(w))


@pytest.mark.parametrize("form", FftForm)
@pytest.mark.parametrize(("m", "r"), SIZES, ids=str)
def test_passes_compute_the_correlation(m: tuple[int, ...], r: tuple[int, ...], form: FftForm) -> None:
    tile = FftTile(m, r, form)
    x, w = operands(tile)
    assert np.abs(by_passes(tile, x, w) - correlation(tile, x, w)).max() <= tolerance(tile, x, w)


@pytest.mark.parametrize("form", FftForm)
def test_a_line_in_a_wrong_place_is_noticed(form: FftForm, monkeypatch: pytest.MonkeyPatch) -> None:
    tile = FftTile((4, 2, 6), (3, 3, 3), form)
    x, w = operands(tile)
    first, second, third = data_passes(tile)
    lines = third[1]
    swapped = replace(lines, reads=(*lines.reads[1::-1], *lines.reads[2:]))
    monkeypatch.setitem(globals(), "data_passes", lambda _: (first, second, (third[0], swapped, *third[2:])))
    assert np.abs(by_passes(tile, x, w) - correlation(tile, x, w)).max() > tolerance(tile, x, w)


@pytest.mark.parametrize("m", range(1, 8))
def test_multiplications_are_those_of_the_bilinear_algorithms(m: int) -> None:
    if m + 2 == 7:
        return  # its proof takes long
    assert FftTile((m,), (3,), "gauss").rank == (gauss_fft(m, 3).rank if m > 1 else 4)
    assert FftTile((m,), (3,), "regular").rank == (regular_fft(m, 3).rank if m > 1 else 5)


@pytest.mark.parametrize(("m", "r"), SIZES, ids=str)
def test_as_many_numbers_are_kept_as_the_tile_has(m: tuple[int, ...], r: tuple[int, ...]) -> None:
    regular, gauss = FftTile(m, r, "regular"), FftTile(m, r, "gauss")
    assert regular.planes == prod(regular.tile) == regular.real_numbers + 2 * regular.complex_numbers
    assert gauss.rank == gauss.planes == gauss.real_numbers + 3 * gauss.complex_numbers
    full = np.fft.fftn(np.random.default_rng(0).standard_normal(gauss.tile))
    assert gauss.real_numbers == np.isclose(full.imag, 0, atol=1e-9).sum()


def test_counts_are_those_of_all_lines() -> None:
    tile = FftTile((6, 6), (3, 3), "regular")
    assert tile.data_instructions == 8 * 20 + 2 * 20 + 3 * 52
    assert tile.inverse_instructions == count_lines(inverse_passes(tile))
    gauss = FftTile((6, 6), (3, 3), "gauss")
    # A sum for every complex number, and its negated part once more where a sum needs it as it is.
    assert gauss.complex_numbers <= gauss.data_instructions - tile.data_instructions <= 2 * gauss.complex_numbers
    assert gauss.inverse_instructions == tile.inverse_instructions + 2 * gauss.complex_numbers
    assert (gauss.reals.filter, gauss.reals.data, gauss.reals.products) == (94, 94, 94)


@pytest.mark.parametrize(
    ("m", "r", "form", "message"),
    [
        ((4,), (3, 3), "gauss", "must be for the same 1 to 3 axes"),
        ((4,) * 4, (3,) * 4, "gauss", "must be for the same 1 to 3 axes"),
        ((0, 4), (3, 3), "gauss", "must be at least 1 with tiles of at most 64"),
        ((63,), (3,), "gauss", "must be at least 1 with tiles of at most 64"),
        ((4,), (3,), "karatsuba", "form is 'karatsuba', must be one of regular, gauss"),
    ],
)
def test_sizes_out_of_range_are_refused(m: tuple[int, ...], r: tuple[int, ...], form: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FftTile(m, r, form)  # type: ignore[arg-type]
