"""One forward of a model on an example that leaves the model as it was.

In: a model and arguments. Out: what it gives, in evaluation mode and without gradients; then everything is put back
that the forward changed: attributes, parameters, buffers, hooks, classes, training flags, random states, and the
example.
Refused: models whose parameters are spread over processes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_map, tree_map_only

from winograd.nn.conversion.example_failed import describe_failure
from winograd.nn.conversion.kept import every_module, kept_modules, kept_random_states, set_training
from winograd.nn.folding.flow import unwrapped as unwrapped_parallel


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the model inside of those that compile it, or run it on several devices or in several processes."""
    inner = unwrapped_parallel(model)
    while (following := vars(inner).get("_modules", {}).get("_orig_mod")) is not None:
        inner = unwrapped_parallel(following)
    return inner


def call(model: nn.Module, example: Any) -> Any:
    """Call a model: with a tensor or anything else, a tuple or list of arguments, or a dictionary of named ones.

    An error that it raises stays what it is, with a note on the example.
    """
    try:
        if isinstance(example, Mapping):
            return model(**example)
        return model(*example) if isinstance(example, (tuple, list)) else model(example)
    except Exception as error:
        error.add_note(describe_failure(model, example))
        raise


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Run a model in evaluation mode, without gradients or compilers, and leave it as it was, also after an error.

    Raises
    ------
    ValueError
        If its parameters are spread over processes, so that what the model holds is not for us to put back.
    """
    modules = every_module(model.modules())
    sharded = next((module for module in modules if _is_sharded(module)), None)
    if sharded is not None:
        raise ValueError(
            f"example cannot run a model that is sharded ({type(sharded).__name__}); convert the model before, or "
            "give shapes in its place"
        )
    with ExitStack() as cleanup:
        cleanup.enter_context(kept_random_states())
        cleanup.enter_context(kept_modules(modules))
        for module in modules:
            set_training(module, False)
        cleanup.enter_context(torch.no_grad())
        if "torch._dynamo" in sys.modules:
            cleanup.enter_context(torch.compiler.set_stance("force_eager"))
        yield


@contextmanager
def one_run(model: nn.Module, example: Any) -> Iterator[Any]:
    """Run a model once, and yield what it gives; then model, example and random states are what they were before.

    So each run begins alike. What is yielded may lie in memory of the model: read it inside.
    """
    with kept_random_states(), kept_modules(model.modules()):
        yield call(model, cloned(example))


def settle_lazy(model: nn.Module, example: Any) -> None:
    """Give lazy layers their parameters by a run that nothing puts back; other models are not run."""
    if any(map(is_lazy, chain(model.parameters(), model.buffers()))):
        call(model, cloned(example))


def cloned(example: Any) -> Any:
    """Return the example with tensors of its own, in tuples, lists and dictionaries of its own."""
    return tree_map_only(Tensor, Tensor.clone, example)


def rebuilt(example: Any) -> Any:
    """Return the same tensors in tuples, lists and dictionaries of their own, which a model may empty."""
    return tree_map(lambda one: one, example)


def _is_sharded(module: nn.Module) -> bool:
    kinds = {cls.__name__ for cls in type(module).__mro__ if cls.__module__.startswith("torch.distributed.")}
    return not kinds.isdisjoint({"FSDPModule", "FullyShardedDataParallel"})
