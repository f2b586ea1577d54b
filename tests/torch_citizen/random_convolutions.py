"""Fifty small convolutions drawn from one seed, for checks that take the time of many forward passes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from tests.torch_citizen.pairs import OURS, TORCHS, algorithm, core_taps, normal

COUNT = 50
SEED = 8
SIZES = {1: 7, 2: 5, 3: 4}
"""Largest size of an axis by the number of axes."""


@dataclass(frozen=True)
class RandomConvolution:
    """Sizes and arguments of one convolution, and whether an algorithm is forced."""

    number: int
    batch: int
    channels: int
    outputs: int
    sizes: tuple[int, ...]
    taps: tuple[int, ...]
    stride: int
    padding: int
    dilation: int
    groups: int
    has_bias: bool
    variant: str

    @property
    def options(self) -> dict[str, Any]:
        """The arguments of torch's function."""
        names = ("stride", "padding", "dilation", "groups")
        return {name: getattr(self, name) for name in names}

    @property
    def forced(self) -> Any:
        """The algorithm that is forced, or None."""
        return algorithm(self.variant, core_taps(self.taps, self.stride, self.dilation))

    def tensors(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return input, weight and bias, which require gradients."""
        input = normal(self.batch, self.channels, *self.sizes, seed=3 * self.number)
        weight = normal(self.outputs, self.channels // self.groups, *self.taps, seed=3 * self.number + 1)
        bias = normal(self.outputs, seed=3 * self.number + 2).requires_grad_() if self.has_bias else None
        return input.requires_grad_(), weight.requires_grad_(), bias

    def ours(self, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Convolve by us."""
        convolved: Tensor = OURS[len(self.taps)](input, weight, bias, **self.options, algorithm=self.forced)
        return convolved

    def torchs(self, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Convolve by torch."""
        convolved: Tensor = TORCHS[len(self.taps)](input, weight, bias, **self.options)
        return convolved


def drawn() -> list[RandomConvolution]:
    """Return the fifty, the same in every process; half of them plain, two in three forced."""
    generator = np.random.default_rng(SEED)
    return [_draw(number, generator) for number in range(COUNT)]


def _draw(number: int, generator: np.random.Generator) -> RandomConvolution:
    def among(*values: int) -> int:
        return int(generator.choice(values))

    ndim = number % 3 + 1
    plain = number % 2 == 0
    taps = tuple(among(2, 3) if plain else among(1, 2, 3) for _ in range(ndim))
    stride, dilation = (1, 1) if plain else (among(1, 2), among(1, 2))
    groups = 1 if plain else among(1, 2)
    reach = [dilation * (count - 1) + 1 for count in taps]
    padding = among(0, 1)
    sizes = tuple(int(generator.integers(max(1, one - 2 * padding), max(SIZES[ndim], one) + 1)) for one in reach)
    return RandomConvolution(
        number=number,
        batch=among(1, 2),
        channels=groups * among(1, 2),
        outputs=groups * among(1, 2),
        sizes=sizes,
        taps=taps,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        has_bias=bool(among(0, 1)),
        variant="planned" if number % 3 == number // 3 % 3 else "forced",
    )


def description(one: RandomConvolution) -> str:
    """Return what a test is called."""
    sizes = "x".join(map(str, (one.batch, one.channels, *one.sizes)))
    taps = "x".join(map(str, (one.outputs, *one.taps)))
    return f"{one.number}-{sizes}-{taps}-s{one.stride}p{one.padding}d{one.dilation}g{one.groups}-{one.variant}"
