"""Copies, pickles, checkpoints and other processes: settings travel, plans and transformed weights do not."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch import multiprocessing as mp
from torch.nn.utils import fuse_conv_bn_eval, prune, skip_init
from torch.optim.swa_utils import AveragedModel

import winograd
from tests.torch_citizen.pairs import (
    NDIMS,
    OUR_MODULES,
    TORCHS_MODULES,
    VARIANTS,
    algorithm,
    assert_same,
    module_pair,
    normal,
    operands,
)

every_variant = pytest.mark.parametrize("variant", VARIANTS)
every_ndim = pytest.mark.parametrize("ndim", NDIMS)


def saved(layer: nn.Module) -> nn.Module:
    stream = io.BytesIO()
    torch.save(layer, stream)
    stream.seek(0)
    loaded: nn.Module = torch.load(stream, weights_only=False)
    return loaded


COPIES: dict[str, Callable[[nn.Module], nn.Module]] = {
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
    "pickle": lambda layer: pickle.loads(pickle.dumps(layer)),
    "pickle, oldest protocol": lambda layer: pickle.loads(pickle.dumps(layer, protocol=2)),
    "torch.save": saved,
    "deepcopy of a copy": lambda layer: copy.deepcopy(pickle.loads(pickle.dumps(layer))),
}


def used(ndim: int, variant: str, *, converted: bool = False) -> tuple[nn.Module, nn.Module]:
    """Return our module, frozen and used in inference and in training, and torch's."""
    ours, torchs = module_pair(ndim, 3, 4, 3, padding=1, variant=variant, dtype=torch.float64)
    if converted:
        ours = copy.deepcopy(torchs)
        winograd.convert_(ours)
        ours._winograd.change(algorithm=algorithm(variant, (3,) * ndim))
    ours(operands(ndim)[0]).sum().backward()
    ours.zero_grad()
    winograd.freeze(ours)
    with torch.no_grad():
        ours(operands(ndim)[0])
    return ours, torchs


@every_variant
@pytest.mark.parametrize("converted", [False, True], ids=["built", "converted"])
@pytest.mark.parametrize(("way", "ndim"), [*((way, 2) for way in COPIES), ("deepcopy", 1), ("pickle", 3)])
def test_a_copy_computes_and_trains_by_itself(way: str, converted: bool, ndim: int, variant: str) -> None:
    ours, torchs = used(ndim, variant, converted=converted)
    twin = COPIES[way](ours)
    assert type(twin) is type(ours)
    assert isinstance(twin, TORCHS_MODULES[ndim])
    assert (twin.tolerance, twin.algorithm) == (ours.tolerance, ours.algorithm)
    input = operands(ndim)[0]
    with torch.no_grad():
        assert_same(twin(input), torchs(input))
        if way != "copy":  # which shares the parameters
            twin.weight.mul_(2)
            assert_same(ours(input), torchs(input))
            twin.weight.mul_(0.5)
        assert_same(twin(input), torchs(input))
    for layer in (twin, torchs):
        layer.zero_grad()
        layer(input).square().sum().backward()
    assert_same(twin.weight.grad, torchs.weight.grad)


@every_variant
def test_what_is_saved_grows_by_no_cache(variant: str) -> None:
    fresh, _ = module_pair(3, 3, 4, 3, padding=1, variant=variant, dtype=torch.float64)
    winograd.freeze(fresh)
    ours, _ = used(3, variant)
    assert len(pickle.dumps(ours)) == len(pickle.dumps(fresh))
    assert copy.deepcopy(ours).plans == ()


@every_variant
@every_ndim
def test_checkpoints_pass_between_ours_and_torchs(ndim: int, variant: str) -> None:
    ours, torchs = used(ndim, variant)
    assert list(ours.state_dict()) == list(torchs.state_dict())
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in torchs.named_parameters()]
    other = TORCHS_MODULES[ndim](3, 4, 3, padding=1, dtype=torch.float64)
    stream = io.BytesIO()
    torch.save(other.state_dict(), stream)
    for assign in (False, True):
        stream.seek(0)
        ours.load_state_dict(torch.load(stream, weights_only=True), strict=True, assign=assign)
        with torch.no_grad():
            assert_same(ours(operands(ndim)[0]), other(operands(ndim)[0]))
        ours.load_state_dict(torchs.state_dict())
    torchs.load_state_dict(ours.state_dict(), strict=True)


@every_ndim
def test_new_modules_are_drawn_like_torchs(ndim: int) -> None:
    drawn = []
    for kinds in (OUR_MODULES, TORCHS_MODULES):
        torch.manual_seed(3)
        layer = kinds[ndim](3, 4, 3, bias=False)
        drawn.append([layer.weight, *kinds[ndim](3, 4, 3).parameters(), torch.rand(1)])
        layer.reset_parameters()
        drawn[-1].append(layer.weight)
    assert all(torch.equal(*pair) for pair in zip(*drawn, strict=True))


