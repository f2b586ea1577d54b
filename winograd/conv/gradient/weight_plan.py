"""Plans of the gradient of the weight: by the transposed transforms of an algorithm, or torch's own.

In: `Asked`. Out: a `GradientPlan`. Winograd is taken where it is predicted to be faster, and where torch's own is
predicted to have an error above the tolerance. Stride, dilation and groups are taken apart by phases, as in the
convolution itself. Refused: forced algorithms of which not one tile fits into the limits on memory.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from math import prod

from winograd.accuracy.gradients import predict_direct_weight_gradient_relative_l2
from winograd.algebra.nesting import NestedAlgorithm
from winograd.conv import roofline
from winograd.conv.choosing.obstacles import NATIVE_DTYPES, shape_obstacle, stride_obstacle
from winograd.conv.choosing.prediction import WORKING, rounded_to, scaled_to
from winograd.conv.choosing.task import Task, core_task
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.gradient.asked import Asked
from winograd.conv.gradient.record import GradientPlan
from winograd.conv.gradient.selection import GradientSelection, select_gradient, selection_of
from winograd.conv.plan.record import Backend
from winograd.conv.plan.verdict import GIVEN, REQUIRED_GAIN
from winograd.conv.roofline.gradient import direct_weight_gradient_ms, held_bytes, sums_bytes
from winograd.conv.wording import size_of


@lru_cache(maxsize=4096)
def weight_plan(asked: Asked) -> GradientPlan:
    """Return the plan; equal questions are answered from a cache."""
    shape = asked.shape
    if shape.is_empty:
        return asked.torchs_own("nothing to compute")
    if asked.forced is not None:
        return _forced_plan(asked, asked.forced)
    lack = asked.obstacle or shape_obstacle(shape)
    return asked.torchs_own(lack) if lack else _fastest_plan(asked)


def own_error(shape: ConvShape, threads: int) -> float:
    """Return the error to expect of torch's own gradient: one running sum a thread, over images and outputs.

    Examples
    --------
    >>> from winograd.conv.arguments import ConvArguments
    >>> shape = ConvArguments(padding=1).shape((4, 64, 16, 56, 56), (64, 64, 3, 3, 3), dtype="float32")
    >>> f"{own_error(shape, threads=2):.1e}"
    '5.7e-06'
    """
    products = shape.batch * prod(shape.output)
    return predict_direct_weight_gradient_relative_l2(WORKING[shape.dtype], products=-(-products // threads))


def _forced_plan(asked: Asked, algorithm: NestedAlgorithm) -> GradientPlan:
    shape, stride = asked.shape, stride_obstacle(asked.shape)
    device = None if shape.card is None else f"device {shape.card.name}"
    lack = asked.obstacle or device or (None if shape.dtype in NATIVE_DTYPES else f"dtype {shape.dtype}")
    if lack is not None and stride is not None:
        return asked.torchs_own(f"{stride} needs the native backend, {lack}")
    if lack is not None:
        reason = f"{GIVEN}, composed since {lack}"
        return GradientPlan(shape, asked.wanted, Backend.COMPOSED, algorithm, reason, terms=asked.terms)
    task = _task(asked)
    found = selection_of(_core(task, shape), algorithm, task.terms.limits, asked.terms.threads)
    if found is None:
        limits = asked.terms.limits
        raise ValueError(f"{algorithm.label} has no tile whose gradient fits into the limits on memory, {limits}")
    return _native_plan(asked, task, found, f"{GIVEN}: ")


def _fastest_plan(asked: Asked) -> GradientPlan:
    shape, terms, task = asked.shape, asked.terms, _task(asked)
    direct_ms = direct_weight_gradient_ms(shape, terms.threads)
    found = select_gradient(_core(task, shape), terms.tolerance, task.terms.limits, terms.threads)
    if found is None:
        reason = f"no candidate within the tolerance {terms.tolerance:.2g} and the limits on memory"
        return asked.torchs_own(reason, direct_ms)
    milliseconds = _milliseconds(task, found, shape)
    if milliseconds * REQUIRED_GAIN > direct_ms and own_error(shape, terms.threads) <= terms.tolerance:
        way = "Winograd" if task.phases is None else f"Winograd with {task.phases.label}"
        times = f"{milliseconds:.3g} ms ({found.algorithm.label}), direct {direct_ms:.3g} ms"
        return asked.torchs_own(f"{way} would take {times}: not faster by a factor of {REQUIRED_GAIN}", direct_ms)
    plan = _native_plan(asked, task, found, "")
    limit = terms.limits.workspace
    if _widened_bytes(shape) and limit is not None and plan.workspace_bytes > limit:
        reason = f"with float32 copies of {shape.dtype} it would hold {size_of(plan.workspace_bytes)}, above the limit"
        return asked.torchs_own(reason, direct_ms)
    return plan


def _native_plan(asked: Asked, task: Task, found: GradientSelection, given: str) -> GradientPlan:
    shape, terms, core = asked.shape, asked.terms, _core(task, asked.shape)
    milliseconds, error = _milliseconds(task, found, shape), scaled_to(shape.dtype, found.error)
    direct_ms, own = direct_weight_gradient_ms(shape, terms.threads), own_error(shape, terms.threads)
    times = f"{milliseconds:.3g} ms predicted, direct {direct_ms:.3g} ms"
    errors = f"error {error:.1e} predicted" + (f", direct {own:.1e}" if own > terms.tolerance else "")
    by = "" if task.phases is None else f"; {task.phases.label}"
    return GradientPlan(
        shape,
        asked.wanted,
        Backend.NATIVE,
        found.algorithm,
        f"{given}{times}, {errors}{by}",
        predicted_error=rounded_to(shape.dtype, error),
        direct_error=own,
        filter_bytes=sums_bytes(core, found.algorithm.rank),
        workspace_bytes=held_bytes(core, found.algorithm.rank, found.block) + task.held_bytes + _widened_bytes(shape),
        predicted_ms=milliseconds,
        direct_ms=direct_ms,
        block=found.block,
        phases=task.phases,
        terms=terms,
    )


def _task(asked: Asked) -> Task:
    """Return the task in the dtype that is computed with: that of the copies of the phases."""
    return core_task(replace(asked.shape, dtype=WORKING[asked.shape.dtype]), asked.terms)


def _core(task: Task, shape: ConvShape) -> ConvShape:
    """Return the dense convolution in the dtype of the tensors, from which the error that is allowed follows."""
    return replace(task.core, dtype=shape.dtype)


def _milliseconds(task: Task, found: GradientSelection, shape: ConvShape) -> float:
    """Return the time of all runs, of the copies of phases, and of those in float32 of 16-bit tensors."""
    runs, copied = (1, 0) if task.phases is None else (task.phases.runs, task.phases.copied_bytes)
    copies = roofline.copies_ms(copied + _widened_bytes(shape) * 3 // 2, task.terms.threads)
    return runs * found.milliseconds + copies


def _widened_bytes(shape: ConvShape) -> int:
    """Return the bytes of copies in float32, 0 where numbers are computed with as they are."""
    if WORKING[shape.dtype] == shape.dtype:
        return 0
    return 4 * shape.batch * (shape.channels * prod(shape.sizes) + shape.outputs * prod(shape.output))
