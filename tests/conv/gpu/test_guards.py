"""Ragged shapes between poisoned guards: kernels neither read nor write outside of their tensors, and write all."""

from __future__ import annotations

import platform
import sys
from math import prod

import pytest
import torch

if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
    pytest.skip("triton has wheels for Linux on x86-64 and 64-bit Arm alone", allow_module_level=True)

from tests.conv.gpu.guarded import GUARD, MARK, Guarded, draw_given, run_guarded, run_plainly
from winograd import nest, toom_cook
from winograd.conv.gpu.loading import gpu_module


@pytest.mark.parametrize("kind", ["staged", "fused"])
@pytest.mark.parametrize(
    ("m", "sizes"), [((2,), (7,)), ((2, 2), (5, 3)), ((1, 2, 2), (3, 5, 3)), ((2, 1, 1), (3, 2, 5))]
)
def test_guards_stay_as_they_are(m: tuple[int, ...], sizes: tuple[int, ...], kind: str) -> None:
    module = gpu_module(nest(*(toom_cook(outputs, 3) for outputs in m)), kind, interpreted=True)
    given = draw_given(sizes, channels=9, outputs=5, device="cpu")
    config = {} if kind == "fused" else {"workspace_bytes": 1 << 14}
    assert torch.equal(run_guarded(module, given, "ieee", config).double(), given.exact)


def test_16_bits_are_guarded_too() -> None:
    module = gpu_module(nest(toom_cook(2, 3)), "staged", interpreted=True)
    given = draw_given((7,), channels=9, outputs=5, device="cpu", dtype=torch.float16)
    config = {"workspace_bytes": 1 << 12}
    output = run_guarded(module, given, "float16", config)
    assert torch.equal(output, run_plainly(module, given, "float16", config))
    assert torch.equal(output.double(), given.exact)


def test_a_guard_that_was_written_is_noticed() -> None:
    guarded = Guarded(torch.zeros(3), MARK)
    assert guarded.is_whole
    guarded.whole[GUARD + prod(guarded.tensor.shape)] = 0
    assert not guarded.is_whole


def test_guards_are_where_the_tensor_is() -> None:
    assert Guarded(torch.empty(3, device="meta"), MARK).whole.device.type == "meta"
