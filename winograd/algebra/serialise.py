"""Algorithms as JSON: exact, never evaluated, proved again when they are read.

In: algorithms with rational, algebraic or symbolic entries; text. Out: the same bytes for the same algorithm; the
identical algorithm, with the record of where it comes from. Refused: other versions, unknown keys, what is outside the
grammar and the limits of `winograd.algebra.expressions`, text that is too long, and matrices that break the law, with
the first wrong entry.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import sympy

from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.expressions import Written, check_field, quoted, read_expression, write_expression
from winograd.algebra.moduli import Modulus
from winograd.algebra.nesting import NestedAlgorithm
from winograd.algebra.points import INFINITY, Point
from winograd.algebra.residues import (
    ComplexProduct,
    GivenProduct,
    ResidueProduct,
    SchoolbookProduct,
    ToomCookProduct,
    UnitProduct,
)

VERSION: Final = 1
"""Version of the layout that is written, and the only one that is read."""

MAX_TEXT_LENGTH: Final = 16 * 2**20
"""Longest text that is read, in characters."""

_FORMAT = "winograd algorithm"

Value = TypeVar("Value")


def to_json(algorithm: BilinearAlgorithm | NestedAlgorithm) -> str:
    """Write an algorithm as one line of ASCII JSON; the same algorithm gives the same bytes on every machine.

    Raises
    ------
    TypeError
        If it is no algorithm.
    NotImplementedError
        If a number has no form in JSON (it is neither rational, a root, a sine or cosine of a rational multiple of pi,
        I, a symbol without assumptions, nor made of these by +, * and powers), or `from_json` would refuse it.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> to_json(toom_cook(1, 1))
    '{"format":"winograd algorithm","version":1,"axis":{"m":1,"r":1,"at":[["1"]],"g":[["1"]],"bt":[["1"]]}}'
    """
    content: dict[str, Any] = {"format": _FORMAT, "version": VERSION}
    if isinstance(algorithm, NestedAlgorithm):
        content["axes"] = [_write_axis(axis) for axis in algorithm.axes]
    elif isinstance(algorithm, BilinearAlgorithm):
        content["axis"] = _write_axis(algorithm)
    else:
        raise TypeError(f"algorithm is a {type(algorithm).__name__}, must be a BilinearAlgorithm or a NestedAlgorithm")
    return json.dumps(content, separators=(",", ":"))


def from_json(text: str) -> BilinearAlgorithm | NestedAlgorithm:
    """Read what `to_json` wrote, and prove it.

    Points, moduli and products are read as the record they are: like those of any `BilinearAlgorithm` they are no part
    of the proof.

    Raises
    ------
    TypeError
        If it is no text.
    ValueError
        If the text is too long, malformed or of another version, or if the field of the entries is so large that the
        proof takes long: more than three irrational numbers or six symbols on one axis, see
        `winograd.algebra.expressions`; names the place and what is allowed there.
    ProofError
        If the matrices break the law; names the axis and the first wrong entry.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> from_json(to_json(toom_cook(4, 3)))
    <F(4,3) at 0,5/8,-5/8,3/2,-3/2,inf, 6 multiplications>
    >>> a = sympy.Symbol("a")
    >>> from_json(to_json(toom_cook(2, 2, [0, a, -a])))
    <F(2,2) at 0,a,-a, 3 multiplications>
    """
    if not isinstance(text, str):
        raise TypeError(f"text is a {type(text).__name__}, must be a str")
    if len(text) > MAX_TEXT_LENGTH:
        raise ValueError(f"JSON of {len(text)} characters, at most {MAX_TEXT_LENGTH} are allowed")
    try:
        return _read(_parse(text))
    except RecursionError:
        raise ValueError("JSON is nested too deeply for an algorithm") from None


def _read(content: Any) -> BilinearAlgorithm | NestedAlgorithm:
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise ValueError(f'JSON is no algorithm, must be an object with "format":"{_FORMAT}"')
    version = content.get("version")
    if type(version) is not int or version != VERSION:
        raise ValueError(f"version is {quoted(version)}, only {VERSION} can be read")
    if "axes" in content:
        _, _, axes = _fields("algorithm", content, ("format", "version", "axes"))
        if not isinstance(axes, list) or not 1 <= len(axes) <= 3:
            raise ValueError(f"axes are {quoted(axes)}, must be a list of 1 to 3 axes")
        return NestedAlgorithm(tuple(_read_axis(f"axes[{number}]", axis) for number, axis in enumerate(axes)))
    _, _, axis = _fields("algorithm", content, ("format", "version", "axis"))
    return _read_axis("axis", axis)


def _parse(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_without_repeats)
    except ValueError as error:
        raise ValueError(f"text is no JSON that can be read: {error}") from None


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError(f"an object lists a key twice, among {quoted([key for key, _ in pairs])}")
    return content


def _write_axis(algorithm: BilinearAlgorithm) -> dict[str, Any]:
    _check_writable(algorithm)
    content: dict[str, Any] = {"m": algorithm.m, "r": algorithm.r}
    for name in ("at", "g", "bt"):
        content[name] = [[write_expression(name, entry) for entry in row] for row in getattr(algorithm, name).tolist()]
    if algorithm.points:
        content["points"] = _write_points(algorithm.points)
    if algorithm.moduli:
        content["moduli"] = [_write_modulus(modulus) for modulus in algorithm.moduli]
    if algorithm.products:
        content["products"] = [_write_product(product) for product in algorithm.products]
    return content


def _check_writable(algorithm: BilinearAlgorithm) -> None:
    try:
        check_field("algorithm", (*algorithm.at, *algorithm.g, *algorithm.bt))
    except ValueError as error:
        raise NotImplementedError(f"{error}; it could not be read again") from None


def _read_axis(where: str, content: Any) -> BilinearAlgorithm:
    required, optional = ("m", "r", "at", "g", "bt"), ("points", "moduli", "products")
    m, r, at, g, bt, points, moduli, products = _fields(where, content, required, optional)
    for name, size in (("m", m), ("r", r)):
        if type(size) is not int:
            raise ValueError(f"{where}.{name} is {quoted(size)}, must be an integer")
    matrices = {name: _read_matrix(f"{where}.{name}", value) for name, value in (("at", at), ("g", g), ("bt", bt))}
    check_field(where, [entry for matrix in matrices.values() for entry in matrix])
    listed_points = _read_list(f"{where}.points", points, _read_point)
    listed_moduli = _read_list(f"{where}.moduli", moduli, _read_modulus)
    listed_products = _read_list(f"{where}.products", products, _read_product)
    try:
        return BilinearAlgorithm(
            m=m, r=r, **matrices, points=listed_points, moduli=listed_moduli, products=listed_products
        )
    except ValueError as error:
        raise type(error)(f"{where}: {error}") from None


def _read_matrix(where: str, value: Any) -> sympy.ImmutableMatrix:
    rows = _read_list(where, value, lambda at, row: _read_list(at, row, read_expression))
    if not rows or len({len(row) for row in rows}) != 1:
        raise ValueError(f"{where} must be a list of rows of one length")
    return sympy.ImmutableMatrix(rows)


def _write_points(points: Sequence[Point]) -> list[Written]:
    return ["inf" if point is INFINITY else write_expression("points", point) for point in points]


def _read_point(where: str, value: Any) -> Point:
    return INFINITY if value == "inf" else read_expression(where, value)


def _write_modulus(modulus: Modulus) -> dict[str, Any]:
    if modulus.is_infinite:
        return {"infinity": modulus.degree}
    return {"polynomial": [write_expression("moduli", coefficient) for coefficient in modulus.coefficients]}


def _read_modulus(where: str, content: Any) -> Modulus:
    if isinstance(content, dict) and "infinity" in content:
        (multiplicity,) = _fields(where, content, ("infinity",))
        if type(multiplicity) is not int or multiplicity < 1:
            raise ValueError(f"{where}.infinity is {quoted(multiplicity)}, must be an integer of at least 1")
        return Modulus((), multiplicity)
    (listed,) = _fields(where, content, ("polynomial",))
    coefficients = _read_list(f"{where}.polynomial", listed, read_expression)
    if len(coefficients) < 2 or coefficients[-1] != 1:
        raise ValueError(f"{where}.polynomial must end with 1, after one coefficient or more")
    return Modulus(coefficients, len(coefficients) - 1)


def _write_product(product: object) -> dict[str, Any]:
    match product:
        case ToomCookProduct(points):
            return {"toom_cook": _write_points(points)}
        case SchoolbookProduct():
            return {"schoolbook": {}}
        case ComplexProduct(inner):
            return {"complex": _write_product(inner)}
        case GivenProduct(algorithm):
            return {"given": _write_axis(algorithm)}
        case UnitProduct(inner, slope):
            return {"unit": {"slope": write_expression("slope", slope), "product": _write_product(inner)}}
    raise NotImplementedError(f"product {product!r} cannot be written")


def _read_product(where: str, content: Any) -> ResidueProduct:
    if not isinstance(content, dict) or len(content) != 1:
        raise ValueError(f"{where} is {quoted(content)}, must be an object with one key")
    ((name, value),) = content.items()
    inside = f"{where}.{name}"
    if name == "toom_cook":
        return ToomCookProduct(_read_list(inside, value, _read_point))
    if name == "schoolbook" and value == {}:
        return SchoolbookProduct()
    if name == "complex":
        inner = _read_product(inside, value)
        if isinstance(inner, ToomCookProduct | SchoolbookProduct):
            return ComplexProduct(inner)
    if name == "given":
        return GivenProduct(_read_axis(inside, value))
    if name == "unit":
        slope, product = _fields(inside, value, ("slope", "product"))
        inner = _read_product(f"{inside}.product", product)
        if isinstance(inner, ToomCookProduct):
            return UnitProduct(inner, read_expression(f"{inside}.slope", slope))
    allowed = 'one of {"toom_cook":[points]}, {"schoolbook":{}}, {"complex":...} of these two, {"given":axis}, '
    allowed += '{"unit":{"slope":number,"product":{"toom_cook":...}}}'
    raise ValueError(f"{where} is {quoted(content)}, must be {allowed}")


def _read_list(where: str, value: Any, read: Callable[[str, Any], Value]) -> tuple[Value, ...]:
    if not isinstance(value, list):
        raise ValueError(f"{where} is {quoted(value)}, must be a list")
    return tuple(read(f"{where}[{number}]", part) for number, part in enumerate(value))


def _fields(where: str, content: Any, required: Sequence[str], optional: Sequence[str] = ()) -> list[Any]:
    """Return the values of the keys; the optional ones, which are lists, are empty where they are missing."""
    if not isinstance(content, dict):
        raise ValueError(f"{where} is {quoted(content)}, must be an object")
    missing = [key for key in required if key not in content]
    unknown = [key for key in content if key not in (*required, *optional)]
    if missing or unknown:
        wrong = f"lacks {missing[0]}" if missing else f"has the unknown key {quoted(unknown[0])}"
        raise ValueError(f"{where} {wrong}, must have {', '.join(required)}")
    return [content[key] for key in required] + [content.get(key, []) for key in optional]
