"""For tests of convolution kernels: hypothesis strategies of algorithms and shapes, and a tolerance that is derived.

The strategies need hypothesis and are loaded on first use; the assertions need only NumPy, and take torch tensors.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from winograd.testing.assertion import assert_within_bound

if TYPE_CHECKING:
    from winograd.testing.geometry import Shape as Shape
    from winograd.testing.geometry import shapes as shapes
    from winograd.testing.strategies import algorithms as algorithms
    from winograd.testing.strategies import crt_algorithms as crt_algorithms
    from winograd.testing.strategies import moduli as moduli
    from winograd.testing.strategies import nested_algorithms as nested_algorithms
    from winograd.testing.strategies import point_sets as point_sets
    from winograd.testing.strategies import points as points
    from winograd.testing.strategies import sizes as sizes
    from winograd.testing.strategies import toom_cook_algorithms as toom_cook_algorithms

_STRATEGIES = {
    "Shape": "geometry",
    "algorithms": "strategies",
    "crt_algorithms": "strategies",
    "moduli": "strategies",
    "nested_algorithms": "strategies",
    "point_sets": "strategies",
    "points": "strategies",
    "shapes": "geometry",
    "sizes": "strategies",
    "toom_cook_algorithms": "strategies",
}

__all__ = ["assert_within_bound", *_STRATEGIES]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name not in _STRATEGIES:
        raise AttributeError(f"module 'winograd.testing' has no attribute {name!r}")
    try:
        module = importlib.import_module(f"winograd.testing.{_STRATEGIES[name]}")
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        message = f"winograd.testing.{name} needs hypothesis, which is not installed: pip install 'winograd[testing]'"
        raise ModuleNotFoundError(message, name="hypothesis") from error
    value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
