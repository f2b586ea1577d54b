"""Comparison of a network with its conversion: speed and error of every layer on real activations, and of the whole.

In: a float32 network and clips. Out: a `Comparison`. The network itself is not changed.
Refused: outputs that are not finite, since nothing can be said about them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from winograd.conv.layout import as_channels_last
from winograd.conv.plan import DEFAULT_TOLERANCE
from winograd.conv.timing import fastest, interleaved, median_ratio, race
from winograd.conv.variants import direct_variants
from winograd.nn.comparison import Comparison, LayerComparison, OutputComparison
from winograd.nn.convert import convert_, freeze
from winograd.nn.modules import Convolution, PlannedConvolution
from winograd.nn.report import spell_plan

_TOP = 5


def compare(
    model: nn.Module,
    clips: Tensor,
    *,
    tolerance: float = DEFAULT_TOLERANCE,
    repeats: int = 15,
    stack: Sequence[str] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> Comparison:
    """Compare a network, run directly, with a converted and frozen copy of it.

    Parameters
    ----------
    model : torch.nn.Module
        float32, on the CPU, in evaluation mode; it has at least one convolution that can be converted.
    clips : Tensor of shape (clips, C, T, H, W)
        float32, at least two clips. Layers and networks are timed at batch 1 on the first.
    tolerance : float
        Of the conversion.
    repeats : int
        Rounds of timing, at least 1.
    stack : sequence of str
        Names of layers to sum up.
    progress : callable
        Called with a line of text before each step.

    Raises
    ------
    ValueError
        If the model is in training mode, there are fewer than two clips, or outputs are not finite.
    """
    if model.training:
        raise ValueError("model is in training mode, its outputs may be random; call eval() on it first")
    if len(clips) < 2:
        raise ValueError(f"clips are {len(clips)}, at least 2 are needed to tell whether outputs depend on them")
    singles = [as_channels_last(clip) for clip in clips[:, None]]
    # The copy shares its parameters with the model: what differs is the class of its layers.
    converted = copy.deepcopy(model, {id(parameter): parameter for parameter in model.parameters()})
    convert_(converted, tolerance=tolerance)
    freeze(converted)
    with torch.inference_mode():
        progress("float64 reference of the whole network")
        exact = _exact_outputs(model, clips)
        progress("kernels and plans")
        outputs = tuple(
            compare_outputs(row, model(clip)[0], converted(clip)[0]) for row, clip in zip(exact, singles, strict=True)
        )
        layers = tuple(_compare_layers(model, converted, singles[0], repeats, progress))
        progress("time of the whole network")
        layout, direct_ms, converted_ms, ratio = _time_networks(model, converted, singles[0], repeats)
    return Comparison(
        layers=layers,
        stack=tuple(stack),
        outputs=outputs,
        clip_distance=relative_l2(exact[1], exact[0]),
        direct_layout=layout,
        direct_ms=direct_ms,
        converted_ms=converted_ms,
        ratio=ratio,
    )


def relative_l2(values: Tensor, exact: Tensor) -> float:
    """Return ||values - exact|| / ||exact|| in float64; the plain norm where the exact values are all zero."""
    reference = exact.double()
    norm = float(torch.linalg.vector_norm(reference))
    return float(torch.linalg.vector_norm(values.double() - reference)) / (norm or 1.0)


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
        largest_change=deviation / largest,
        direct_largest_change=float((direct.double() - exact).abs().max()) / largest,
        top=_top(exact, count),
        direct_top=_top(direct, count),
        converted_top=_top(converted, count),
        margin=gap / deviation if gap is not None and deviation else None,
    )


def _top(values: Tensor, count: int) -> tuple[int, ...]:
    return tuple(int(index) for index in values.argsort(descending=True)[:count])


def _exact_outputs(model: nn.Module, clips: Tensor) -> Tensor:
    wide = copy.deepcopy(model).double()
    outputs: Tensor = wide(clips.double())
    return outputs


def _compare_layers(
    model: nn.Module, converted: nn.Module, clip: Tensor, repeats: int, progress: Callable[[str], None]
) -> Iterator[LayerComparison]:
    layers = {name: layer for name, layer in converted.named_modules() if isinstance(layer, PlannedConvolution)}
    for name, input in record_inputs(model, layers, clip).items():
        progress(f"layer {name}")
        direct = model.get_submodule(name)
        assert isinstance(direct, Convolution)
        yield compare_layer(name, direct, layers[name], input, repeats)


def record_inputs(model: nn.Module, names: Iterable[str], clip: Tensor) -> dict[str, Tensor]:
    """Run the model once, and return what the layers of these names saw at their first call, in that order."""
    seen: dict[str, Tensor] = {}

    def record(name: str, inputs: tuple[Any, ...]) -> None:
        seen.setdefault(name, inputs[0].clone())  # the network may change it in place later

    with ExitStack() as cleanup:
        for name in names:
            hook = model.get_submodule(name).register_forward_pre_hook(
                lambda _layer, inputs, name=name: record(name, inputs)
            )
            cleanup.callback(hook.remove)
        model(clip)
    return seen


def compare_layer(
    name: str, direct: Convolution, converted: PlannedConvolution, input: Tensor, repeats: int
) -> LayerComparison:
    """Compare one convolution with its conversion on one input: error against float64, and time.

    Parameters
    ----------
    name : str
    direct, converted : torch.nn.Conv1d, Conv2d or Conv3d
        The layer, and the same layer converted.
    input : Tensor of shape (N, C, sizes...)
        float32; both memory formats of it are timed.
    repeats : int
        Rounds of timing, at least 1.
    """
    exact = copy.deepcopy(direct).double()(input.double())
    measured = relative_l2(converted(input), exact)
    plan = converted.plans[-1]
    baselines = {"default": lambda: direct(input)}
    if converted.padding_mode == "zeros" and not converted.transposed:
        baselines = direct_variants(input.contiguous(), direct.weight, direct.bias, plan.shape)
    direct_error = relative_l2(direct(input), exact)
    ours = {
        layout: _applied(converted, tensor)
        for layout, tensor in (("contiguous", input.contiguous()), ("channels_last", as_channels_last(input)))
    }
    times = race({"direct": baselines, "converted": ours}, repeats)
    best, layout = fastest(times["direct"]), fastest(times["converted"])
    direct_ms, converted_ms = times["direct"][best], times["converted"][layout]
    return LayerComparison(
        layer=name,
        input=tuple(input.shape),
        algorithm=spell_plan(plan),
        reason=plan.reason,
        predicted_error=plan.predicted_error,
        measured_error=measured,
        direct_error=direct_error,
        direct_variant=best,
        converted_variant=layout,
        direct_ms=median(direct_ms),
        converted_ms=median(converted_ms),
        ratio=median_ratio(direct_ms, converted_ms),
    )


def _applied(module: nn.Module, input: Tensor) -> Callable[[], Tensor]:
    return lambda: module(input)


def _time_networks(
    model: nn.Module, converted: nn.Module, clip: Tensor, repeats: int
) -> tuple[str, float, float, float]:
    """Return the better layout of the direct network, median times of direct and converted, and the median ratio."""
    model_last = copy.deepcopy(model)
    for parameter in model_last.parameters():
        parameter.data = as_channels_last(parameter.data)
    baselines = {
        "contiguous": _applied(model, clip.contiguous()),
        "channels_last_3d": _applied(model_last, clip),
    }
    times = interleaved({**baselines, "converted": _applied(converted, clip)}, repeats)
    layout = fastest({name: times[name] for name in baselines})
    ratio = median_ratio(times[layout], times["converted"])
    return layout, median(times[layout]), median(times["converted"]), ratio
