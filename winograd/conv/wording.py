"""Wording: figures as the words of reasons and verdicts.

In: numbers. Out: text. Refused: nothing.
"""

from __future__ import annotations

from typing import Final

_MOST_DIGITS: Final = 17


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural unless it is one.

    Examples
    --------
    >>> counted(1, "phase"), counted(8, "phase")
    ('1 phase', '8 phases')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def apart(one: float, other: float) -> tuple[str, str]:
    """Return two figures with two digits, or with as many as tell them apart.

    Examples
    --------
    >>> apart(8.3e-5, 2e-6), apart(1.003e-5, 1e-5)
    (('8.3e-05', '2e-06'), ('1.003e-05', '1e-05'))
    """
    for digits in range(2, _MOST_DIGITS):
        shown = f"{one:.{digits}g}", f"{other:.{digits}g}"
        if shown[0] != shown[1] or one == other:
            return shown
    return f"{one!r}", f"{other!r}"


def size_of(count: int) -> str:
    """Return a number of bytes in MiB, or in KiB below one MiB, or in bytes below one KiB.

    Examples
    --------
    >>> size_of(64 << 20), size_of(1536), size_of(100)
    ('64.0 MiB', '1.5 KiB', '100 bytes')
    """
    if count >= 1 << 20:
        return f"{count / 2**20:.1f} MiB"
    return f"{count / 2**10:.1f} KiB" if count >= 1 << 10 else counted(count, "byte")
