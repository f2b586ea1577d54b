"""Modules and random states that are put back as they were, also after an error.

In: modules. Out: contexts that leave no trace of what happens inside: classes, attributes, what containers among these
hold, numbers of tensors, states of generators. Not looked into: other objects, tensors of subclasses, and what scripted
modules hold beside tensors.
"""

from __future__ import annotations

import copy
import random
import sys
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

_CONTAINERS: Final = frozenset({dict, OrderedDict, defaultdict, list, set, deque})
_PLAIN: Final = frozenset({Tensor, nn.Parameter, nn.Buffer})
_COMPRESSED: Final = frozenset({torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc})

PutBack = Callable[[], None]


@contextmanager
def kept_random_states() -> Iterator[None]:
    """Put back the states of torch's, Python's and NumPy's global generators."""
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
def kept_modules(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Put back modules, and all that lies in their attributes, other modules among it."""
    every = every_module(modules)
    with ExitStack() as cleanup:
        for one in _reached(every):
            cleanup.callback(_keep(one))
        for module in every:
            cleanup.callback(_keep_class(module))
        yield


def every_module(modules: Iterable[nn.Module]) -> list[nn.Module]:
    """Return modules, and those that lie in containers among their attributes, as in a plain list."""
    every = dict.fromkeys(modules)
    while found := [
        module
        for one in _reached(every)
        if isinstance(one, nn.Module)
        for module in one.modules()
        if module not in every
    ]:
        every.update(dict.fromkeys(found))
    return list(every)


def set_training(module: nn.Module, mode: bool) -> None:
    """Set the flag of one module, and not by its attributes, which may be watched; scripted code has its own."""
    if isinstance(module, torch.jit.ScriptModule):
        module.training = mode
    else:
        vars(module)["training"] = mode


def _reached(modules: Iterable[nn.Module]) -> Iterator[Any]:
    """Yield what lies in the attributes of modules, and in containers there, each thing once."""
    waiting: list[Any] = []
    for module in modules:
        waiting.append(vars(module))
        if isinstance(module, torch.jit.ScriptModule):  # its attributes are not Python's
            waiting += [*module.parameters(recurse=False), *module.buffers(recurse=False)]
    seen: dict[int, Any] = {}
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen[id(one)] = one  # stays, so that no id comes again
        if type(one) in _CONTAINERS or isinstance(one, tuple):
            waiting.extend(one.values() if isinstance(one, Mapping) else one)
        yield one


def _keep(one: Any) -> PutBack:
    if isinstance(one, Tensor):
        return _keep_tensor(one)
    if isinstance(one, torch.Generator):
        state = one.get_state()
        return partial(_set_state, one, state)
    if isinstance(one, random.Random):
        numbers = one.getstate()
        return lambda: one.setstate(numbers)
    return _keep_container(one) if type(one) in _CONTAINERS else lambda: None


def _set_state(generator: torch.Generator, state: Tensor) -> None:
    generator.set_state(state)


def _keep_container(one: Any) -> PutBack:
    content = copy.copy(one)

    def put_back() -> None:
        one.clear()
        (one.extend if isinstance(one, (list, deque)) else one.update)(content)

    return put_back


def _keep_tensor(tensor: Tensor) -> PutBack:
    """Put back the numbers of a tensor, its sizes and the memory they lie in, or that it has no shape yet."""
    if is_lazy(tensor):
        return partial(_make_lazy, tensor, type(tensor), tensor.data)
    if tensor.is_meta or type(tensor) not in _PLAIN:
        return lambda: None
    data = tensor.data
    numbers = data.clone()
    if data.layout is not torch.strided or data.is_nested:
        return partial(_set_numbers, tensor, numbers)
    taken = data.untyped_storage().nbytes()

    def put_back() -> None:
        if _lies(tensor.data) != _lies(data):
            tensor.data = data
        if data.untyped_storage().nbytes() < taken:
            data.untyped_storage().resize_(taken)
        if not torch.equal(data, numbers):
            data.copy_(numbers)

    return put_back


def _lies(data: Tensor) -> tuple[Any, ...]:
    return data.data_ptr(), data.dtype, data.shape, data.stride()


def _set_numbers(tensor: Tensor, numbers: Tensor) -> None:
    """Put back a sparse or nested tensor, of which no bytes can be compared."""
    if tensor.layout in _COMPRESSED:
        tensor.data.copy_(numbers)  # `data` would leave the values
    else:
        tensor.data = numbers


def _make_lazy(tensor: Tensor, cls: type[Tensor], data: Tensor) -> None:
    if not is_lazy(tensor):
        tensor.data = data
        tensor.__class__ = cls


def _keep_class(module: nn.Module) -> PutBack:
    cls = type(module)
    if isinstance(module, torch.jit.ScriptModule):
        return partial(set_training, module, module.training)
    return lambda: object.__setattr__(module, "__class__", cls)
