"""The catalogue of best known algorithms: `catalogue`, `catalogue_row` and `best`.

In: sizes, axes, a dtype, multiplications allowed. Out: rows with their figures, or the exact algorithm, proved.
Refused: sizes that are not in the catalogue, and files that are no catalogue, of another format, or changed by hand.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

from winograd.accuracy.cataloguing.assembly import assemble, direct
from winograd.accuracy.cataloguing.row import DTYPES, NDIMS, CatalogueRow, row_as_json, row_from_json
from winograd.accuracy.formats import float_format
from winograd.accuracy.showing.table import html_table, text_table
from winograd.algebra.bilinear import BilinearAlgorithm, checked_size, checked_sizes
from winograd.algebra.forms import balanced
from winograd.algebra.nesting import NestedAlgorithm, nest

FORMAT: Final = 1
"""Of the file; others are refused."""

TAPS: Final = range(2, 8)
"""Numbers of taps of the catalogue."""

MAX_TILE: Final = 16
"""Its largest tile, m + r - 1."""

EXTRA: Final = 4
"""Products more than the least that its rows may have."""

Key = tuple[int, int, int]
"""m, r and products of a row."""


def key_of(row: CatalogueRow) -> Key:
    """Return m, r and products."""
    return row.m, row.r, row.products


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Rows of the catalogue, by taps, outputs and products.

    Parameters
    ----------
    rows : tuple of CatalogueRow
    header : mapping
        How it was made: command, budget, seed and versions.

    Examples
    --------
    >>> catalogue().filter(r=3, m=4)
    <Catalogue of 5 rows: F(4,3) of 6 to 10 products>
    """

    rows: tuple[CatalogueRow, ...]
    header: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[CatalogueRow]:
        return iter(self.rows)

    def filter(self, m: int | None = None, r: int | None = None, products: int | None = None) -> Catalogue:
        """Return the rows of these outputs, taps and products allowed; None leaves one open."""
        wanted = {"m": m, "r": r, "products": products}
        kept = (row for row in self.rows if all(value in (None, getattr(row, name)) for name, value in wanted.items()))
        return Catalogue(tuple(kept), self.header)

    def row(self, m: int, r: int, products: int | None = None) -> CatalogueRow:
        """Return one row; see `catalogue_row`."""
        sizes = [row for row in self.rows if (row.m, row.r) == (m, r)]
        if not sizes:
            known = f"r = {TAPS[0]} to {TAPS[-1]}, m of at least 2 and tiles m + r - 1 up to {MAX_TILE}"
            raise ValueError(f"F({m},{r}) is not in the catalogue, which has {known}; search_points finds others")
        least = m + r - 1
        allowed = least if products is None else checked_size("products", products)
        if allowed < least:
            raise ValueError(f"products is {allowed}, must be at least {least} for F({m},{r})")
        return max((row for row in sizes if row.products <= allowed), key=lambda row: row.products)

    def build(self, m: int, r: int, products: int | None = None) -> BilinearAlgorithm:
        """Return the algorithm of a row, proved; F(1, r) and F(m, 1) are direct."""
        if 1 in (m, r):
            return direct(m, r)
        return assemble(m, r, self.row(m, r, products).construction, self.build)

    def __repr__(self) -> str:
        if not self.rows:
            return "<Catalogue of no rows>"
        first, last = self.rows[0], self.rows[-1]
        sizes = f"F({first.m},{first.r})"
        if (first.m, first.r) != (last.m, last.r):
            sizes += f" to F({last.m},{last.r})"
        least, most = (limit(row.products for row in self.rows) for limit in (min, max))
        return f"<Catalogue of {len(self)} rows: {sizes} of {least} to {most} products>"

    def __str__(self) -> str:
        return text_table(_HEADER, [_cells(row) for row in self.rows])

    def _repr_html_(self) -> str:
        return html_table(f"{self!r}; relative L2 errors of a layer of 64 channels, float32", _HEADER, self._cells)

    @property
    def _cells(self) -> list[tuple[str, ...]]:
        return [_cells(row) for row in self.rows]


_HEADER: Final = ("algorithm", "products", "kappa", "instructions", "1D", "2D", "3D", "construction", "source")


def _cells(row: CatalogueRow) -> tuple[str, ...]:
    errors = (f"{row.error(ndim):.3g}" for ndim in NDIMS)
    instructions = "/".join(map(str, row.instructions))
    products = str(row.products) if row.products == row.rank else f"{row.rank} of {row.products}"
    return f"F({row.m},{row.r})", products, f"{row.kappa:.4g}", instructions, *errors, row.construction, row.source


def catalogue_text(rows: Sequence[CatalogueRow], header: Mapping[str, Any]) -> str:
    """Write a catalogue as JSON, one row a line, with a digest of the rows."""
    lines = [json.dumps(row_as_json(row), separators=(",", ":")) for row in rows]
    head = {"format": FORMAT, **header, "digest": _digest(lines)}
    fields = "".join(f"{json.dumps(name)}: {json.dumps(value)},\n" for name, value in head.items())
    return "{\n" + fields + '"rows": [\n' + ",\n".join(lines) + "\n]\n}\n"


