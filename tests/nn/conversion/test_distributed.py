"""Models in torch's parallel wrappers, converted before they are wrapped and after, in one process and in two."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch import multiprocessing as mp
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.nn.parallel import DistributedDataParallel

import winograd
from tests.nn.conversion.citizens import C, clip, conv
from tests.nn.conversion.laws import assert_close, assert_equal, force, kinds, planned


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(conv(), nn.BatchNorm3d(C), nn.ReLU(), conv(bias=False)).double()


def begin(store: Path, rank: int = 0, count: int = 1) -> None:
    dist.init_process_group("gloo", init_method=f"file://{store}/group", rank=rank, world_size=count)


@pytest.fixture
def _group(tmp_path: Path) -> Iterator[None]:
    begin(tmp_path)
    with warnings.catch_warnings(action="ignore"):  # FSDP on a CPU, its old form
        yield
    dist.destroy_process_group()


def shard(model: nn.Sequential, *, layers: bool = False) -> nn.Module:
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    for layer in (model[0], model[3]) if layers else ():
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def shard_flat(model: nn.Sequential, *, names: bool) -> nn.Module:
    return FullyShardedDataParallel(model, device_id=torch.device("cpu"), use_orig_params=names)


WRAPPERS: dict[str, Callable[[nn.Sequential], nn.Module]] = {
    "DataParallel": nn.DataParallel,
    "DDP": DistributedDataParallel,
    "DDP of a static graph": lambda model: DistributedDataParallel(
        model, static_graph=True, gradient_as_bucket_view=True
    ),
    "fully_shard": shard,
    "fully_shard of each layer": lambda model: shard(model, layers=True),
    "FSDP": lambda model: shard_flat(model, names=True),
    "FSDP of flat parameters": lambda model: shard_flat(model, names=False),
}


def train_a_step(model: nn.Module, input: Tensor) -> tuple[Any, list[Tensor]]:
    """Return the output, and parameters after a step."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    output = model(input)
    output.square().mean().backward()
    optimizer.step()
    whole = [one.full_tensor() if hasattr(one, "full_tensor") else one for one in model.parameters()]
    return output.detach(), [one.detach().flatten() for one in whole]


@pytest.mark.usefixtures("_group")
@pytest.mark.parametrize("first", ["wrapped first", "converted first"])
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_wrapped_model_trains_and_is_reverted(wrapper: str, first: str) -> None:
    plain, model = WRAPPERS[wrapper](network()), network()
    if first == "wrapped first":
        wrapped = WRAPPERS[wrapper](model)
        report = winograd.convert_(wrapped)
    else:
        report = winograd.convert_(model)
        wrapped = WRAPPERS[wrapper](model)
    assert report.converted == 2
    force(wrapped)
    assert len(planned(wrapped)) == 2
    (ours, mine), (torchs, theirs) = (train_a_step(one, clip()) for one in (wrapped, plain))
    assert_close(ours, torchs)
    assert_close(torch.cat(mine), torch.cat(theirs))
    winograd.revert_(wrapped)
    assert planned(wrapped) == []
    assert kinds(wrapped) == kinds(plain)


@pytest.mark.usefixtures("_group")
@pytest.mark.parametrize("wrapper", ["DataParallel", "DDP", "fully_shard", "FSDP of flat parameters"])
def test_a_wrapped_model_is_frozen_folded_and_follows_its_weights(wrapper: str) -> None:
    plain, wrapped = network().eval(), WRAPPERS[wrapper](network().eval())
    winograd.convert_(wrapped)
    force(wrapped)
    with torch.no_grad():
        for fold in (None, "all"):
            winograd.freeze(wrapped, fold=fold)
            assert_close(wrapped(clip()), plain(clip()))
            for one in (wrapped, plain):
                for parameter in one.parameters():
                    parameter.mul_(1.25)
            assert_close(wrapped(clip()), plain(clip()))
        winograd.revert_(wrapped)
        assert_equal(wrapped(clip()), plain(clip()))


def assert_trained_as_one(wrapper: Callable[[nn.Sequential], nn.Module], rank: int) -> None:
    """Train on half of a batch beside a plain model, and compare what both processes got."""
    half = clip()[rank : rank + 1]
    expected = train_a_step(wrapper(network()), half)
    model = network()
    winograd.convert_(model)
    wrapped = wrapper(model)
    force(wrapped)
    output, parameters = train_a_step(wrapped, half)
    assert_close(output, expected[0])
    assert_close(torch.cat(parameters), torch.cat(expected[1]))
    difference = torch.cat(parameters) * (1 if rank else -1)
    dist.all_reduce(difference)
    assert not difference.any(), "the processes differ"
    winograd.revert_(wrapped)
    assert planned(wrapped) == []


def work(rank: int, store: Path) -> None:
    """Be one of two processes."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    begin(store, rank, 2)
    assert_trained_as_one(DistributedDataParallel, rank)
    assert_trained_as_one(shard, rank)
    with pytest.raises(AssertionError, match="the processes differ"):
        assert_trained_as_one(lambda model: model, rank)
    dist.destroy_process_group()


def test_two_processes_train_one_model_and_notice_what_is_not_shared(tmp_path: Path) -> None:
    mp.spawn(work, (tmp_path,), nprocs=2)
