"""Fourier tiles as members of the family: ranks, proofs, and what they look like."""

from __future__ import annotations

import pytest
import sympy

from winograd import nest
from winograd.algebra.bilinear import BilinearAlgorithm, ProofError, fraction_rows
from winograd.algebra.fourier import gauss_fft, regular_fft, symbolic_fourier


@pytest.mark.parametrize("tile", [2, 3, 4, 5, 6, 8, 10, 12])
def test_ranks_of_fourier_tiles(tile: int) -> None:
    reals = 2 - tile % 2
    pairs = (tile - reals) // 2
    m, r = (tile - 2, 3) if tile > 3 else (tile - 1, 2)
    assert regular_fft(m, r).rank == reals + 4 * pairs
    assert gauss_fft(m, r).rank == reals + 3 * pairs


def test_the_filter_transform_is_the_fourier_transform() -> None:
    # The rows of the real products evaluate the filter at 1 and -1, those of a complex one at a root of unity.
    algorithm = regular_fft(6, 3)
    at = algorithm.at
    assert list(at.col(0)) == [1] * 6
    assert list(at.col(1)) == [(-1) ** i for i in range(6)]
    cosines = [sympy.cos(2 * sympy.pi * i / 8) for i in range(6)]
    assert any(all(sympy.simplify(p - q) == 0 for p, q in zip(at.col(t), cosines, strict=True)) for t in range(2, 14))


def test_a_changed_cosine_is_refused() -> None:
    algorithm = gauss_fft(6, 3)
    broken = algorithm.bt.as_mutable()
    position = next(i for i, entry in enumerate(broken) if entry.has(sympy.sqrt(2)))
    broken[position] *= sympy.Rational(1001, 1000)
    with pytest.raises(ProofError):
        BilinearAlgorithm(m=6, r=3, at=algorithm.at, g=algorithm.g, bt=broken)


def test_sfc_6_has_ten_products_and_plain_transforms() -> None:
    algorithm = symbolic_fourier(6, 3)
    assert algorithm.rank == 10
    nested = nest(algorithm, algorithm)
    assert nested.rank == 100
    assert round(100 * nested.rank / (36 * 9), 1) == 30.9  # per cent of direct convolution
    for rows in (fraction_rows(algorithm.at.T), fraction_rows(algorithm.g)):
        for row in rows:  # one product: 0 and +-1 up to a factor
            assert len({abs(entry) for entry in row if entry}) == 1


@pytest.mark.parametrize("length", [3, 4, 6])
@pytest.mark.parametrize("extra", range(5))
def test_symbolic_fourier_fills_any_tile(length: int, extra: int) -> None:
    algorithm = symbolic_fourier(length + extra - 1, 2, length)
    assert algorithm.tile == length + extra
    algorithm.verify()


@pytest.mark.parametrize(
    ("arguments", "message"), [((4, 3, 5), "3, 4 or 6"), ((2, 3, 6), "shorter than the transform")]
)
def test_what_is_refused(arguments: tuple[int, int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        symbolic_fourier(*arguments)
