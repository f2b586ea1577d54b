from __future__ import annotations

import copy
import io
import pickle
import re
import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import parametrize

import winograd
from winograd.conv.plan.record import Backend
from winograd.networks import create, list_networks
from winograd.nn import fold_norms
from winograd.nn.compare import relative_l2
from winograd.nn.folding import passing

DOUBLE = 1e-12
"""Relative L2 error of float64 here: sums of at most 1728 products, then a norm, twice: below 4000 x 2^-53."""


def network(dtype: torch.dtype = torch.float64, width: int = 8) -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv3d(3, width, 3, padding=1),
        nn.BatchNorm3d(width),
        nn.ReLU(inplace=True),
        nn.Sequential(nn.Conv3d(width, width, 3, padding=1, bias=False), nn.BatchNorm3d(width, affine=False)),
        nn.Conv3d(width, 4, 1),
        nn.ReLU(),
    )
    return settled(model).to(dtype)


def settled(model: nn.Module) -> nn.Module:
    """Give norms statistics that change what they take."""
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            if module.affine:
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias)
    return model.eval()


def clip(dtype: torch.dtype = torch.float64, batch: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, 3, 4, 9, 9, generator=generator, dtype=torch.float64).to(dtype)


def folded_network(**settings: torch.dtype) -> nn.Sequential:
    model = network(**settings)
    winograd.convert_(model)
    return winograd.freeze(model, fold="all")


def computed_by_norms(model: nn.Module, *inputs: Tensor) -> int:
    """Return how many norms compute themselves in a forward."""
    seen = []
    original = nn.functional.batch_norm

    def counted(*args: object, **kwargs: object) -> Tensor:
        seen.append(None)
        return original(*args, **kwargs)

    nn.functional.batch_norm = counted
    try:
        model(*inputs)
    finally:
        nn.functional.batch_norm = original
    return len(seen)


@pytest.mark.parametrize("fold", ["norms", "all"])
def test_outputs_stay_and_no_norm_computes_itself(fold: str) -> None:
    model = network()
    with torch.inference_mode():
        expected = model(clip())
        assert computed_by_norms(model, clip()) == 2
        winograd.convert_(model)
        winograd.freeze(model, fold=fold)
        assert computed_by_norms(model, clip()) == 0
        assert relative_l2(model(clip()), expected) <= DOUBLE


def test_a_wrong_folded_weight_is_noticed() -> None:
    model = network()
    with torch.inference_mode():
        expected = model(clip())
        winograd.convert_(model)
        winograd.freeze(model, fold="all")
        model(clip())
        model[0]._winograd.folding._kept.folded.weight[0, 0, 0, 0, 0] += 1e-6
        assert relative_l2(model(clip()), expected) > DOUBLE


def test_a_layer_by_winograd_keeps_its_folded_weight_transformed() -> None:
    torch.manual_seed(0)
    model = settled(nn.Sequential(nn.Conv3d(64, 64, 3, padding=1), nn.BatchNorm3d(64), nn.ReLU()))
    image = torch.randn(1, 64, 8, 32, 32)
    exact = copy.deepcopy(model).double()
    winograd.convert_(model)
    winograd.freeze(model, fold="all")
    with torch.inference_mode():
        got = model(image)
        (plan,) = model[0].plans
        assert plan.backend is Backend.NATIVE
        state = model[0]._winograd
        kept = [use.packed for use in state._uses]
        assert torch.equal(model(image), got)
        assert [use.packed for use in state._uses] == kept  # the same objects: nothing was made again
        # The norm moves and stretches what the convolution gives: twice leaves room for a mean that cancels some of it.
        assert relative_l2(got, exact(image.double())) <= 2 * plan.predicted_error
        winograd.freeze(model, fold="norms")
        assert torch.equal(model[1](model[0](image)).relu(), got)
        assert (got == 0).any()


