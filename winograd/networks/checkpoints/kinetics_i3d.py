"""Names of the TensorFlow checkpoints of I3D, given as arrays: by `numpy.savez`, or as a dict.

In: names such as ``RGB/inception_i3d/Mixed_3b/Branch_1/Conv3d_0b_3x3/conv_3d/w``. Out: those of I3D here, or of its two
streams. Kernels have the axes (D, H, W, in, out) there, and normalisations have no scale, which is one.

References: google-deepmind/kinetics-i3d, i3d.py.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final

from torch import Tensor

from winograd.networks.checkpoints.conventions import Convention

_NAME: Final = re.compile(
    r"(RGB|Flow)/inception_i3d/(?:(Mixed_\w+)/(Branch_\d/Conv3d_\w+)|Logits/(\w+)|(\w+))/(\w+/\w+)"
)

_BRANCHES: Final = {
    "Branch_0/Conv3d_0a_1x1": "b0",
    "Branch_1/Conv3d_0a_1x1": "b1a",
    "Branch_1/Conv3d_0b_3x3": "b1b",
    "Branch_2/Conv3d_0a_1x1": "b2a",
    "Branch_2/Conv3d_0b_3x3": "b2b",
    "Branch_2/Conv3d_0a_3x3": "b2b",  # so in Mixed_5b
    "Branch_3/Conv3d_0b_1x1": "b3b",
}

_VALUES: Final = {
    "conv_3d/w": "conv3d.weight",
    "conv_3d/b": "conv3d.bias",
    "batch_norm/gamma": "bn.weight",
    "batch_norm/beta": "bn.bias",
    "batch_norm/moving_mean": "bn.running_mean",
    "batch_norm/moving_variance": "bn.running_var",
}


def _rename(names: Collection[str], expected: Collection[str]) -> Mapping[str, str]:
    both = any(name.startswith("rgb.") for name in expected)
    renamed = {}
    for name in names:
        match = _NAME.fullmatch(name)
        if match is None or match[6] not in _VALUES or (match[3] or "Branch_0/Conv3d_0a_1x1") not in _BRANCHES:
            continue
        stream, mixed, branch, logits, layer, value = match.groups()
        place = f"{mixed}.{_BRANCHES[branch]}" if mixed else "logits" if logits else layer
        renamed[name] = f"{stream.lower()}." * both + f"{place}.{_VALUES[value]}"
    return renamed


def _reshape(name: str, tensor: Tensor) -> Tensor:
    if name.endswith("/conv_3d/w") and tensor.ndim == 5:
        return tensor.permute(4, 3, 0, 1, 2)
    return tensor.flatten() if "/batch_norm/" in name else tensor


KINETICS_I3D: Final = Convention("kinetics-i3d", _rename, _reshape, unit_scales=True, norm_eps=1e-3)
