"""Convolution by plan: what a planned layer does with the tensors of a call.

In: a layer, its input, the weight and bias of this call. Out: the output, by the plan for this shape, which is made at
the first such call and kept; with what is folded into the layer. Left to torch's own: tensors that no plan can read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.fx import Proxy

from winograd.conv.arguments import ConvArguments
from winograd.conv.calls.recorded import call_operator, is_jit_traced, is_recordable
from winograd.conv.choosing.selection import Filters
from winograd.conv.direct.convolve import FUNCTIONS
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.gradient.record import Gradient
from winograd.conv.gradient.wanted import LITTLE_SAVED, gradient_plans, is_worth_an_operator, wanted_gradients
from winograd.conv.library.execution import Asked
from winograd.conv.library.written import algorithm_text
from winograd.conv.limits import memory_limits
from winograd.conv.plan.record import Backend, Plan
from winograd.conv.planning.tuning_mode import Tuning
from winograd.conv.running.decisions import OWN, Arguments, as_tuples
from winograd.conv.running.obstacles import operator_obstacle
from winograd.conv.running.packing import torchs_own_layouts
from winograd.conv.running.reading import UNREADABLE, read_shape
from winograd.conv.running.run import run_plan
from winograd.conv.running.runnable import runnable_plan
from winograd.conv.switch import is_direct, is_enabled
from winograd.conv.tensors.epilogue import finish
from winograd.conv.tensors.facts import are_strided, are_tensors, autocasts, needs_gradient
from winograd.conv.tensors.layout import Layout, torchs_layout
from winograd.conv.tuning import tuned_plan
from winograd.nn.plans_in_use import PlanInUse
from winograd.nn.state import Convolution, LayerState, is_watched, refuse_quantised
from winograd.nn.traced import convolution

_is_exporting: Final[Callable[[], bool]] = getattr(torch.compiler, "is_exporting", bool)
"""Whether torch.export records, which leaves out differentiation; older torch cannot tell."""


class _Case(NamedTuple):
    """All that decides about the plan of a call."""

    tensors: tuple[Any, ...]
    geometry: Arguments
    filters: Filters
    obstacle: str | None
    wanted: tuple[Gradient, ...] | None
    around: tuple[Any, ...]


class ConvolutionState(LayerState):
    """What a planned convolution has beyond torch's, and does with it; see `LayerState`."""

    def convolve(self, layer: Convolution, input: Tensor, weight: Tensor, bias: Tensor | None, padding: Any) -> Tensor:
        """Convolve with the stride, dilation and groups of the layer, by the plan for this shape.

        What is folded into the layer is computed, too, unless it is to compute itself in this call.
        """
        if not are_tensors(input, weight, bias):
            return self._trace(layer, input, weight, bias, padding)
        if not are_strided(input, weight, bias):
            return _torch_own(layer, input, weight, bias, padding)
        frozen, folding = self.filters is Filters.FROZEN, self.folding
        folded = None if folding is None else folding.find(layer, weight, bias)
        if folding is None or folded is None:
            return self._convolve(layer, input, weight, bias, padding, frozen and is_watched(layer, weight))
        watched = frozen and (folded[0] is not weight or is_watched(layer, weight))
        relu = folding.relu is not None
        return folding.hand_on(self._convolve(layer, input, *folded, padding, watched, relu=relu))

    def _convolve(
        self,
        layer: Convolution,
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        padding: Any,
        watched: bool,
        *,
        relu: bool = False,
    ) -> Tensor:
        """Convolve by plan; a watched weight does not change unseen, and may be kept transformed."""
        geometry = as_tuples((layer.stride, padding, layer.dilation, layer.groups))
        filters = Filters.FROZEN if watched else Filters.LIVE
        if filters is not self.filters:
            self._uses.drop_packed()
        is_cast = autocasts(input.device.type)
        more = (is_cast, watched, watched and _are_contiguous(input, weight))
        if self._own.find(input, weight, bias, geometry, *more) is OWN:
            return finish(_torch_own(layer, input, weight, bias, padding), relu=relu)
        case = _case(input, weight, bias, geometry, filters)
        try:
            use = self._uses.find(case)
        except TypeError:  # sizes are symbols
            return finish(self.record(layer, input, weight, bias, padding), relu=relu)
        if use is None:
            try:
                shape = read_shape(input, weight, bias, _arguments(layer, padding), ndim=weight.ndim - 2)
            except UNREADABLE:
                refuse_quantised(input)
                return finish(_torch_own(layer, input, weight, bias, padding), relu=relu)
            use = self._settled(shape, weight, case)
            self._remember(case, use)
        if use.by_operator:
            output = call_operator(input, weight, bias, _arguments(layer, padding), self._asked(watched))
            return finish(output, relu=relu)
        is_own = bool(use.own_layouts) and torchs_layout(input, weight) in use.own_layouts
        if is_own and (case.obstacle is None or (is_cast and case.wanted is not None)):
            self._own.keep(OWN, input, weight, bias, geometry, *more)
        packs = watched and case.obstacle is None and use.plan.filters is Filters.FROZEN and not is_own
        packed = self._uses.pack(use, weight) if packs else None
        return run_plan(use.plan, input, weight, bias, packed=packed, relu=relu)

    def plan_ahead(self, layer: Convolution, sizes: tuple[int, ...]) -> None:
        """Make the plan for an input of these sizes; see `LayerState.plan_ahead`."""
        weight, bias = layer.weight.detach(), None if layer.bias is None else layer.bias.detach()
        input = torch.empty((), dtype=weight.dtype, device=weight.device).expand(sizes)
        padding: Any = layer.padding if layer.padding_mode == "zeros" else 0
        frozen = self.filters is Filters.FROZEN and is_watched(layer, layer.weight)
        geometry = as_tuples((layer.stride, padding, layer.dilation, layer.groups))
        case = _case(input, weight, bias, geometry, Filters.FROZEN if frozen else Filters.LIVE)
        if self._uses.find(case) is None:
            shape = read_shape(input, weight, bias, _arguments(layer, padding), ndim=weight.ndim - 2)
            self._remember(case, self._settled(shape, weight, case))

    def record(self, layer: Convolution, input: Tensor, weight: Tensor, bias: Tensor | None, padding: Any) -> Tensor:
        """Convolve where a program is recorded: by the operator, by torch's own where Winograd cannot be worth it."""
        arguments, forced = _arguments(layer, padding), self.algorithm is not None
        if is_direct(self.algorithm) or is_jit_traced():
            return _torch_own(layer, input, weight, bias, padding)
        if not is_recordable(input, weight, bias, arguments, len(layer.kernel_size), forced=forced):
            return _torch_own(layer, input, weight, bias, padding)
        trains = weight.requires_grad and torch.is_grad_enabled() and not _is_exporting()
        keeps = self.filters is Filters.FROZEN and not trains
        asked = self._asked(keeps and isinstance(weight, nn.Parameter))
        return call_operator(input, weight, bias, arguments, asked)

    def _trace(self, layer: Convolution, input: Any, weight: Any, bias: Any, padding: Any) -> Tensor:
        """Convolve what torch.fx traces with, by a node of its graph; torch's own says what is wrong with the rest."""
        is_worth = self.algorithm is not None or max(layer.kernel_size) > 1
        if (
            is_direct(self.algorithm)
            or not is_worth
            or not any(isinstance(one, Proxy) for one in (input, weight, bias))
        ):
            return _torch_own(layer, input, weight, bias, padding)
        geometry = (layer.stride, padding, layer.dilation, layer.groups)
        keeps = self.filters is Filters.FROZEN and "weight" in layer._parameters
        asked: tuple[Any, ...] = self._asked(keeps)
        return convolution(input, weight, bias, *geometry, *asked)

    def _asked(self, kept: bool) -> Asked:
        measured = self.tuning is Tuning.MEASURE
        return Asked(
            self.tolerance, algorithm_text(self.algorithm), kept, measured, self.workspace_cap, self.filter_cap
        )

    def _settled(self, shape: ConvShape, weight: Tensor, case: _Case) -> PlanInUse:
        """Return who computes a shape, and these gradients of it if it is differentiated."""
        plan = self._planned(shape, case.filters, case.obstacle)
        if case.wanted is None or case.obstacle is not None or plan.backend is Backend.COMPOSED:
            return PlanInUse(plan, torchs_own_layouts(plan, weight))
        gradients = gradient_plans(
            case.wanted,
            shape,
            tolerance=self.tolerance,
            algorithm=self.algorithm,
            workspace_cap=self.workspace_cap,
            filter_cap=self.filter_cap,
        )
        forced = self.algorithm is not None and not is_direct(self.algorithm)
        if is_worth_an_operator(plan, gradients, forced=forced):
            return PlanInUse(plan, (), gradients=gradients, by_operator=True)
        own = plan if plan.backend is Backend.DIRECT else self._planned(shape, case.filters, LITTLE_SAVED)
        return PlanInUse(own, tuple(Layout))

    def _planned(self, shape: ConvShape, filters: Filters, obstacle: str | None) -> Plan:
        """Return the plan for a shape, measured where that was asked for and can be done."""
        caps = {"workspace_cap": self.workspace_cap, "filter_cap": self.filter_cap}
        if self.tuning is Tuning.MEASURE and self.algorithm is None and obstacle is None:
            return tuned_plan(shape, tolerance=self.tolerance, filters=filters, **caps)
        return runnable_plan(
            shape,
            tolerance=self.tolerance,
            algorithm=self.algorithm,
            filters=filters,
            obstacle=obstacle,
            **caps,
        )


