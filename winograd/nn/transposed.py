"""torch's transposed convolutions with a plan: subclasses with the same parameters, state_dict and constructor.

In: what torch.nn's transposed convolutions take, a tolerance and perhaps an algorithm. Out: their output, by a dense
convolution of stride 1 where a plan finds that faster, for inference on CPU tensors; torch's own for the rest.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvTransposeNd

from winograd.conv.calls.recorded import is_recorded
from winograd.conv.choosing.selection import Filters
from winograd.conv.limits import memory_limits
from winograd.conv.running.decisions import OWN, as_tuples
from winograd.conv.running.obstacles import tensor_obstacle
from winograd.conv.running.reading import UNREADABLE
from winograd.conv.switch import is_enabled
from winograd.conv.tensors.facts import are_tensors, needs_gradient
from winograd.conv.transposed.arguments import TransposedArguments
from winograd.conv.transposed.run import (
    TRANSPOSED_FUNCTIONS,
    is_torchs_own,
    pack_transposed,
    read_transposed,
    run_transposed,
    transposed_plan,
)
from winograd.conv.transposed.shape import TransposedShape
from winograd.nn.modules import Built, PlannedConvolution
from winograd.nn.plans_in_use import PlanInUse
from winograd.nn.state import Convolution, LayerState, is_watched


class TransposedState(LayerState):
    """What a planned transposed convolution has beyond torch's; see `LayerState`.

    The shape of a plan is that of the dense convolution. Plans are made by the cost model, whatever the tuning.
    """

    def transpose(
        self, layer: Convolution, input: Tensor, weight: Tensor, bias: Tensor | None, output_padding: Any
    ) -> Tensor:
        """Convolve with the stride, padding, dilation and groups of the layer, by the plan for this shape."""
        arguments = _arguments(layer, output_padding)
        ndim = len(layer.kernel_size)
        own = partial(TRANSPOSED_FUNCTIONS[ndim], input, weight, bias, *arguments.given)
        if not are_tensors(input, weight, bias):
            return own()
        watched = self.filters is Filters.FROZEN and is_watched(layer, weight)
        filters = Filters.FROZEN if watched else Filters.LIVE
        if filters is not self.filters:
            self._uses.drop_packed()
        given, more = as_tuples(arguments.given), (torch.is_autocast_enabled("cpu"), watched)
        if self._own.find(input, weight, bias, given, *more) is OWN:
            return own()
        obstacle = tensor_obstacle(input, weight, bias)
        try:
            shape = read_transposed(input, weight, bias, arguments, ndim=ndim)
        except UNREADABLE:
            return own()
        use = self._use(shape, filters, obstacle)
        if is_torchs_own(use.plan, shape, weight, obstacle):
            if obstacle is None or needs_gradient(input, weight, bias):
                self._own.keep(OWN, input, weight, bias, given, *more)
            return own()
        packs = watched and obstacle is None and use.plan.filters is Filters.FROZEN
        packed = self._uses.pack(use, weight, partial(pack_transposed, use.plan, shape)) if packs else None
        return run_transposed(use.plan, shape, input, weight, bias, packed=packed, workspace_cap=self.workspace_cap)

    def plan_ahead(self, layer: Convolution, sizes: tuple[int, ...]) -> None:
        """Make the plan for an input of these sizes; see `LayerState.plan_ahead`."""
        weight, bias = layer.weight.detach(), None if layer.bias is None else layer.bias.detach()
        input = torch.empty((), dtype=weight.dtype, device=weight.device).expand(sizes)
        arguments = _arguments(layer, layer.output_padding)
        frozen = self.filters is Filters.FROZEN and is_watched(layer, layer.weight)
        shape = read_transposed(input, weight, bias, arguments, ndim=len(layer.kernel_size))
        self._use(shape, Filters.FROZEN if frozen else Filters.LIVE, tensor_obstacle(input, weight, bias))

    def _use(self, shape: TransposedShape, filters: Filters, obstacle: str | None) -> PlanInUse:
        """Return the plan for a shape, made now unless it was before under the same circumstances."""
        key = (shape, filters, obstacle, torch.get_num_threads(), memory_limits(), is_enabled())
        use = self._uses.find(key)
        if use is None:
            plan = transposed_plan(
                shape,
                tolerance=self.tolerance,
                algorithm=self.algorithm,
                filters=filters,
                obstacle=obstacle,
                workspace_cap=self.workspace_cap,
                filter_cap=self.filter_cap,
            )
            use = PlanInUse(plan, (), manner=(shape.along("stride"), shape.along("dilation"), shape.groups))
            self._remember(key, use)
        return use


def _arguments(layer: Convolution, output_padding: Any) -> TransposedArguments:
    padding: Any = layer.padding
    return TransposedArguments(layer.stride, padding, tuple(output_padding), layer.groups, layer.dilation)


class PlannedTransposed(PlannedConvolution, _ConvTransposeNd):
    """Mixed in before one of torch's transposed convolutions: replaces its forward, and nothing else."""

    _winograd: TransposedState
    _state_class: ClassVar[type[LayerState]] = TransposedState

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Return the output, of the size that is asked for where a stride leaves a choice."""
        if is_recorded() or self.padding_mode != "zeros":
            return super().forward(input, output_size)  # type: ignore[no-any-return]
        steps: tuple[Any, ...] = (self.stride, self.padding, self.kernel_size, len(self.kernel_size), self.dilation)
        output_padding = self._output_padding(input, output_size, *steps)
        return self._winograd.transpose(self, input, self.weight, self.bias, output_padding)


class ConvTranspose1d(Built, PlannedTransposed, nn.ConvTranspose1d):
    """`torch.nn.ConvTranspose1d` by plan; see `ConvTranspose3d`."""


class ConvTranspose2d(Built, PlannedTransposed, nn.ConvTranspose2d):
    """`torch.nn.ConvTranspose2d` by plan; see `ConvTranspose3d`."""


class ConvTranspose3d(Built, PlannedTransposed, nn.ConvTranspose3d):
    """`torch.nn.ConvTranspose3d` by plan: same parameters, state_dict and results up to the tolerance.

    Parameters
    ----------
    *args, **kwargs
        As `torch.nn.ConvTranspose3d`.
    tolerance, algorithm
        As in `winograd.nn.Conv3d`; an algorithm is for the taps of the phases, see `winograd.conv_transpose3d`.
    tuning : "model" or "measure"
        Plans are made by the cost model, whatever this says.

    Examples
    --------
    >>> layer = ConvTranspose3d(4, 8, 4, stride=2, padding=1)
    >>> layer(torch.zeros(1, 4, 3, 5, 5)).shape
    torch.Size([1, 8, 6, 10, 10])
    >>> sorted(layer.state_dict())
    ['bias', 'weight']
    """
