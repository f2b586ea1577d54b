from __future__ import annotations

import pytest
import torch
from torch import nn

from winograd.networks import initialise_he


def small() -> nn.Sequential:
    return nn.Sequential(nn.Conv3d(4, 64, 3), nn.BatchNorm3d(64), nn.Flatten(), nn.Linear(64, 32))


def test_weights_have_the_variance_of_he_and_biases_are_zero() -> None:
    model = initialise_he(small(), seed=1)
    for layer, fan_in in ((model[0], 4 * 27), (model[3], 64)):
        count = layer.weight.numel()
        # The sample variance of n normal values has relative standard deviation sqrt(2 / n); five of them are allowed.
        assert float(layer.weight.detach().var()) == pytest.approx(2 / fan_in, rel=5 * (2 / count) ** 0.5)
        assert not layer.bias.any()


def test_same_seed_same_weights_and_other_seed_other_weights() -> None:
    first, again, other = (initialise_he(small(), seed=seed)[0].weight for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_global_random_state_is_untouched() -> None:
    model = small()
    before = torch.get_rng_state()
    initialise_he(model, seed=5)
    assert torch.equal(torch.get_rng_state(), before)
