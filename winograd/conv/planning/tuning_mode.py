"""How plans are tuned: by the cost model, or by measurement. In: a word. Refused: other words."""

from __future__ import annotations

from enum import Enum
from typing import Literal

from winograd.quoting import quote

TuningName = Literal["model", "measure"]


class Tuning(Enum):
    """Whether candidates are compared by the cost model, or run and timed on this machine."""

    MODEL = "model"
    MEASURE = "measure"


def checked_tuning(tuning: Tuning | TuningName) -> Tuning:
    """Return how to tune.

    Raises
    ------
    ValueError
        For another word than "model" and "measure".

    Examples
    --------
    >>> checked_tuning("measure")
    <Tuning.MEASURE: 'measure'>
    """
    try:
        return Tuning(tuning)
    except ValueError:
        raise ValueError(f"tuning is {quote(tuning)}, must be 'model' or 'measure'") from None
