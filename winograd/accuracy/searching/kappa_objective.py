"""Kappa of the members of a `Family` in float64, for many members at a time, whose numbers may be any reals.

In: sizes, a family, and arrays of outer knobs and of inner angles. Out: kappa of each, nan or inf where there is none.

Modulo a quadratic with the root z, a residue is a complex number. Three products Re(e^(-i alpha_t) x(z)) times
Re(e^(-i beta_t) w(z)) with beta_t - alpha_t = delta for all t give sum_t c_t (product t) = x(z) w(z) for one c only:
with phi_t = alpha_t + beta_t and E_t = e^(i phi_t), sum c_t = sum c_t E_t = 0 and sum c_t / E_t = 4. So such a block
has four inner angles, phi_1, phi_2, phi_3 and delta, and its share of kappa has a closed form.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from winograd.accuracy.searching.families import Family

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]


def kappas(m: int, r: int, family: Family, outer: Floats, inner: Floats) -> Floats:
    """Return kappa of members of a family.

    Parameters
    ----------
    m, r : int
        Outputs and taps.
    family : Family
        Of the tile m + r - 1.
    outer : float64 array of shape (N, len(family.outer))
        Numbers of the moduli.
    inner : float64 array of shape (N, family.blocks, 4)
        Angles phi_1, phi_2, phi_3, delta of each residue product.

    Examples
    --------
    >>> kappas(4, 3, Family(pairs=2, zero=1, infinity=1), np.array([[1.0, 2.0]]), np.empty((1, 0, 4))).round(3)
    array([10.773])
    """
    with np.errstate(all="ignore"):
        return _Members(family, outer).kappas(m, r, inner)


def knob_kappas(m: int, r: int, family: Family, knobs: Floats) -> Floats:
    """Return kappa of members of a family, given all their knobs: shape (N, len(family.roles)); a point may be inf.

    Examples
    --------
    >>> family = Family(pairs=1, zero=1, infinity=1, centred=1)
    >>> knob_kappas(4, 3, family, np.array([[1.0, 1.0, 0.0, 1.0, np.inf, 0.0]])).round(3)
    array([1.833])
    """
    split = len(family.outer)
    with np.errstate(all="ignore"):
        members = _Members(family, knobs[:, :split])
        inner = knobs[:, split:].reshape(len(knobs), family.blocks, 4)
        return members.kappas(m, r, members.angles(inner))


def inner_knobs(family: Family, outer: Floats, inner: Floats) -> Floats:
    """Return the points and slopes that give inner angles; both arrays have the shape (N, family.blocks, 4).

    Examples
    --------
    >>> family, outer = Family(pairs=1, zero=1, infinity=1, centred=1), np.array([[1.0, 1.0]])
    >>> inner_knobs(family, outer, np.array([[[0.0, 2.0, 4.0, 1.0]]])).round(2)
    array([[[-1.83, -0.07,  1.34, -0.64]]])
    """
    with np.errstate(all="ignore"):
        return _Members(family, outer).knobs(inner)


class _Members:
    """Members of a family, with what all figures of theirs need."""

    def __init__(self, family: Family, outer: Floats) -> None:
        self.points, middles, constants = moduli(family, outer)
        self.infinity = family.infinity
        self.of_points, self.of_quadratics = _shares(family)
        own = [index for index, _ in self.of_points]
        own += [self.points.shape[1] + index for index, _ in self.of_quadratics]
        self.cofactors = _cofactors(self.points, middles, constants, own)
        self.roots = roots(middles[:, : family.blocks], constants[:, : family.blocks])
        of_blocks = self.cofactors[:, len(self.of_points) : -1]
        self.values = np.zeros_like(self.roots)
        for degree in range(of_blocks.shape[2] - 1, -1, -1):
            self.values = self.values * self.roots + of_blocks[:, :, degree]

    def kappas(self, m: int, r: int, inner: Floats) -> Floats:
        total = (self.cofactors[:, -1] ** 2).sum(axis=1) * self.infinity
        for row, (index, times) in enumerate(self.of_points):
            total += times * point_share(m, r, self.points[:, index], self.cofactors[:, row])
        for block, (_, times) in enumerate(self.of_quadratics):
            cofactor = self.cofactors[:, len(self.of_points) + block]
            total += times * block_share(m, r, self.roots[:, block], self.values[:, block], cofactor, inner[:, block])
        return np.asarray(total / (m * r))

    def angles(self, inner: Floats) -> Floats:
        """Return phi and delta from points and slopes: the point p takes x to Re(e^(-i a) x(z)) up to its scale."""
        root = self.roots[:, :, None]
        at_points = np.arctan2(inner[:, :, :3] - root.real, root.imag)
        unit = np.angle(1 + inner[:, :, 3:] * root)
        known = -np.angle(self.values)[:, :, None]
        return np.concatenate([2 * at_points - known - unit, unit - known], axis=2)

    def knobs(self, inner: Floats) -> Floats:
        """Return points and slopes from phi and delta."""
        root = self.roots[:, :, None]
        known = -np.angle(self.values)[:, :, None]
        unit = inner[:, :, 3:] + known
        at_points = (inner[:, :, :3] + known + unit) / 2
        turned = np.exp(-1j * unit)
        slopes = -turned.imag / (turned * root).imag
        return np.concatenate([root.real + root.imag * np.tan(at_points), slopes], axis=2)


def moduli(family: Family, outer: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the finite points, and b and c of the quadratics, each with one row per member."""
    groups, pairs = np.split(outer[:, : family.groups + family.pairs], [family.groups], axis=1)
    rest = outer[:, family.groups + family.pairs :]
    points = [groups, -groups, 1 / groups, -1 / groups, pairs, -pairs, rest[:, : family.points]]
    points.append(np.zeros((len(outer), family.zero)))
    rest = rest[:, family.points :]
    centred, rest = rest[:, : family.centred], rest[:, family.centred :]
    middle, constant = rest[:, ::2], rest[:, 1::2]
    mirrored = -middle[:, : family.mirrored]
    middles = np.concatenate([np.zeros_like(centred), middle, mirrored], axis=1)
    constants = np.concatenate([centred, constant, constant[:, : family.mirrored]], axis=1)
    return np.concatenate(points, axis=1), middles, constants


