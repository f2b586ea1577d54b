"""The run of a plan on a GPU: filters transformed ahead, and the emitted kernels around them.

In: a `Plan` of the backend "gpu", torch tensors on its card. Out: the transformed filter, the output in the memory
format of torch's own convolution. Refused: nothing that the plan does not refuse. What cannot be compiled for the card
is said once, computed by torch's own convolution, and not tried again.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from types import ModuleType
from typing import Final

import torch

from winograd.algebra.nesting import NestedAlgorithm
from winograd.codegen.compiler import BuildError
from winograd.conv.direct.convolve import convolve_direct
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.gpu.card import Card
from winograd.conv.gpu.device import pretended_card
from winograd.conv.gpu.failures import is_out_of_memory, is_passed_over
from winograd.conv.gpu.loading import gpu_module
from winograd.conv.gpu.schedule import GpuSchedule
from winograd.conv.gpu.streams import Mark, mark_of
from winograd.conv.plan.record import Plan
from winograd.conv.tensors.epilogue import finish
from winograd.conv.tensors.layout import FORMATS, Layout, torchs_layout

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class FilterOnCard:
    """A transformed filter on a card, with what decides how it lies in memory.

    Parameters
    ----------
    u : Tensor
    algorithm : NestedAlgorithm
    form : (str, str)
        See `GpuSchedule.filter_form`.
    mark : Mark, optional
        Behind which U is there for other streams.
    """

    u: Tensor
    algorithm: NestedAlgorithm
    form: tuple[str, str]
    mark: Mark | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of the transformed filter."""
        return self.u.numel() * self.u.element_size()


_failed: Final[dict[tuple[NestedAlgorithm, GpuSchedule, Card | None], str]] = {}
"""What could not be compiled for a card, and why; another card may have more registers."""


def module_of(plan: Plan) -> ModuleType:
    """Return the emitted module of a plan.

    Raises
    ------
    BuildError
        If it cannot be loaded.
    """
    algorithm, schedule = _parts(plan)
    return gpu_module(algorithm, schedule.kind, interpreted=pretended_card() is not None)


def lack_on_card(plan: Plan) -> str | None:
    """Return why the kernels of a plan cannot run, as far as is known before they do, or None."""
    failure = _failed.get(_on_its_card(plan))
    if failure is not None:
        return f"kernels of {plan.label} cannot be compiled: {failure}"
    try:
        module_of(plan)
    except BuildError as error:
        return f"no kernel for the GPU: {str(error).partition(chr(10))[0]}"
    return None


def pack_on_card(plan: Plan, weight: Tensor) -> FilterOnCard | None:
    """Return the transformed filter for a plan, or None after a warning if its kernels do not run on the card."""
    if _on_its_card(plan) in _failed:
        return None
    try:
        return try_pack_on_card(plan, weight)
    except Exception as error:
        _pass_over(plan, error)
    return None


def try_pack_on_card(plan: Plan, weight: Tensor) -> FilterOnCard:
    """Return what `pack_on_card` does, or raise what its kernels raise."""
    algorithm, schedule = _parts(plan)
    u = module_of(plan).transform_filter(weight.detach().resolve_neg(), precision=schedule.products)
    return FilterOnCard(u, algorithm, schedule.filter_form, mark_of(u))


def run_on_card(
    plan: Plan,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    packed: FilterOnCard | None = None,
    residual: Tensor | None = None,
    relu: bool = False,
) -> Tensor:
    """Return the convolution of a batch, plus the residual, then the ReLU if one is asked for.

    Parameters
    ----------
    plan : Plan
        Of the backend "gpu".
    input : Tensor of shape (N, C, sizes...)
    weight : Tensor of shape (K, C, taps...)
    bias : Tensor of shape (K,), optional
    packed : FilterOnCard, optional
        From `pack_on_card`; one that was made for another plan is not read.
    residual : Tensor of the shape and dtype of the result, optional
    relu : bool

    Warns
    -----
    RuntimeWarning
        Once for each plan whose kernels cannot be compiled for the card, and where memory does not suffice.
    """
    if _on_its_card(plan) not in _failed:
        try:
            return try_on_card(plan, input, weight, bias, packed=packed, residual=residual, relu=relu)
        except Exception as error:
            _pass_over(plan, error)
    return finish(convolve_direct(input, weight, bias, plan.shape), residual, relu)


def _pass_over(plan: Plan, error: Exception) -> None:
    """Warn that torch computes instead of kernels that raised this, or raise it if torch cannot."""
    if pretended_card() is not None or not is_passed_over(error):
        raise error
    reason = str(error).partition("\n")[0] or type(error).__name__
    does = "have too little memory on"
    if not is_out_of_memory(error):
        _failed[_on_its_card(plan)] = reason
        does = "cannot be compiled for"
    words = f"kernels of {plan.label} {does} {plan.shape.card}: {reason}; torch's own convolution runs instead"
    warnings.warn(words, RuntimeWarning, stacklevel=3)


def try_on_card(
    plan: Plan,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    packed: FilterOnCard | None = None,
    residual: Tensor | None = None,
    relu: bool = False,
) -> Tensor:
    """Return what `run_on_card` does, or raise what its kernels raise."""
    algorithm, schedule = _parts(plan)
    is_ours = packed is not None and (packed.algorithm, packed.form) == (algorithm, schedule.filter_form)
    filters = packed if packed is not None and is_ours else try_pack_on_card(plan, weight)
    if filters.mark is not None:
        filters.mark.wait(filters.u)
    fused = residual is None or not _wants_gradient(residual)
    output: Tensor = module_of(plan).run(
        input.detach().resolve_neg(),
        filters.u,
        None if bias is None else bias.detach().resolve_neg().contiguous(),
        plan.shape.padding,
        residual=None if residual is None or not fused else residual.detach().resolve_neg(),
        relu=relu and fused,
        precision=schedule.products,
        out=_new_output(plan.shape, input, torchs_layout(input, weight)),
        config=dict(schedule.config),
    )
    return output if fused else finish(output, residual, relu)


def _new_output(shape: ConvShape, like: Tensor, layout: Layout) -> Tensor:
    sizes = (shape.batch, shape.outputs, *shape.output)
    last = FORMATS.get(len(sizes), torch.contiguous_format)
    return torch.empty(
        sizes,
        dtype=like.dtype,
        device=like.device,
        memory_format=last if layout is Layout.CHANNELS_LAST else torch.contiguous_format,
    )


def _wants_gradient(tensor: Tensor) -> bool:
    return tensor.requires_grad and torch.is_grad_enabled()


def _on_its_card(plan: Plan) -> tuple[NestedAlgorithm, GpuSchedule, Card | None]:
    return *_parts(plan), plan.shape.card


def _parts(plan: Plan) -> tuple[NestedAlgorithm, GpuSchedule]:
    assert plan.algorithm is not None
    assert plan.gpu is not None
    return plan.algorithm, plan.gpu
