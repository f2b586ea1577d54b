"""Plans: which backend and which algorithm a convolution takes, why, and what that is predicted to cost.

In: a `ConvShape`, the tolerated error, perhaps an algorithm. Out: a `Plan`. Refused: an algorithm that cannot do it.
The plan takes the fastest candidate of the cost model whose predicted error is tolerated, and direct convolution where
there is none or where none is faster.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, fields, replace
from enum import Enum
from functools import lru_cache
from itertools import product

from winograd.accuracy.model import PHI, predict_relative_l2
from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import NestedAlgorithm, as_nested, nest
from winograd.algebra.toom_cook import toom_cook
from winograd.codegen.targets.c import CHANNEL_BLOCK
from winograd.conv import roofline
from winograd.conv.shape import ConvShape

DEFAULT_TOLERANCE = 1e-5
"""Allowed relative L2 error of one layer, as predicted for independent zero-mean inputs."""

REQUIRED_GAIN = 1.2
"""Direct convolution is kept unless Winograd is predicted to be faster by this factor: what the model may be off by."""

_WORKING = {"float16": "float32", "bfloat16": "float32", "float32": "float32", "float64": "float64"}
_TRANSFORMED = (*_WORKING, "complex64", "complex128")
_EXACT = frozenset({"object", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"})

# Rounding zero-mean values once to a unit roundoff u: relative L2 error u sqrt(PHI / 3).
_OUTPUT_ROUNDING = {"float16": 2**-11 * math.sqrt(PHI / 3), "bfloat16": 2**-8 * math.sqrt(PHI / 3)}


class Backend(Enum):
    """Who computes: torch's own convolution, generated C, plain torch operations, or NumPy."""

    DIRECT = "direct"
    NATIVE = "native"
    COMPOSED = "composed"
    REFERENCE = "reference"


class Filters(Enum):
    """Whether the transformed filter is kept from call to call or made anew in every call."""

    FROZEN = "frozen"
    LIVE = "live"