def read_catalogue(text: str) -> Catalogue:
    """Return the catalogue that a text describes.

    Raises
    ------
    ValueError
        If it is no JSON, of another format, has a row that is none, rows out of order, or rows that were changed.

    Examples
    --------
    >>> read_catalogue('{"format": 99}')
    Traceback (most recent call last):
    ...
    ValueError: catalogue has format 99, only 1 can be read
    """
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"catalogue is no JSON: {error}") from None
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        found = value.get("format") if isinstance(value, dict) else value
        raise ValueError(f"catalogue has format {found!r}, only {FORMAT} can be read")
    listed = value.get("rows")
    if not isinstance(listed, list):
        raise ValueError(f"rows of the catalogue is {listed!r}, must be a list")
    rows = tuple(row_from_json(row) for row in listed)
    keys = [(row.r, row.m, row.products) for row in rows]
    if keys != sorted(set(keys)):
        raise ValueError("rows of the catalogue are out of order, must be by taps, outputs and products")
    if value.get("digest") != _digest([json.dumps(row, separators=(",", ":")) for row in listed]):
        raise ValueError("rows of the catalogue were changed: their digest is another one")
    return Catalogue(rows, {name: value[name] for name in value if name not in ("rows", "digest")})


def _digest(lines: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@lru_cache(maxsize=1)
def catalogue() -> Catalogue:
    """Return the catalogue that comes with the package; it is read when it is first asked for.

    Examples
    --------
    >>> len(catalogue())
    345
    """
    return read_catalogue(files("winograd.accuracy").joinpath("catalogue.json").read_text("utf-8"))


def catalogue_row(m: int, r: int, products: int | None = None) -> CatalogueRow:
    """Return the figures of the best known algorithm F(m, r).

    Parameters
    ----------
    m, r : int
        Outputs and taps: r = 2 to 7, m of at least 2, tile m + r - 1 of at most 16.
    products : int, optional
        Multiplications allowed per axis; None is the least, m + r - 1. Of more than the catalogue has, the most it has.

    Raises
    ------
    TypeError, ValueError
        For sizes that are no integers or not in the catalogue, and fewer products than m + r - 1.

    Examples
    --------
    >>> row = catalogue_row(2, 3)
    >>> row.label, row.rank, round(row.kappa, 3)
    ('F(2,3)', 4, 1.667)
    """
    return catalogue().row(*checked_sizes(m, r), products)


def best(
    m: int, r: int, ndim: int = 1, dtype: object = "float32", products: int | None = None
) -> BilinearAlgorithm | NestedAlgorithm:
    """Return the best known algorithm F(m, r) for ``ndim`` axes: the one of least kappa.

    Kappa decides the error of a layer of many channels, see `winograd.catalogue_row`. Where the range of the dtype asks
    for it, rows of the transforms are scaled by powers of two.

    Parameters
    ----------
    m, r : int
        Outputs and taps per axis; F(1, r) and F(m, 1) are direct.
    ndim : int
        1 to 3; the algorithm is the same on every axis.
    dtype : dtype
        float32, float64, or float16 and bfloat16 for storage of transformed data and filters in them.
    products : int, optional
        Multiplications allowed per axis; None is the least, m + r - 1.

    Returns
    -------
    BilinearAlgorithm
        For one axis; a `NestedAlgorithm` for more.

    Raises
    ------
    TypeError, ValueError
        For sizes and products as in `catalogue_row`, other numbers of axes, and other dtypes.

    Warns
    -----
    UserWarning
        If the predicted relative L2 error of the row in this dtype is above 0.1.

    Examples
    --------
    >>> best(2, 3, ndim=3)
    <F(2x2x2,3x3x3), 64 multiplications>
    >>> best(4, 3, products=7).rank
    7
    """
    m, r = checked_sizes(m, r)
    if checked_size("ndim", ndim) not in NDIMS:
        raise ValueError(f"ndim is {ndim}, must be 1 to {NDIMS[-1]}")
    name = float_format(dtype).name
    axis = _axis(m, r, products)
    if 1 not in (m, r) and name in DTYPES:
        row = catalogue_row(m, r, products)
        axis = balanced(axis) if row.is_scaled(ndim, name) else axis
        if not row.is_usable(ndim, name):
            message = f"{row.label} in {ndim}D {name} has a predicted relative L2 error of {row.error(ndim, name):.2g}"
            warnings.warn(message, UserWarning, stacklevel=2)
    return axis if ndim == 1 else nest(*[axis] * ndim)


@lru_cache(maxsize=512)
def _axis(m: int, r: int, products: int | None) -> BilinearAlgorithm:
    least = m + r - 1
    if 1 in (m, r) and products is not None and checked_size("products", products) < least:
        raise ValueError(f"products is {products}, must be at least {least} for F({m},{r})")
    return direct(m, r) if 1 in (m, r) else catalogue().build(m, r, products)
