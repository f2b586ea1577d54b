"""Measuring on a GPU: forms and settings of their kernels, run on random data of a shape and timed by events.

In: a plan by the model, which says shape, card and terms. Out: the fastest plan, and the times of all that were run.
Refused: nothing; settings for which a card has too few registers or too little shared memory are passed over, and those
whose output is not within the tolerance.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from math import inf
from typing import Any, Final

import torch

from winograd.conv.choosing.task import Terms
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.gpu.explained import form_of
from winograd.conv.gpu.form import CHANNEL_BLOCK
from winograd.conv.gpu.planning import gpu_plan, limits_on
from winograd.conv.gpu.products import form_error, product_tolerance
from winograd.conv.gpu.run import lack_on_card, module_of
from winograd.conv.gpu.schedule import FUSED, Config
from winograd.conv.gpu.selection import GpuCandidate, gpu_candidates
from winograd.conv.gpu.trial import Timer, Trial, device_like
from winograd.conv.plan.record import Backend, Plan

FORMS: Final = 4
"""Forms that are timed: the fastest by the model, of unlike axes or other kernels."""

LEAST_GAIN: Final = 1.01
"""By which another setting has to be faster, or the former stays."""


def measured_on_card(planned: Plan, timer: Timer | None = None) -> tuple[Plan | None, dict[str, float]]:
    """Return the fastest plan on the card, None where there is none, and all times, in milliseconds by label.

    Parameters
    ----------
    planned : Plan
        Of a shape with a card; its terms say what was asked for.
    timer : callable, optional
        None takes events of the current GPU.
    """
    terms, shape, place = planned.terms, planned.shape, device_like(planned.shape)
    assert terms is not None
    current = torch.cuda.device(place) if place.type == "cuda" else nullcontext()
    with torch.inference_mode(), torch.autocast(place.type, enabled=False), current:
        trial = Trial.of(shape, terms.tolerance, timer)
        times = {Backend.DIRECT.value: trial.direct_ms()}
        best, best_ms = None, inf
        for plan in _rivals(shape, terms):
            milliseconds = trial.plan_ms(plan)
            times[plan.label] = milliseconds
            if milliseconds < best_ms:
                best, best_ms = plan, milliseconds
        if best is not None:
            best, best_ms = _set_better(best, best_ms, trial)
            times[best.label] = best_ms
    return best, times


def _rivals(shape: ConvShape, terms: Terms) -> Iterator[Plan]:
    """Yield plans of the fastest forms within the tolerance, the same sizes on other axes once."""
    seen: set[tuple[Any, ...]] = set()
    allowed = product_tolerance(shape, terms.tolerance)
    for found in gpu_candidates(shape, terms.filters, limits_on(shape, terms.limits)):
        form = found.form
        if len(seen) >= FORMS:
            return
        if form.unordered in seen or form_error(shape, found.algorithm, form) > allowed:
            continue
        plan = gpu_plan(shape, found, terms, "to be timed")
        if lack_on_card(plan) is None:
            seen.add(form.unordered)
            yield plan


def _set_better(plan: Plan, milliseconds: float, trial: Trial) -> tuple[Plan, float]:
    """Return the plan with the settings that are found to be faster, one after the other."""
    module = module_of(plan)
    for name, values in module.SPACE.items():
        for value in values:
            settings = dict(plan.gpu.config) if plan.gpu is not None else {}
            unchanged = settings.get(name, module.DEFAULTS[name]) == value
            if unchanged or not _is_read(plan, name) or not _is_allowed(plan, name, value):
                continue
            other = with_settings(plan, tuple(sorted({**settings, name: value}.items())))
            found = trial.plan_ms(other)
            if found * LEAST_GAIN < milliseconds:
                plan, milliseconds = other, found
    return plan, milliseconds


_OF_PRODUCTS: Final = {
    False: {"block_t", "block_k", "warps", "stages"},
    True: {"few_t", "few_k", "few_warps", "few_stages", "few_run"},
}
"""Settings of staged products whose filters stay in shared memory, and of the others."""


def _is_read(plan: Plan, name: str) -> bool:
    """Return whether the kernels of a plan read a setting: there are two kinds of staged products."""
    assert plan.gpu is not None
    form, block_c = form_of(plan), dict(plan.gpu.config).get("block_c", CHANNEL_BLOCK)
    few = form.keeps_filters(plan.shape, block_c)
    return form.kind == FUSED or name not in _OF_PRODUCTS[not few]


def _is_allowed(plan: Plan, name: str, value: int) -> bool:
    """Return whether a setting keeps to the limits and to the tolerance."""
    assert plan.algorithm is not None
    assert plan.gpu is not None
    assert plan.terms is not None
    if name == "workspace_bytes":
        cap = limits_on(plan.shape, plan.terms.limits).workspace
        return cap is None or value <= cap
    settings = {**dict(plan.gpu.config), name: value}
    error = form_error(plan.shape, plan.algorithm, form_of(plan), tuple(settings.items()))
    return error <= product_tolerance(plan.shape, plan.terms.tolerance)


def with_settings(plan: Plan, config: Config) -> Plan:
    """Return the plan with other settings of its kernels."""
    assert plan.gpu is not None
    assert plan.terms is not None
    other = replace(plan, gpu=replace(plan.gpu, config=config))
    form = form_of(other)
    assert plan.algorithm is not None
    candidate = GpuCandidate(plan.algorithm, form, plan.predicted_ms or 0.0, plan.filters)
    return gpu_plan(plan.shape, candidate, plan.terms, plan.reason, config)
