"""Winograd (Toom-Cook, CRT) convolution: exact algorithms, their error, their code, and fast 3D convolution.

The names below are loaded on first use: ``import winograd`` itself loads neither torch nor sympy nor matplotlib.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from winograd import networks as networks
    from winograd import nn as nn
    from winograd.accuracy.bounds import error_bound as error_bound
    from winograd.accuracy.catalogue import best as best
    from winograd.accuracy.catalogue import catalogue as catalogue
    from winograd.accuracy.catalogue import catalogue_row as catalogue_row
    from winograd.accuracy.compare import compare as compare
    from winograd.accuracy.experiment import measure_error as measure_error
    from winograd.accuracy.model import predict_error as predict_error
    from winograd.accuracy.protocol import Experiment as Experiment
    from winograd.accuracy.ranges import safe_range as safe_range
    from winograd.accuracy.search import search_points as search_points
    from winograd.algebra.bilinear import BilinearAlgorithm as BilinearAlgorithm
    from winograd.algebra.counts import count as count
    from winograd.algebra.crt import crt as crt
    from winograd.algebra.explain import explain as explain
    from winograd.algebra.forms import balanced as balanced
    from winograd.algebra.forms import equivalent as equivalent
    from winograd.algebra.nesting import NestedAlgorithm as NestedAlgorithm
    from winograd.algebra.nesting import nest as nest
    from winograd.algebra.points import INFINITY as INFINITY
    from winograd.algebra.reduction import reduce_convolution as reduce_convolution
    from winograd.algebra.serialise import from_json as from_json
    from winograd.algebra.serialise import to_json as to_json
    from winograd.algebra.toom_cook import toom_cook as toom_cook
    from winograd.codegen.emit import emit as emit
    from winograd.conv.convolve import conv1d as conv1d
    from winograd.conv.convolve import conv2d as conv2d
    from winograd.conv.convolve import conv3d as conv3d
    from winograd.conv.convolve_transposed import conv_transpose1d as conv_transpose1d
    from winograd.conv.convolve_transposed import conv_transpose2d as conv_transpose2d
    from winograd.conv.convolve_transposed import conv_transpose3d as conv_transpose3d
    from winograd.conv.plan_conv import plan_conv as plan_conv
    from winograd.conv.switch import set_enabled as set_enabled
    from winograd.nn.converting import conversion_report as conversion_report
    from winograd.nn.converting import convert as convert
    from winograd.nn.converting import convert_ as convert_
    from winograd.nn.converting import revert_ as revert_
    from winograd.nn.freezing import freeze as freeze
    from winograd.nn.freezing import thaw as thaw

_HOMES = {
    "BilinearAlgorithm": "winograd.algebra.bilinear",
    "Experiment": "winograd.accuracy.protocol",
    "INFINITY": "winograd.algebra.points",
    "NestedAlgorithm": "winograd.algebra.nesting",
    "balanced": "winograd.algebra.forms",
    "best": "winograd.accuracy.catalogue",
    "catalogue": "winograd.accuracy.catalogue",
    "catalogue_row": "winograd.accuracy.catalogue",
    "compare": "winograd.accuracy.compare",
    "conv1d": "winograd.conv.convolve",
    "conv2d": "winograd.conv.convolve",
    "conv3d": "winograd.conv.convolve",
    "conv_transpose1d": "winograd.conv.convolve_transposed",
    "conv_transpose2d": "winograd.conv.convolve_transposed",
    "conv_transpose3d": "winograd.conv.convolve_transposed",
    "conversion_report": "winograd.nn.converting",
    "convert": "winograd.nn.converting",
    "convert_": "winograd.nn.converting",
    "count": "winograd.algebra.counts",
    "crt": "winograd.algebra.crt",
    "emit": "winograd.codegen.emit",
    "equivalent": "winograd.algebra.forms",
    "error_bound": "winograd.accuracy.bounds",
    "explain": "winograd.algebra.explain",
    "freeze": "winograd.nn.freezing",
    "from_json": "winograd.algebra.serialise",
    "measure_error": "winograd.accuracy.experiment",
    "nest": "winograd.algebra.nesting",
    "plan_conv": "winograd.conv.plan_conv",
    "predict_error": "winograd.accuracy.model",
    "reduce_convolution": "winograd.algebra.reduction",
    "revert_": "winograd.nn.converting",
    "safe_range": "winograd.accuracy.ranges",
    "search_points": "winograd.accuracy.search",
    "set_enabled": "winograd.conv.switch",
    "thaw": "winograd.nn.freezing",
    "to_json": "winograd.algebra.serialise",
    "toom_cook": "winograd.algebra.toom_cook",
}
_ROOMS = frozenset({"networks", "nn"})
_EXTRAS = {"torch": "torch", "scipy": "search", "joblib": "search", "ml_dtypes": "search", "tqdm": "search"}

__all__ = sorted([*_HOMES, *_ROOMS, "__version__"])  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return _load(f"winograd.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'winograd' has no attribute {name!r}")
    value = getattr(_load(_HOMES[name]), name)
    globals()[name] = value
    return value


def _load(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get(error.name or "")
        if extra is None:
            raise
        message = f"{module} needs {error.name}, which is not installed: pip install 'winograd[{extra}]'"
        raise ModuleNotFoundError(message, name=error.name) from error


def __dir__() -> list[str]:
    return list(__all__)