@every_ndim
def test_modules_are_built_on_the_meta_device_and_filled_later(ndim: int) -> None:
    _, torchs = module_pair(ndim, 3, 4, 3, dtype=torch.float64)
    kind = OUR_MODULES[ndim]
    with torch.device("meta"):
        under = kind(3, 4, 3, dtype=torch.float64)
    for empty in (under, kind(3, 4, 3, device="meta", dtype=torch.float64)):
        assert empty(operands(ndim)[0].to("meta")).shape == torchs(operands(ndim)[0]).shape
        layer = empty.to_empty(device="cpu")
        layer.load_state_dict(torchs.state_dict())
        assert_same(layer(operands(ndim)[0]), torchs(operands(ndim)[0]))
    skipped = skip_init(kind, 3, 4, 3, dtype=torch.float64)
    skipped.load_state_dict(torchs.state_dict())
    assert_same(skipped(operands(ndim)[0]), torchs(operands(ndim)[0]))


@every_variant
def test_what_changes_weights_from_outside_is_followed(variant: str) -> None:
    image = operands(2)[0]
    ours, torchs = used(2, variant)
    with torch.no_grad():
        for layer in (ours, torchs):
            nn.utils.vector_to_parameters(2 * nn.utils.parameters_to_vector(layer.parameters()), layer.parameters())
        assert_same(ours(image), torchs(image))
        for layer in (ours, torchs):
            prune.l1_unstructured(layer, "weight", amount=0.5)
        assert_same(ours(image), torchs(image))
        for layer in (ours, torchs):
            prune.remove(layer, "weight")
        assert_same(ours(image), torchs(image))
        for layer in (ours, torchs):
            layer.weight = nn.Parameter(layer.weight.flip(0))
        assert_same(ours(image), torchs(image))
    averaged = [AveragedModel(layer) for layer in (ours, torchs)]
    for model, layer in zip(averaged, (ours, torchs), strict=True):
        with torch.no_grad():
            layer.weight.mul_(3)
        model.update_parameters(layer)
        model.update_parameters(layer)
    with torch.no_grad():
        assert_same(averaged[0](image), averaged[1](image))


@every_variant
@every_ndim
def test_a_batch_norm_is_fused_into_it(ndim: int, variant: str) -> None:
    norm = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[ndim](4, dtype=torch.float64).eval()
    norm.running_mean.copy_(normal(4, seed=6))
    norm.running_var.copy_(normal(4, seed=7).square() + 0.5)
    ours, torchs = used(ndim, variant)
    fused = fuse_conv_bn_eval(ours.eval(), norm)
    assert isinstance(fused, type(ours))
    with torch.no_grad():
        assert_same(fused(operands(ndim)[0]), norm(torchs(operands(ndim)[0])))


@every_variant
def test_threads_share_a_module(variant: str) -> None:
    ours, torchs = used(3, variant)
    images = [normal(1 + number % 3, 3, 5, 6, 5, seed=number) for number in range(16)]

    def gradient(image: Tensor) -> list[Tensor]:
        output = ours(image)
        return [output.detach(), *torch.autograd.grad(output.square().sum(), list(ours.parameters()))]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(gradient, images))
    for image, (output, *gradients) in zip(images, found, strict=True):
        expected = torchs(image)
        assert_same(output, expected)
        for mine, theirs in zip(
            gradients, torch.autograd.grad(expected.square().sum(), list(torchs.parameters())), strict=True
        ):
            torch.testing.assert_close(mine, theirs, rtol=1e-11, atol=1e-11)


def work_elsewhere(layer: nn.Module, image: Tensor, trains: bool, answers: Any) -> None:
    """Compute in another process: an output, perhaps a gradient, and a change of the shared weight."""
    with torch.set_grad_enabled(trains):
        output = layer(image)
    if trains:  # the autograd engine of torch refuses to run after a fork
        output.square().sum().backward()
    answers.put((output.detach().numpy(), layer.weight.grad.numpy() if trains else None))
    with torch.no_grad():
        layer.weight.mul_(2)


@every_variant
@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_another_process_shares_the_weights(method: str, variant: str) -> None:
    ours, torchs = used(2, variant)
    ours.share_memory()
    assert ours.weight.is_shared()
    image = operands(2)[0]
    with torch.no_grad():
        before = ours(image)
    expected = torchs(image)
    expected.square().sum().backward()
    context = mp.get_context(method)
    answers = context.Queue()
    worker = context.Process(target=work_elsewhere, args=(ours, image, method == "spawn", answers), daemon=True)
    worker.start()
    output, gradient = answers.get(timeout=120)
    worker.join(120)
    assert worker.exitcode == 0
    assert_same(torch.from_numpy(output), expected.detach())
    if method == "spawn":
        assert_same(torch.from_numpy(gradient), torchs.weight.grad)
    winograd.thaw(ours)  # no process learns of what another one writes
    with torch.no_grad():
        assert_same(ours(image) - ours.bias[:, None, None], 2 * (before - ours.bias[:, None, None]))


def test_a_wrong_copy_is_noticed() -> None:
    ours, torchs = used(1, "planned")
    twin = copy.deepcopy(ours)
    with torch.no_grad():
        twin.weight.mul_(1 + 1e-12)
        with pytest.raises(AssertionError):
            assert_same(twin(operands(1)[0]), torchs(operands(1)[0]))
