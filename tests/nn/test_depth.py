"""Errors that build up through a network, and what its layers see and give on the way."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from winograd.nn.depth import errors_so_far, record_inputs, record_outputs, relative_l2, visit_layers


class Twice(nn.Module):
    """A layer with a change in place behind it, then a layer that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv3d(2, 3, 3, padding=1)
        self.again = nn.Conv3d(3, 3, 1)
        generator = torch.Generator().manual_seed(0)
        for parameter in self.parameters():
            parameter.data.normal_(generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x).relu_()
        return self.again(self.again(x).relu_()).sum(dim=(2, 3, 4))


NAMES = ("again", "first")
CLIPS = torch.randn(2, 2, 3, 4, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_layers_are_visited_once_in_the_order_in_which_they_run() -> None:
    seen = []
    model = Twice().double().eval()
    output = visit_layers(model, NAMES, CLIPS, lambda name, input, _: seen.append((name, input.shape[1])))
    assert seen == [("first", 2), ("again", 3)]
    assert torch.equal(output, model(CLIPS))
    assert not model.first._forward_hooks


def test_a_visit_may_call_the_layer_it_visits() -> None:
    model = Twice().double().eval()
    found = {}
    visit_layers(model, NAMES, CLIPS, lambda name, input, _: found.update({name: model.get_submodule(name)(input)}))
    assert torch.equal(found["first"], model.first(CLIPS))


def test_inputs_are_those_before_any_change_in_place() -> None:
    model = Twice().double().eval()
    seen = record_inputs(model, NAMES, CLIPS)
    assert list(seen) == ["first", "again"]
    assert torch.equal(seen["first"], CLIPS)
    assert torch.equal(seen["again"], model.first(CLIPS).relu())


def test_outputs_are_those_before_any_change_in_place_and_of_all_clips() -> None:
    model = Twice().double().eval()
    seen, output = record_outputs(model, NAMES, CLIPS)
    assert torch.equal(output, torch.cat([model(clip) for clip in CLIPS.split(1)]))
    assert torch.equal(seen["first"], torch.cat([model.first(clip) for clip in CLIPS.split(1)]))
    assert bool((seen["first"] < 0).any())


@torch.inference_mode()
def test_an_error_shows_where_it_is_made_and_behind_it() -> None:
    exact = Twice().double().eval()
    reference, _ = record_outputs(exact, NAMES, CLIPS)
    same, _ = errors_so_far(exact, reference, CLIPS)
    assert max(same.values()) < 1e-14  # a batch of two clips may be summed up in another order
    wrong = copy.deepcopy(exact)
    wrong.again.weight.data *= 1.01
    wrong.again.bias.data *= 1.01
    errors, _ = errors_so_far(wrong, reference, CLIPS)
    assert errors["first"] < 1e-14
    assert abs(errors["again"] - 0.01) < 1e-12
    earlier = copy.deepcopy(exact)
    earlier.first.weight.data[0] *= 1.5
    errors, _ = errors_so_far(earlier, reference, CLIPS)
    assert min(errors.values()) > 1e-3


def test_relative_l2() -> None:
    assert relative_l2(torch.tensor([3.0, 5.0]), torch.tensor([3.0, 4.0])) == 0.2
    assert relative_l2(torch.tensor([3.0, 4.0]), torch.zeros(2)) == 5.0
