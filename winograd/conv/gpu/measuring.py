"""Measuring on a GPU: forms and settings of their kernels, run on random data of a shape and timed by events.

In: a plan by the model, which says shape, card and terms. Out: the fastest plan, and the times of all that were run.
Refused: nothing; settings for which a card has too few registers or too little shared memory are passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from math import inf, prod
from statistics import median
from time import perf_counter
from typing import Any, Final

import torch

from winograd.conv.direct import convolve_direct
from winograd.conv.gpu.explained import form_of
from winograd.conv.gpu.planning import gpu_plan, limits_on
from winograd.conv.gpu.products import CHANNEL_BLOCK, product_error, product_tolerance
from winograd.conv.gpu.run import lack_on_card, module_of, pack_on_card, triton_errors, try_on_card
from winograd.conv.gpu.schedule import Config
from winograd.conv.gpu.selection import GpuCandidate, gpu_candidates
from winograd.conv.layout import as_channels_last
from winograd.conv.plan_record import Backend, Plan
from winograd.conv.shape import ConvShape
from winograd.conv.task import Terms

Tensor = torch.Tensor

FORMS: Final = 4
"""Forms that are timed: the fastest by the model, of unlike axes or other kernels."""

ROUNDS: Final = 5
"""Times of each form or setting; the median counts."""

LEAST_GAIN: Final = 1.01
"""By which another setting has to be faster, or the former stays."""

Timer = Callable[[Callable[[], object]], float]
"""Returns the milliseconds of a call that was warmed up."""


def measured_on_card(planned: Plan, timer: Timer | None = None) -> tuple[Plan | None, dict[str, float]]:
    """Return the fastest plan on the card, None where there is none, and all times, in milliseconds by label.

    Parameters
    ----------
    planned : Plan
        Of a shape with a card; its terms say what was asked for.
    timer : callable, optional
        None takes events of the current GPU.
    """
    terms, shape, timer = planned.terms, planned.shape, timer or _event_ms
    assert terms is not None
    with torch.inference_mode():
        input, weight = _drawn(shape)
        times = {Backend.DIRECT.value: _direct_ms(shape, input, weight, timer)}
        best, best_ms = None, inf
        for plan in _rivals(shape, terms):
            milliseconds = _run_ms(plan, input, weight, timer)
            times[plan.label] = milliseconds
            if milliseconds < best_ms:
                best, best_ms = plan, milliseconds
        if best is not None:
            best, best_ms = _set_better(best, best_ms, input, weight, timer)
            times[best.label] = best_ms
    return best, times


def _rivals(shape: ConvShape, terms: Terms) -> Iterator[Plan]:
    """Yield plans of the fastest forms within the tolerance, the same sizes on other axes once."""
    seen: set[tuple[Any, ...]] = set()
    allowed = product_tolerance(shape, terms.tolerance)
    for found in gpu_candidates(shape, terms.filters, limits_on(shape, terms.limits)):
        form = found.form
        alike = tuple(sorted(zip(form.m, form.r, form.ranks, strict=True))), form.kind, form.products
        if len(seen) >= FORMS:
            return
        if alike in seen or product_error(shape, found.algorithm, form.products) > allowed:
            continue
        plan = gpu_plan(shape, found, terms, "to be timed")
        if lack_on_card(plan) is None:
            seen.add(alike)
            yield plan


def _set_better(plan: Plan, milliseconds: float, input: Tensor, weight: Tensor, timer: Timer) -> tuple[Plan, float]:
    """Return the plan with the settings that are found to be faster, one after the other."""
    module = module_of(plan)
    for name, values in module.SPACE.items():
        for value in values:
            settings = dict(plan.gpu.config) if plan.gpu is not None else {}
            if settings.get(name, module.DEFAULTS[name]) == value or not _is_allowed(plan, name, value):
                continue
            other = with_settings(plan, tuple(sorted({**settings, name: value}.items())))
            found = _run_ms(other, input, weight, timer)
            if found * LEAST_GAIN < milliseconds:
                plan, milliseconds = other, found
    return plan, milliseconds


def _is_allowed(plan: Plan, name: str, value: int) -> bool:
    """Return whether a setting keeps to the limits and to the tolerance."""
    assert plan.algorithm is not None
    assert plan.gpu is not None
    assert plan.terms is not None
    if name == "workspace_bytes":
        cap = limits_on(plan.shape, plan.terms.limits).workspace
        return cap is None or value <= cap
    error = product_error(plan.shape, plan.algorithm, plan.gpu.products, value if name == "block_c" else CHANNEL_BLOCK)
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


def _run_ms(plan: Plan, input: Tensor, weight: Tensor, timer: Timer) -> float:
    """Return the time of a plan, infinite where its kernels cannot be compiled for the card."""
    try:
        packed = pack_on_card(plan, weight)
        return timer(partial(try_on_card, plan, input, weight, packed=packed))
    except triton_errors():
        return inf


def _direct_ms(shape: ConvShape, input: Tensor, weight: Tensor, timer: Timer) -> float:
    """Return the time of torch's own convolution in the better of its memory formats, as it is set."""
    times = [timer(partial(convolve_direct, input, weight, None, shape))]
    if shape.ndim > 1:
        last = as_channels_last(input), as_channels_last(weight)
        times.append(timer(partial(convolve_direct, *last, None, shape)))
    return min(times)


def _event_ms(call: Callable[[], object]) -> float:
    for _ in range(2):
        call()
    if not torch.cuda.is_available():  # kernels are interpreted, in tests
        start = perf_counter()
        call()
        return (perf_counter() - start) * 1e3
    times = []
    for _ in range(ROUNDS):
        before, behind = events()
        before.record()
        for _ in range(3):
            call()
        behind.record()
        behind.synchronize()
        times.append(before.elapsed_time(behind) / 3)
    return float(median(times))


def events() -> tuple[torch.cuda.Event, torch.cuda.Event]:
    """Return two events that know their times."""
    make: Callable[..., torch.cuda.Event] = torch.cuda.Event
    return make(enable_timing=True), make(enable_timing=True)


def _drawn(shape: ConvShape) -> tuple[Tensor, Tensor]:
    """Return random tensors of a shape on the current GPU, channels last in memory, as fast networks have them."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    generator = torch.Generator(device).manual_seed(0)
    dtype, sizes = getattr(torch, shape.dtype), (shape.batch, shape.channels, *shape.sizes)
    input = torch.randn(sizes, generator=generator, device=device).to(dtype)
    scale = prod(shape.weight_sizes[1:]) ** -0.5
    weight = (torch.randn(shape.weight_sizes, generator=generator, device=device) * scale).to(dtype)
    return as_channels_last(input), weight
