"""`Measurement`: error and time of a layer or a model before and after its conversion, as data.

In: figures that were measured elsewhere. Errors are relative L2 errors against float64, times in ms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from winograd.nn.comparison import Times
from winograd.nn.reporting.typed import typed


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was measured of a layer on its real input, or of a whole model.

    Parameters
    ----------
    error, direct_error : float
        Relative L2 error against float64, converted and before the conversion.
    times : Times or None
        Both in their fastest variant; None where nothing was timed.
    """

    error: float
    direct_error: float
    times: Times | None = None

    @classmethod
    def from_dict(cls, figures: Mapping[str, Any]) -> Measurement:
        """Return the measurement whose `dataclasses.asdict` this is.

        Raises
        ------
        KeyError, TypeError
            If these are other figures.

        Examples
        --------
        >>> Measurement.from_dict({"error": 1e-6, "direct_error": 2e-7, "times": None})
        Measurement(error=1e-06, direct_error=2e-07, times=None)
        """
        times = figures["times"]
        ranges = {name: tuple(value) for name, value in (times or {}).items() if isinstance(value, list)}
        timed = None if times is None else typed(Times(**{**times, **ranges}))
        return typed(cls(figures["error"], figures["direct_error"], timed))
