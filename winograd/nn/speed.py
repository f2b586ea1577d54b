"""Times of a layer and of a network, directly and converted, each in the better of its variants.

In: a layer or network, the same one converted, and an input. Out: medians and the median of ratios, interleaved.
Refused: repeats below 1.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from statistics import median

from torch import Tensor, nn

from winograd.conv.arguments import ConvArguments
from winograd.conv.layout import as_channels_last
from winograd.conv.timing import SCREENING_ROUNDS, fastest, median_ratio, race
from winograd.conv.variants import direct_variants
from winograd.nn.comparison import Times
from winograd.nn.modules import PlannedConvolution
from winograd.nn.state import Convolution

Variants = dict[str, Callable[[], object]]


def time_layer(direct: Convolution, converted: PlannedConvolution, input: Tensor, repeats: int) -> Times:
    """Time a convolution on one input: all variants of direct convolution, and the converted one in both formats."""
    baselines: Variants = {"default": partial(direct, input)}
    if converted.padding_mode == "zeros" and not converted.transposed:
        arguments = ConvArguments(direct.stride, direct.padding, direct.dilation, direct.groups)
        dtype = str(input.dtype).removeprefix("torch.")
        shape = arguments.shape(tuple(input.shape), tuple(direct.weight.shape), dtype=dtype)
        baselines = {**direct_variants(input.contiguous(), direct.weight, direct.bias, shape)}
    return _raced(baselines, _in_both_formats(converted, input), repeats)


def time_networks(direct: nn.Module, converted: nn.Module, clips: Tensor, repeats: int) -> Times:
    """Time a network: direct in both memory formats of clips and weights, converted in both of the clips."""
    last = copy.deepcopy(direct)
    for parameter in last.parameters():
        parameter.data = as_channels_last(parameter.data)
    baselines: Variants = {
        "contiguous": partial(direct, clips.contiguous()),
        "channels_last": partial(last, as_channels_last(clips)),
    }
    return _raced(baselines, _in_both_formats(converted, clips), repeats)


def _in_both_formats(module: nn.Module, input: Tensor) -> Variants:
    return {
        "contiguous": partial(module, input.contiguous()),
        "channels_last": partial(module, as_channels_last(input)),
    }


def _raced(direct: Variants, converted: Variants, repeats: int) -> Times:
    found = race({"direct": direct, "converted": converted}, repeats, screening=min(repeats, SCREENING_ROUNDS))
    theirs, ours = (fastest(found[rival]) for rival in ("direct", "converted"))
    direct_ms, converted_ms = found["direct"][theirs], found["converted"][ours]
    return Times(
        direct_variant=theirs,
        converted_variant=ours,
        direct_ms=median(direct_ms),
        converted_ms=median(converted_ms),
        ratio=median_ratio(direct_ms, converted_ms),
    )
