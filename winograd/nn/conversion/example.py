"""One forward of a model on an example that leaves the model as it was.

In: a model and arguments. Out: what it gives, in evaluation mode and without gradients; then everything is put back
that the forward changed: attributes, parameters, buffers, hooks, classes, training flags, random states.
Refused: models whose parameters are spread over processes.
"""

from __future__ import annotations

import copy
import random
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from winograd.nn.folding.flow import unwrapped as unwrapped_parallel

_CONTAINERS: Final = (dict, list, set, deque)
_PLAIN: Final = (Tensor, nn.Parameter, nn.Buffer)


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the model inside of those that compile it, or run it on several devices or in several processes."""
    inner = unwrapped_parallel(model)
    while (following := vars(inner).get("_modules", {}).get("_orig_mod")) is not None:
        inner = unwrapped_parallel(following)
    return inner


def call(model: nn.Module, example: Any) -> Any:
    """Call a model: with a tensor or anything else, a tuple or list of arguments, or a dictionary of named ones."""
    if isinstance(example, Mapping):
        return model(**example)
    return model(*example) if isinstance(example, (tuple, list)) else model(example)


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Run a model in evaluation mode, without gradients or compilers, and leave it as it was, also after an error.

    Raises
    ------
    ValueError
        If its parameters are spread over processes, so that what the model holds is not for us to put back.
    """
    modules = list(model.modules())
    sharded = next((module for module in modules if _is_sharded(module)), None)
    if sharded is not None:
        raise ValueError(
            f"example cannot run a model that is sharded ({type(sharded).__name__}); convert the model before, or "
            "give shapes in its place"
        )
    with ExitStack() as cleanup:
        cleanup.enter_context(_kept_random_states())
        for tensor in {id(tensor): tensor for module in modules for tensor in _tensors(module)}.values():
            cleanup.enter_context(_kept_tensor(tensor))
        for module in modules:
            cleanup.enter_context(_kept_module(module))
            vars(module)["training"] = False
        cleanup.enter_context(torch.no_grad())
        if "torch._dynamo" in sys.modules:
            cleanup.enter_context(torch.compiler.set_stance("force_eager"))
        yield


def _is_sharded(module: nn.Module) -> bool:
    kinds = {cls.__name__ for cls in type(module).__mro__ if cls.__module__.startswith("torch.distributed.")}
    return not kinds.isdisjoint({"FSDPModule", "FullyShardedDataParallel"})


def _tensors(module: nn.Module) -> list[Tensor]:
    held = (*module._parameters.values(), *module._buffers.values())
    return [tensor for tensor in held if tensor is not None]


@contextmanager
def _kept_random_states() -> Iterator[None]:
    numbers, numpy = random.getstate(), sys.modules.get("numpy")
    drawn = numpy.random.get_state() if numpy is not None else None
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    with torch.random.fork_rng(devices):
        try:
            yield
        finally:
            random.setstate(numbers)
            if numpy is not None:
                numpy.random.set_state(drawn)


@contextmanager
def _kept_tensor(tensor: Tensor) -> Iterator[None]:
    """Put back the numbers of a tensor, the memory they lie in, and that it has no shape yet."""
    cls, lazy = type(tensor), is_lazy(tensor)
    data = tensor.data
    numbers = None if lazy or tensor.is_meta or cls not in _PLAIN else data.clone()
    try:
        yield
    finally:
        if lazy and not is_lazy(tensor):
            tensor.data = data
            tensor.__class__ = cls
        elif numbers is not None:
            if tensor.data.data_ptr() != data.data_ptr():
                tensor.data = data
            if not torch.equal(data, numbers):
                data.copy_(numbers)


@contextmanager
def _kept_module(module: nn.Module) -> Iterator[None]:
    """Put back the class and the attributes of a module, and what lies in those that are containers."""
    cls, attributes = type(module), dict(vars(module))
    contents = [(one, copy.copy(one)) for one in attributes.values() if isinstance(one, _CONTAINERS)]
    try:
        yield
    finally:
        object.__setattr__(module, "__class__", cls)
        vars(module).clear()
        vars(module).update(attributes)
        for container, content in contents:
            container.clear()
            (container.extend if isinstance(container, (list, deque)) else container.update)(content)
