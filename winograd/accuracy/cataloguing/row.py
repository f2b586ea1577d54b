"""`CatalogueRow`: one algorithm of the catalogue with its figures, and how a row is written as JSON.

In: figures that were derived elsewhere, or the JSON of one row. Out: a row. Refused: JSON that is no row, with the
field that is wrong. Errors are relative L2 errors of one layer of 64 channels, see `winograd.accuracy.protocol.LAYER`;
for float16 and bfloat16 U and V are stored in these and everything else is float32.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

DTYPES: Final = ("float32", "float16", "bfloat16")
"""The dtypes of the catalogue: of U and V."""

NDIMS: Final = (1, 2, 3)
"""Numbers of axes."""

UNUSABLE: Final = 0.1
"""A row is unusable in a dtype where its predicted relative L2 error is above this: no digit can be relied on."""

Errors = tuple[float, float, float]
"""One figure for each of `NDIMS`."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A measured relative L2 error of the layer protocol, with its 95 % confidence interval, order "lowered"."""

    ndim: int
    dtype: str
    relative_l2: float
    interval: tuple[float, float]
    trials: int
    seed: int


@dataclass(frozen=True, slots=True)
class CatalogueRow:
    """The best known algorithm F(m, r) of at most so many products, the same on every axis.

    Parameters
    ----------
    m, r : int
        Outputs and taps.
    products : int
        Multiplications allowed per axis.
    rank : int
        Multiplications of the algorithm: fewer than ``products`` where no algorithm of more is known to be better.
    construction : str
        How it is made, see `winograd.accuracy.cataloguing.assembly`.
    source : str
        The paper or program it was published in, or "search", "sum of rows" or "direct".
    kappa : float
        Of one axis, nearest to the exact one.
    instructions : tuple of int
        Of the generated transforms of one axis: data, filter, inverse.
    largest : tuple of str
        Largest absolute values in ``at``, ``g`` and ``bt``, exactly.
    predicted : tuple
        For each of `DTYPES`, the model's errors for each of `NDIMS`.
    scaled : tuple
        For each of `DTYPES`, the numbers of axes for which range asks for rows scaled by powers of two.
    measured : tuple of Measured
        For the sizes people use.
    """

    m: int
    r: int
    products: int
    rank: int
    construction: str
    source: str
    kappa: float
    instructions: tuple[int, int, int]
    largest: tuple[str, str, str]
    predicted: tuple[Errors, ...]
    scaled: tuple[tuple[int, ...], ...]
    measured: tuple[Measured, ...] = ()

    @property
    def label(self) -> str:
        """Name in the field's notation, with the products where they are more than the least."""
        return f"F({self.m},{self.r})" if self.rank == self.m + self.r - 1 else f"F({self.m},{self.r}; {self.rank})"

    @property
    def products_per_output(self) -> Fraction:
        """Multiplications per output on one axis; to the power of the axes for a nest."""
        return Fraction(self.rank, self.m)

    def error(self, ndim: int = 1, dtype: str = "float32") -> float:
        """Return the model's relative L2 error of one layer."""
        return self.predicted[DTYPES.index(dtype)][ndim - 1]

    def is_usable(self, ndim: int = 1, dtype: str = "float32") -> bool:
        """Say whether the model's error is at most `UNUSABLE`."""
        return self.error(ndim, dtype) <= UNUSABLE

    def is_scaled(self, ndim: int = 1, dtype: str = "float32") -> bool:
        """Say whether range asks for rows scaled by powers of two."""
        return ndim in self.scaled[DTYPES.index(dtype)]

    def __repr__(self) -> str:
        figures = ", ".join(f"{ndim}D {self.error(ndim):.2g}" for ndim in NDIMS)
        return (
            f"<{self.label} of {self.rank} products, kappa {self.kappa:.4g}, float32 {figures}: "
            f"{self.construction} ({self.source})>"
        )

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in ("dtype of U, V", *(f"{ndim}D" for ndim in NDIMS)))
        body = "".join(
            f"<tr><td>{dtype}</td>" + "".join(f"<td>{self._cell(ndim, dtype)}</td>" for ndim in NDIMS) + "</tr>"
            for dtype in DTYPES
        )
        caption = (
            f"{self.label}: {self.construction} ({self.source}); kappa {self.kappa:.4g}, {self.products_per_output} "
            f"products per output, {'/'.join(map(str, self.instructions))} instructions (data/filter/inverse); "
            "relative L2 error of a layer of 64 channels, predicted (measured)"
        )
        return f"<table><caption>{html.escape(caption)}</caption><tr>{head}</tr>{body}</table>"

    def _cell(self, ndim: int, dtype: str) -> str:
        text = f"{self.error(ndim, dtype):.2g}"
        for one in self.measured:
            if (one.ndim, one.dtype) == (ndim, dtype):
                text += f" ({one.relative_l2:.2g})"
        text += " scaled" if self.is_scaled(ndim, dtype) else ""
        return text if self.is_usable(ndim, dtype) else f"{text} unusable"


