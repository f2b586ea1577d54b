"""The flow of a model: which call of a convolution, a norm or a ReLU takes what which other one gave.

In: a model, traced by torch.fx, or recorded while it runs on an example. Out: a `Flow` of this one path through the
forward: of default arguments, or of the example, with the attributes as they are. Both see tensors that go from call to
call, and those that lie in attributes of a module at the end. Refused: models that cannot be traced, with the reason.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import ExitStack
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.fx import Proxy
from torch.overrides import TorchFunctionMode, resolve_name

from winograd.nn.folding.weights import Norm
from winograd.nn.state import Convolution

End = nn.Module | str
"""A module whose calls are followed, or the name of something else: a function, another module, the output."""

OUTPUT: Final = "the output"

ATTRIBUTE: Final = "an attribute"

_FOLLOWED: Final = (Convolution, Norm, nn.ReLU)

_WRAPPERS: Final = (nn.DataParallel, nn.parallel.DistributedDataParallel)

_FACTS: Final = frozenset({"size", "dim", "numel", "shape", "ndim", "dtype", "device", "layout", "requires_grad"})
"""What can be asked of a tensor without taking its numbers."""


_PLAIN: Final = (str, bytes, int, float, complex, type(None), Enum, torch.dtype, torch.device)
"""What holds no tensors, and may be given beside them."""


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
    before = {module: dict(vars(module)) for module in root.modules()}
    given = inspect.signature(root.forward).parameters.values()
    defaults = {one.name: one.default for one in given if one.default is not one.empty}
    try:
        graph = tracer.trace(root, concrete_args=defaults or None)
    except Exception as error:  # the forward of a model may raise anything when it gets no tensor
        line = str(error).partition("\n")[0].partition(". ")[0]
        raise UntraceableError(f"{type(error).__name__}: {line}") from error
    finally:
        put_away = {leaf.node for one in before for leaf in _leaves(vars(one)) if isinstance(leaf, Proxy)}
        for one, attributes in before.items():
            vars(one).update(attributes)
            for name in vars(one).keys() - attributes.keys():
                del vars(one)[name]
    modules, flow = dict(root.named_modules(remove_duplicate=False)), Flow()
    for node in graph.nodes:
        module = _end(node, modules)
        if isinstance(module, nn.Module):
            takers = [_end(user, modules) for user in node.users if not _asks(user)]
            flow.takers.setdefault(module, []).append([*takers, ATTRIBUTE] if node in put_away else takers)
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


def recorded_flow(model: nn.Module, run: Callable[[], Any]) -> Flow:
    """Return the flow of one forward, without gradients.

    Parameters
    ----------
    model : torch.nn.Module
    run : callable
        Runs it, and returns its output.

    Raises
    ------
    UntraceableError
        If the output holds something in which no tensor can be seen.
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
        output = run()
    unknown = next((one for one in _leaves(output) if not isinstance(one, (Tensor, *_PLAIN))), None)
    if unknown is not None:
        raise UntraceableError(f"its output holds a {type(unknown).__name__}, in which no tensor is seen")
    recorder.take(output, OUTPUT)
    for module in model.modules():
        recorder.take(vars(module), ATTRIBUTE)
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
    return (one for one in _leaves(what) if isinstance(one, Tensor))


def _leaves(what: Any) -> Iterator[Any]:
    """Yield what lies in containers, however deep; each container is opened once."""
    waiting: list[Any] = [what]
    opened: dict[int, Any] = {}
    while waiting:
        one = waiting.pop()
        within = _within(one)
        if within is None:
            yield one
        elif id(one) not in opened:
            opened[id(one)] = one  # stays, so that no id comes again
            waiting.extend(within)


def _within(what: Any) -> list[Any] | None:
    """Return what a container holds, or None for what is none."""
    if isinstance(what, Mapping):
        return list(what.values())
    if isinstance(what, (list, tuple, Set)):
        return list(what)
    if is_dataclass(what) and not isinstance(what, (type, nn.Module)):
        return [getattr(what, one.name, None) for one in fields(what)]
    return None