def roots(middle: Floats, constant: Floats) -> Complexes:
    """Return the roots of x^2 + b x + c with positive imaginary part; nan where they are real.

    Examples
    --------
    >>> roots(np.array([0.0, 0.0]), np.array([4.0, -1.0]))
    array([ 0. +2.j, nan+nanj])
    """
    square = constant - middle**2 / 4
    return np.where(square > 0, -middle / 2 + 1j * np.sqrt(np.abs(square)), np.nan * 1j)


def point_share(m: int, r: int, point: Floats, cofactor: Floats) -> Floats:
    """Return the share of one finite point in m r kappa."""
    powers = point[:, None] ** (2 * np.arange(max(m, r)))
    square = (cofactor**2).sum(axis=1) / _evaluated(cofactor, point) ** 2
    return np.asarray(powers[:, :m].sum(axis=1) * powers[:, :r].sum(axis=1) * square)


def block_share(m: int, r: int, root: Complexes, value: Complexes, cofactor: Floats, inner: Floats) -> Floats:
    """Return the share of one quadratic in m r kappa.

    Parameters
    ----------
    root : complex128 array of shape (N,)
        Of the quadratic, imaginary part positive.
    value : complex128 array of shape (N,)
        The cofactor at the root.
    cofactor : float64 array of shape (N, degree + 1)
        The product of all other moduli, constant term first.
    inner : float64 array of shape (N, 4)
        phi_1, phi_2, phi_3, delta.
    """
    phi, delta = inner[:, :3], inner[:, 3:]
    turns = np.exp(1j * phi)
    second, third = np.roll(turns, 1, axis=1), np.roll(turns, 2, axis=1)
    results = 4 * turns * second * third / ((turns - second) * (turns - third)) / value[:, None]
    slope = results.imag / root.imag[:, None]
    constant = results.real - slope * root.real[:, None]
    same = (cofactor**2).sum(axis=1)[:, None]
    shifted = (cofactor[:, 1:] * cofactor[:, :-1]).sum(axis=1)[:, None]
    data = same * (slope**2 + constant**2) + 2 * shifted * slope * constant
    return np.asarray((_squares(m, root, phi - delta) * _squares(r, root, phi + delta) * data).sum(axis=1))


def _squares(size: int, root: Complexes, twice: Floats) -> Floats:
    """Return the squared length of the row that takes x to Re(e^(-i angle) x(root)), given twice the angle."""
    powers = root[:, None] ** np.arange(size)
    plain = (powers.real**2 + powers.imag**2).sum(axis=1)[:, None]
    turned = (powers**2).sum(axis=1)[:, None]
    return np.asarray((plain + (np.exp(-1j * twice) * turned).real) / 2)


def _evaluated(polynomial: Floats, at: Floats) -> Floats:
    value = np.zeros_like(at)
    for degree in range(polynomial.shape[1] - 1, -1, -1):
        value = value * at + polynomial[:, degree]
    return value


Shares = list[tuple[int, int]]
"""Indices of points or quadratics, and how many have the same share of kappa."""


def _shares(family: Family) -> tuple[Shares, Shares]:
    """Return which points and which quadratics have a share of their own, and how often it counts."""
    groups, paired = 4 * family.groups, 4 * family.groups + 2 * family.pairs
    alone = range(paired, paired + family.points + family.zero)
    # `moduli` lists c, -c, 1/c, -1/c and a, -a for all groups and all pairs at a time.
    quarter, half = family.groups, family.pairs
    halves = [*range(quarter), *range(2 * quarter, 3 * quarter), *range(groups, groups + half)]
    if family.is_symmetric:
        points = [(index, 2) for index in halves] + [(index, 1) for index in alone]
    else:
        points = [(index, 1) for index in range(alone.stop)]
    doubled = range(family.centred, family.centred + family.mirrored)
    return points, [(index, 1 + (index in doubled)) for index in range(family.blocks)]


def _cofactors(points: Floats, middles: Floats, constants: Floats, own: Sequence[int]) -> Floats:
    """Return products of all finite moduli but one, for each in ``own``, and the product of all, in the last row.

    Quadratics are numbered after the points. Shape (N, len(own) + 1, degree + 1), constant term first.
    """
    linear, quadratic = points.shape[1], middles.shape[1]
    products = np.zeros((len(points), len(own) + 1, linear + 2 * quadratic + 1))
    products[:, :, 0] = 1
    for factor in range(linear + quadratic):
        if factor < linear:
            grown = products * -points[:, factor, None, None]
            grown[:, :, 1:] += products[:, :, :-1]
        else:
            grown = products * constants[:, factor - linear, None, None]
            grown[:, :, 1:] += products[:, :, :-1] * middles[:, factor - linear, None, None]
            grown[:, :, 2:] += products[:, :, :-2]
        if factor in own:
            row = own.index(factor)
            grown[:, row] = products[:, row]
        products = grown
    return products