def test_nothing_but_classes_changes_and_all_comes_back() -> None:
    model = network()
    before = {name: (id(module), type(module)) for name, module in model.named_modules()}
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with torch.no_grad():
        expected = model(clip())
        winograd.convert_(model)
        winograd.freeze(model, fold="all")
        model(clip())
        assert {name: id(module) for name, module in model.named_modules()} == {n: i for n, (i, _) in before.items()}
        assert [type(module).__name__ for module in model.modules()] == [cls.__name__ for _, cls in before.values()]
        assert all(isinstance(module, before[name][1]) for name, module in model.named_modules())
        assert list(model.state_dict()) == list(state)
        assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
        winograd.revert_(model)
        assert {name: (id(module), type(module)) for name, module in model.named_modules()} == before
        assert not any(name.startswith("_winograd") for module in model.modules() for name in vars(module))
        assert torch.equal(model(clip()), expected)


def test_thaw_and_freezing_without_it_take_the_norms_out_again() -> None:
    for undo in (winograd.thaw, winograd.freeze):
        model = network()
        report = winograd.convert_(model)
        with torch.no_grad():
            expected = model(clip())
            winograd.freeze(model, fold="all")
            assert computed_by_norms(model, clip()) == 0
            assert [row.folds for row in report.rows] == ["1, 2", "3.1", "5"]
            undo(model)
            assert computed_by_norms(model, clip()) == 2
            assert relative_l2(model(clip()), expected) <= DOUBLE
            assert {row.folds for row in report.rows} == {""}
            assert {type(module).__module__ for module in model if isinstance(module, nn.ReLU)} == {
                "torch.nn.modules.activation"
            }


def test_freezing_again_asks_for_something_else() -> None:
    model = folded_network()
    winograd.freeze(model, fold="norms")
    assert [layer._winograd.folds for layer in (model[0], model[3][0], model[4])] == [
        "1",
        "3.1",
        "nothing: its output goes to 5",
    ]
    assert type(model[2]) is nn.ReLU


def test_training_mode_is_refused_and_nothing_changes() -> None:
    model = network()
    winograd.convert_(model)
    model[3].train()
    with pytest.raises(ValueError, match=r"norm '3\.1' is in training mode"):
        winograd.freeze(model, fold="norms")
    assert type(model[1]) is nn.BatchNorm3d
    assert model[0]._winograd.filters.value == "live"
    with pytest.raises(ValueError, match="fold is 'everything', must be 'norms', 'all' or None"):
        winograd.freeze(model, fold="everything")


def test_a_model_that_trains_again_computes_its_norms_and_so_do_its_gradients() -> None:
    model, twin = folded_network(), network()
    with torch.no_grad():
        model(clip())
    for one in (model, twin):
        with winograd.set_enabled(False):  # who convolves is no matter here
            one.train()(clip(batch=2)).square().mean().backward()
    for (name, got), expected in zip(model.named_parameters(), twin.parameters(), strict=True):
        scale = expected.grad.abs().max()
        assert (got.grad - expected.grad).abs().max() <= DOUBLE * max(scale, 1), name
    for (_, got), expected in zip(model.named_buffers(), twin.buffers(), strict=True):
        assert torch.allclose(got, expected, rtol=DOUBLE, atol=DOUBLE)
    for one in (model, twin):
        one.eval()
        one.zero_grad()
    with torch.no_grad():
        assert computed_by_norms(model, clip()) == 0  # folded anew, with the new statistics
        assert relative_l2(model(clip()), twin(clip())) <= DOUBLE


def test_the_gradient_of_the_input_goes_through_folded_layers() -> None:
    model, twin = folded_network().requires_grad_(False), network()
    gradients = []
    for one in (model, twin):
        image = clip().requires_grad_()
        one(image).square().sum().backward()
        gradients.append(image.grad)
    assert relative_l2(*gradients) <= DOUBLE
    assert computed_by_norms(model, clip().requires_grad_()) == 0


@pytest.mark.parametrize("name", ["weight", "bias", "running_mean", "running_var"])
def test_weights_are_folded_anew_after_a_change(name: str) -> None:
    model, twin = folded_network(), network()
    with torch.no_grad():
        model(clip())
        for one in (model, twin):
            getattr(one[1], name).mul_(2)
        assert relative_l2(model(clip()), twin(clip())) <= DOUBLE
        changed = {key: tensor * 1.5 for key, tensor in twin.state_dict().items()}
        for one in (model, twin):
            one.load_state_dict(changed)
        assert relative_l2(model(clip()), twin(clip())) <= DOUBLE
        assert computed_by_norms(model, clip()) == 0


