"""Pairs of a layer of torch's and a planned one with the same parameters, and how they are compared."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

import winograd
from winograd.algebra.nesting import NestedAlgorithm, nest
from winograd.algebra.toom_cook import toom_cook
from winograd.nn.compare import relative_l2

CLASSES = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def algorithm(ndim: int = 3) -> NestedAlgorithm:
    return nest(*[toom_cook(2, 3)] * ndim)


def pair(ndim: int = 3, **options: object) -> tuple[nn.Module, winograd.nn.Conv3d]:
    """Return torch's convolution and a planned one, by F(2,3) on each axis, with the same parameters."""
    torch.manual_seed(0)
    options = {"kernel_size": 3, "padding": 1, **options}
    plain = CLASSES[ndim](8, 16, **options)
    forced = options.get("stride", 1) == 1 and options.get("groups", 1) == 1 and options["kernel_size"] == 3
    planned = getattr(winograd.nn, f"Conv{ndim}d")(8, 16, algorithm=algorithm(ndim) if forced else None, **options)
    planned.load_state_dict(plain.state_dict())
    return plain, planned


def image(ndim: int = 3, *, batch: int | None = 2, size: int = 9) -> Tensor:
    lead = () if batch is None else (batch,)
    return torch.randn(*lead, 8, *range(size, size + ndim), generator=torch.Generator().manual_seed(1))


def assert_close(planned: nn.Module, plain: nn.Module, x: Tensor) -> None:
    """Compare with float64; F(2,3) on three axes is predicted below 5e-7, and a factor of four is allowed."""
    exact = copy.deepcopy(plain).double()(x.double())
    output = planned(x)
    assert output.shape == exact.shape
    assert relative_l2(output, exact) < 2e-6
