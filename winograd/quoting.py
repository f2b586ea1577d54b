"""Quoting: how a message shows what was given, on one line that stays short.

In: anything. Out: text. Refused: nothing.
"""

from __future__ import annotations

from typing import Final

MOST: Final = 80
"""Characters of a quotation."""

_CUT: Final = "..."


def quote(value: object) -> str:
    """Return the repr of a value on one line of at most 80 characters; of what has none, its type.

    Examples
    --------
    >>> quote("3"), quote([1, 2])
    ("'3'", '[1, 2]')
    >>> len(quote(list(range(1000)))), quote(list(range(1000)))[-8:]
    (80, '0, 21...')
    """
    try:
        text = " ".join(repr(value).split())
    except Exception:  # what others wrote may raise anything, an integer of thousands of digits does
        text = f"<{type(value).__name__}>"
    return text if len(text) <= MOST else text[: MOST - len(_CUT)] + _CUT
