"""What may be a size: an integer, not a bool, from some least value on; and how many pieces are too many."""

from __future__ import annotations

import operator

from winograd.quoting import quote

MAX_PIECES = 4096
"""Largest number of pieces of a reduction."""


def whole_number(name: str, value: object, least: int = 1) -> int:
    """Return the value as an int.

    Raises
    ------
    TypeError
        If it is not an integer (a bool is not).
    ValueError
        If it is below ``least``.

    Examples
    --------
    >>> whole_number("stride", 0)
    Traceback (most recent call last):
    ...
    ValueError: stride is 0, must be at least 1
    """
    message = f"{name} is {quote(value)}, must be an integer of at least {least}"
    if isinstance(value, bool) or type(value).__name__ == "bool_":
        raise TypeError(message)
    try:
        size = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(message) from None
    if size < least:
        raise ValueError(f"{name} is {quote(size)}, must be at least {least}")
    return size


def check_pieces(count: int) -> None:
    """Refuse more than `MAX_PIECES` pieces with a ValueError."""
    if count > MAX_PIECES:
        raise ValueError(
            f"reduction has {count} pieces, at most {MAX_PIECES} are allowed; raise limit or lower stride, dilation"
        )
