"""Integers that callers pass: counts, seeds and budgets, checked before anything is computed.

In: whatever was passed. Out: an int. Refused: what is no integer (a bool is not), and what is too small.
"""

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np


def checked_integer(name: str, value: Any, least: int) -> int:
    """Return the value as an int, or raise the error that names what is wrong with it.

    Raises
    ------
    TypeError
        If it is no integer.
    ValueError
        If it is below ``least``.

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
        raise TypeError(f"{name} is {value!r}, must be an integer of at least {least}")
    if number < least:
        raise ValueError(f"{name} is {number}, must be at least {least}")
    return number
