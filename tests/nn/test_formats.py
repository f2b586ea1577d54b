"""Models whose weights lie in channels last."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import winograd
from winograd.conv.tensors.layout import is_channels_last
from winograd.nn import channels_last_


def mixed() -> nn.Sequential:
    """A network with 2D and 3D convolutions, as ECO is."""
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Unflatten(1, (8, 1)), nn.Conv3d(8, 4, (1, 3, 3)), nn.ReLU())


@pytest.mark.filterwarnings("ignore:no layer")
def test_2d_and_3d_weights_become_channels_last_where_torch_refuses() -> None:
    with pytest.raises(RuntimeError, match="rank"):
        mixed().to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    model = mixed()
    parameters, values = list(model.parameters()), copy.deepcopy(model.state_dict())
    assert channels_last_(model) is model
    assert all(one is other for one, other in zip(model.parameters(), parameters, strict=True))
    assert all(torch.equal(value, values[name]) for name, value in model.state_dict().items())
    assert all(is_channels_last(layer.weight) for layer in model if isinstance(layer, nn.Conv2d | nn.Conv3d))


@torch.no_grad()
def test_a_contiguous_input_leaves_every_convolution_in_channels_last() -> None:
    model = nn.Sequential(nn.Conv3d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv3d(16, 16, 3, padding=1)).eval()
    clip = torch.randn(1, 3, 6, 12, 12)
    expected = model(clip)
    assert not is_channels_last(expected)  # without it, nothing is
    winograd.convert_(channels_last_(model))
    winograd.freeze(model)
    assert is_channels_last(model[0](clip))
    assert is_channels_last(model(clip))
    assert torch.linalg.vector_norm(model(clip) - expected) <= 1e-4 * torch.linalg.vector_norm(expected)
