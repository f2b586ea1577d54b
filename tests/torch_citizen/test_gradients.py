"""Gradients: the right subset of them, torch's values, second derivatives, and the errors of torch's engine."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.utils.checkpoint import checkpoint

import winograd
from tests.torch_citizen.pairs import (
    LAST,
    NDIMS,
    OURS,
    TORCHS,
    VARIANTS,
    algorithm,
    assert_same,
    assert_same_error,
    module_pair,
    normal,
    operands,
    outcome,
)

every_variant = pytest.mark.parametrize("variant", VARIANTS)
every_ndim = pytest.mark.parametrize("ndim", NDIMS)

Convolve = Callable[..., Tensor]
SUBSETS = [tuple(subset) for subset in product((False, True), repeat=3) if any(subset)]


def leaves(ndim: int, asked: tuple[bool, ...] = (True, True, True), dtype: torch.dtype = torch.float64) -> list[Tensor]:
    return [one.requires_grad_(asks) for one, asks in zip(operands(ndim, dtype=dtype), asked, strict=True)]


def both(ndim: int, variant: str) -> tuple[Convolve, Convolve]:
    """Return our convolution, with the algorithm of this variant, and torch's."""
    forced = algorithm(variant, (3,) * ndim)
    return lambda *args, **options: OURS[ndim](*args, algorithm=forced, **options), TORCHS[ndim]


@every_variant
@every_ndim
@pytest.mark.parametrize("asked", SUBSETS, ids=str)
def test_those_who_ask_get_a_gradient_and_no_others(asked: tuple[bool, ...], ndim: int, variant: str) -> None:
    found = []
    for convolve in both(ndim, variant):
        tensors = leaves(ndim, asked)
        output = convolve(*tensors, padding=1)
        output.backward(normal(*output.shape, seed=5))
        found.append([one.grad for one in tensors])
    for asks, ours, torchs in zip(asked, *found, strict=True):
        assert (ours is None, torchs is None) == (not asks, not asks)
        if asks:
            assert_same(ours, torchs)


@every_variant
@every_ndim
def test_without_a_bias_or_a_question_there_is_no_graph(ndim: int, variant: str) -> None:
    ours, _ = both(ndim, variant)
    input, weight, _ = leaves(ndim)
    assert ours(input, weight).grad_fn is not None
    assert ours(input.detach(), weight.detach()).grad_fn is None
    with torch.no_grad():
        assert not ours(input, weight).requires_grad
    with torch.inference_mode():
        assert ours(input, weight).is_inference()


@every_variant
@every_ndim
def test_a_graph_is_freed_once_it_was_used(ndim: int, variant: str) -> None:
    calls = []
    for convolve in both(ndim, variant):
        output = convolve(*leaves(ndim)).square().sum()
        output.backward()
        calls.append(output.backward)
    assert_same_error(*calls)
    kept = both(ndim, variant)[0](*leaves(ndim)).sum()
    kept.backward(retain_graph=True)
    kept.backward()


@every_variant
@every_ndim
@pytest.mark.parametrize("changed", ["input", "weight"])
def test_changing_what_was_saved_never_gives_a_wrong_gradient(changed: str, ndim: int, variant: str) -> None:
    """Torch raises; where transforms of the tensors were saved instead of them, the gradients are those from before."""
    ours, torchs = both(ndim, variant)
    before = leaves(ndim)
    expected = torch.autograd.grad(torchs(*before).sum(), before)
    found = []
    for convolve in (ours, torchs):
        tensors = leaves(ndim)
        passed = [one * 1 for one in tensors]
        output = convolve(*passed)
        passed[("input", "weight").index(changed)].mul_(2)
        found.append(outcome(lambda y=output, x=tensors: [torch.autograd.grad(y.sum(), x)]))
    assert found[1][0] is RuntimeError
    if isinstance(found[0], tuple):
        assert found[0][0] is RuntimeError
        assert "modified by an inplace operation" in found[0][1]
    else:
        for mine, theirs in zip(found[0][0], expected, strict=True):
            assert_same(mine, theirs)


@every_variant
@every_ndim
def test_gradients_add_up(ndim: int, variant: str) -> None:
    found = []
    for convolve in both(ndim, variant):
        tensors = leaves(ndim)
        for padding in (0, 1):
            convolve(*tensors, padding=padding).sum().backward()
        shared = tensors[1]
        convolve(convolve(tensors[0], shared, padding=1)[:, :3], shared).square().mean().backward()
        found.append([one.grad for one in tensors])
    for ours, torchs in zip(*found, strict=True):
        assert_same(ours, torchs)


