"""Arrays of floating-point numbers from whatever a test has in hand, torch tensors among them.

In: what `numpy.asarray` takes, or a torch tensor on any device. Out: float64 values, exactly the same numbers, and the
format they came in. Refused: other dtypes. torch is not imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winograd.accuracy.formats import FloatFormat, float_format
from winograd.accuracy.measuring.samples import as_array


@dataclass(frozen=True, slots=True, eq=False)
class Values:
    """Numbers as float64, and the format that they came in."""

    array: NDArray[np.float64]
    fmt: FloatFormat


def read_values(name: str, given: Any) -> Values:
    """Return the numbers of an array or tensor.

    Raises
    ------
    TypeError, ValueError
        If it is no array, or its dtype is none of float16, bfloat16, float32 and float64.

    Examples
    --------
    >>> read_values("actual", np.ones(2, dtype=np.float16)).fmt.name
    'float16'
    >>> read_values("actual", [1, 2])
    Traceback (most recent call last):
    ...
    ValueError: actual: dtype is int64, must be one of float16, bfloat16, float32, float64
    """
    if hasattr(given, "detach"):
        tensor = given.detach()
        dtype, array = str(tensor.dtype).removeprefix("torch."), None
    else:
        tensor, array = None, as_array(name, given)
        dtype = array.dtype.name
    try:
        fmt = float_format(dtype)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    values = tensor.double().cpu().numpy() if array is None else array
    return Values(np.asarray(values, dtype=np.float64), fmt)
