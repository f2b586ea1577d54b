"""Convolutions in graphs of torch.fx: a call of the layer where torch's own layer would be one, a function elsewhere.

In: the proxies that torch.fx traces with. Out: nodes of its graph. What is traced into a graph computes by plan when
the graph runs: a call of the layer by that layer, with its settings of then; a function by the settings of now. Files
of graphs name `convolution` in this module, where it stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Proxy, Tracer

from winograd.conv.arguments import ConvArguments
from winograd.conv.calls.convolution import convolve_torch
from winograd.conv.calls.recorded import call_operator, is_jit_traced, is_recordable, is_recorded
from winograd.conv.direct.convolve import FUNCTIONS
from winograd.conv.library.execution import Asked
from winograd.conv.library.written import read_algorithm
from winograd.nn.folding.hooks import has_global_hooks, has_hooks

_TORCHS = "torch.nn.modules.conv"


def traced_call(layer: Any, *arguments: Any) -> Proxy | None:
    """Return the call of a layer as one node, where torch's own in its place would be one; None elsewhere.

    A tracer tells its leaves by their class, in most cases by the module that it is of, which is ours now: it is asked
    about a stand-in of the class before the conversion. No leaf are layers with hooks, which have seen the proxies
    already, as have those of all modules, and folded ones, which compute what others in the graph would compute again.

    Parameters
    ----------
    layer : PlannedConvolution
    *arguments
        Of its forward, the first one the input.

    Examples
    --------
    >>> import torch, winograd
    >>> graph = torch.fx.symbolic_trace(torch.nn.Sequential(winograd.nn.Conv3d(4, 4, 3)))
    >>> [node.op for node in graph.graph.nodes if node.op.startswith("call_")]
    ['call_module']
    """
    input, former = arguments[0], layer._winograd.original or type(layer).__bases__[-1]
    if not isinstance(input, Proxy) or not isinstance(input.tracer, Tracer) or former.__module__ != _TORCHS:
        return None
    own = vars(layer)
    if (
        has_global_hooks()
        or has_hooks(layer)
        or layer._winograd.folding is not None
        or "forward" in own
        or "_conv_forward" in own
    ):
        return None
    stand_in: nn.Module = object.__new__(former)
    vars(stand_in).update(own)
    name = input.tracer.path_of_module(layer)
    if not input.tracer.is_leaf_module(stand_in, name):
        return None
    return input.tracer.create_proxy("call_module", name, arguments, {})


def convolution(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Any,
    dilation: Sequence[int],
    groups: int,
    tolerance: float | None = None,
    algorithm: str | None = None,
    kept: bool = False,
    measured: bool = False,
    workspace_cap: int | None = None,
    filter_cap: int | None = None,
) -> Tensor:
    """Return the convolution by plan; given proxies of torch.fx, the node that calls this.

    Parameters
    ----------
    input : Tensor of shape (N, C, sizes...) or (C, sizes...)
    weight : Tensor of shape (K, C / groups, taps...)
    bias : Tensor of shape (K,), optional
    stride, padding, dilation, groups
        As torch's convolutions have them.
    tolerance, algorithm, kept, measured, workspace_cap, filter_cap
        As in `winograd.conv.library.operators.convolution`. Nothing is kept of a weight that is differentiated, nor
        where torch swaps the tensors of modules that it converts.
    """
    given: tuple[Any, ...] = (input, weight, bias)
    proxy = next((one for one in given if isinstance(one, Proxy)), None)
    asked = Asked(tolerance, algorithm, kept, measured, workspace_cap, filter_cap)
    if proxy is not None:
        geometry = (tuple(stride), padding, tuple(dilation), groups)
        node: Any = proxy.tracer.create_proxy("call_function", convolution, (*given, *geometry, *asked), {})
        return node  # type: ignore[no-any-return]
    arguments, ndim = ConvArguments(stride, padding, dilation, groups), len(stride)
    differentiated = weight.requires_grad and torch.is_grad_enabled()
    swaps = torch.__future__.get_swap_module_params_on_conversion()  # which torch cannot where something is kept
    asked = asked._replace(kept=kept and not differentiated and not swaps)
    if is_recorded() or any((asked.kept, measured, workspace_cap, filter_cap)):
        is_forced = algorithm is not None
        if not is_jit_traced() and is_recordable(input, weight, bias, arguments, ndim, forced=is_forced):
            return call_operator(input, weight, bias, arguments, asked)
        if is_recorded():
            return FUNCTIONS[ndim](input, weight, bias, stride, padding, dilation, groups)
    forced = read_algorithm(algorithm)
    return convolve_torch(input, weight, bias, arguments, ndim=ndim, tolerance=tolerance, algorithm=forced)
