"""Questions: all that a measurement depends on, as plain data by which its answer is kept.

In: a `Plan` that knows its terms. Out: a question, or None where nothing can be compiled. Refused: nothing.
"""

from __future__ import annotations

import os
from dataclasses import asdict

import torch

from winograd.codegen.compiler import BuildError, cpu_features, find_compiler
from winograd.conv.measuring import tuning_cache
from winograd.conv.measuring.timing import measured_on
from winograd.conv.plan.record import Plan


def question_of(planned: Plan) -> tuning_cache.Question | None:
    """Return all that a measurement depends on, or None where nothing can be compiled."""
    try:
        compiler = find_compiler()
    except BuildError:
        return None
    terms = planned.terms
    assert terms is not None
    machine = {name: value for name, value in measured_on().items() if name not in {"date", "python"}}
    return {
        "machine": {**machine, "usable": _usable_cores(), "features": cpu_features(), "compiler": compiler.version},
        "onednn": bool(torch.backends.mkldnn.enabled and torch._C._has_mkldnn),
        "shape": asdict(planned.shape),
        "tolerance": terms.tolerance,
        "filters": terms.filters.value,
        "workspace_cap": terms.limits.workspace,
        "filter_cap": terms.limits.filters,
        "threads": terms.threads,
    }


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
