"""Explanations: what a plan was asked for, what it chose, and what it rejected and why.

In: a `Plan` that knows its terms. Out: an `Explanation`, as text, as a table in a notebook, as data for JSON.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

from winograd.accuracy.showing.table import html_table, text_table
from winograd.conv.choosing.prediction import WORKING
from winograd.conv.choosing.task import Terms
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.plan.record import Backend, Plan
from winograd.conv.planning.considered import Considered, considered
from winograd.conv.wording import size_of

_MEASURED: Final = "measured ms"

_HEADER: Final = (
    "candidate", "schedule", "predicted ms", _MEASURED, "error", "U MiB", "work MiB", "products", "verdict",
)  # fmt: skip


@dataclass(frozen=True, slots=True, repr=False)
class Explanation:
    """What a plan was asked for, what it chose, and all that it had to choose from.

    Parameters
    ----------
    plan : Plan
    candidates : tuple of Considered
        Those that were timed before the others, of either the fastest first.
    """

    plan: Plan
    candidates: tuple[Considered, ...]

    def text(self) -> str:
        """Return all of it as lines of text."""
        lines = [f"asked for: {asked_for(self.plan)}", f"chosen: {headline(self.plan)}"]
        header, rows = self._table()
        return "\n".join([*lines, "", text_table(header, rows, left=(0, 1, len(header) - 1))])

    def as_dict(self) -> dict[str, Any]:
        """Return all of it under names, ready for JSON."""
        plan = self.plan
        return {
            "asked": {"shape": asdict(plan.shape), **_terms(plan)},
            "chosen": {
                "label": plan.label,
                "backend": plan.backend.value,
                "reason": plan.reason,
                "predicted_ms": plan.predicted_ms,
                "direct_ms": plan.direct_ms,
                "measured_ms": plan.measured_ms,
                "predicted_error": plan.predicted_error,
                "filter_bytes": plan.filter_bytes,
                "workspace_bytes": plan.workspace_bytes,
                "multiplications": plan.multiplications,
                "phases": None if plan.phases is None else plan.phases.label,
            },
            "candidates": [asdict(one) for one in self.candidates],
        }

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<Explanation of {self.plan.label}: {len(self.candidates)} candidates>"

    def _repr_html_(self) -> str:
        return html_table(f"{asked_for(self.plan)}. Chosen: {headline(self.plan)}", *self._table())

    def _table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Return header and rows, without the column of measured times where nothing was timed."""
        kept = [name for name in _HEADER if name != _MEASURED or self.plan.measured]
        rows = [dict(zip(_HEADER, _cells(one), strict=True)) for one in self.candidates]
        return tuple(kept), [tuple(row[name] for name in kept) for row in rows]


def explain_plan(plan: Plan) -> Explanation:
    """Return the explanation of a plan; see `Plan.explain`."""
    return Explanation(plan, considered(plan))


def asked_for(plan: Plan) -> str:
    """Return shape and terms of a plan in one line.

    Examples
    --------
    >>> import winograd
    >>> plan = winograd.plan_conv((1, 64, 56, 56), (64, 64, 3, 3), padding=1, tolerance=2e-6, threads=2)
    >>> print(asked_for(plan))  # doctest: +ELLIPSIS
    float32 1x64x56x56 by 64x64x3x3, padding 1,1, tolerance 2e-06, filters frozen, 2 threads, workspace up to 64.0 ...
    """
    shape = plan.shape
    sizes = (shape.batch, shape.channels, *shape.sizes)
    words = [f"{shape.dtype} {_times(sizes)} by {_times(shape.weight_sizes)}"]
    for name, value in (("stride", shape.stride), ("dilation", shape.dilation)):
        words += [f"{name} {_listed(value)}"] if set(value) != {1} else []
    if any(side for pair in shape.padding for side in pair):
        even = all(low == high for low, high in shape.padding)
        sides = (str(low) if even else f"{low}+{high}" for low, high in shape.padding)
        words.append(f"padding {','.join(sides)}")
    words += [f"groups {shape.groups}"] if shape.groups != 1 else []
    return ", ".join(words + spelled_terms(plan))


def headline(plan: Plan) -> str:
    """Return what was chosen and why, in one line; where it was timed, with the time of direct convolution."""
    direct = dict(plan.measured).get(Backend.DIRECT.value)
    known = direct is None or Backend.DIRECT.value in plan.reason
    return f"{plan.label}: {plan.reason}" + ("" if known else f"; direct {direct:.3g} ms")


def spelled_terms(plan: Plan) -> list[str]:
    """Return what a plan was asked for, beside the shape."""
    terms = plan.terms
    if terms is None:
        return []
    dtype = plan.shape.dtype
    rounding = "" if WORKING.get(dtype, dtype) == dtype else f" before rounding to {dtype}"
    where, workspace = _place(plan.shape, terms)
    caps = (("workspace", workspace), ("kept filters", terms.limits.filters))
    return [
        f"tolerance {terms.tolerance:.2g}{rounding}",
        f"filters {terms.filters.value}",
        where,
        *(f"{name} {'unlimited' if cap is None else f'up to {size_of(cap)}'}" for name, cap in caps),
    ]


def _place(shape: ConvShape, terms: Terms) -> tuple[str, int | None]:
    """Return what computes, threads or a card, and how much memory it may take beside the tensors."""
    if shape.card is None:
        return "1 thread" if terms.threads == 1 else f"{terms.threads} threads", terms.limits.workspace
    from winograd.conv.gpu.planning import limits_on
    from winograd.conv.gpu.roofline import card_of

    return f"on {card_of(shape).label}", limits_on(shape, terms.limits).workspace


def _terms(plan: Plan) -> dict[str, Any]:
    terms = plan.terms
    if terms is None:
        return {}
    return {
        "tolerance": terms.tolerance,
        "filters": terms.filters.value,
        "threads": terms.threads if plan.shape.card is None else None,
        "workspace_cap": _place(plan.shape, terms)[1],
        "filter_cap": terms.limits.filters,
    }


def _cells(one: Considered) -> tuple[str, ...]:
    return (
        one.label,
        one.schedule.replace(" blocks of", ",") or "-",
        _milliseconds(one.predicted_ms),
        _milliseconds(one.measured_ms),
        "-" if one.predicted_error is None else f"{one.predicted_error:.1e}",
        _mebibytes(one.filter_bytes),
        _mebibytes(one.workspace_bytes),
        f"{one.multiplications:.3g}" if one.multiplications else "-",
        one.verdict,
    )


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _mebibytes(count: int) -> str:
    return "-" if count == 0 else f"{count / 2**20:.1f}"


def _times(sizes: tuple[int, ...]) -> str:
    return "x".join(map(str, sizes))


def _listed(values: tuple[int, ...]) -> str:
    return ",".join(map(str, values))
