"""Hooks of all kinds, set before the conversion or after it: they see and change what they did."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import winograd
from tests.nn.conversion.citizens import clip
from tests.nn.conversion.laws import assert_close, force
from tests.nn.conversion.test_uses import STATES, converted, gradients, network

Hook = Callable[[nn.Module, list[Any]], Any]

HOOKS: dict[str, Hook] = {
    "forward pre-hook": lambda layer, seen: layer.register_forward_pre_hook(lambda _, given: seen.append(given[0])),
    "forward pre-hook that changes": lambda layer, _: layer.register_forward_pre_hook(lambda _, given: 2 * given[0]),
    "forward pre-hook of keywords": lambda layer, seen: layer.register_forward_pre_hook(
        lambda _, _given, named: seen.append(len(named)), with_kwargs=True
    ),
    "forward hook": lambda layer, seen: layer.register_forward_hook(lambda _, _given, output: seen.append(output)),
    "forward hook that changes": lambda layer, _: layer.register_forward_hook(lambda _, _given, output: -output),
    "forward hook before others": lambda layer, seen: layer.register_forward_hook(
        lambda _, _given, output: seen.append(output), prepend=True, always_call=True
    ),
    "backward hook": lambda layer, seen: layer.register_full_backward_hook(
        lambda _, into, out: seen.extend((*into, *out))
    ),
    "backward hook that changes": lambda layer, _: layer.register_full_backward_hook(
        lambda _, into, _out: tuple(one if one is None else 2 * one for one in into)
    ),
    "backward pre-hook": lambda layer, seen: layer.register_full_backward_pre_hook(lambda _, out: seen.append(out[0])),
    "hook of a weight": lambda layer, _: next(layer.parameters()).register_hook(lambda grad: 3 * grad),
    "hook of an accumulated gradient": lambda layer, seen: next(layer.parameters()).register_post_accumulate_grad_hook(
        lambda weight: seen.append(weight.grad.clone())
    ),
    "hook of the state": lambda layer, _: layer.register_state_dict_post_hook(
        lambda _, state, prefix, _local: state.update({f"{prefix}extra": torch.ones(1)})
    ),
    "pre-hook of the state": lambda layer, seen: layer.register_state_dict_pre_hook(
        lambda _, prefix, _keep: seen.append(len(prefix))
    ),
    "pre-hook of loading": lambda layer, seen: layer.register_load_state_dict_pre_hook(
        lambda _, state, *_rest: seen.append(sorted(state))
    ),
    "hook of loading": lambda layer, seen: layer.register_load_state_dict_post_hook(
        lambda _, keys: seen.append(keys.missing_keys)
    ),
}


def look(model: nn.Sequential, hook: str, number: int, when: Callable[[nn.Module], Any] | None) -> list[Any]:
    """Return all that a hook sees and changes, set before the conversion or after it."""
    seen: list[Any] = []
    handles = [HOOKS[hook](model[number], seen)] if when is not None else []
    if when is not None:
        when(model)
    handles = handles or [HOOKS[hook](model[number], seen)]
    image = clip().requires_grad_()
    output = model(image)
    output.square().mean().backward()
    with torch.no_grad():
        seen += [output, model(clip()), image.grad, *gradients(model)]
    state = model.state_dict()
    seen.append(sorted(state))
    model.load_state_dict({name: one for name, one in state.items() if "extra" not in name})
    handles[0].remove()
    with torch.no_grad():
        seen.append(model(clip()))
    return seen


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("hook", HOOKS)
def test_hooks_see_and_change_what_they_did(hook: str, number: int, state: str) -> None:
    if (number == 2 and "weight" in hook) or (number == 2 and "accumulated" in hook):
        pytest.skip("a ReLU has no weight")

    def prepare(model: nn.Module) -> None:
        winograd.convert_(model)
        force(model)
        STATES[state](model)

    expected = look(network(), hook, number, None)
    before, after = look(network(), hook, number, prepare), look(converted(state), hook, number, None)
    for got in (before, after):
        assert len(got) == len(expected)
        for ours, torchs in zip(got, expected, strict=True):
            if isinstance(torchs, Tensor):
                assert_close(ours.detach(), torchs.detach())
            else:
                assert ours == torchs


def test_a_hook_that_does_not_see_is_noticed() -> None:
    deaf = network()
    deaf[0].register_forward_hook = lambda *_args, **_named: nn.Identity().register_forward_hook(print)
    assert len(look(deaf, "forward hook", 0, None)) != len(look(network(), "forward hook", 0, None))
