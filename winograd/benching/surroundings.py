"""Variables of the environment that change speed: of threads, memory and libraries.

In: the environment. Out: those that are set, by name, so that they stand beside the figures.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

_PREFIXES: Final = (
    "ATEN_",
    "DNNL_",
    "GLIBC_TUNABLES",
    "GOMP_",
    "KMP_",
    "MALLOC_",
    "MKL_",
    "OMP_",
    "ONEDNN_",
    "THP_MEM_",
)


def speed_variables(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables that are known to change speed, sorted; of this process for None.

    Examples
    --------
    >>> speed_variables({"OMP_NUM_THREADS": "2", "HOME": "/root"})
    {'OMP_NUM_THREADS': '2'}
    """
    variables = os.environ if environment is None else environment
    return {name: variables[name] for name in sorted(variables) if name.startswith(_PREFIXES)}
