"""Names of VMZ's Caffe2 weights: blocks are numbered through the network, convolutions within each.

In: names such as ``comp_3_conv_1_middle_w`` and the names of a residual network here. Out: the network's names.

References: facebookresearch/VMZ, lib/models/r3d_model.py and lib/models/builder/video_model.py.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Final

from torch import Tensor

from winograd.networks.checkpoints.conventions import Convention

_BLOCK: Final = re.compile(r"comp_(\d+)_(conv|spatbn)_(\d+)(_middle)?_(w|s|b|rm|riv)")
_SHORTCUT: Final = re.compile(r"shortcut_projection_(\d+)(_spatbn)?_(w|s|b|rm|riv)")
_STEM: Final = re.compile(r"conv1(_middle)?(_spatbn_relu)?_(w|s|b|rm|riv)")
_LAST: Final = re.compile(r"last_out_L\d+_(w|b)")

_VALUES: Final = {"w": "weight", "s": "weight", "b": "bias", "rm": "running_mean", "riv": "running_var"}
"""``riv`` holds the variance, in spite of its name."""


def _rename(names: Collection[str], expected: Collection[str]) -> Mapping[str, str]:
    blocks = list(dict.fromkeys(name[: name.index(".", 7)] for name in expected if name.startswith("layer")))
    numbers = _numbers(names)
    paired = "stem.4.weight" in expected
    renamed = {}
    for name in names:
        if match := _STEM.fullmatch(name):
            middle, norm, value = match.groups()
            position = (1 if norm else 0) + (0 if middle or not paired else 3)
            renamed[name] = f"stem.{position}.{_VALUES[value]}"
        elif match := _LAST.fullmatch(name):
            renamed[name] = f"fc.{_VALUES[match[1]]}"
        elif (match := _SHORTCUT.fullmatch(name)) and int(match[1]) < len(blocks):
            renamed[name] = f"{blocks[int(match[1])]}.downsample.{1 if match[2] else 0}.{_VALUES[match[3]]}"
        elif (match := _BLOCK.fullmatch(name)) and int(match[1]) < len(blocks):
            component, kind, number, middle, value = match.groups()
            layer = f"{blocks[int(component)]}.conv{numbers[component].index(int(number)) + 1}"
            renamed[name] = f"{layer}.{_position(layer, kind, middle, expected)}.{_VALUES[value]}"
    return renamed


def _numbers(names: Collection[str]) -> Mapping[str, list[int]]:
    """Return the numbers of the convolutions of each block in order; ir-CSN leaves one out."""
    found = defaultdict(set)
    for name in names:
        if match := _BLOCK.fullmatch(name):
            found[match[1]].add(int(match[3]))
    return {component: sorted(numbers) for component, numbers in found.items()}


def _position(layer: str, kind: str, middle: str | None, expected: Collection[str]) -> str:
    if middle:
        return "0.0" if kind == "conv" else "0.1"
    if kind == "spatbn":
        return "1"
    places = ("0", "0.2", "0.3")  # alone, behind a normalisation, or behind that and ReLU
    return next((place for place in places if f"{layer}.{place}.weight" in expected), "0")


def _reshape(name: str, tensor: Tensor) -> Tensor:
    return tensor.flatten(1) if name.startswith("last_out") and tensor.ndim > 1 else tensor


CAFFE2: Final = Convention("VMZ's Caffe2", _rename, _reshape, norm_eps=1e-3)