@dataclass(frozen=True, slots=True)
class Plan:
    """What was chosen for one shape, and why.

    Parameters
    ----------
    shape : ConvShape
    backend : Backend
    algorithm : NestedAlgorithm or None
        None for direct convolution.
    reason : str
        One line.
    predicted_error : float or None
        Relative L2 error predicted for independent zero-mean inputs; None for direct convolution.
    filter_bytes, workspace_bytes : int
        Memory of the transformed filter, and of transformed data and products.
    predicted_ms, direct_ms : float or None
        Predicted milliseconds of this plan and of direct convolution on the nominal machine; None where the model
        does not apply.
    """

    shape: ConvShape
    backend: Backend
    algorithm: NestedAlgorithm | None
    reason: str
    predicted_error: float | None = None
    filter_bytes: int = 0
    workspace_bytes: int = 0
    predicted_ms: float | None = None
    direct_ms: float | None = None

    def __post_init__(self) -> None:
        if (self.backend is Backend.DIRECT) != (self.algorithm is None):
            raise ValueError(f"backend {self.backend.value} with algorithm {self.algorithm}, only direct has none")

    @property
    def digest(self) -> str:
        """SHA-256 of the fields as hexadecimal text, the same in every process."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        named["algorithm"] = self.algorithm and self.algorithm.digest
        return hashlib.sha256(repr(sorted(named.items())).encode()).hexdigest()

    def __repr__(self) -> str:
        what = self.backend.value if self.algorithm is None else f"{self.backend.value} {self.algorithm.label}"
        memory = f", U {self.filter_bytes / 2**20:.1f} MiB" if self.filter_bytes else ""
        return f"<Plan {what}: {self.reason}{memory}>"


def make_plan(
    shape: ConvShape,
    *,
    tolerance: float | None = None,
    algorithm: BilinearAlgorithm | NestedAlgorithm | None = None,
    filters: Filters = Filters.LIVE,
    obstacle: str | None = None,
) -> Plan:
    """Return the plan for a convolution of torch tensors. Equal questions are answered from a cache.

    Parameters
    ----------
    shape : ConvShape
    tolerance : float, optional
        Allowed relative L2 error, above 0 (default `DEFAULT_TOLERANCE`); a forced algorithm ignores it.
    algorithm : BilinearAlgorithm or NestedAlgorithm, optional
        Forces this one, whatever its error and speed.
    filters : Filters
        LIVE adds the transform of the filter to the time of every call.
    obstacle : str, optional
        Why the native backend cannot be used, for a reason that the shape does not show, such as "gradient required".

    Raises
    ------
    TypeError
        If the algorithm is none.
    ValueError
        If the tolerance is not above 0, or the axes or taps of a forced algorithm are not those of the shape.
    NotImplementedError
        If an algorithm is forced on a stride, dilation or groups other than 1, or on tensors of integers.

    Examples
    --------
    >>> from winograd.conv.arguments import ConvArguments
    >>> shape = ConvArguments(stride=2, padding=1).shape((1, 64, 8, 8), (64, 64, 3, 3), dtype="float32")
    >>> make_plan(shape)
    <Plan direct: stride (2, 2), the native backend needs 1>
    """
    forced = None if algorithm is None else checked_algorithm(shape, algorithm)
    if forced is not None and shape.dtype not in _TRANSFORMED:
        raise NotImplementedError(
            f"dtype {shape.dtype}, {forced.label} needs one of {', '.join(_TRANSFORMED)}; leave algorithm out"
        )
    return _make_plan(shape, checked_tolerance(tolerance), forced, filters, obstacle)


def checked_tolerance(tolerance: float | None) -> float:
    """Return the tolerance, the default one for None.

    Raises
    ------
    ValueError
        If it is not above 0.
    """
    if tolerance is None:
        return DEFAULT_TOLERANCE
    if not tolerance > 0:
        raise ValueError(f"tolerance is {tolerance}, must be above 0; None takes {DEFAULT_TOLERANCE}")
    return float(tolerance)


def checked_algorithm(shape: ConvShape, algorithm: BilinearAlgorithm | NestedAlgorithm) -> NestedAlgorithm:
    """Return the algorithm as a nested one that can compute this shape; see `make_plan` for what is raised."""
    nested = as_nested(algorithm)
    if nested.ndim != shape.ndim:
        raise ValueError(f"algorithm {nested.label} has {nested.ndim} axes, must have {shape.ndim}; see winograd.nest")
    if nested.r != shape.taps:
        raise ValueError(f"algorithm {nested.label} is for taps {nested.r}, the weight has {shape.taps}")
    lack = stride_obstacle(shape)
    if lack:
        raise NotImplementedError(f"{lack}, {nested.label} needs 1; leave algorithm out for direct convolution")
    return nested


def stride_obstacle(shape: ConvShape) -> str | None:
    """Return which of stride, dilation and groups is not 1, or None."""
    for name, value in (("stride", shape.stride), ("dilation", shape.dilation), ("groups", (shape.groups,))):
        if set(value) != {1}:
            return f"{name} {value if name != 'groups' else shape.groups}"
    return None


def shape_obstacle(shape: ConvShape) -> str | None:
    """Return why the native backend cannot be chosen for this shape, or None."""
    if shape.dtype != "float32":
        return f"dtype {shape.dtype}, the native backend has float32"
    lack = stride_obstacle(shape)
    if lack:
        return f"{lack}, the native backend needs 1"
    if not set(shape.taps) <= {1, 3} or 3 not in shape.taps:
        return f"taps {shape.taps}, plans are made for 3 (and 1 on some axes)"
    return None


@lru_cache(maxsize=4096)
def _make_plan(
    shape: ConvShape, tolerance: float, forced: NestedAlgorithm | None, filters: Filters, obstacle: str | None
) -> Plan:
    if shape.is_empty:
        return Plan(shape, Backend.DIRECT, None, "nothing to compute")
    if forced is not None:
        return _forced_plan(shape, forced, filters, obstacle)
    lack = obstacle or shape_obstacle(shape)
    if lack:
        return Plan(shape, Backend.DIRECT, None, lack)
    return _fastest_plan(shape, tolerance, filters)


def _forced_plan(shape: ConvShape, algorithm: NestedAlgorithm, filters: Filters, obstacle: str | None) -> Plan:
    lack = obstacle or (None if shape.dtype == "float32" else f"dtype {shape.dtype}")
    if lack:
        return _winograd_plan(shape, Backend.COMPOSED, algorithm, f"algorithm given, composed since {lack}")
    plan = _winograd_plan(shape, Backend.NATIVE, algorithm, "algorithm given")
    return _timed(plan, _native_ms(shape, algorithm, filters))


def _fastest_plan(shape: ConvShape, tolerance: float, filters: Filters) -> Plan:
    errors = {algorithm: _float32_error(shape, algorithm) for algorithm in candidates(shape.taps)}
    tolerated = [algorithm for algorithm, error in errors.items() if error <= tolerance]
    direct_ms = roofline.direct_ms(shape)
    if not tolerated:
        reason = f"least predicted error {min(errors.values()):.1e} is above the tolerance {tolerance:.1e}"
        return Plan(shape, Backend.DIRECT, None, reason, predicted_ms=direct_ms, direct_ms=direct_ms)
    times = {algorithm: _native_ms(shape, algorithm, filters) for algorithm in tolerated}
    best = min(times, key=times.__getitem__)
    compared = f"{times[best]:.3g} ms predicted, direct {direct_ms:.3g} ms"
    if times[best] * REQUIRED_GAIN > direct_ms:
        reason = f"Winograd is not faster by a factor of {REQUIRED_GAIN}: {best.label} {compared}"
        return Plan(shape, Backend.DIRECT, None, reason, predicted_ms=direct_ms, direct_ms=direct_ms)
    plan = _winograd_plan(shape, Backend.NATIVE, best, f"{compared}, error {errors[best]:.1e} predicted")
    return _timed(plan, times[best])


def _native_ms(shape: ConvShape, algorithm: NestedAlgorithm, filters: Filters) -> float:
    extra = roofline.filter_ms(shape, algorithm) if filters is Filters.LIVE else 0.0
    return roofline.winograd_ms(shape, algorithm) + extra


def _timed(plan: Plan, milliseconds: float) -> Plan:
    return replace(plan, predicted_ms=milliseconds, direct_ms=roofline.direct_ms(plan.shape))


def _winograd_plan(shape: ConvShape, backend: Backend, algorithm: NestedAlgorithm, reason: str) -> Plan:
    native = backend is Backend.NATIVE
    filter_bytes = roofline.native_filter_bytes if native else roofline.filter_bytes
    workspace_bytes = roofline.native_workspace_bytes if native else roofline.transformed_bytes
    return Plan(
        shape,
        backend,
        algorithm,
        reason,
        predicted_error=predicted_error(shape, algorithm),
        filter_bytes=filter_bytes(shape, algorithm),
        workspace_bytes=workspace_bytes(shape, algorithm),
    )


def predicted_error(shape: ConvShape, algorithm: NestedAlgorithm) -> float | None:
    """Return the predicted relative L2 error for independent zero-mean inputs; 0 where exact, None where unknown.

    16-bit dtypes are computed in float32 and rounded once at the end, which the figure includes.
    """
    if shape.dtype in _EXACT:
        return 0.0
    if shape.dtype not in _WORKING:
        return None
    if shape.dtype == "float32":
        return _float32_error(shape, algorithm)
    error = predict_relative_l2(algorithm, dtype=_WORKING[shape.dtype], channels=max(shape.channels, 1))
    return math.hypot(error, _OUTPUT_ROUNDING.get(shape.dtype, 0.0))


def _float32_error(shape: ConvShape, algorithm: NestedAlgorithm) -> float:
    return predict_relative_l2(algorithm, dtype="float32", channels=max(shape.channels, 1), channel_block=CHANNEL_BLOCK)


@lru_cache(maxsize=256)
def candidates(taps: tuple[int, ...]) -> tuple[NestedAlgorithm, ...]:
    """Return the algorithms a plan chooses from: default points, 2 to 4 outputs on an axis, 1 where there is 1 tap.

    Examples
    --------
    >>> [algorithm.label for algorithm in candidates((1, 3))]
    ['F(1x2,1x3)', 'F(1x3,1x3)', 'F(1x4,1x3)']
    """
    outputs = [range(2, 5) if count > 1 else (1,) for count in taps]
    return tuple(nest(*map(toom_cook, sizes, taps)) for sizes in product(*outputs))


def plan_reference(
    shape: ConvShape,
    *,
    tolerance: float | None = None,
    algorithm: BilinearAlgorithm | NestedAlgorithm | None = None,
) -> Plan:
    """Return the plan for a convolution of NumPy arrays: the fewest multiplications whose error is tolerated.

    Time plays no part: the reference backend is for studies. See `make_plan` for parameters and for what is raised.
    """
    allowed = checked_tolerance(tolerance)
    if algorithm is not None:
        return _winograd_plan(shape, Backend.REFERENCE, checked_algorithm(shape, algorithm), "algorithm given")
    return _plan_reference(shape, allowed)


@lru_cache(maxsize=4096)
def _plan_reference(shape: ConvShape, tolerance: float) -> Plan:
    lack = "nothing to compute" if shape.is_empty else stride_obstacle(shape)
    if lack:
        return Plan(shape, Backend.DIRECT, None, lack)
    planned = candidates(shape.taps) if shape.dtype in ("object", *_WORKING) and max(shape.taps) > 1 else ()
    errors = {algorithm: predicted_error(shape, algorithm) for algorithm in planned}
    tolerated = [algorithm for algorithm, error in errors.items() if error is not None and error <= tolerance]
    if not tolerated:
        reason = f"dtype {shape.dtype} and taps {shape.taps} have no candidate within the tolerance {tolerance:.1e}"
        return Plan(shape, Backend.DIRECT, None, reason)
    best = min(tolerated, key=lambda algorithm: roofline.multiplications(shape, algorithm))
    return _winograd_plan(shape, Backend.REFERENCE, best, f"fewest multiplications, error {errors[best]:.1e} predicted")
