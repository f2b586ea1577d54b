"""Plans for a GPU: which algorithm, kernels and products a convolution takes on a card, and what that should cost.

In: a `ConvShape` with a card, an algorithm or none, what is asked for. Out: a `Plan`. Refused: forced algorithms of
which not one column of tiles fits into the workspace. Direct convolution is torch's own, as torch is set: in float32 it
may take TF32, whose time counts here only where the tolerance allows its error.
"""

from __future__ import annotations

from typing import Final

from winograd.algebra.nesting import NestedAlgorithm, nest
from winograd.algebra.toom_cook import toom_cook
from winograd.conv.choosing.candidates import has_choices
from winograd.conv.choosing.obstacles import stride_obstacle
from winograd.conv.choosing.prediction import rounded_to
from winograd.conv.choosing.task import Terms
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.gpu.card import LEAST_CAPABILITY
from winograd.conv.gpu.form import extent_of
from winograd.conv.gpu.products import OFFERED, form_error, product_error, product_tolerance
from winograd.conv.gpu.roofline import card_of, library_ms
from winograd.conv.gpu.schedule import FUSED, Config, GpuSchedule
from winograd.conv.gpu.selection import GpuCandidate, GpuLimits, best_forms, gpu_candidates
from winograd.conv.limits import MemoryLimits
from winograd.conv.plan.record import Backend, Plan
from winograd.conv.plan.verdict import GIVEN, REQUIRED_GAIN
from winograd.conv.wording import apart

WORKSPACE_SHARE: Final = 64
"""Where no limit was set, V and M may take this part of a card's memory."""

LEAST_CHANNELS: Final = 8
"""Input and output channels from which on blocks of products are not mostly empty."""


def plan_on_card(shape: ConvShape, forced: NestedAlgorithm | None, terms: Terms) -> Plan:
    """Return the plan of a shape that has a card, and that kernels can compute; see `card_obstacle`."""
    return _fastest_plan(shape, terms) if forced is None else _forced_plan(shape, forced, terms)


def card_obstacle(shape: ConvShape) -> str | None:
    """Return why emitted kernels cannot be chosen for a shape on its card, or None.

    Examples
    --------
    >>> from winograd.conv.arguments import ConvArguments
    >>> from winograd.conv.gpu.card import card_named
    >>> card_obstacle(ConvArguments(stride=2).shape((1, 8, 9), (8, 8, 3), dtype="float32", card=card_named("h100")))
    'stride (2,), kernels for a GPU have stride, dilation and groups of 1'
    """
    lack = forcing_obstacle(shape)
    if lack is not None:
        return lack
    if not has_choices(shape.taps):
        return f"taps {shape.taps}, algorithms are known for 2 to 7 (and 1 on some axes)"
    if max(shape.output) == 1:
        return f"output {shape.output}, one on every axis"
    fewest = min(shape.channels, shape.outputs)
    return f"{fewest} channels, kernels for a GPU need {LEAST_CHANNELS}" if fewest < LEAST_CHANNELS else None


def forcing_obstacle(shape: ConvShape) -> str | None:
    """Return why no algorithm can be run on the card of a shape, or None."""
    card = card_of(shape)
    if card.capability < LEAST_CAPABILITY:
        return f"{card.label}, kernels need compute capability {'.'.join(map(str, LEAST_CAPABILITY))}"
    if shape.dtype not in OFFERED:
        return f"dtype {shape.dtype}, kernels for a GPU have {', '.join(OFFERED)}"
    lack = stride_obstacle(shape)
    return None if lack is None else f"{lack}, kernels for a GPU have stride, dilation and groups of 1"


def limits_on(shape: ConvShape, limits: MemoryLimits) -> GpuLimits:
    """Return the limits of a plan: those that were set, and a share of the card's memory where none was."""
    share = card_of(shape).memory_bytes // WORKSPACE_SHARE
    return GpuLimits(limits.workspace if limits.workspace_is_set else share, limits.filters)


def direct_on_card_ms(shape: ConvShape, tolerance: float) -> float:
    """Return the predicted time of torch's own convolution, with TF32 where its error is tolerated."""
    return library_ms(shape, tf32=tolerates_tf32(shape, tolerance))


def tolerates_tf32(shape: ConvShape, tolerance: float) -> bool:
    """Return whether a float32 tensor may be convolved directly with TF32: its predicted error is tolerated."""
    direct = nest(*(toom_cook(1, taps) for taps in shape.taps))
    return shape.dtype == "float32" and product_error(shape, direct, "tf32") <= tolerance


