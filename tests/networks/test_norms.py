"""Normalisations from a clip: what is behind them has mean 0 and variance 1, and scores depend on the clip."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from winograd.networks import create, initialise_he
from winograd.networks.builder import Builder
from winograd.networks.kinds import DENSE
from winograd.networks.norms import damp_residuals, initialise_norms
from winograd.networks.residual import bottleneck


def clips(*shape: int) -> Tensor:
    scales = torch.linspace(0.5, 2, shape[0]).view(-1, *[1] * (len(shape) - 1))
    return scales * torch.randn(shape, generator=torch.Generator().manual_seed(1))


def small() -> nn.Sequential:
    layers = (nn.Conv3d(3, 8, 3), nn.BatchNorm3d(8), nn.ReLU(), nn.Conv3d(8, 4, 3), nn.BatchNorm3d(4), nn.Dropout(0.5))
    return initialise_he(nn.Sequential(*layers), seed=0)


def test_every_normalisation_behind_another_one_normalises() -> None:
    model, clip = small(), clips(2, 3, 6, 9, 9)
    assert initialise_norms(model, clip) is model
    seen = []
    for norm in (model[1], model[4]):
        norm.register_forward_hook(lambda _, __, output: seen.append(output))
    model.eval()(clip)
    for output in seen:
        variance, mean = torch.var_mean(output.double(), dim=(0, 2, 3, 4), correction=0)
        # float32 outputs of order 1, and eps = 1e-5 under the root of variances of order 1 and below
        torch.testing.assert_close(mean, torch.zeros_like(mean), atol=1e-5, rtol=0)
        torch.testing.assert_close(variance, torch.ones_like(variance), atol=1e-3, rtol=0)


def test_weights_modes_and_hooks_stay() -> None:
    model = small()
    model[4].eval()
    model[4].weight.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    initialise_norms(model, clips(2, 3, 6, 9, 9))
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {f"{n}.{what}" for n in (1, 4) for what in ("running_mean", "running_var", "num_batches_tracked")}
    assert [layer.training for layer in model] == [True, True, True, True, False, True]
    assert not any(layer._forward_pre_hooks for layer in model)


def test_a_channel_that_is_seen_once_keeps_its_statistics() -> None:
    model = nn.Sequential(nn.BatchNorm3d(2))
    initialise_norms(model, torch.full((1, 2, 1, 1, 1), 7.0))
    assert model[0].running_mean.tolist() == [0, 0]
    assert model[0].running_var.tolist() == [1, 1]


def test_a_normalisation_without_statistics_is_left_alone() -> None:
    model = nn.Sequential(nn.BatchNorm3d(2, track_running_stats=False))
    assert initialise_norms(model, clips(2, 2, 2, 2, 2)).state_dict().keys() == {"0.weight", "0.bias"}


def test_16_bits_are_summed_up_in_32() -> None:
    model = nn.Sequential(nn.BatchNorm3d(1)).half()
    initialise_norms(
        model, torch.full((1, 1, 40, 40, 40), 300.0).half()
    )  # squares and sums beyond the range of float16
    assert float(model[0].running_mean) == 300
    assert float(model[0].running_var) == 0


def test_long_ways_are_damped_and_shortcuts_are_not() -> None:
    model = damp_residuals(create("p3d_63"))  # 16 blocks
    scales = {
        name: layer.weight
        for name, layer in model.named_modules()
        if isinstance(layer, nn.modules.batchnorm._BatchNorm)
    }
    damped = {name for name, scale in scales.items() if bool((scale == 0.25).all())}
    assert {name for name in scales if name not in damped} == {
        "bn1",
        *(f"layer{layer}.0.downsample.1" for layer in range(1, 5)),
    }
    assert len(damped) == 13 * 4 + 3 * 3


def test_damped_networks_do_not_make_more_of_rounding() -> None:
    count, clip = 80, clips(1, 32, 4, 8, 8).relu()
    clip /= clip.square().mean().sqrt()
    errors = {}
    for prepare in (damp_residuals, lambda model: model):
        blocks = (bottleneck(Builder(nn.Conv3d), DENSE, 32, 8, 1) for _ in range(count))
        model = initialise_norms(prepare(initialise_he(nn.Sequential(*blocks), seed=0)).eval(), clip)
        with torch.inference_mode():
            rounded = model(clip)
            exact = model.double()(clip.double())
        errors[prepare] = float((rounded - exact).norm() / exact.norm())
    damped, plain = errors.values()
    # What runs through all blocks begins with mean square 1 and grows, so that a branch weighs 1 / sqrt(count).
    # The bound has the errors of all blocks to the same side; independent ones are 1 / sqrt(count) of it.
    assert damped < count / count**0.5 * rounding_of_a_block(32, 8) < plain


def rounding_of_a_block(channels: int, width: int) -> float:
    """Return a bound of the relative RMS error that a bottleneck adds, in float32.

    A rounding is off by u = 2^-24 at most, by u / sqrt(3) in the mean square. In a chain of K products of mean zero,
    the mean square of the k-th partial sum is k / K of the last one's: u^2 (K + 1) / 6 together. Behind it are three
    more roundings at most, for scale, shift and shortcut: u^2. The three convolutions are taken to be off to one side.
    """
    products = (channels, width * 27, width)
    return 2**-24 * sum(((count + 1) / 6 + 1) ** 0.5 for count in products)


@pytest.mark.parametrize("name", ["r3d_10", "p3d_63"])
def test_scores_of_a_deep_untrained_network_depend_on_the_clip(name: str) -> None:
    model = damp_residuals(initialise_he(create(name, num_classes=50), seed=0)).eval()
    looked = clips(2, 3, 16, 40, 40)
    with torch.inference_mode():
        initialise_norms(model, looked[:1])
        first, second = model(looked)
    assert float((second - first).norm() / first.norm()) > 0.1
