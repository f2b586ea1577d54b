"""The training step of one convolution: verified, then timed against torch's own, interleaved.

In: a layer, a tolerance, a seed, rounds. Out: a `StepMeasurement`. Refused: errors of ours above the tolerance, and
layers whose padding differs between the two sides of an axis, which no module of torch has.
"""

from __future__ import annotations

from collections.abc import Callable

from winograd.benching.layers import BenchLayer
from winograd.benching.statistics import Rounds
from winograd.benching.training.engaged import engaged
from winograd.benching.training.result import StepMeasurement
from winograd.benching.training.rivals import LayerStep, draw_steps
from winograd.benching.training.verified import verified
from winograd.conv.measuring.timing import fastest, interleaved, race


def measure_step(
    layer: BenchLayer,
    *,
    tolerance: float,
    repeats: int,
    seed: int = 0,
    with_parts: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> StepMeasurement:
    """Verify one training step of a layer against float64, then time it against torch's own, interleaved.

    Forward, gradients of input, weight and bias; the weight counts as changed before every step. Both sides run with
    all tensors contiguous and with all of them channels last; of each side the faster one is compared.

    Parameters
    ----------
    layer : BenchLayer
    tolerance : float
        Relative L2 error of each tensor that ours may have, predicted and measured, see `check_step`.
    repeats : int
        Rounds of timing, at least 1.
    seed : int
        Of input, weight, bias and the gradient of the output.
    with_parts : bool
        Whether forward and both gradients are timed one by one as well.
    progress : callable
        Called with a word before each step.

    Raises
    ------
    AboveToleranceError
        If an error of ours is above what is allowed; nothing was timed then.
    ValueError
        If the padding of an axis differs between its sides.
    """
    direct, ours = draw_steps(layer, tolerance, seed)
    progress("verifying")
    _, errors, direct_errors = verified(layer.name, layer.shape, direct, ours, tolerance)
    progress("timing")
    times = race({"direct": direct, "ours": ours}, repeats)
    direct_layout, layout = fastest(times["direct"]), fastest(times["ours"])
    if with_parts:
        progress("timing the parts")
    return StepMeasurement(
        layer=layer.name,
        count=layer.count,
        input=layer.input,
        weight=layer.shape.weight_sizes,
        stride=layer.shape.stride,
        dilation=layer.shape.dilation,
        padding=layer.shape.padding,
        groups=layer.shape.groups,
        macs=3 * layer.macs,
        layout=layout,
        direct_layout=direct_layout,
        engaged=engaged(ours[layout].module),
        errors=errors,
        direct_errors=direct_errors,
        rounds=Rounds(tuple(times["direct"][direct_layout]), tuple(times["ours"][layout])),
        parts=_timed_parts(direct[direct_layout], ours[layout], repeats) if with_parts else {},
    )


def _timed_parts(direct: LayerStep, ours: LayerStep, repeats: int) -> dict[str, Rounds]:
    """Return the rounds of each part, torch's own and ours in turn."""
    theirs, mine = direct.parts(), ours.parts()
    times = {name: interleaved({"direct": theirs[name], "ours": mine[name]}, repeats) for name in theirs}
    return {name: Rounds(tuple(each["direct"]), tuple(each["ours"])) for name, each in times.items()}
