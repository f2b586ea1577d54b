"""The cases that are drawn for the kernels of a GPU: tensors stay where they are, and keep their values."""

from __future__ import annotations

import pytest
import torch

from tests.conv.gpu.random_shapes import laid_out

LAYOUTS = ("contiguous", "channels_last", "gaps", "turned")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_tensor_stays_on_its_device(layout: str) -> None:
    """A device without memory stands for a GPU: tensors of another one would not come out of it."""
    found = laid_out(torch.empty(2, 3, 4, 5, device="meta"), layout)
    assert found.device.type == "meta"
    assert found.shape == (2, 3, 4, 5)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_values_stay_the_same(layout: str) -> None:
    values = torch.arange(120.0).reshape(2, 3, 4, 5)
    found = laid_out(values, layout)
    assert torch.equal(found, values)
    assert found.is_contiguous() is (layout == "contiguous")
