"""`Convention`: how a public program names the weights of a network, and what the networks here call them.

In: names and tensors of a file, and the names of a model. Out: the same tensors under the model's names.
Refused: nothing; names that a convention does not know stay as they are, and are found unexpected.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from torch import Tensor

Rename = Callable[[Collection[str], Collection[str]], Mapping[str, str]]
"""From the names of a file and of a model to the model's name for each name of the file that is known."""


def _as_it_is(_: str, tensor: Tensor) -> Tensor:
    return tensor


@dataclass(frozen=True, slots=True)
class Convention:
    """Names of one program.

    Parameters
    ----------
    program : str
        Empty for the names that the networks here have themselves.
    rename : callable
        See `Rename`.
    reshape : callable
        From the name in the file and the tensor to the tensor in torch's order of axes.
    unit_scales : bool
        Whether scales of normalisations that the file does not hold are one.
    norm_eps : float or None
        Epsilon of the normalisations that the weights were trained with, where the program fixes it.
    mid_channels : str or None
        Form of R(2+1)D, where the program has its own.
    """

    program: str
    rename: Rename
    reshape: Callable[[str, Tensor], Tensor] = _as_it_is
    unit_scales: bool = False
    norm_eps: float | None = None
    mid_channels: str | None = None


def by_rules(rules: Sequence[tuple[str, str]]) -> Rename:
    r"""Return a renaming of layers by the first regular expression that matches the whole name of the layer.

    The last part of a name, such as ``weight``, stays.

    Examples
    --------
    >>> by_rules([(r"blocks\.0\.conv", "stem.0")])(["blocks.0.conv.weight", "proj.bias"], [])
    {'blocks.0.conv.weight': 'stem.0.weight'}
    """
    compiled = [(re.compile(pattern), replacement) for pattern, replacement in rules]

    def rename(names: Collection[str], _: Collection[str]) -> Mapping[str, str]:
        renamed = {}
        for name in names:
            layer, _, kind = name.rpartition(".")
            for pattern, replacement in compiled:
                if match := pattern.fullmatch(layer):
                    renamed[name] = f"{match.expand(replacement)}.{kind}"
                    break
        return renamed

    return rename


_C3D_LAYERS: Final = ("conv1", "conv2", "conv3a", "conv3b", "conv4a", "conv4b", "conv5a", "conv5b")

_C3D_FEATURES: Final = (0, 3, 6, 8, 11, 13, 16, 18)

OWN: Final = Convention("", lambda names, _: {name: name for name in names})
"""torchvision, VMZ and ig65m in PyTorch (ResNets, CSN), piergiaj (I3D), DavideA (C3D), qijiezhao (P3D)."""

_MMACTION2_STEM: Final = [
    (r"backbone\.conv1\.conv", "stem.0"),
    (r"backbone\.conv1\.bn", "stem.1"),
    (r"backbone\.(layer\d\.\d+\.(?:conv\d|downsample))\.conv", r"\1.0"),
    (r"backbone\.(layer\d\.\d+\.(?:conv\d|downsample))\.bn", r"\1.1"),
    (r"cls_head\.fc_cls", "fc"),
]

_PYTORCHVIDEO_BOTTLENECK: Final = [
    (rf"blocks\.([1-4])\.res_blocks\.(\d+)\.branch2\.{kind}_{letter}", rf"layer\1.\2.conv{number}.{part}")
    for number, letter in enumerate("abc", start=1)
    for part, kind in enumerate(("conv", "norm"))
]

NAMED: Final = (
    Convention(
        "jfzhang95",
        by_rules(
            [(rf"features\.{number}", name) for number, name in zip(_C3D_FEATURES, _C3D_LAYERS, strict=True)]
            + [(rf"classifier\.{number}", name) for number, name in ((0, "fc6"), (3, "fc7"), (6, "fc8"))]
        ),
    ),
    Convention(
        "mmaction2",  # C3D
        by_rules(
            [
                (r"backbone\.(conv[12])a\.conv", r"\1"),
                (r"backbone\.(conv[345][ab])\.conv", r"\1"),
                (r"backbone\.(fc[67])", r"\1"),
                (r"cls_head\.fc_cls", "fc8"),
            ]
        ),
    ),
    Convention(
        "mmaction2",  # ResNet3D, and ir-CSN with a sequence of one in the middle
        by_rules(
            [
                (r"backbone\.(layer\d\.\d+\.conv2)\.0\.conv", r"\1.0"),
                (r"backbone\.(layer\d\.\d+\.conv2)\.0\.bn", r"\1.1"),
                *_MMACTION2_STEM,
            ]
        ),
    ),
    Convention(
        "mmaction2",  # ip-CSN
        by_rules(
            [
                (r"backbone\.(layer\d\.\d+\.conv2)\.0\.conv", r"\1.0.0"),
                (r"backbone\.(layer\d\.\d+\.conv2)\.0\.bn", r"\1.0.1"),
                (r"backbone\.(layer\d\.\d+\.conv2)\.1\.conv", r"\1.0.2"),
                (r"backbone\.(layer\d\.\d+\.conv2)\.1\.bn", r"\1.1"),
                *_MMACTION2_STEM,
            ]
        ),
    ),
    Convention(
        "mmaction2",  # R(2+1)D
        by_rules(
            [
                (r"backbone\.conv1\.conv\.conv_s", "stem.0"),
                (r"backbone\.conv1\.conv\.bn_s", "stem.1"),
                (r"backbone\.conv1\.conv\.conv_t", "stem.3"),
                (r"backbone\.conv1\.bn", "stem.4"),
                (r"backbone\.(layer\d\.\d+\.(?:conv\d|downsample))\.conv\.conv_s", r"\1.0.0"),
                (r"backbone\.(layer\d\.\d+\.(?:conv\d|downsample))\.conv\.bn_s", r"\1.0.1"),
                (r"backbone\.(layer\d\.\d+\.(?:conv\d|downsample))\.conv\.conv_t", r"\1.0.3"),
                *_MMACTION2_STEM,
            ]
        ),
        mid_channels="mmaction2",
    ),
    Convention(
        "pytorchvideo",
        by_rules(
            [
                (r"blocks\.0\.conv", "stem.0"),
                (r"blocks\.0\.norm", "stem.1"),
                (r"blocks\.([1-4])\.res_blocks\.(\d+)\.branch1_conv", r"layer\1.\2.downsample.0"),
                (r"blocks\.([1-4])\.res_blocks\.(\d+)\.branch1_norm", r"layer\1.\2.downsample.1"),
                *_PYTORCHVIDEO_BOTTLENECK,
                (r"blocks\.5\.proj", "fc"),
            ]
        ),
        norm_eps=1e-5,
    ),
    Convention(
        "kenshohara",
        by_rules(
            [
                ("conv1", "stem.0"),
                ("bn1", "stem.1"),
                (r"(layer\d\.\d+\.conv\d)", r"\1.0"),
                (r"(layer\d\.\d+\.)bn(\d)", r"\1conv\2.1"),
                (r"(layer\d\.\d+\.downsample\.[01]|fc)", r"\1"),
            ]
        ),
        norm_eps=1e-5,
    ),
)
"""Those that differ in names only; one program may name its networks in several ways."""
