"""Heats: the rivals of a plan run in turns, as many at a time as the limit on kept filters allows.

In: a plan that knows its terms, native plans by label. Out: median milliseconds by label. Direct convolution runs in
every heat, as a direct plan runs it, and times of different heats are compared by its times in them. Every rival, and
direct convolution, runs with channels first and with channels last, and counts by the better one. The other variants
of direct convolution, which no plan runs, have a heat of their own, for information. Refused: nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import groupby
from math import inf
from statistics import median
from typing import TYPE_CHECKING, Final

import torch

from winograd.conv.choosing.selection import Filters
from winograd.conv.direct.variants import direct_variants
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.measuring.timing import SCREENING_ROUNDS, contenders, interleaved
from winograd.conv.plan.record import Backend, Plan
from winograd.conv.running.packing import pack_for_plan
from winograd.conv.running.run import run_plan
from winograd.conv.tensors.layout import Layout, as_channels_last

if TYPE_CHECKING:
    from winograd.conv.running.packing import Packed

DIRECT: Final = Backend.DIRECT.value

_ROUNDS_MS: Final = 1500.0
_FEWEST_ROUNDS, _MOST_ROUNDS = 5, 25

Run = Callable[[], object]
Runs = dict[tuple[str, str], Run]
"""What is timed, by the label that it counts for and by what tells it from others of that label."""

Operands = dict[str, tuple[torch.Tensor, torch.Tensor]]
"""Input and weight by their memory format."""

Heat = dict[str, Plan]


def run_heats(planned: Plan, rivals: Mapping[str, Plan]) -> dict[str, float]:
    """Return median milliseconds of "direct", of its variants such as "direct onednn", and of the rivals.

    Parameters
    ----------
    planned : Plan
        Of the shape and the terms of all of them.
    rivals : mapping of label to Plan
        Native ones; those of one algorithm follow each other, and share its transformed filter.
    """
    assert planned.terms is not None
    operands = _draw(planned.shape)
    direct = Plan(planned.shape, Backend.DIRECT, None, "to be timed", filters=planned.terms.filters)
    own = _runs(DIRECT, direct, operands, _packed(direct, operands))
    heats = heats_within(rivals, planned.terms.limits.filters)
    times = [_timed(own, _native_runs(heat, operands), _rounds(planned, heat, len(heats))) for heat in heats]
    times.append(_timed(own, _variants(planned.shape, operands), _FEWEST_ROUNDS))
    return _as_if_one(times)


def heats_within(rivals: Mapping[str, Plan], cap: int | None) -> list[Heat]:
    """Return the rivals in heats whose kept filters together are within the cap, all schedules of one algorithm in one.

    A single filter is: plans do not keep a larger one.
    """
    heats: list[Heat] = [{}]
    held = 0
    for _, group in groupby(rivals.items(), key=lambda pair: pair[1].algorithm):
        same = dict(group)
        needed = max((plan.filter_bytes for plan in same.values() if plan.filters is Filters.FROZEN), default=0)
        if heats[-1] and cap is not None and held + needed > cap:
            heats.append({})
            held = 0
        heats[-1].update(same)
        held += needed
    return heats


def _native_runs(heat: Heat, operands: Operands) -> Runs:
    found: Runs = {}
    for _, group in groupby(heat.items(), key=lambda pair: pair[1].algorithm):
        same = list(group)
        packed = _packed(same[0][1], operands)
        for label, plan in same:
            found.update(_runs(label, plan, operands, packed))
    return found


def _variants(shape: ConvShape, operands: Operands) -> Runs:
    input, weight = operands[Layout.CHANNELS_FIRST.value]
    return {(f"{DIRECT} {name}", ""): run for name, run in direct_variants(input, weight, None, shape).items()}


def _packed(plan: Plan, operands: Operands) -> Packed | None:
    """Return the weight as the plan keeps it from call to call, or None where it keeps none."""
    return pack_for_plan(plan, operands[Layout.CHANNELS_FIRST.value][1]) if plan.filters is Filters.FROZEN else None


def _runs(label: str, plan: Plan, operands: Operands, packed: Packed | None) -> Runs:
    return {
        (label, layout): partial(run_plan, plan, input, weight, packed=packed)
        for layout, (input, weight) in operands.items()
    }


def _draw(shape: ConvShape) -> Operands:
    """Return random input and weight; torch's own generator stays as it is."""
    generator = torch.Generator("cpu").manual_seed(0)
    dtype = getattr(torch, shape.dtype)
    sizes = ((shape.batch, shape.channels, *shape.sizes), shape.weight_sizes)
    input, weight = (torch.randn(one, generator=generator, device="cpu").to(dtype) for one in sizes)
    first = {Layout.CHANNELS_FIRST.value: (input, weight)}
    if shape.ndim == 1:
        return first
    return {**first, Layout.CHANNELS_LAST.value: (as_channels_last(input), as_channels_last(weight))}


def _rounds(planned: Plan, heat: Heat, heats: int) -> int:
    once = sum(plan.predicted_ms or 0.0 for plan in heat.values()) + (planned.direct_ms or 1.0)
    return min(max(int(_ROUNDS_MS / (2 * once * heats)), _FEWEST_ROUNDS), _MOST_ROUNDS)


def _timed(own: Runs, others: Runs, repeats: int) -> dict[str, float]:
    """Return median milliseconds; what is clearly slower than the best of its side takes part in the first rounds."""
    everybody = {**own, **others}
    screened = interleaved(everybody, SCREENING_ROUNDS)
    kept = [name for side in (own, others) if side for name in contenders({name: screened[name] for name in side})]
    times = {**screened, **interleaved({name: everybody[name] for name in kept}, repeats)}
    best: dict[str, float] = {}
    for (label, _), values in times.items():
        best[label] = min(best.get(label, inf), median(values))
    return best


def _as_if_one(times: list[dict[str, float]]) -> dict[str, float]:
    """Return the times of all heats as if they had been run in the first one, by those of direct convolution."""
    direct = times[0][DIRECT]
    scaled = {label: ms * direct / heat[DIRECT] for heat in times for label, ms in heat.items()}
    return {**scaled, **times[0]}
