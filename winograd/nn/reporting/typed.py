"""Records that were read: their fields have the types that their class says.

In: a dataclass instance made of foreign figures. Out: the same one. Refused: fields of other types, and numbers that
are not finite.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any, Final, TypeVar

from winograd.quoting import quote

_Record = TypeVar("_Record")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def _is_range(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(map(_is_number, value)) and value[0] <= value[1]


_TESTS: Final[Mapping[str, Callable[[Any], bool]]] = MappingProxyType(
    {
        "str": lambda value: isinstance(value, str),
        "int": _is_whole,
        "float": _is_number,
        "float | None": lambda value: value is None or _is_number(value),
        "tuple[float, float] | None": lambda value: value is None or _is_range(value),
        "tuple[int, ...]": lambda value: isinstance(value, tuple) and all(map(_is_whole, value)),
    }
)
"""By the annotation of a field; fields of other annotations are records themselves."""


def typed(record: _Record) -> _Record:
    """Return a record whose fields have the types that they are annotated with.

    Raises
    ------
    TypeError
        If one has not.

    Examples
    --------
    >>> from winograd.nn.reporting.measurement import Measurement
    >>> typed(Measurement("small", 2e-7))
    Traceback (most recent call last):
    ...
    TypeError: error is 'small', must be float
    """
    for field in fields(record):  # type: ignore[arg-type]
        value = getattr(record, field.name)
        if not _TESTS.get(str(field.type), lambda _: True)(value):
            raise TypeError(f"{field.name} is {quote(value)}, must be {field.type}")
    return record
