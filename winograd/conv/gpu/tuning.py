"""Tuning on a GPU: the forms that are predicted to be fastest, and settings of their kernels, run and timed there.

In: a shape with a card, the terms of a plan. Out: a `Plan` that knows the measured times. First the fastest forms by
the model within the tolerance run as their files set them, beside direct convolution, which takes TF32 where the
tolerance allows its error, however torch is set; then the settings of the fastest
are changed, one after the other, as long as that gains. What was found is kept on disk by card, versions, shape, terms
and text of the kernels, see `winograd.conv.measuring.tuning_cache`. Where too little memory is free, and while a CUDA
graph is captured, the model decides. Refused: what `make_plan` refuses, and cards that are not here; settings that a
card has too few registers or too little shared memory for are passed over.
"""

from __future__ import annotations

import hashlib
import importlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from importlib import resources
from math import isfinite
from typing import Any

import torch

from winograd import __version__
from winograd.conv.gpu.measuring import measured_on_card, with_settings
from winograd.conv.gpu.planning import card_obstacle, direct_plan, gpu_plan, limits_on
from winograd.conv.gpu.products import form_error, product_tolerance
from winograd.conv.gpu.roofline import card_of
from winograd.conv.gpu.run import lack_on_card, module_of
from winograd.conv.gpu.schedule import Config
from winograd.conv.gpu.selection import gpu_candidates
from winograd.conv.gpu.trial import Timer, device_like
from winograd.conv.measuring import tuning_cache
from winograd.conv.measuring.timing import measured_on
from winograd.conv.plan.record import Backend, Plan
from winograd.conv.plan.verdict import MEASURED_GAIN
from winograd.conv.switch import is_enabled


def tuned_on_card(planned: Plan, timer: Timer | None = None) -> Plan:
    """Return the plan that was fastest when it was run on its card; measured now, unless that was done before.

    Parameters
    ----------
    planned : Plan
        Of a shape with a card, by the model; its terms say what was asked for.
    timer : callable, optional
        None takes events of the current GPU.
    """
    assert planned.terms is not None
    if planned.shape.is_empty or card_obstacle(planned.shape) is not None or not is_enabled():
        return planned
    on_gpu = device_like(planned.shape).type == "cuda"
    question = _question(planned)
    answered = _answered(planned, tuning_cache.find(question))
    if answered is not None:
        return answered
    if on_gpu and torch.cuda.is_current_stream_capturing():  # what is recorded takes no time yet
        return planned
    with tuning_cache.alone():
        answered = _answered(planned, tuning_cache.find(question))
        if answered is None:
            answered = _measured(planned, question, timer)
    return planned if answered is None else answered


def _measured(planned: Plan, question: tuning_cache.Question, timer: Timer | None) -> Plan | None:
    """Return what is fastest now, and keep it; None after a warning where the card has too little memory to try."""
    try:
        answer = _answer(*measured_on_card(planned, timer))
    except torch.OutOfMemoryError as error:
        said = str(error).partition("\n")[0]
        words = f"too little memory on {card_of(planned.shape).name} to measure plans: {said}; the model decides"
        warnings.warn(words, RuntimeWarning, stacklevel=2)
        return None
    tuning_cache.keep(question, answer)
    return _answered(planned, answer)


def forget_on_card(planned: Plan) -> None:
    """Forget what was measured for the shape and the terms of a plan on a card."""
    tuning_cache.forget(_question(planned))


def _question(planned: Plan) -> tuning_cache.Question:
    """Return all that a measurement depends on."""
    terms = planned.terms
    assert terms is not None
    limits = limits_on(planned.shape, terms.limits)
    machine = {name: value for name, value in measured_on().items() if name not in {"date", "python"}}
    return {
        "machine": {**machine, "triton": triton_version(), "cudnn": cudnn_version()},
        "direct": "TF32 where tolerated",
        "text": kernels_digest(),
        "version": __version__,
        "shape": asdict(planned.shape),
        "tolerance": terms.tolerance,
        "filters": terms.filters.value,
        "workspace_cap": limits.workspace,
        "filter_cap": limits.filters,
    }


