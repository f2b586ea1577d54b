"""The structures that stand for a 3x3x3 convolution in ECO-Lite, against what they mean on tensors of five axes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from winograd.networks.builder import Builder
from winograd.networks.registry import _STRUCTURES
from winograd.networks.structures import STRUCTURES, Builders


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        yield


def cubes(sampling: str = "flat") -> Builders:
    return Builders(Builder(nn.Conv3d), Builder(nn.Conv2d, axes=2), sampling)


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("step", [1, 2])
def test_structures_and_shortcuts_give_the_sizes_of_a_3x3x3(structure: str, step: int) -> None:
    made, x = STRUCTURES[structure], torch.randn(2, 3, 4, 8, 8)
    sizes = (2, 6 * made.copies, 4 // step, 8 // step, 8 // step)
    assert made.unit(cubes(), 3, 6, step).eval()(x).shape == sizes
    assert made.shortcut(cubes(), 3, 6 * made.copies, step).eval()(x).shape == sizes


def test_the_registry_has_a_network_for_every_structure() -> None:
    assert set(_STRUCTURES) == set(STRUCTURES)


def test_the_grid_reading_of_the_proposed_structure_is_the_one_with_five_axes() -> None:
    unit, x = STRUCTURES["add"].unit(cubes("grid"), 3, 6, 2).eval(), torch.randn(2, 3, 4, 8, 8)
    space, steps, time = (module[0].weight for module in (unit.space, unit.steps, unit.time))
    norm = (1 + unit.time[1].eps) ** -0.5  # what a new normalisation multiplies by
    frames = nn.functional.conv3d(x, space.unsqueeze(2), stride=(1, 2, 2), padding=(0, 1, 1)) * norm
    first = nn.functional.conv3d(frames, steps.unsqueeze(4), stride=(2, 1, 1)) * norm
    second = nn.functional.conv3d(x, time.unsqueeze(4), stride=2, padding=(1, 0, 0)) * norm
    torch.testing.assert_close(unit(x), first + second)
    joined = STRUCTURES["cat"].unit(cubes("grid"), 3, 6, 2).eval()
    joined.load_state_dict(unit.state_dict())
    torch.testing.assert_close(joined(x), torch.cat((first, second), dim=1))


def test_the_flat_reading_keeps_every_row_and_every_fourth_column_and_is_another() -> None:
    unit, x = STRUCTURES["add"].unit(cubes(), 3, 6, 2).eval(), torch.randn(2, 3, 4, 8, 8)
    grid = STRUCTURES["add"].unit(cubes("grid"), 3, 6, 2).eval()
    grid.load_state_dict(unit.state_dict())
    assert not torch.allclose(unit(x), grid(x), rtol=0.1)
    kept = x[..., ::4].reshape(2, 3, 4, 4, 4)
    norm = unit.time[1]
    expected = norm(nn.functional.conv2d(kept.flatten(3), unit.time[0].weight, stride=(2, 1), padding=(1, 0)))
    torch.testing.assert_close(unit.time(x.flatten(3)), expected)


def test_steps_of_one_are_read_alike() -> None:
    unit, x = STRUCTURES["cat"].unit(cubes(), 3, 6, 1).eval(), torch.randn(1, 3, 4, 6, 6)
    grid = STRUCTURES["cat"].unit(cubes("grid"), 3, 6, 1).eval()
    grid.load_state_dict(unit.state_dict())
    torch.testing.assert_close(unit(x), grid(x))


def test_frames_of_odd_sizes_are_refused_by_the_flat_step_only() -> None:
    x = torch.randn(1, 3, 4, 7, 7)
    with pytest.raises(ValueError, match=r'frames are 7 x 7: .* sampling="grid" takes any'):
        STRUCTURES["add"].unit(cubes(), 3, 6, 2)(x)
    assert STRUCTURES["add"].unit(cubes("grid"), 3, 6, 2)(x).shape == (1, 6, 2, 4, 4)
