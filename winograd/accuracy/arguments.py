"""Numbers that callers pass: counts, seeds, budgets, sizes and shares, checked before anything is computed.

In: whatever was passed. Out: an int or a float. Refused: what is no number (a bool is not), too small or too large.
"""

from __future__ import annotations

import math
from numbers import Real
from operator import index
from typing import Any

import numpy as np

from winograd.quoting import quote


def checked_integer(name: str, value: Any, least: int, most: int | None = None) -> int:
    """Return the value as an int, or raise the error that names what is wrong with it.

    Raises
    ------
    TypeError
        If it is no integer.
    ValueError
        If it is below ``least``, or above ``most``, where there is one.

    Examples
    --------
    >>> checked_integer("trials", np.int8(5), 2)
    5
    >>> checked_integer("trials", True, 2)
    Traceback (most recent call last):
    ...
    TypeError: trials is True, must be an integer of at least 2
    """
    try:
        number = None if isinstance(value, bool | np.bool_) else index(value)
    except TypeError:
        number = None
    if number is None:
        raise TypeError(f"{name} is {quote(value)}, must be an integer of at least {least}")
    if number < least:
        raise ValueError(f"{name} is {quote(number)}, must be at least {least}")
    if most is not None and number > most:
        raise ValueError(f"{name} is {quote(number)}, must be at most {most}")
    return number


def checked_number(name: str, value: object) -> float:
    """Return the value as a float, inf where it is beyond them.

    Raises
    ------
    TypeError
        If it is no real number.

    Examples
    --------
    >>> checked_number("share", "0.9")
    Traceback (most recent call last):
    ...
    TypeError: share is '0.9', must be a number
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} is {quote(value)}, must be a number")
    try:
        return float(value)
    except OverflowError:
        return -math.inf if value < 0 else math.inf


def checked_size(name: str, value: object) -> float:
    """Return the value as a float above 0.

    Raises
    ------
    TypeError, ValueError
        If it is no real number, or not positive and finite.
    """
    size = checked_number(name, value)
    if not 0 < size < math.inf:
        raise ValueError(f"{name} is {quote(size)}, must be positive and finite")
    return size
