"""A whole network in every form that is timed: eager torch, torch.compile with freezing, and ours, by memory format.

In: a network in evaluation mode, a clip, a tolerance. Out: callables by rival and memory format, each of which runs the
network without gradients. Every form has weights of its own.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

import torch
from torch import Tensor, nn

from winograd.conv.tensors.layout import as_channels_last
from winograd.nn.converting import convert_
from winograd.nn.folding.pairs import FoldName
from winograd.nn.formats import channels_last_
from winograd.nn.freezing import freeze
from winograd.nn.report import ConversionReport


class Rival(Enum):
    """Who computes the network; folded means that batch norms are folded into the convolutions before them.

    Ours folds the ReLUs behind convolutions at the same time, as torch.compile does.
    """

    DIRECT = "direct"
    DIRECT_FOLDED = "direct_folded"
    COMPILED = "compiled"
    OURS = "ours"
    OURS_FOLDED = "ours_folded"

    @property
    def is_ours(self) -> bool:
        """Whether the convolutions are planned ones."""
        return self in (Rival.OURS, Rival.OURS_FOLDED)


FORMAT_NAMES: Final = ("contiguous", "channels_last")
"""Memory formats of weights and clip; the first is how both come."""


@dataclass(frozen=True, slots=True)
class Form:
    """A network with the clip that it is run on.

    Parameters
    ----------
    model : callable
        A module or what torch.compile made of one.
    clip : Tensor of shape (N, C, frames, height, width)
    report : ConversionReport or None
        What became of the convolutions, of ours.
    """

    model: Callable[[Tensor], Tensor]
    clip: Tensor
    report: ConversionReport | None = None

    def __call__(self) -> Tensor:
        """Return the scores."""
        with torch.no_grad():
            return self.model(self.clip)


def direct_forms(model: nn.Module, clip: Tensor) -> dict[str, Form]:
    """Return the network as it is and with weights and clip in channels last."""
    return {name: Form(*_laid_out(name, model, clip)) for name in FORMAT_NAMES}


def our_forms(model: nn.Module, clip: Tensor, tolerance: float, *, fold: FoldName | None = None) -> dict[str, Form]:
    """Return the network converted and frozen, in both memory formats; ``fold`` is as in `winograd.freeze`."""
    forms = {}
    for name in FORMAT_NAMES:
        twin, own_clip = _laid_out(name, model, clip)
        report = convert_(twin, tolerance=tolerance)
        forms[name] = Form(freeze(twin, fold=fold, example=own_clip), own_clip, report)
    return forms


def compiled_forms(model: nn.Module, clip: Tensor) -> dict[str, Form]:
    """Return the network as torch.compile makes it with its weights frozen, which folds batch norms by itself.

    It is compiled at the first call, which takes a minute or more.
    """
    torch.compiler.reset()  # what was compiled before holds weights
    forms = {}
    for name in FORMAT_NAMES:
        twin, own_clip = _laid_out(name, model, clip)
        forms[name] = Form(torch.compile(twin, options={"freezing": True}), own_clip)
    return forms


def _laid_out(name: str, model: nn.Module, clip: Tensor) -> tuple[nn.Module, Tensor]:
    if name == FORMAT_NAMES[0]:
        return copy.deepcopy(model), clip
    return channels_last_(copy.deepcopy(model)), as_channels_last(clip)


Forms = Mapping[str, Form]