def direct_plan(shape: ConvShape, terms: Terms, reason: str) -> Plan:
    """Return the plan of torch's own convolution on the card."""
    direct_ms = direct_on_card_ms(shape, terms.tolerance)
    return Plan(
        shape,
        Backend.DIRECT,
        None,
        reason,
        predicted_ms=direct_ms,
        direct_ms=direct_ms,
        filters=terms.filters,
        terms=terms,
    )


def gpu_plan(shape: ConvShape, found: GpuCandidate, terms: Terms, reason: str, config: Config | None = None) -> Plan:
    """Return the plan of a form, with these settings of its kernels or those that its file has."""
    form, extent = found.form, extent_of(shape, found.form)
    batches = () if form.kind == FUSED else (("workspace_bytes", form.batch_bytes),)
    return Plan(
        shape,
        Backend.GPU,
        found.algorithm,
        reason,
        predicted_error=rounded_to(shape.dtype, form_error(shape, found.algorithm, form, config or ())),
        filter_bytes=extent.filter_bytes,
        workspace_bytes=extent.workspace_bytes(form.batch_bytes),
        predicted_ms=found.milliseconds,
        direct_ms=direct_on_card_ms(shape, terms.tolerance),
        filters=found.filters,
        terms=terms,
        gpu=GpuSchedule(form.kind, form.products, batches if config is None else config),
    )


def error_words(shape: ConvShape, found: GpuCandidate) -> str:
    """Return the predicted error of a form in words, and with 16 bits also that after the rounding of the output."""
    error = form_error(shape, found.algorithm, found.form)
    rounded = rounded_to(shape.dtype, error)
    after = f" before rounding to {shape.dtype}, {rounded:.1e} after" if rounded != error else ""
    return f"{found.form.products} products, error {error:.1e} predicted{after}"


def _fastest_plan(shape: ConvShape, terms: Terms) -> Plan:
    allowed = product_tolerance(shape, terms.tolerance)
    direct_ms = direct_on_card_ms(shape, terms.tolerance)
    least = float("inf")
    for found in gpu_candidates(shape, terms.filters, limits_on(shape, terms.limits)):
        error = form_error(shape, found.algorithm, found.form)
        least = min(least, error)
        if error > allowed:
            continue
        if found.milliseconds * REQUIRED_GAIN > direct_ms:
            times = (
                f"Winograd would take {found.milliseconds:.3g} ms ({found.algorithm.label}), direct {direct_ms:.3g} ms"
            )
            return direct_plan(
                shape, terms, f"{times} on {card_of(shape).name}: not faster by a factor of {REQUIRED_GAIN}"
            )
        times = f"{found.milliseconds:.3g} ms predicted on {card_of(shape).name}, direct {direct_ms:.3g} ms"
        return gpu_plan(shape, found, terms, f"{times}, {error_words(shape, found)}{_anew(terms, found)}")
    if least == float("inf"):
        return direct_plan(shape, terms, "not one column of tiles fits into the workspace")
    predicted, asked = apart(least, terms.tolerance)
    return direct_plan(shape, terms, f"Winograd's least error {predicted} is not within the tolerance {asked}")


def _anew(terms: Terms, found: GpuCandidate) -> str:
    return "" if found.filters is terms.filters else "; U is above the cap and made anew in every call"


def _forced_plan(shape: ConvShape, algorithm: NestedAlgorithm, terms: Terms) -> Plan:
    limits, allowed = limits_on(shape, terms.limits), product_tolerance(shape, terms.tolerance)
    fitting = [
        form
        for products in OFFERED[shape.dtype]
        for form in best_forms(shape, algorithm, products, terms.filters, limits)
    ]
    if not fitting:
        raise ValueError(f"workspace is capped at {limits.workspace} bytes: not one column of {algorithm.label} fits")
    errors = {one: form_error(shape, algorithm, one.form) for one in fitting}
    tolerated = [one for one in fitting if errors[one] <= allowed]
    found = min(tolerated, key=lambda one: one.milliseconds) if tolerated else min(fitting, key=errors.__getitem__)
    compared = f"{found.milliseconds:.3g} ms predicted on {card_of(shape).name}"
    direct = f"direct {direct_on_card_ms(shape, terms.tolerance):.3g} ms"
    above = "" if tolerated else f", above the tolerance {apart(terms.tolerance, errors[found])[0]}"
    return gpu_plan(shape, found, terms, f"{GIVEN}: {compared}, {direct}, {error_words(shape, found)}{above}")