def test_another_dtype_is_followed() -> None:
    model, twin = folded_network(), network().float()
    with torch.no_grad():
        model(clip())
        got, expected = model.float()(clip(torch.float32)), twin(clip(torch.float32))
        assert got.dtype is torch.float32
        assert relative_l2(got, expected) <= DOUBLE * 2**29
        assert computed_by_norms(model, clip(torch.float32)) == 0


def test_hooks_that_come_later_see_what_they_saw() -> None:
    model, twin = folded_network(), network()
    for watched in ("0", "1", "2"):
        seen: list[list[Tensor]] = [[], []]
        handles = [
            one.get_submodule(watched).register_forward_hook(
                lambda _m, given, output, to=to: to.extend([given[0].clone(), output.clone()])
            )
            for one, to in zip((model, twin), seen, strict=True)
        ]
        with torch.no_grad():
            model(clip())
            twin(clip())
        assert all(relative_l2(got, expected) <= DOUBLE for got, expected in zip(*seen, strict=True))
        for handle in handles:
            handle.remove()
    with torch.no_grad():
        assert computed_by_norms(model, clip()) == 0


def test_copies_and_pickles_fold_on_by_themselves() -> None:
    model = folded_network()
    with torch.no_grad():
        expected = model(clip())
        for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            assert other[0]._winograd.folding.norm is other[1]
            assert other[0]._winograd.folding._kept is None
            assert computed_by_norms(other, clip()) == 0
            assert torch.equal(other(clip()), expected)
            other[1].running_mean.add_(1)
            assert not torch.equal(other(clip()), expected)
            assert type(winograd.revert_(other)[1]) is nn.BatchNorm3d
        assert torch.equal(model(clip()), expected)


def test_a_pickle_makes_the_classes_that_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    model = folded_network()
    with torch.no_grad():
        expected, written = model(clip()), pickle.dumps(model)
        monkeypatch.setattr(passing, "_made", {})  # as in another process
        read = pickle.loads(written)
        assert type(read[1]) is not type(model[1])
        assert computed_by_norms(read, clip()) == 0
        assert torch.equal(read(clip()), expected)
        assert type(winograd.revert_(read)[1]) is nn.BatchNorm3d


def test_nothing_of_a_model_goes_with_its_outputs() -> None:
    model = folded_network()
    with torch.no_grad():
        for output in (model(clip()), model[:3](clip())):
            assert vars(output) == {}
            torch.save(output, io.BytesIO())


def test_a_norm_that_gets_something_else_computes_it() -> None:
    model, twin = folded_network(), network()
    other = torch.randn(1, 8, 4, 9, 9, dtype=torch.float64)
    with torch.no_grad():
        model(clip())
        assert torch.equal(model[1](other), twin[1](other))
        assert torch.equal(model[5](other), twin[5](other))
        with pytest.raises(ValueError, match="expected 5D input"):
            model(clip()[0])  # as torch's norm


def test_one_relu_for_many() -> None:
    torch.manual_seed(0)
    relu, layers = nn.ReLU(), [nn.Conv3d(3, 3, 1) for _ in range(3)]
    model = nn.Sequential(*(module for layer in layers for module in (layer, relu))).double()
    with torch.no_grad():
        expected = model(clip())
        winograd.convert_(model)
        winograd.freeze(model, fold="all")
        assert relative_l2(model(clip()), expected) <= DOUBLE
        winograd.thaw(nn.Sequential(layers[0]))
        assert relative_l2(model(clip()), expected) <= DOUBLE
        assert type(relu) is not nn.ReLU  # the others go on
        winograd.thaw(model)
        assert type(relu) is nn.ReLU