GIVEN: dict[str, Callable[[Tensor], Tensor]] = {
    "expanded": lambda given: given[:1, :1].expand_as(given),
    "of one number": lambda given: given.new_ones(()).expand_as(given),
    "transposed": lambda given: given.transpose(0, 1).contiguous().transpose(0, 1),
    "sliced": lambda given: torch.stack([given, given], -1)[..., 0],
    "flipped": lambda given: given.flip(-1),
    "with the negative bit": lambda given: torch.complex(given, given).conj().imag,
    "zero": torch.zeros_like,
}


@every_variant
@every_ndim
@pytest.mark.parametrize("kind", GIVEN)
def test_a_gradient_of_the_output_may_lie_anyhow_in_memory(kind: str, ndim: int, variant: str) -> None:
    found = []
    for convolve in both(ndim, variant):
        tensors = leaves(ndim)
        output = convolve(*tensors, padding=1)
        found.append(torch.autograd.grad(output, tensors, GIVEN[kind](normal(*output.shape, seed=5))))
    for ours, torchs in zip(*found, strict=True):
        assert_same(ours, torchs)


@every_variant
@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("last", [("input",), ("gradient",), ("input", "weight", "gradient")], ids=str)
def test_channels_last_gradients_have_torchs_values_and_formats(last: tuple[str, ...], ndim: int, variant: str) -> None:
    found = []
    for convolve in both(ndim, variant):
        tensors = {"input": operands(ndim)[0].float(), "weight": operands(ndim)[1].float()}
        output_like = torch.zeros_like(convolve(*tensors.values()))
        tensors["gradient"] = normal(*output_like.shape, seed=5).float()
        for name in last:
            tensors[name] = tensors[name].contiguous(memory_format=LAST[ndim])
        given = tensors.pop("gradient")
        inputs = [one.requires_grad_() for one in tensors.values()]
        found.append(torch.autograd.grad(convolve(*inputs), inputs, given))
    for ours, torchs in zip(*found, strict=True):
        assert_same(ours, torchs)
        if variant == "planned":
            assert ours.stride() == torchs.stride()


@every_variant
@every_ndim
def test_second_derivatives_are_torchs(ndim: int, variant: str) -> None:
    found = []
    for convolve in both(ndim, variant):
        tensors = leaves(ndim)
        output = convolve(*tensors, padding=1)
        given = normal(*output.shape, seed=5).requires_grad_()
        first = torch.autograd.grad(output, tensors, given, create_graph=True)
        penalty = sum(one.square().sum() for one in first)
        found.append([*first, *torch.autograd.grad(penalty, [*tensors[:2], given])])
    for ours, torchs in zip(*found, strict=True):
        assert_same(ours, torchs)


@every_variant
def test_third_derivatives_are_torchs(variant: str) -> None:
    found = []
    for convolve in both(1, variant):
        tensors = leaves(1)
        value = convolve(*tensors, padding=1).pow(4).sum()
        for _ in range(3):
            gradients = torch.autograd.grad(value, tensors, create_graph=True)
            value = sum(one.square().sum() for one in gradients)
        found.append(gradients)
    for ours, torchs in zip(*found, strict=True):
        # Each derivative of a power carries the relative error of what it is a function of, up to seven times a step.
        torch.testing.assert_close(ours, torchs, rtol=1e-9, atol=1e-9 * torchs.abs().max().item())


@every_variant
@every_ndim
def test_several_gradients_of_the_output_at_once(ndim: int, variant: str) -> None:
    found = []
    for convolve in both(ndim, variant):
        tensors = leaves(ndim)
        output = convolve(*tensors)
        found.append(torch.autograd.grad(output, tensors, normal(3, *output.shape, seed=5), is_grads_batched=True))
    for ours, torchs in zip(*found, strict=True):
        assert_same(ours, torchs)


@every_variant
@every_ndim
@pytest.mark.parametrize("reentrant", [False, True])
def test_a_checkpoint_computes_again(reentrant: bool, ndim: int, variant: str) -> None:
    found = []
    for convolve in both(ndim, variant):
        tensors = leaves(ndim)
        checkpoint(convolve, *tensors, use_reentrant=reentrant).square().sum().backward()
        found.append([one.grad for one in tensors])
    for ours, torchs in zip(*found, strict=True):
        assert_same(ours, torchs)


