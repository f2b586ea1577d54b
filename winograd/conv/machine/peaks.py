"""`Peaks`: what a machine can do at most, and the checks of numbers and fields that describe machines.

In: numbers, JSON. Out: the record. Refused: unknown and missing fields, numbers that are not finite and above 0; one
line each.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Peaks:
    """What a machine can do at most, all cores busy: ``benchmarks/measure_machine.py`` measures it.

    Parameters
    ----------
    core_gflops : float
        Of a core in float32, an FMA counted as two.
    own_bytes, own_gbs : float
        Size of a core's own cache, and 10^9 bytes per second at which a core reads it.
    shared_bytes, shared_gbs : float
        Size of the cache that all cores share, and 10^9 bytes per second at which each core reads it.
    memory_gbs : float
        10^9 bytes per second of memory, all cores together.

    Raises
    ------
    TypeError, ValueError
        If a value is no number, or not finite and above 0.
    """

    core_gflops: float
    own_bytes: float
    own_gbs: float
    shared_bytes: float
    shared_gbs: float
    memory_gbs: float

    def __post_init__(self) -> None:
        for field in fields(self):
            check_number(field.name, getattr(self, field.name))


def check_number(name: str, value: object) -> None:
    """Raise unless a value is a number, finite and above 0."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is {str(value)[:40]!a}, must be a number")
    if not 0 < value < math.inf:
        raise ValueError(f"{name} is {value!s:.40}, must be finite and above 0")


def parsed_object(text: str | bytes) -> dict[str, Any]:
    """Return the JSON object that a text describes."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"machine is no JSON: {str(error)[:80]}") from None
    return checked_object("machine", found)


def checked_object(name: str, found: object) -> dict[str, Any]:
    """Return a JSON object; raise for anything else."""
    if not isinstance(found, dict):
        raise TypeError(f"{name} is {type(found).__name__}, must be a JSON object")
    return found


def checked_fields(name: str, found: dict[str, Any], described: type) -> dict[str, Any]:
    """Return a JSON object that has the fields of a record, no more and no fewer."""
    known = [field.name for field in fields(described)]
    for wrong, word in ((found.keys() - set(known), "unknown"), (known - found.keys(), "missing")):
        if wrong:
            raise ValueError(f"{name} has {word} field {sorted(wrong)[0][:40]!a}, fields are {', '.join(known)}")
    return found
