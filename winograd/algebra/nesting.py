"""Nesting: one algorithm per axis, combined by Kronecker products into an algorithm for 1 to 3 axes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from math import prod

from winograd.algebra.bilinear import BilinearAlgorithm


@dataclass(frozen=True, slots=True)
class NestedAlgorithm:
    """One proved algorithm per axis, in (d, h, w) order; the law of the nest follows from the laws of the axes.

    Parameters
    ----------
    axes : tuple of BilinearAlgorithm
        One to three; they may differ.

    Raises
    ------
    TypeError, ValueError
        If an axis is not a BilinearAlgorithm, or there are none or more than three.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> nested = nest(toom_cook(2, 3), toom_cook(4, 3), toom_cook(4, 3))
    >>> nested.m, nested.r, nested.tile, nested.rank
    ((2, 4, 4), (3, 3, 3), (4, 6, 6), 144)
    """

    axes: tuple[BilinearAlgorithm, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.axes) <= 3:
            raise ValueError(f"{len(self.axes)} axes given, 1 to 3 are allowed")
        for position, axis in enumerate(self.axes):
            if not isinstance(axis, BilinearAlgorithm):
                raise TypeError(f"axis {position} is a {type(axis).__name__}, must be a BilinearAlgorithm")

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.axes)

    @property
    def m(self) -> tuple[int, ...]:
        """Outputs per axis."""
        return tuple(axis.m for axis in self.axes)

    @property
    def r(self) -> tuple[int, ...]:
        """Taps per axis."""
        return tuple(axis.r for axis in self.axes)

    @property
    def tile(self) -> tuple[int, ...]:
        """Inputs per axis."""
        return tuple(axis.tile for axis in self.axes)

    @property
    def ranks(self) -> tuple[int, ...]:
        """Multiplications per axis."""
        return tuple(axis.rank for axis in self.axes)

    @property
    def rank(self) -> int:
        """Number of multiplications, the product over the axes."""
        return prod(self.ranks)

    @property
    def digest(self) -> str:
        """SHA-256 over the digests of the axes, as hexadecimal text, the same in every process."""
        return hashlib.sha256("|".join(axis.digest for axis in self.axes).encode()).hexdigest()

    def verify(self) -> None:
        """Prove the law of every axis again; the nest's law is their product. Raises `ProofError`."""
        for axis in self.axes:
            axis.verify()

    def __repr__(self) -> str:
        return f"<{self.label}, {self.rank} multiplications>"

    @property
    def label(self) -> str:
        """Short name in the field's notation, such as F(2x4x4,3x3x3)."""
        return f"F({'x'.join(map(str, self.m))},{'x'.join(map(str, self.r))})"

    def _repr_latex_(self) -> str:
        return r"$\displaystyle " + r"\;\otimes\;".join(f"F({axis.m},{axis.r})" for axis in self.axes) + "$"


def nest(*axes: BilinearAlgorithm) -> NestedAlgorithm:
    """Combine one algorithm per axis, in (d, h, w) order, into a `NestedAlgorithm`; see there for what is raised."""
    return NestedAlgorithm(axes)


def as_nested(algorithm: BilinearAlgorithm | NestedAlgorithm) -> NestedAlgorithm:
    """Return the algorithm itself if it is nested, else the nest of that one axis.

    Raises
    ------
    TypeError
        If it is neither.
    """
    if isinstance(algorithm, NestedAlgorithm):
        return algorithm
    if isinstance(algorithm, BilinearAlgorithm):
        return NestedAlgorithm((algorithm,))
    raise TypeError(f"algorithm is a {type(algorithm).__name__}, must be a BilinearAlgorithm or a NestedAlgorithm")
