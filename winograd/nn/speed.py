"""Times of a layer and of a network, directly and converted, each in the better of its variants.

In: a layer or network, the same one converted, and its arguments. Out: medians and the median of ratios, interleaved.
Refused: repeats below 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from winograd.conv.arguments import ConvArguments
from winograd.conv.direct.variants import direct_variants
from winograd.conv.measuring.timing import SCREENING_ROUNDS, fastest, median_ratio, race
from winograd.conv.tensors.layout import as_channels_last
from winograd.nn.budget.copies import copied
from winograd.nn.comparison import Times
from winograd.nn.conversion.example import call, cloned, rebuilt
from winograd.nn.modules import PlannedConvolution
from winograd.nn.planned import PLANNED
from winograd.nn.state import Convolution

Variants = dict[str, Callable[[], object]]


def time_layer(
    direct: Convolution,
    converted: PlannedConvolution,
    input: Tensor,
    repeats: int,
    *more: Any,
    named: Mapping[str, Any] | None = None,
) -> Times:
    """Time a convolution on one input: all variants of direct convolution, and the converted one in both formats.

    A layer that does more than torch's, or is called with more than the input, is compared as it is in both formats.
    """
    arguments = named or {}
    baselines = _in_both_formats(lambda given: direct(given, *more, **arguments), input)
    if computes_as_torch(direct, input) and not (more or arguments):
        geometry = ConvArguments(direct.stride, direct.padding, direct.dilation, direct.groups)
        dtype = str(input.dtype).removeprefix("torch.")
        shape = geometry.shape(tuple(input.shape), tuple(direct.weight.shape), dtype=dtype)
        baselines = {**direct_variants(input.contiguous(), direct.weight, direct.bias, shape)}
    ours = _in_both_formats(lambda given: converted(given, *more, **arguments), input)
    return _raced(baselines, ours, repeats, {input.device})


def computes_as_torch(layer: Convolution, input: Tensor) -> bool:
    """Return whether a layer computes what its weight and arguments say, and nothing beside that, of this batch."""
    base = next(base for base in PLANNED if isinstance(layer, base))
    own = any(
        name in vars(layer) or getattr(type(layer), name, None) is not getattr(base, name, None)
        for name in ("forward", "_conv_forward")
    )
    is_batched = input.ndim == len(layer.kernel_size) + 2
    return is_batched and not (own or layer.transposed or layer.padding_mode != "zeros")


def time_networks(direct: nn.Module, converted: nn.Module, example: Any, repeats: int) -> Times:
    """Time a network: direct in both memory formats of its input and weights, converted in both of the input.

    The example is a tensor, a tuple of arguments or a mapping of named ones. It is copied once for each variant, and
    its tuples, lists and dictionaries anew in each call: a model may empty them.
    """
    last = copied(direct)
    for parameter in last.parameters():
        parameter.data = as_channels_last(parameter.data)
    baselines: Variants = {
        "contiguous": partial(_call_anew, direct, _formatted(example, Tensor.contiguous)),
        "channels_last": partial(_call_anew, last, _formatted(example, as_channels_last)),
    }
    devices = {parameter.device for parameter in direct.parameters()}
    return _raced(baselines, _in_both_formats(partial(_call_anew, converted), example), repeats, devices)


def _in_both_formats(run: Callable[[Any], object], example: Any) -> Variants:
    return {
        "contiguous": partial(run, _formatted(example, Tensor.contiguous)),
        "channels_last": partial(run, _formatted(example, as_channels_last)),
    }


def _call_anew(model: nn.Module, example: Any) -> Any:
    return call(model, rebuilt(example))


def _formatted(example: Any, to: Callable[[Tensor], Tensor]) -> Any:
    return tree_map_only(Tensor, to, cloned(example))


def _raced(direct: Variants, converted: Variants, repeats: int, devices: Iterable[torch.device]) -> Times:
    rivals = {
        rival: {name: _awaited(run, devices) for name, run in variants.items()}
        for rival, variants in {"direct": direct, "converted": converted}.items()
    }
    found = race(rivals, repeats, screening=min(repeats, SCREENING_ROUNDS))
    theirs, ours = (fastest(found[rival]) for rival in ("direct", "converted"))
    direct_ms, converted_ms = found["direct"][theirs], found["converted"][ours]
    return Times(
        direct_variant=theirs,
        converted_variant=ours,
        direct_ms=median(direct_ms),
        converted_ms=median(converted_ms),
        ratio=median_ratio(direct_ms, converted_ms),
    )


def _awaited(run: Callable[[], object], devices: Iterable[torch.device]) -> Callable[[], object]:
    """Return what runs and ends when these devices are done: a card goes on after a call has returned."""
    cards = [device for device in devices if device.type == "cuda"]

    def awaited() -> None:
        run()
        for card in cards:
            torch.cuda.synchronize(card)

    return awaited if cards else run
