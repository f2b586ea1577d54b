"""Tensors between poisoned guards, and a convolution of which every tensor is one.

In: the emitted module of an algorithm, sizes, a device. Out: the output, after the guards were looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import torch

GUARD = 4096
"""Elements before and behind: more than a block of a kernel reads in one row."""

POISON = float("nan")
MARK = 12345.0


class Guarded:
    """A tensor in the middle of a larger one, on the same device."""

    def __init__(self, values: torch.Tensor, outside: float, inside: float | None = None) -> None:
        count = values.numel()
        self.whole = values.new_full((count + 2 * GUARD,), outside)
        self.tensor = self.whole[GUARD : GUARD + count].view(values.shape)
        self.tensor.copy_(values if inside is None else torch.full_like(values, inside))

    @property
    def edges(self) -> torch.Tensor:
        return torch.cat([self.whole[:GUARD], self.whole[-GUARD:]])

    @property
    def is_whole(self) -> bool:
        """Whether nobody wrote into the guards, which were marked."""
        return torch.equal(self.edges, torch.full_like(self.edges, MARK))


@dataclass(frozen=True)
class Given:
    """What a guarded convolution of padding 1 is given: small integers."""

    x: torch.Tensor
    w: torch.Tensor
    b: torch.Tensor
    r: torch.Tensor

    @property
    def exact(self) -> torch.Tensor:
        """The output, in float64."""
        convolve = {1: torch.conv1d, 2: torch.conv2d, 3: torch.conv3d}[self.x.ndim - 2]
        return convolve(self.x.double(), self.w.double(), self.b.double(), padding=1) + self.r.double()


def draw_given(
    sizes: tuple[int, ...], *, channels: int, outputs: int, device: str, dtype: torch.dtype = torch.float32
) -> Given:
    """Return integers up to 4, of two images; every axis has 3 taps."""
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randint(-4, 5, shape, generator=generator).to(device, dtype)

    taps = (3,) * len(sizes)
    return Given(drawn(2, channels, *sizes), drawn(outputs, channels, *taps), drawn(outputs), drawn(2, outputs, *sizes))


def run_plainly(module: ModuleType, given: Given, products: str, config: dict[str, int]) -> torch.Tensor:
    """Return the output of a run on tensors without guards."""
    u = module.transform_filter(given.w, precision=products)
    output: torch.Tensor = module.run(
        given.x, u, given.b, 1, residual=given.r, precision=products, out=torch.empty_like(given.r), config=config
    )
    return output


def run_guarded(module: ModuleType, given: Given, products: str, config: dict[str, int]) -> torch.Tensor:
    """Return the output of a run in which every tensor has guards, also the workspace; they stay as they are."""
    x, b, r, u = (
        Guarded(one, POISON).tensor
        for one in (given.x, given.b, given.r, module.transform_filter(given.w, precision=products))
    )
    output = Guarded(given.r, MARK, inside=POISON)
    sizes = tuple(given.x.shape)
    taken = module.workspace_bytes(sizes, len(given.w), 1, precision=products, config=config)[1]
    room = Guarded(torch.zeros(-(-max(taken, 1) // 4), device=given.x.device), MARK, inside=POISON)
    rest = {"residual": r, "out": output.tensor, "workspace": room.tensor, "config": config, "precision": products}
    module.run(x, u, b, 1, **rest)
    assert output.is_whole
    assert room.is_whole
    return output.tensor
