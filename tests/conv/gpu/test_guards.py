"""Ragged shapes between poisoned guards: kernels neither read nor write outside of their tensors, and write all."""

from __future__ import annotations

import platform
import sys
from math import prod

import pytest
import torch

if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
    pytest.skip("triton has wheels for Linux on x86-64 and 64-bit Arm alone", allow_module_level=True)

from winograd import nest, toom_cook
from winograd.conv.gpu.loading import gpu_module

GUARD = 64
POISON = float("nan")
MARK = 12345.0


class Guarded:
    """A tensor in the middle of a larger one."""

    def __init__(self, values: torch.Tensor, outside: float, inside: float | None = None) -> None:
        count = values.numel()
        self.whole = torch.full((count + 2 * GUARD,), outside, dtype=values.dtype)
        self.tensor = self.whole[GUARD : GUARD + count].view(values.shape)
        self.tensor.copy_(values if inside is None else torch.full_like(values, inside))

    @property
    def edges(self) -> torch.Tensor:
        return torch.cat([self.whole[:GUARD], self.whole[-GUARD:]])


@pytest.mark.parametrize("kind", ["staged", "fused"])
@pytest.mark.parametrize(
    ("m", "sizes"), [((2,), (7,)), ((2, 2), (5, 3)), ((1, 2, 2), (3, 5, 3)), ((2, 1, 1), (3, 2, 5))]
)
def test_guards_stay_as_they_are(m: tuple[int, ...], sizes: tuple[int, ...], kind: str) -> None:
    module = gpu_module(nest(*(toom_cook(outputs, 3) for outputs in m)), kind, interpreted=True)
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randint(-4, 5, shape, generator=generator).float()

    x, w, b, r = drawn(2, 9, *sizes), drawn(5, 9, *(3,) * len(m)), drawn(5), drawn(2, 5, *sizes)
    u = Guarded(module.transform_filter(w), POISON)
    output = Guarded(torch.zeros_like(r), MARK, inside=POISON)
    config = {} if kind == "fused" else {"workspace_bytes": 1 << 14}
    taken = module.workspace_bytes((2, 9, *sizes), 5, 1, config=config)[1]
    room = Guarded(torch.zeros(-(-max(taken, 1) // 4)), MARK, inside=POISON)
    given = {name: Guarded(one, POISON).tensor for name, one in (("x", x), ("b", b), ("r", r))}
    rest = {"residual": given["r"], "out": output.tensor, "workspace": room.tensor, "config": config}
    module.run(given["x"], u.tensor, given["b"], 1, **rest)
    convolve = {1: torch.conv1d, 2: torch.conv2d, 3: torch.conv3d}[len(m)]
    assert torch.equal(output.tensor, convolve(x, w, b, padding=1) + r)
    assert torch.equal(output.edges, torch.full_like(output.edges, MARK))
    assert torch.equal(room.edges, torch.full_like(room.edges, MARK))


def test_a_guard_that_was_written_is_noticed() -> None:
    guarded = Guarded(torch.zeros(3), MARK)
    guarded.whole[GUARD + prod(guarded.tensor.shape)] = 0
    assert not torch.equal(guarded.edges, torch.full_like(guarded.edges, MARK))
