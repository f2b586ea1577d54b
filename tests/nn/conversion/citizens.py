"""A `Citizen`: a model of some kind that people have, what becomes of each convolution in it, and an input.

All are in float64, in evaluation mode, and small: F(2, 3) is forced on what was converted, so that Winograd computes
it. The tables of kinds are beside this file.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor, nn

C: Final = 4
"""Channels of every layer."""


@dataclass(frozen=True)
class Citizen:
    """A model, arguments of its forward, and what conversion must say of its layers.

    Parameters
    ----------
    model : torch.nn.Module
    converted : list of str
        Names of the layers that are converted.
    skipped : dict from str to str
        Names of the others, each with words of the reason.
    arguments : tuple
        Of the forward.
    """

    model: nn.Module
    converted: list[str]
    skipped: dict[str, str] = field(default_factory=dict)
    arguments: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        self.model.double().eval()
        if not self.arguments:
            object.__setattr__(self, "arguments", (clip(),))


def clip(*sizes: int) -> Tensor:
    """Return an input of independent zero-mean numbers."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(*(sizes or (2, C, 4, 6, 5)), generator=generator, dtype=torch.float64)


Maker = Callable[[], Citizen]


def entering(table: dict[str, Maker]) -> Callable[[str], Callable[[Maker], Maker]]:
    """Return a decorator that enters what follows into a table by a name, always with the same numbers."""

    def kind(name: str) -> Callable[[Maker], Maker]:
        def enter(make: Maker) -> Maker:
            def seeded() -> Citizen:
                torch.manual_seed(0)
                with warnings.catch_warnings(action="ignore", category=FutureWarning):  # what torch is about to drop
                    return make()

            table[name] = seeded
            return seeded

        return enter

    return kind


def conv(**options: Any) -> nn.Conv3d:
    """Return a convolution that keeps the sizes."""
    return nn.Conv3d(C, C, 3, padding=1, **options)
