"""One process, or several that ``torchrun`` starts: the same code for both.

In: the environment that ``torchrun`` sets, or none. Out: the number of this process and of all, models wrapped in
`DistributedDataParallel` where there are several, and sums over all processes. Refused: nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

RANK, WORLD = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
"""Number of this process, from 0, and how many there are."""


@contextmanager
def joined() -> Iterator[None]:
    """Join the other processes, if there are any, and leave them at the end."""
    if WORLD == 1:
        yield
        return
    dist.init_process_group("gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def shared(model: nn.Module) -> nn.Module:
    """Return a model whose gradients are the mean over all processes: the same one if there is only this."""
    return model if WORLD == 1 else DistributedDataParallel(model)


def total(values: Tensor) -> Tensor:
    """Return the sum of the tensors of all processes."""
    if WORLD > 1:
        values = values.clone()
        dist.all_reduce(values)
    return values


def say(text: str) -> None:
    """Print a line, once and not once for every process."""
    if RANK == 0:
        print(text, flush=True)
