"""Every padding mode of the modules, on one to three axes: padded as torch pads, then convolved by plan."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import winograd
from winograd.algebra.nesting import nest
from winograd.algebra.toom_cook import toom_cook
from winograd.conv.plan.record import Backend
from winograd.nn.compare import relative_l2

MODES = ["zeros", "reflect", "replicate", "circular"]
PADDINGS = {"one": 1, "per axis": (2, 0, 1), "same": "same", "valid": "valid"}


def pair(ndim: int, mode: str, padding: str, taps: int = 3, **options: object) -> tuple[nn.Module, nn.Module]:
    """Return torch's layer and a planned one with the same parameters, by F(2, taps)."""
    given = PADDINGS[padding]
    options |= {"padding": given[:ndim] if isinstance(given, tuple) else given, "padding_mode": mode}
    torch.manual_seed(0)
    plain = getattr(nn, f"Conv{ndim}d")(8, 8, taps, **options)
    planned = getattr(winograd.nn, f"Conv{ndim}d")(8, 8, taps, algorithm=nest(*[toom_cook(2, taps)] * ndim), **options)
    planned.load_state_dict(plain.state_dict())
    return plain, planned


def image(ndim: int, batch: int | None = 2) -> torch.Tensor:
    lead = () if batch is None else (batch,)
    return torch.randn(*lead, 8, *range(6, 6 + ndim), generator=torch.Generator().manual_seed(1))


def error(plain: nn.Module, planned: nn.Module, x: torch.Tensor) -> float:
    exact = copy.deepcopy(plain).double()(x.double())
    with torch.inference_mode():
        output = planned(x)
    assert output.shape == exact.shape
    return relative_l2(output, exact)


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("batch", [2, None])
def test_every_mode_gives_torchs_output_by_the_forced_algorithm(
    ndim: int, mode: str, padding: str, batch: int | None
) -> None:
    # F(2,3) on three axes is predicted below 5e-7, and a factor of four is allowed.
    plain, planned = pair(ndim, mode, padding)
    assert error(plain, planned, image(ndim, batch)) < 2e-6
    assert [plan.backend for plan in planned.plans] == [Backend.NATIVE]


@pytest.mark.parametrize("mode", MODES)
def test_an_even_kernel_with_same_puts_the_odd_sample_where_torch_does(mode: str) -> None:
    plain, planned = pair(2, mode, "same", taps=4)
    assert error(plain, planned, image(2)) < 2e-6


@pytest.mark.parametrize("mode", MODES)
def test_modes_with_a_dilation_and_gradients_are_torchs(mode: str) -> None:
    plain, planned = pair(2, mode, "same", dilation=2)
    x = image(2).requires_grad_()
    gradients = [torch.autograd.grad(layer(x).square().sum(), [x, *layer.parameters()]) for layer in (plain, planned)]
    for ours, torchs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, torchs)
    winograd.convert_(plain)
    assert error(winograd.revert_(copy.deepcopy(plain)), plain, image(2)) < 2e-6


@pytest.mark.parametrize("mode", MODES[1:])
def test_another_mode_is_noticed(mode: str) -> None:
    plain, planned = pair(2, mode, "one")
    planned.padding_mode = "zeros"
    assert error(plain, planned, image(2)) > 0.1


@pytest.mark.parametrize("mode", ["reflect", "circular"])
def test_padding_beyond_the_input_is_refused_in_torchs_words(mode: str) -> None:
    messages = []
    for room in (nn, winograd.nn):
        with pytest.raises(RuntimeError) as caught:
            room.Conv1d(8, 8, 3, padding=9, padding_mode=mode)(image(1))
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