def _case(input: Tensor, weight: Tensor, bias: Tensor | None, geometry: Arguments, filters: Filters) -> _Case:
    return _Case(
        tensors=tuple(None if x is None else (x.shape, x.dtype, x.device) for x in (input, weight, bias)),
        geometry=geometry,
        filters=filters,
        obstacle=operator_obstacle(input, weight, bias),
        wanted=wanted_gradients(input, weight) if needs_gradient(input, weight, bias) else None,
        around=(torch.backends.mkldnn.enabled, torch.get_num_threads(), memory_limits(), is_enabled()),
    )


def _are_contiguous(input: Tensor, weight: Tensor) -> bool:
    """Return whether both lie channels first in memory, which decides whether a packed weight is faster."""
    strided = input.layout is torch.strided and weight.layout is torch.strided
    return strided and input.is_contiguous() and weight.is_contiguous()


def _arguments(layer: Convolution, padding: Any) -> ConvArguments:
    return ConvArguments(layer.stride, padding, layer.dilation, layer.groups)


def _torch_own(layer: Convolution, input: Tensor, weight: Tensor, bias: Tensor | None, padding: Any) -> Tensor:
    return FUNCTIONS[len(layer.kernel_size)](input, weight, bias, layer.stride, padding, layer.dilation, layer.groups)