def row_as_json(row: CatalogueRow) -> dict[str, Any]:
    """Return a row as JSON values, its keys in the order of the fields."""
    return {
        "m": row.m,
        "r": row.r,
        "products": row.products,
        "rank": row.rank,
        "construction": row.construction,
        "source": row.source,
        "kappa": row.kappa,
        "instructions": list(row.instructions),
        "largest": list(row.largest),
        "predicted": {dtype: list(errors) for dtype, errors in zip(DTYPES, row.predicted, strict=True)},
        "scaled": {dtype: list(axes) for dtype, axes in zip(DTYPES, row.scaled, strict=True) if axes},
        "measured": [
            [one.ndim, one.dtype, one.relative_l2, *one.interval, one.trials, one.seed] for one in row.measured
        ],
    }


def row_from_json(value: object) -> CatalogueRow:
    """Return the row that JSON values describe.

    Raises
    ------
    ValueError
        Naming the first field that is missing, unknown or of another type.
    """
    if not isinstance(value, dict):
        raise ValueError(f"row is {value!r}, must be an object")
    fields = _Fields(value)
    row = CatalogueRow(
        m=fields.integer("m"),
        r=fields.integer("r"),
        products=fields.integer("products"),
        rank=fields.integer("rank"),
        construction=fields.text("construction"),
        source=fields.text("source"),
        kappa=fields.number("kappa"),
        instructions=fields.listed("instructions", int, 3),
        largest=fields.listed("largest", str, 3),
        predicted=tuple(_Fields(fields.mapping("predicted")).listed(dtype, float, 3) for dtype in DTYPES),
        scaled=_scaled(fields.mapping("scaled")),
        measured=tuple(_measured(one) for one in fields.sequence("measured")),
    )
    if set(value) != set(row_as_json(row)):
        raise ValueError(f"row has fields {', '.join(sorted(value))}, must have {', '.join(row_as_json(row))}")
    return row


class _Fields:
    """The fields of a JSON object; each is asked for with its type."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def _get(self, name: str, kind: type) -> Any:
        value = self._values.get(name)
        if type(value) is not kind:
            raise ValueError(f"{name} is {value!r}, must be of type {kind.__name__}")
        return value

    def integer(self, name: str) -> int:
        return int(self._get(name, int))

    def text(self, name: str) -> str:
        return str(self._get(name, str))

    def number(self, name: str) -> float:
        return float(self._get(name, float))

    def sequence(self, name: str) -> list[Any]:
        return list(self._get(name, list))

    def mapping(self, name: str) -> dict[str, Any]:
        return dict(self._get(name, dict))

    def listed(self, name: str, kind: type, count: int) -> Any:
        values = self.sequence(name)
        if len(values) != count or any(type(value) is not kind for value in values):
            raise ValueError(f"{name} is {values!r}, must be {count} of type {kind.__name__}")
        return tuple(values)


def _scaled(value: dict[str, Any]) -> tuple[tuple[int, ...], ...]:
    for dtype, axes in value.items():
        if dtype not in DTYPES:
            raise ValueError(f"scaled has {dtype}, must be one of {', '.join(DTYPES)}")
        if not isinstance(axes, list) or any(type(ndim) is not int or ndim not in NDIMS for ndim in axes):
            raise ValueError(f"scaled has {axes!r} for {dtype}, must be numbers of axes, 1 to {NDIMS[-1]}")
    return tuple(tuple(value.get(dtype, ())) for dtype in DTYPES)


def _measured(value: object) -> Measured:
    kinds = (int, str, float, float, float, int, int)
    if not isinstance(value, list) or tuple(map(type, value)) != kinds:
        raise ValueError(f"measured has {value!r}, must be ndim, dtype, error, low, high, trials, seed")
    ndim, dtype, error, low, high, trials, seed = value
    return Measured(ndim, dtype, error, (low, high), trials, seed)
