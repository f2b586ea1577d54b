"""Frozen layers: weights that are kept transformed follow every change that torch counts."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch
from torch import nn

import winograd
from tests.nn.planned_pairs import assert_close, image, pair
from winograd.algebra.nesting import nest
from winograd.algebra.toom_cook import toom_cook
from winograd.conv.library.kept import Stamp
from winograd.conv.plan.record import Backend
from winograd.nn import plans_in_use
from winograd.nn.compare import relative_l2

F2_3D = nest(*[toom_cook(2, 3)] * 3)


def test_frozen_weights_are_transformed_once_for_all_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    packings = []
    pack = plans_in_use.pack_for_plan
    monkeypatch.setattr(plans_in_use, "pack_for_plan", lambda plan, weight: packings.append(plan) or pack(plan, weight))
    plain, planned = pair()
    winograd.freeze(planned)
    with torch.inference_mode():
        for size in (9, 9, 10, 9):
            assert_close(planned, plain, image(size=size))
    assert len(packings) == 1
    assert planned._winograd.packed_bytes >= 4 * 64 * 8 * 16
    winograd.thaw(planned)
    assert planned._winograd.packed_bytes == 0
    with torch.inference_mode():
        assert_close(planned, plain, image())
    assert len(packings) == 1
    assert planned._winograd.packed_bytes == 0


def test_frozen_weights_follow_changes_that_torch_counts_and_no_others() -> None:
    plain, planned = pair()
    winograd.freeze(planned)
    with torch.no_grad():
        planned(image())
        nn.init.normal_(plain.weight)
        planned.load_state_dict(plain.state_dict())
        assert_close(planned, plain, image())
        before = planned(image())
        planned.weight.data.zero_()  # unseen, as documented: this is what the promise of freeze is about
        assert torch.equal(planned(image()), before)
        winograd.thaw(planned)
        assert not torch.equal(planned(image()), before)


def test_a_weight_that_is_computed_for_each_call_is_never_kept() -> None:
    _, planned = pair()
    winograd.freeze(planned)
    with torch.inference_mode():
        doubled = planned._conv_forward(image(), planned.weight * 2, planned.bias)
        single = planned._conv_forward(image(), planned.weight * 1, planned.bias)
    assert planned._winograd.packed_bytes == 0
    assert not torch.allclose(doubled, single)


def frozen_pair() -> tuple[nn.Conv3d, nn.Conv3d]:
    """Return a layer and its frozen conversion after a first forward; both have the same weights."""
    plain = nn.Conv3d(4, 6, 3, padding=1)
    layer = copy.deepcopy(plain)
    winograd.convert_(layer)
    layer._winograd.change(algorithm=F2_3D)
    winograd.freeze(layer)
    with torch.no_grad():
        layer(volume())
    return plain, layer


def volume() -> torch.Tensor:
    return torch.randn(1, 4, 6, 6, 6, generator=torch.Generator().manual_seed(0))


def assert_up_to_date(layer: nn.Conv3d) -> None:
    """Check a frozen layer against torch's own convolution with its present weight."""
    with torch.no_grad():
        expected = torch.conv3d(volume().double(), layer.weight.double(), layer.bias.double(), padding=1)
        error = (layer(volume()) - expected).norm() / expected.norm()
    assert error < 2e-6


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("optimiser", [torch.optim.SGD, torch.optim.AdamW])
def test_a_training_step_is_followed_by_a_frozen_layer(optimiser: type[torch.optim.Optimizer], fused: bool) -> None:
    _, layer = frozen_pair()
    step = optimiser(layer.parameters(), lr=0.5, fused=fused)
    layer(volume()).square().sum().backward()
    with torch.no_grad():
        layer(volume())  # between the gradient and the step
    step.step()
    assert_up_to_date(layer)
    step.zero_grad()
    assert_up_to_date(layer)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_round_trip_through_another_dtype_is_followed(dtype: torch.dtype) -> None:
    _, layer = frozen_pair()
    layer.to(dtype).float()
    assert_up_to_date(layer)


def test_weights_of_functional_calls_are_followed() -> None:
    plain, layer = frozen_pair()
    with torch.no_grad():
        for scale in (1, 2, 3, 4):
            weights = {"weight": plain.weight * scale}
            output = torch.func.functional_call(layer, weights, (volume(),))
            expected = torch.conv3d(volume(), weights["weight"], plain.bias, padding=1)
            assert (output - expected).norm() / expected.norm() < 2e-6
            del weights, output


def test_weights_made_under_inference_mode_are_followed() -> None:
    with torch.inference_mode():
        layer = winograd.nn.Conv3d(4, 6, 3, padding=1, algorithm=F2_3D)
        with pytest.warns(UserWarning, match="1 layers .* transform their weight in every call"):
            winograd.freeze(layer)
        layer(volume())
        layer.weight.mul_(3)
    assert_up_to_date(layer)
    with torch.inference_mode():
        layer.load_state_dict(nn.Conv3d(4, 6, 3).state_dict())
    assert_up_to_date(layer)


def test_another_parameter_in_the_same_memory_is_followed() -> None:
    _, layer = frozen_pair()
    with torch.no_grad():
        layer.weight.mul_(1)  # one write, as to the tensor below
        layer(volume())
    former = layer.weight._version
    layer.weight = nn.Parameter(layer.weight.data.mul_(3))
    assert layer.weight._version == former
    assert_up_to_date(layer)