@every_variant
@every_ndim
def test_hooks_on_saved_tensors_and_on_gradients_see_what_torchs_see(ndim: int, variant: str) -> None:
    ours, torchs = module_pair(ndim, 3, 4, 3, variant=variant, dtype=torch.float64)
    found = []
    for layer in (ours, torchs):
        seen: list[Tensor] = []
        layer.register_full_backward_hook(lambda _, given, taken, seen=seen: seen.extend([*given, *taken]))
        layer.weight.register_hook(lambda gradient: 2 * gradient)
        input = operands(ndim)[0].requires_grad_()
        with torch.autograd.graph.saved_tensors_hooks(lambda saved: saved.numpy(force=True), torch.from_numpy):
            output = layer(input)
        output.square().sum().backward()
        found.append([input.grad, layer.weight.grad, layer.bias.grad, *seen])
    for mine, theirs in zip(*found, strict=True):
        assert_same(mine, theirs)


@every_variant
@pytest.mark.parametrize("frozen", ["weight", "bias", "input"])
def test_frozen_parameters_get_no_gradient(frozen: str, variant: str) -> None:
    ours, torchs = module_pair(2, 3, 4, 3, variant=variant, dtype=torch.float64)
    for layer in (ours, torchs):
        input = operands(2)[0].requires_grad_(frozen != "input")
        if frozen != "input":
            getattr(layer, frozen).requires_grad_(False)
        layer(input).sum().backward()
    for mine, theirs in zip(ours.parameters(), torchs.parameters(), strict=True):
        assert (mine.grad is None) == (theirs.grad is None)
        if mine.grad is not None:
            assert_same(mine.grad, theirs.grad)


@every_variant
@pytest.mark.filterwarnings("ignore:Anomaly Detection has been enabled", "ignore:Error detected in")
def test_anomalies_are_found_where_torch_finds_them(variant: str) -> None:
    found = []
    for convolve in both(2, variant):
        with torch.autograd.detect_anomaly(check_nan=True):
            output = convolve(*leaves(2)) * float("nan")
            found.append(outcome(output.sum().backward))
    ours, torchs = found
    assert ours[0] is torchs[0] is RuntimeError
    assert "returned nan values in its 0th output" in ours[1]


@every_variant
@pytest.mark.parametrize("wrap", [nn.utils.parametrizations.weight_norm, nn.utils.parametrizations.spectral_norm])
def test_parametrised_weights_are_trained_as_in_torch(wrap: Callable[..., nn.Module], variant: str) -> None:
    found = []
    for layer in module_pair(2, 3, 4, 3, variant=variant, dtype=torch.float64):
        torch.manual_seed(1)
        wrapped = wrap(layer)
        step = torch.optim.SGD(wrapped.parameters(), lr=0.01, momentum=0.9)
        for _ in range(3):
            step.zero_grad()
            wrapped(operands(2)[0]).square().mean().backward()
            step.step()
        found.append(list(wrapped.parameters()))
    for ours, torchs in zip(*found, strict=True):
        # Three steps of 0.01: what differs after one enters the next by less than itself.
        torch.testing.assert_close(ours, torchs, rtol=1e-11, atol=1e-12)


def test_a_wrong_gradient_is_noticed() -> None:
    tensors = leaves(2)
    right = torch.autograd.grad(TORCHS[2](*tensors).square().sum(), tensors)
    wrong = torch.autograd.grad(1.000001 * TORCHS[2](*tensors).square().sum(), tensors)
    for one, other in zip(right, wrong, strict=True):
        with pytest.raises(AssertionError):
            assert_same(one, other)


def test_a_tangent_of_a_gradient_whose_forward_was_before() -> None:
    """The level of forward mode is entered after the forward, whose backward is the operators' then."""
    image = torch.randn(1, 2, 7, 6, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    ours = winograd.conv2d(image, weight, padding=1, algorithm=winograd.nest(*[winograd.toom_cook(2, 3)] * 2))
    torchs = torch.conv2d(image, weight, padding=1)
    slope, tangent = torch.randn_like(torchs.detach()), torch.randn_like(torchs.detach())
    found = []
    for output in (ours, torchs):
        with forward_ad.dual_level():
            dual = forward_ad.make_dual(slope, tangent)
            gradients = torch.autograd.grad(output, (image, weight), dual)
            found.append([part for gradient in gradients for part in forward_ad.unpack_dual(gradient)])
    torch.testing.assert_close(found[0], found[1], rtol=1e-12, atol=1e-12)