def test_a_class_that_changed_since_is_not_undone() -> None:
    model = folded_network()
    parametrize.register_parametrization(model[1], "weight", nn.Identity())
    with torch.no_grad():
        assert computed_by_norms(model, clip()) == 1  # a weight that is computed anew cannot be folded
        assert relative_l2(model(clip()), network()(clip())) <= DOUBLE
    for undo in (winograd.thaw, winograd.revert_):
        with pytest.raises(RuntimeError, match="changed its class after it was folded"):
            undo(model)
    assert model[0]._winograd.folding is not None
    parametrize.remove_parametrizations(model[1], "weight")
    winograd.revert_(model)
    assert type(model[1]) is nn.BatchNorm3d


def test_functional_calls_with_other_parameters_are_computed_with_them() -> None:
    model, twin = folded_network(), network()
    others = {name: 2 * tensor for name, tensor in twin.state_dict().items()}
    with torch.no_grad():
        got, expected = (torch.func.functional_call(one, others, (clip(),)) for one in (model, twin))
        assert relative_l2(got, expected) <= DOUBLE
        stacked, image = {name: torch.stack([tensor, 2 * tensor]) for name, tensor in twin.named_buffers()}, clip()
        got, expected = (
            torch.vmap(lambda buffers, one=one: torch.func.functional_call(one, buffers, (image,)))(stacked)
            for one in (model, twin)
        )
        assert relative_l2(got, expected) <= DOUBLE


def test_compiled_and_traced_programs_compute_their_norms() -> None:
    model = folded_network()
    torch.compiler.reset()
    with torch.no_grad():
        expected = network()(clip())
        compiled = torch.compile(model, backend="eager", fullgraph=True)
        assert relative_l2(compiled(clip()), expected) <= DOUBLE
        traced = torch.jit.trace(model, clip())
        assert relative_l2(traced(clip()), expected) <= DOUBLE
        assert computed_by_norms(model, clip()) == 0


def test_a_wrapped_model_is_folded_inside() -> None:
    model = nn.DataParallel(network()).cpu()
    model.device_ids = []  # as where there is no GPU
    report = winograd.convert_(model)
    winograd.freeze(model, fold="all")
    assert [row.folds for row in report.rows] == ["module.1, module.2", "module.3.1", "module.5"]


DEEPER = re.compile("101|152|131|199|34|mc[345]")
"""Networks that have more of what others have."""


@pytest.mark.parametrize("name", [name for name in list_networks() if not DEEPER.search(name)])
def test_every_norm_of_every_network_is_folded(name: str) -> None:
    with torch.device("meta"):
        model = create(name).eval()
    report = winograd.convert_(model)
    norms = sum(isinstance(module, _BatchNorm) for module in model.modules())
    if norms == 0:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        winograd.freeze(model, fold="norms")
        if "cannot be traced" in report.rows[0].folds:
            winograd.freeze(model, fold="norms", example=torch.empty(1, *model.input_shape, device="meta"))
    folded = [layer._winograd.folding for layer in model.modules() if hasattr(layer, "_winograd")]
    assert sum(folding is not None for folding in folded) == norms


def test_a_plain_copy_has_no_norms_and_gives_the_same() -> None:
    model = network()
    folded = fold_norms(model)
    assert not any(isinstance(module, _BatchNorm) for module in folded.modules())
    assert type(folded[1]) is type(folded[3][1]) is nn.Identity
    with torch.no_grad():
        assert relative_l2(folded(clip()), model(clip())) <= DOUBLE
        got = folded(clip())
        winograd.convert_(model)
        winograd.freeze(model, fold="norms")
        assert relative_l2(model(clip()), got) <= DOUBLE
    with pytest.raises(TypeError, match="a Conv3d is converted"):
        fold_norms(model)


@pytest.mark.parametrize("step", [lambda m: m.half(), lambda m: m.bfloat16()])
def test_16_bits_are_followed(step: Callable[[nn.Module], nn.Module]) -> None:
    model = step(folded_network())
    dtype = model[0].weight.dtype
    with torch.no_grad():
        got = model(clip(dtype))
        assert got.dtype is dtype
        # Weights, biases and what each of three layers gives are rounded: each by at most half an eps.
        assert relative_l2(got, step(network()).double()(clip(dtype).double())) <= 6 * torch.finfo(dtype).eps