def test_another_part_of_the_same_memory_is_another_weight() -> None:
    both = torch.zeros(2, 4, 4, 3)
    layer = winograd.nn.Conv1d(4, 4, 3)
    layer.weight = nn.Parameter(both[0], requires_grad=False)
    stamp = Stamp(layer.weight)
    layer.weight.data = both[1]
    assert not stamp.is_of(layer.weight)


def test_the_same_memory_read_as_another_dtype_is_followed() -> None:
    layer = winograd.nn.Conv3d(4, 6, 3, padding=1, algorithm=F2_3D).half().requires_grad_(False)
    winograd.freeze(layer)
    with torch.inference_mode():
        layer(volume().half())
        stamp = Stamp(layer.weight)
        layer.weight.data, layer.bias = layer.weight.data.view(torch.bfloat16), None
        assert not stamp.is_of(layer.weight)
        x = volume().bfloat16()
        assert relative_l2(layer(x), torch.conv3d(x, layer.weight, padding=1).double()) < 2**-6
        stamp = Stamp(layer.weight)
        layer.weight.data = torch._neg_view(layer.weight.data)
        assert not stamp.is_of(layer.weight)


def test_slices_of_the_same_memory_are_told_apart() -> None:
    flat = torch.randn(2, 6, 4, 3, 3, 3)
    layer = winograd.nn.Conv3d(4, 6, 3, padding=1, algorithm=F2_3D).requires_grad_(False)
    winograd.freeze(layer)
    for half in flat:
        layer.weight.data = half
        assert relative_l2(layer(volume()), torch.conv3d(volume(), half, layer.bias, padding=1).double()) < 2e-6


def test_a_transformed_weight_is_not_shared_between_unlike_phases() -> None:
    layer = winograd.nn.Conv1d(8, 8, 7, stride=4, algorithm=nest(toom_cook(2, 2)))
    winograd.freeze(layer)
    x = torch.randn(2, 8, 61)
    with torch.inference_mode():
        for stride in (4, 5):
            layer.stride = (stride,)
            expected = torch.conv1d(x.double(), layer.weight.double(), layer.bias.double(), stride)
            assert relative_l2(layer(x), expected) < 2e-6
    assert [plan.backend for plan in layer.plans] == [Backend.NATIVE] * 2


def test_a_weight_dropped_by_another_thread_meanwhile_is_transformed_anew() -> None:
    _, layer = frozen_pair()
    state = layer._winograd
    (use,) = (use for use in state._uses if use.packed is not None)
    kept = use.kept
    state._uses.drop_packed()
    assert (use.kept, use.packed) == (None, None)  # at once: no stamp is left that vouches for nothing
    use.kept = kept
    assert state._uses.pack(use, layer.weight) is kept.packed
    layer.weight.data = layer.weight.data.clone()
    assert state._uses.pack(use, layer.weight) is not kept.packed


def test_other_memory_at_the_same_address_is_noticed() -> None:
    _, layer = frozen_pair()
    buffer = layer.weight.detach().numpy().copy()
    layer.weight.data = torch.from_numpy(buffer)
    former = layer.weight.data_ptr()
    assert_up_to_date(layer)
    buffer *= 3  # freed and taken again by another tensor, as the allocator may do
    layer.weight.data = torch.from_numpy(buffer)
    assert layer.weight.data_ptr() == former
    assert_up_to_date(layer)


def test_a_forward_in_training_forgets_the_transformed_weight() -> None:
    _, layer = frozen_pair()
    assert layer._winograd.packed_bytes
    layer(volume()).square().sum().backward()
    assert layer._winograd.packed_bytes == 0
    layer.weight.data -= 0.1 * layer.weight.grad  # a step by hand, which torch does not count
    layer.zero_grad()
    assert_up_to_date(layer)
    assert layer._winograd.packed_bytes


def test_a_frozen_weight_that_needs_no_gradient_stays_transformed_in_training() -> None:
    _, layer = frozen_pair()
    layer.requires_grad_(False)
    with torch.no_grad():
        layer(volume())
    kept = layer._winograd._uses
    packed = [use.packed for use in kept if use.packed is not None]
    layer(volume().requires_grad_()).sum().backward()
    assert [use.packed for use in kept if use.packed is not None] == packed != []


def test_freezing_with_gradients_left_says_that_they_are_in_the_way() -> None:
    _, layer = frozen_pair()
    layer(volume()).sum().backward()
    with pytest.warns(UserWarning, match="it has a gradient"):
        winograd.freeze(layer)
    layer.zero_grad()
    with warnings.catch_warnings(action="error"):
        winograd.freeze(layer)


def test_a_frozen_direct_layer_leaves_onednn_where_it_is_disabled() -> None:
    plain = nn.Conv3d(3, 16, 3, padding=1)
    layer = copy.deepcopy(plain)
    winograd.convert_(layer, tolerance=1e-9)
    winograd.freeze(layer)
    x = torch.randn(1, 3, 8, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        packed = layer(x)
        with torch.backends.mkldnn.flags(enabled=False):
            assert torch.equal(layer(x), plain(x))
    assert layer._winograd.packed_bytes
    torch.testing.assert_close(packed, plain(x).detach())


def test_tracing_sees_torchs_own_convolution() -> None:
    _, layer = frozen_pair()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("error", torch.jit.TracerWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        traced = torch.jit.trace(layer, volume())
        function = torch.jit.trace(lambda x, w: winograd.conv3d(x, w, padding=1), (volume(), layer.weight))
    assert "aten::_convolution" in str(traced.inlined_graph)
    assert "aten::_convolution" in str(function.inlined_graph)
