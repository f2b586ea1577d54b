"""Comparison of a network with its conversion: error and speed of every layer on real activations, and of the whole.

In: a network and clips. Out: a `Comparison`. The network itself is not changed.
Refused: outputs that are not finite, since nothing can be said about them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from winograd.conv.tensors.layout import as_channels_last
from winograd.nn.comparison import Comparison, LayerComparison, OutputComparison
from winograd.nn.converting import convert_
from winograd.nn.depth import errors_so_far, record_outputs, relative_l2, visit_layers
from winograd.nn.freezing import freeze
from winograd.nn.modules import PlannedConvolution
from winograd.nn.speed import time_layer, time_networks
from winograd.nn.state import Convolution

__all__ = ["compare", "compare_layer", "compare_outputs", "relative_l2"]

Progress = Callable[[str], None]

_TOP = 5


def compare(
    model: nn.Module,
    clips: Tensor,
    *,
    batch: int = 1,
    tolerance: float | None = None,
    repeats: int = 15,
    stack: Sequence[str] = (),
    progress: Progress = lambda _: None,
) -> Comparison:
    """Compare a network, run directly, with a converted and frozen copy of it.

    Parameters
    ----------
    model : torch.nn.Module
        On the CPU, in evaluation mode; it has at least one convolution that can be converted.
    clips : Tensor of shape (clips, C, T, H, W)
        Of the dtype of the model, at least two clips.
    batch : int
        Clips that run at once, at least 1. Layers are compared, and everything is timed, on the first so many.
    tolerance : float, optional
        Of the conversion; None takes that of the dtype.
    repeats : int
        Rounds of timing; 0 times nothing.
    stack : sequence of str
        Names of layers to sum up.
    progress : callable
        Called with a line of text before each step.

    Raises
    ------
    ValueError
        If the model is in training mode, there are fewer than two clips, batch is below 1 or repeats is negative, or
        outputs are not finite.
    """
    _check(model, clips, batch, repeats)
    batches = [as_channels_last(part) for part in torch.split(clips, batch)]
    # The copy shares its parameters with the model: what differs is the class of its layers.
    converted = copy.deepcopy(model, {id(parameter): parameter for parameter in model.parameters()})
    convert_(converted, tolerance=tolerance)
    freeze(converted)
    with torch.inference_mode():
        exact = copy.deepcopy(model).double()
        outputs, layers = _outputs_and_errors(model, converted, exact, batches, progress)
        compared = tuple(_compared_layers(model, converted, exact, batches[0], repeats, layers, progress))
        del exact  # twice the weights
        times = None
        if repeats:
            progress("time of the whole network")
            times = time_networks(model, converted, batches[0], repeats)
    rows, references = outputs
    return Comparison(
        dtype=str(clips.dtype).removeprefix("torch."),
        layers=compared,
        stack=tuple(stack),
        outputs=rows,
        clip_distance=min(relative_l2(other, references[0]) for other in references[1:]),
        times=times,
    )


def _check(model: nn.Module, clips: Tensor, batch: int, repeats: int) -> None:
    if model.training:
        raise ValueError("model is in training mode, its outputs may be random; call eval() on it first")
    if len(clips) < 2:
        raise ValueError(f"clips are {len(clips)}, at least 2 are needed to tell whether outputs depend on them")
    if batch < 1:
        raise ValueError(f"batch is {batch}, must be at least 1")
    if repeats < 0:
        raise ValueError(f"repeats is {repeats}, must be at least 0")


_SoFar = dict[str, tuple[float, float]]
"""Errors so far of the layers by name, converted and direct."""


def _outputs_and_errors(
    model: nn.Module, converted: nn.Module, exact: nn.Module, batches: Sequence[Tensor], progress: Progress
) -> tuple[tuple[tuple[OutputComparison, ...], Tensor], _SoFar]:
    """Return the outputs of all clips compared, those in float64, and the errors so far in the first batch."""
    names = [name for name, layer in converted.named_modules() if isinstance(layer, PlannedConvolution)]
    first, *others = batches
    progress("float64 reference of the whole network")
    reference, outputs = record_outputs(exact, names, first.double())
    references = torch.cat([outputs, *(exact(clip.double()) for part in others for clip in torch.split(part, 1))])
    progress("direct network")
    direct_errors, output = errors_so_far(model, reference, first)
    directs = torch.cat([output, *map(model, others)])
    progress("converted network: kernels, plans, outputs")
    converted_errors, output = errors_so_far(converted, reference, first)
    ours = torch.cat([output, *map(converted, others)])
    rows = tuple(compare_outputs(*row) for row in zip(references, directs, ours, strict=True))
    return (rows, references), {name: (converted_errors[name], direct_errors[name]) for name in reference}


def _compared_layers(
    model: nn.Module,
    converted: nn.Module,
    exact: nn.Module,
    clips: Tensor,
    repeats: int,
    so_far: _SoFar,
    progress: Progress,
) -> Iterator[LayerComparison]:
    """Compare each layer by itself, on what it sees in the direct network, while that runs."""
    rows: list[LayerComparison] = []

    def visit(name: str, input: Tensor, _: Tensor) -> None:
        progress(f"layer {len(rows) + 1} of {len(so_far)}: {name}")
        direct, ours = model.get_submodule(name), converted.get_submodule(name)
        assert isinstance(direct, Convolution)
        assert isinstance(ours, PlannedConvolution)
        rows.append(compare_layer(name, direct, ours, input, repeats, exact=exact.get_submodule(name)))

    visit_layers(model, so_far, clips, visit)
    for row in rows:
        ours, direct = so_far[row.layer]
        yield replace(row, error_so_far=ours, direct_error_so_far=direct)


def compare_outputs(exact: Tensor, direct: Tensor, converted: Tensor) -> OutputComparison:
    """Compare the outputs for one clip, each of shape (outputs,), with those in float64.

    Raises
    ------
    ValueError
        If an output is not finite.
    """
    if not all(bool(values.isfinite().all()) for values in (exact, direct, converted)):
        raise ValueError("outputs of the network are not finite; check the weights and the clip")
    count = min(_TOP, len(exact))
    largest = float(exact.abs().max()) or 1.0
    deviation = float((converted.double() - exact).abs().max())
    ordered = exact.sort(descending=True).values
    gap = float(ordered[count - 1] - ordered[count]) if len(exact) > count else None
    return OutputComparison(
        error=relative_l2(converted, exact),
        direct_error=relative_l2(direct, exact),
        largest_change=deviation / largest,
        direct_largest_change=float((direct.double() - exact).abs().max()) / largest,
        top=_top(exact, count),
        direct_top=_top(direct, count),
        converted_top=_top(converted, count),
        margin=gap / deviation if gap is not None and deviation else None,
    )


def _top(values: Tensor, count: int) -> tuple[int, ...]:
    return tuple(int(index) for index in values.argsort(descending=True)[:count])


def compare_layer(
    name: str,
    direct: Convolution,
    converted: PlannedConvolution,
    input: Tensor,
    repeats: int,
    *,
    exact: nn.Module | None = None,
) -> LayerComparison:
    """Compare one convolution with its conversion on one input: error against float64, and time.

    Parameters
    ----------
    name : str
    direct, converted : torch.nn.Conv1d, Conv2d or Conv3d
        The layer, and the same layer converted.
    input : Tensor of shape (N, C, sizes...)
        Both memory formats of it are timed.
    repeats : int
        Rounds of timing; 0 times nothing.
    exact : Module, optional
        The layer in float64, where there is one already.
    """
    wide = copy.deepcopy(direct).double() if exact is None else exact
    expected = torch.cat([wide(one.double()) for one in torch.split(input, 1)])
    measured = relative_l2(converted(input), expected)
    made = converted.plans
    plan = next((plan for plan in reversed(made) if plan.shape.batch == len(input)), made[-1])
    return LayerComparison(
        layer=name,
        input=tuple(input.shape),
        algorithm=plan.algorithm_label,
        reason=plan.reason,
        predicted_error=plan.predicted_error,
        measured_error=measured,
        direct_error=relative_l2(direct(input), expected),
        error_so_far=None,
        direct_error_so_far=None,
        times=time_layer(direct, converted, input, repeats) if repeats else None,
    )