def kernels_digest() -> str:
    """Return the SHA-256 of all that emitted kernels are made of, beside the algorithm."""
    folder = resources.files("winograd.codegen.targets.triton")
    found = hashlib.sha256()
    for entry in sorted(folder.iterdir(), key=lambda one: one.name):
        if entry.name.endswith((".py", ".txt")):
            found.update(entry.name.encode() + b"\0" + entry.read_bytes())
    return found.hexdigest()


def cudnn_version() -> str:
    """Return the version of cuDNN, "None" without."""
    version: Callable[[], int | None] = torch.backends.cudnn.version
    return str(version())


def triton_version() -> str:
    """Return the version of Triton."""
    return str(importlib.import_module("triton").__version__)


def _answer(best: Plan | None, times: Mapping[str, float]) -> tuning_cache.Answer:
    direct = times[Backend.DIRECT.value]
    wins = best is not None and times[best.label] * MEASURED_GAIN < direct
    finite = sorted(([label, ms] for label, ms in times.items() if isfinite(ms)), key=_milliseconds)
    return {"chosen": _spelled(best) if best is not None and wins else None, "measured": finite}


def _milliseconds(pair: list[Any]) -> float:
    return float(pair[1])


def _spelled(plan: Plan) -> dict[str, Any]:
    """Return algorithm and schedule of a plan as plain data."""
    assert plan.algorithm is not None
    assert plan.gpu is not None
    return {
        "m": list(plan.algorithm.m),
        "ranks": list(plan.algorithm.ranks),
        "kind": plan.gpu.kind,
        "products": plan.gpu.products,
        "config": dict(plan.gpu.config),
    }


def _answered(planned: Plan, answer: tuning_cache.Answer | None) -> Plan | None:
    """Return the plan that an answer names, or None where it names none that there could be."""
    measured = None if answer is None else _read_measured(answer.get("measured"))
    if answer is None or measured is None:
        return None
    terms, shape = planned.terms, planned.shape
    assert terms is not None
    reason = f"measured on {card_of(shape).name}: " + "; ".join(f"{label} {ms:.3g} ms" for label, ms in measured[:2])
    chosen = answer.get("chosen", 0)
    if chosen is None:
        return replace(direct_plan(shape, terms, reason), measured=measured)
    if not isinstance(chosen, dict):
        return None
    allowed = product_tolerance(shape, terms.tolerance)
    for found in gpu_candidates(shape, terms.filters, limits_on(shape, terms.limits)):
        form = found.form
        if [list(form.m), list(form.ranks), form.kind, form.products] != [
            chosen.get(name) for name in ("m", "ranks", "kind", "products")
        ]:
            continue
        config = _read_config(chosen.get("config"))
        if config is None or form_error(shape, found.algorithm, form, config) > allowed:
            return None
        plan = with_settings(gpu_plan(shape, found, terms, reason), config)
        plan = replace(plan, measured=measured)
        return plan if lack_on_card(plan) is None and _are_known(plan, config) else None
    return None


def _are_known(plan: Plan, config: Config) -> bool:
    return set(dict(config)) <= set(module_of(plan).DEFAULTS)


def _read_config(given: Any) -> Config | None:
    if not isinstance(given, dict) or not all(
        isinstance(name, str) and type(value) is int and value > 0 for name, value in given.items()
    ):
        return None
    return tuple(sorted(given.items()))


def _read_measured(given: Any) -> tuple[tuple[str, float], ...] | None:
    if not isinstance(given, list) or not 0 < len(given) <= 100:
        return None
    for pair in given:
        if not (isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) and isinstance(pair[1], float)):
            return None
    pairs: Sequence[tuple[str, float]] = [(label, ms) for label, ms in given if isfinite(ms) and ms > 0]
    return tuple(pairs) if Backend.DIRECT.value in dict(pairs) else None
