"""The flow of a model: which call of a convolution, a norm or a ReLU takes what which other one gave.

In: a model, traced by torch.fx, or recorded while it runs on an example. Out: a `Flow`. Both see tensors that go from
call to call, not those that are put away in attributes. Refused: models that cannot be traced, with the reason.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, resolve_name

from winograd.nn.folding.weights import Norm
from winograd.nn.modules import Convolution

End = nn.Module | str
"""A module whose calls are followed, or the name of something else: a function, another module, the output."""

OUTPUT: Final = "the output"

_FOLLOWED: Final = (Convolution, Norm, nn.ReLU)

_WRAPPERS: Final = (nn.DataParallel, nn.parallel.DistributedDataParallel)

_FACTS: Final = frozenset({"size", "dim", "numel", "shape", "ndim", "dtype", "device", "layout", "requires_grad"})
"""What can be asked of a tensor without taking its numbers."""


class UntraceableError(Exception):
    """The reason why a model has no flow."""


@dataclass(slots=True)
class Flow:
    """Who takes what whom gave.

    Parameters
    ----------
    takers : dict from module to list of lists
        One list for each call: what takes its result.
    givers : dict from module to list
        Of each call: what gave its input.
    """

    takers: dict[nn.Module, list[list[End]]] = field(default_factory=dict)
    givers: dict[nn.Module, list[End]] = field(default_factory=dict)


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the model inside of those that run it on several devices or processes."""
    while isinstance(model, _WRAPPERS):
        model = model.module
    return model


def traced_flow(model: nn.Module) -> Flow:
    """Return the flow of a forward with default arguments, for inputs of all sizes.

    Raises
    ------
    UntraceableError
        If the forward depends on what only a tensor has, such as its sizes.
    """
    root, tracer = unwrapped(model), _Tracer()
    given = inspect.signature(root.forward).parameters.values()
    defaults = {one.name: one.default for one in given if one.default is not one.empty}
    try:
        graph = tracer.trace(root, concrete_args=defaults or None)
    except Exception as error:  # the forward of a model may raise anything when it gets no tensor
        line = str(error).partition("\n")[0].partition(". ")[0]
        raise UntraceableError(f"{type(error).__name__}: {line}") from error
    modules, flow = dict(root.named_modules(remove_duplicate=False)), Flow()
    for node in graph.nodes:
        module = _end(node, modules)
        if isinstance(module, nn.Module):
            flow.takers.setdefault(module, []).append([_end(user, modules) for user in node.users if not _asks(user)])
            flow.givers.setdefault(module, []).extend(_end(giver, modules) for giver in node.all_input_nodes)
    return flow


class _Tracer(torch.fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, _FOLLOWED) or super().is_leaf_module(m, module_qualified_name)


def _asks(node: torch.fx.Node) -> bool:
    """Return whether a node asks for a fact of a tensor."""
    if node.op == "call_method":
        return node.target in _FACTS
    return node.target is getattr and node.args[1] in _FACTS


def _end(node: torch.fx.Node, modules: Mapping[str, nn.Module]) -> End:
    if node.op == "call_module":
        module = modules[str(node.target)]
        return module if isinstance(module, _FOLLOWED) else str(node.target)
    return OUTPUT if node.op == "output" else node.name


def recorded_flow(model: nn.Module, *example: Any) -> Flow:
    """Return the flow of one forward, without gradients.

    Parameters
    ----------
    model : torch.nn.Module
    *example
        Arguments of the forward.
    """
    recorder = _Recorder()
    with ExitStack() as cleanup:
        for module in model.modules():
            if isinstance(module, _FOLLOWED):
                before = module.register_forward_pre_hook(recorder.enter_call, with_kwargs=True)
                cleanup.callback(before.remove)
                cleanup.callback(module.register_forward_hook(recorder.leave_call).remove)
        cleanup.enter_context(torch.no_grad())
        cleanup.enter_context(recorder)
        output = model(*example)
    recorder.take(output, OUTPUT)
    return recorder.flow


class _Recorder(TorchFunctionMode):
    """Sees every operation; what happens inside of a followed module is that module's own."""

    def __init__(self) -> None:
        super().__init__()
        self.flow = Flow()
        self._depth = 0
        self._given: dict[int, tuple[Tensor, nn.Module, list[End]]] = {}  # tensors stay, so that no id comes again

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if self._depth == 0 and not _FACTS & set(_name(func).split(".")):
            self.take((args, kwargs), _name(func))
        return func(*args, **(kwargs or {}))

    def enter_call(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Note what the call of a module takes."""
        if self._depth == 0:
            givers = [self._giver(tensor) for tensor in _tensors((args, kwargs))]
            self.flow.givers.setdefault(module, []).extend(givers)
            self.take((args, kwargs), module)
        self._depth += 1

    def leave_call(self, module: nn.Module, _args: tuple[Any, ...], output: Any) -> None:
        """Note what the call of a module gives."""
        self._depth -= 1
        if self._depth == 0:
            takers: list[End] = []
            self.flow.takers.setdefault(module, []).append(takers)
            for tensor in _tensors(output):
                self._given[id(tensor)] = tensor, module, takers

    def take(self, what: Any, taker: End) -> None:
        """Note that something takes these tensors."""
        for tensor in _tensors(what):
            if id(tensor) in self._given:
                self._given[id(tensor)][2].append(taker)

    def _giver(self, tensor: Tensor) -> End:
        given = self._given.get(id(tensor))
        return "something else" if given is None else given[1]


def _name(func: Any) -> str:
    return str(resolve_name(func) or getattr(func, "__name__", func))


def _tensors(what: Any) -> Iterator[Tensor]:
    if isinstance(what, Tensor):
        yield what
    elif isinstance(what, Mapping):
        for one in what.values():
            yield from _tensors(one)
    elif isinstance(what, (list, tuple)):
        for one in what:
            yield from _tensors(one)
