"""What people do with a model: the same with a converted one, live, frozen and folded, as with a plain one."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jvp, stack_module_state, vmap
from torch.nn.utils import parametrize, prune
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

import winograd
from tests.nn.conversion.citizens import C, clip, conv
from tests.nn.conversion.laws import STAGES, assert_close, force
from tests.torch_citizen.pairs import allowed, distance

Use = Callable[[nn.Sequential], list[Tensor]]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings(action="ignore"):  # of torch, on forms that it is about to drop
        yield


def network() -> nn.Sequential:
    """Return a model with a norm whose statistics are not those of a new one."""
    torch.manual_seed(0)
    norm = nn.BatchNorm3d(C)
    for one, low in ((norm.running_mean, -1), (norm.running_var, 0.5), (norm.weight, 0.5), (norm.bias, -1)):
        nn.init.uniform_(one, low, 1.5)  # type: ignore[arg-type]
    return nn.Sequential(conv(), norm, nn.ReLU(), conv(bias=False)).double().eval()


STATES: dict[str, Callable[[nn.Module], nn.Module]] = {
    "live": lambda model: model,
    "frozen": winograd.freeze,
    "folded": lambda model: winograd.freeze(model, fold="all"),
}


def converted(state: str = "live") -> nn.Sequential:
    model = network()
    winograd.convert_(model)
    force(model)
    STATES[state](model)
    return model


USES: dict[str, Use] = {}


def use(given: Use) -> Use:
    """Put a use into the table."""
    USES[given.__name__.strip("_").replace("_", " ")] = given
    return given


def gradients(model: nn.Module) -> list[Tensor]:
    found = [one.grad for one in model.parameters() if one.grad is not None]
    model.zero_grad()
    return found


@use
def _inference(model: nn.Sequential) -> list[Tensor]:
    with torch.inference_mode():
        return [model(clip()).clone(), model(clip(1, C, 3, 5, 5)).clone(), model(clip(C, 4, 6, 5)[None]).clone()]


@use
def _weights_from_outside(model: nn.Sequential) -> list[Tensor]:
    weights = {name: 1.5 * one.detach() for name, one in model.named_parameters()}
    with torch.no_grad():
        outputs = [model(clip()), functional_call(model, weights, (clip(),))]
        parameters = {name: nn.Parameter(one, requires_grad=False) for name, one in weights.items()}
        return [*outputs, functional_call(model, parameters, (clip(),)), model(clip())]


@use
def _functional_gradients(model: nn.Sequential) -> list[Tensor]:
    weights = {name: one.detach() for name, one in model.named_parameters()}

    def loss(weights: dict[str, Tensor], image: Tensor) -> Tensor:
        output: Tensor = functional_call(model, weights, (image,))
        return output.square().sum()

    each = vmap(grad(loss), (None, 0))(weights, clip().unsqueeze(1))
    directional = jvp(model, (clip(),), (clip().square(),))
    return [*grad(loss)(weights, clip()).values(), *each.values(), *directional]


@use
def _ensembles(model: nn.Sequential) -> list[Tensor]:
    models = [copy.deepcopy(model) for _ in range(3)]
    with torch.no_grad():
        for number, one in enumerate(models):
            for parameter in one.parameters():
                parameter.mul_(1 + number)
        stacked = stack_module_state(models)
        base, image = copy.deepcopy(model).to("meta"), clip()
        outputs: Tensor = vmap(lambda p, b: functional_call(base, (p, b), (image,)))(*stacked)
        return [outputs.contiguous(), models[2](image)]


@use
def _checkpointing(model: nn.Sequential) -> list[Tensor]:
    found = []
    for reentrant in (True, False):
        image = clip().requires_grad_()
        checkpoint(model, image, use_reentrant=reentrant).square().mean().backward()
        found += [image.grad, *gradients(model)]
        checkpoint_sequential(model, 2, image, use_reentrant=reentrant).square().mean().backward()
        found += gradients(model)
    return found


@use
def _training(model: nn.Sequential) -> list[Tensor]:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    model.train()
    for _ in range(3):
        model(clip()).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    model.eval()
    with torch.no_grad():
        return [*model.parameters(), *model.buffers(), model(clip())]


@use
def _training_of_the_last_layer(model: nn.Sequential) -> list[Tensor]:
    model.requires_grad_(False)
    model[3].requires_grad_()
    model(clip()).square().mean().backward()
    assert model[0].weight.grad is None
    return gradients(model)


@use
def _gradients_of_the_input(model: nn.Sequential) -> list[Tensor]:
    model.requires_grad_(False)
    image = clip().requires_grad_()
    (first,) = torch.autograd.grad(model(image).square().mean(), image, create_graph=True)
    return [first, *torch.autograd.grad(first.square().sum(), image)]


@use
def _averages(model: nn.Sequential) -> list[Tensor]:
    found = []
    for options in ({}, {"multi_avg_fn": get_ema_multi_avg_fn(0.9)}, {"use_buffers": True}):
        averaged = AveragedModel(model, **options)  # type: ignore[arg-type]
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(1.5)
            for _ in range(2):
                averaged.update_parameters(model)
            found.append(averaged(clip()))
        update_bn([clip()], averaged)
        with torch.no_grad():
            found.append(averaged.eval()(clip()))
    return found


@use
def _pruning(model: nn.Sequential) -> list[Tensor]:
    outputs = []
    with torch.no_grad():
        for change in (prune.l1_unstructured, prune.random_unstructured, None):
            torch.manual_seed(0)
            for layer in (model[0], model[3]):
                prune.remove(layer, "weight") if change is None else change(layer, "weight", 0.5)
            outputs.append(model(clip()))
    return outputs


@use
def _norms_of_weights(model: nn.Sequential) -> list[Tensor]:
    outputs = []
    with torch.no_grad():
        nn.utils.weight_norm(model[0])
        nn.utils.parametrizations.weight_norm(model[3])
        outputs.append(model(clip()))
        model[0].weight_g.mul_(2)
        model[3].parametrizations.weight.original1.mul_(2)
        outputs.append(model(clip()))
        with parametrize.cached():
            outputs += [model(clip()), model(clip())]
        nn.utils.remove_weight_norm(model[0])
        parametrize.remove_parametrizations(model[3], "weight")
        outputs.append(model(clip()))
    return outputs


@use
def _memory_formats(model: nn.Sequential) -> list[Tensor]:
    with torch.no_grad():
        model.to(memory_format=torch.channels_last_3d)
        outputs = [model(clip()), model(clip().to(memory_format=torch.channels_last_3d))]
        nn.utils.convert_conv3d_weight_memory_format(model, torch.contiguous_format)
        return [one.contiguous() for one in (*outputs, model(clip().to(memory_format=torch.channels_last_3d)))]


@use
def _moves(model: nn.Sequential) -> list[Tensor]:
    with torch.no_grad():
        outputs = [model(clip())]
        state = copy.deepcopy(model.state_dict())
        model.to("meta")
        assert model(clip().to("meta")).is_meta
        model.to_empty(device="cpu").load_state_dict(state)
        outputs.append(model(clip()))
        model.share_memory()
        model.load_state_dict({name: 2 * one for name, one in state.items()}, assign=True)
        return [*outputs, model(clip())]


@use
def _numbers_by_hand(model: nn.Sequential) -> list[Tensor]:
    torch.manual_seed(1)
    with torch.no_grad():
        model(clip())
        model.apply(lambda one: nn.init.kaiming_normal_(one.weight) if isinstance(one, nn.Conv3d) else None)
        outputs = [model(clip())]
        nn.utils.vector_to_parameters(2 * nn.utils.parameters_to_vector(model.parameters()), model.parameters())
        model[0].reset_parameters()
        outputs.append(model(clip()))
        model[0].weight = nn.Parameter(model[0].weight.flip(0))
        return [*outputs, model(clip())]


@use
def _surgery(model: nn.Sequential) -> list[Tensor]:
    with torch.no_grad():
        model(clip())
        model[2] = nn.LeakyReLU()
        outputs = [model(clip())]
        model.insert(1, nn.Conv3d(C, C, 1, dtype=torch.float64).requires_grad_(False))
        nn.init.ones_(model[1].weight)
        nn.init.zeros_(model[1].bias)
        outputs.append(model(clip()))
        del model[2]
        return [*outputs, model(clip())]


@use
def _fused_norms(model: nn.Sequential) -> list[Tensor]:
    winograd.thaw(model)  # what is folded has its norm already
    fused = nn.utils.fusion.fuse_conv_bn_eval(model[0], model[1])
    return [model[3](torch.relu(fused(clip()))).detach()]


@use
def _graphs(model: nn.Sequential) -> list[Tensor]:
    graph = torch.fx.symbolic_trace(model)
    with torch.no_grad():
        return [one(clip()) for one in (graph, copy.deepcopy(graph), pickle.loads(pickle.dumps(graph)))]


@use
def _exports(model: nn.Sequential) -> list[Tensor]:
    with torch.no_grad():
        exported = torch.export.export(model, (clip(),))
        return [exported.module()(clip()), torch.jit.trace(model, (clip(),))(clip())]


@use
def _threads(model: nn.Sequential) -> list[Tensor]:
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda _: model(clip()).detach(), range(8)))


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", USES)
def test_it_is_the_same_with_a_converted_model(name: str, state: str) -> None:
    plain, model = network(), converted(state)
    expected = USES[name](plain)
    got = USES[name](model)
    assert len(got) == len(expected) > 0
    for ours, torchs in zip(got, expected, strict=True):
        assert ours is not None
        assert_close(ours.detach(), torchs.detach())
    winograd.revert_(model)
    assert [type(one) for one in model.modules()] == [type(one) for one in plain.modules()]
    assert [name for name, _ in model.named_parameters()] == [name for name, _ in plain.named_parameters()]
    assert list(model.state_dict()) == list(plain.state_dict())


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_gives_the_same_dtype_and_as_good_numbers(dtype: torch.dtype, state: str) -> None:
    plain, model = network().float(), converted(state).float()
    exact = network().eval()(clip())
    for mode in (torch.no_grad, torch.enable_grad):
        with mode(), torch.autocast("cpu", dtype):
            got, expected = model(clip().float()), plain(clip().float())
        assert got.dtype == expected.dtype
        for output in (got, expected):  # four modules round what they take, and what they give
            assert distance(output.to(exact.dtype), exact) <= STAGES * allowed(dtype)


def test_a_write_that_is_not_seen_is_noticed() -> None:
    plain, model = network(), converted("folded")
    for one in (plain, model):
        USES["inference"](one)
        one[0].weight.data.mul_(2)  # which torch counts nowhere
    with torch.no_grad(), pytest.raises(AssertionError):
        assert_close(model(clip()), plain(clip()))
