"""The structures that stand for a 3x3x3 convolution in ECO-Lite, against what they mean on tensors of five axes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from winograd.networks import create
from winograd.networks.builder import Builder
from winograd.networks.convolutions import convolutions_of
from winograd.networks.eco import STRUCTURES
from winograd.networks.flat_structures import OVER_FOUR_AXES, Moments, Parallel
from winograd.networks.registry import _STRUCTURES
from winograd.networks.structures import OVER_FIVE_AXES, Builders

CHANNELS, WIDTH = 3, 6

BOTH = sorted(OVER_FIVE_AXES.keys() & OVER_FOUR_AXES.keys())


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        yield


def builders(sampling: str = "flat") -> Builders:
    return Builders(Builder(nn.Conv3d), Builder(nn.Conv2d, axes=2), Builder(nn.Conv1d, axes=1), sampling)


def parallel(structure: str, sampling: str, step: int) -> Parallel:
    unit = OVER_FOUR_AXES[structure].unit(builders(sampling), CHANNELS, WIDTH, step).eval()
    assert isinstance(unit, Parallel)
    return unit


def with_values_of(model: nn.Module, other: nn.Module) -> nn.Module:
    """Give a module the values of another, tensor by tensor in their order, whatever axes of one they leave out."""
    values = zip(model.state_dict().items(), other.state_dict().values(), strict=True)
    model.load_state_dict({name: value.reshape(own.shape) for (name, own), value in values})
    return model


@pytest.mark.parametrize(("tensors", "structure"), [(form, name) for form in STRUCTURES for name in STRUCTURES[form]])
@pytest.mark.parametrize("step", [1, 2])
def test_structures_and_shortcuts_give_the_sizes_of_a_3x3x3(tensors: str, structure: str, step: int) -> None:
    made, x = STRUCTURES[tensors][structure], torch.randn(2, CHANNELS, 4, 8, 8)
    sizes = (2, WIDTH * made.copies, 4 // step, 8 // step, 8 // step)
    assert made.unit(builders(), CHANNELS, WIDTH, step).eval()(x).shape == sizes
    assert made.shortcut(builders(), CHANNELS, WIDTH * made.copies, step).eval()(x).shape == sizes


def test_the_registry_has_a_network_for_every_structure() -> None:
    assert all(set(_STRUCTURES) == set(STRUCTURES[tensors]) for tensors in STRUCTURES)


@pytest.mark.parametrize("structure", BOTH)
@pytest.mark.parametrize("step", [1, 2])
def test_structures_on_four_axes_are_those_on_five(structure: str, step: int) -> None:
    five, four, x = OVER_FIVE_AXES[structure], OVER_FOUR_AXES[structure], torch.randn(2, CHANNELS, 5, 7, 8).double()
    for make in ("unit", "shortcut"):
        expected = getattr(five, make)(builders("grid"), CHANNELS, WIDTH, step).double().eval()
        found = getattr(four, make)(builders("grid"), CHANNELS, WIDTH, step).double().eval()
        # Sums of at most 81 products of order 1, some behind each other, round to far less than this in float64.
        torch.testing.assert_close(with_values_of(found, expected)(x), expected(x), rtol=1e-12, atol=1e-12)


def test_taps_in_another_order_are_noticed() -> None:
    x = torch.randn(1, CHANNELS, 4, 8, 8)
    expected = OVER_FIVE_AXES["p3d_c"].unit(builders(), CHANNELS, WIDTH, 2).eval()
    found = with_values_of(OVER_FOUR_AXES["p3d_c"].unit(builders(), CHANNELS, WIDTH, 2).eval(), expected)
    weight = found.get_parameter("time.0.weight")
    weight.copy_(weight.flip(2))
    assert not torch.allclose(found(x), expected(x), rtol=1e-2)


@pytest.mark.parametrize("structure", [*BOTH, "add", "cat"])
def test_no_convolution_over_the_clip_is_over_three_axes(structure: str) -> None:
    with torch.device("meta"):
        model = create(f"eco_lite_{structure}")
    axes = {call.shape.ndim for call in convolutions_of(model) if call.name.startswith("net3d.")}
    assert axes == ({1} if structure == "rank1" else {2})


@pytest.mark.parametrize("structure", BOTH)
def test_networks_on_five_axes_have_the_same_counts(structure: str) -> None:
    with torch.device("meta"):
        four, five = (create(f"eco_lite_{structure}", tensors=tensors) for tensors in ("4d", "5d"))
    assert [call.shape.macs for call in convolutions_of(four)] == [call.shape.macs for call in convolutions_of(five)]
    assert [value.numel() for value in four.parameters()] == [value.numel() for value in five.parameters()]


def meant(unit: Parallel, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return both branches of the proposed structure with a step of two, on five axes."""
    space, steps, time = (module.get_parameter("0.weight") for module in (unit.space, unit.steps, unit.time))
    norm = (1 + 1e-5) ** -0.5  # what a new normalisation multiplies by
    frames = nn.functional.conv3d(x, space.unsqueeze(2), stride=(1, 2, 2), padding=(0, 1, 1)) * norm
    first = nn.functional.conv3d(frames, steps.unsqueeze(4), stride=(2, 1, 1)) * norm
    return first, nn.functional.conv3d(x, time.unsqueeze(4), stride=2, padding=(1, 0, 0)) * norm


def test_the_grid_reading_of_the_proposed_structure_is_the_one_with_five_axes() -> None:
    unit, x = parallel("add", "grid", 2), torch.randn(2, CHANNELS, 4, 8, 8)
    first, second = meant(unit, x)
    torch.testing.assert_close(unit(x), first + second)
    joined = parallel("cat", "grid", 2)
    joined.load_state_dict(unit.state_dict())
    torch.testing.assert_close(joined(x), torch.cat((first, second), dim=1))


def test_the_flat_reading_keeps_every_row_and_every_fourth_column_and_is_another() -> None:
    unit, grid, x = parallel("add", "flat", 2), parallel("add", "grid", 2), torch.randn(2, CHANNELS, 4, 8, 8)
    grid.load_state_dict(unit.state_dict())
    assert not torch.allclose(unit(x), grid(x), rtol=0.1)
    kept = x[..., ::4].reshape(2, CHANNELS, 4, 16)
    weight = unit.time.get_parameter("0.weight")
    expected = unit.time[1](nn.functional.conv2d(kept, weight, stride=(2, 1), padding=(1, 0)))
    torch.testing.assert_close(unit.time(x).flatten(3), expected)


def test_steps_of_one_are_read_alike() -> None:
    unit, grid, x = parallel("cat", "flat", 1), parallel("cat", "grid", 1), torch.randn(1, CHANNELS, 4, 6, 6)
    grid.load_state_dict(unit.state_dict())
    torch.testing.assert_close(unit(x), grid(x))


def test_frames_of_odd_sizes_are_refused_by_the_flat_step_only() -> None:
    x = torch.randn(1, CHANNELS, 4, 7, 7)
    with pytest.raises(ValueError, match=r'frames are 7 x 7: .* sampling="grid" takes any'):
        parallel("add", "flat", 2)(x)
    assert parallel("add", "grid", 2)(x).shape == (1, WIDTH, 2, 4, 4)


def test_frames_in_channels_last_are_reshaped_without_a_copy() -> None:
    x = torch.randn(2, CHANNELS, 4, 6, 6).to(memory_format=torch.channels_last_3d)
    assert Moments()(x).data_ptr() == x.data_ptr()
    assert x.transpose(1, 2).flatten(0, 1).data_ptr() == x.data_ptr()
