"""Plans for tensors, filters packed ahead, and the run of a plan.

In: torch tensors and the arguments of torch's convolutions. Out: a `Plan`, packed filters, the output tensor.
Refused: what torch refuses, in its own words; algorithms that cannot do it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final

import torch

from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import NestedAlgorithm
from winograd.codegen.compiler import BuildError
from winograd.conv.arguments import ConvArguments
from winograd.conv.choosing.selection import Filters
from winograd.conv.composed import convolve_composed
from winograd.conv.direct.convolve import (
    convolve_direct,
    convolve_onednn,
    is_faster_packed,
    is_slow_in_torch,
    is_worth_packing,
)
from winograd.conv.direct.packed import PackedDirect, TorchsOwn, convolve_packed, pack_direct, torchs_own
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.gpu.device import card_of_tensor
from winograd.conv.plan.record import Backend, Plan
from winograd.conv.planning.make import make_plan
from winograd.conv.running.decisions import are_tensors, autocasts
from winograd.conv.scratch import scratch
from winograd.conv.switch import Direct
from winograd.conv.tensors.epilogue import finish
from winograd.conv.tensors.forked import FORKS, on_usable_threads
from winograd.conv.tensors.layout import Layout, as_torch_would, torchs_layout

if TYPE_CHECKING:
    from winograd.conv.gpu.run import FilterOnCard
    from winograd.conv.native.kernel import NativeConvolution, PackedFilter
    from winograd.conv.native.phased import PackedGroups

    Packed = PackedFilter | PackedGroups | FilterOnCard | PackedDirect | TorchsOwn

Tensor = torch.Tensor

_PLAIN = (torch.Tensor, torch.nn.Parameter)

_DIRECT: Final = (PackedDirect, TorchsOwn)


UNREADABLE: Final = (TypeError, ValueError, AttributeError)
"""What `read_shape` raises; torch's own convolution refuses most of that in its own words."""


def read_shape(input: Tensor, weight: Tensor, bias: Tensor | None, arguments: ConvArguments, *, ndim: int) -> ConvShape:
    """Return the shape of a convolution of tensors, which must be of one dtype and on one device.

    Parameters
    ----------
    input : Tensor of shape (N, C, sizes...) or (C, sizes...)
    weight : Tensor of shape (K, C / groups, taps...)
    bias : Tensor of shape (K,), optional
    arguments : ConvArguments
        Stride, padding, dilation and groups as in torch.
    ndim : int
        Axes of the convolution, 1 to 3.

    Raises
    ------
    TypeError, ValueError, AttributeError
        If the arguments make no convolution, or are no tensors: let torch's own raise its error.
    """
    if not are_tensors(input, weight, bias):
        raise TypeError("input, weight and bias must be tensors")
    if weight.ndim != ndim + 2:
        raise ValueError(f"weight has {weight.ndim} axes, must have {ndim + 2}")
    for name, other in (("weight", weight), ("bias", bias)):
        if other is not None and (other.dtype, other.device) != (input.dtype, input.device):
            raise ValueError(f"{name} is {other.dtype} on {other.device}, input is {input.dtype} on {input.device}")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"bias of shape {tuple(bias.shape)}, must be {tuple(weight.shape[:1])}")
    dtype = str(input.dtype).removeprefix("torch.")
    return arguments.shape(tuple(input.shape), tuple(weight.shape), dtype=dtype, card=card_of_tensor(input))


def runnable_plan(
    shape: ConvShape,
    *,
    tolerance: float | None,
    algorithm: BilinearAlgorithm | NestedAlgorithm | Direct | None,
    filters: Filters,
    obstacle: str | None,
    threads: int | None = None,
    workspace_cap: int | None = None,
    filter_cap: int | None = None,
) -> Plan:
    """Return what `make_plan` does, or, where its code cannot be compiled, the plan that runs without it.

    Parameters
    ----------
    shape, tolerance, algorithm, filters, obstacle, workspace_cap, filter_cap
        As in `winograd.conv.planning.make.make_plan`.
    threads : int, optional
        None takes what torch uses now.

    Warns
    -----
    RuntimeWarning
        Once, if no compiler works.
    """
    plan = partial(
        make_plan,
        shape,
        tolerance=tolerance,
        algorithm=algorithm,
        filters=filters,
        threads=torch.get_num_threads() if threads is None else threads,
        workspace_cap=workspace_cap,
        filter_cap=filter_cap,
    )
    made = plan(obstacle=obstacle)
    lack = lack_of_code(made)
    if lack is None:
        return made
    _warn_once(lack)
    return plan(obstacle=lack)


def tensor_obstacle(*given: Tensor | None) -> str | None:
    """Return why generated C cannot read these tensors, for a reason that their shapes do not show, or None."""
    device = next((tensor.device.type for tensor in given if tensor is not None and tensor.device.type != "cpu"), None)
    return plan_obstacle(*given) if device is None else f"device {device}, the native backend has cpu"


def plan_obstacle(*given: Tensor | None) -> str | None:
    """Return why no generated code can read these tensors, for a reason that their shapes do not show, or None."""
    tensors = [tensor for tensor in given if tensor is not None]
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        return "a gradient is required"
    return operator_obstacle(*tensors)


def operator_obstacle(*given: Tensor | None) -> str | None:
    """Return why neither generated code nor torch's operators made of it can read these tensors, or None."""
    tensors = [tensor for tensor in given if tensor is not None]
    device = next((tensor.device.type for tensor in tensors if tensor.device.type != "cpu"), "cpu")
    if device != "cpu" and any(card_of_tensor(tensor) is None for tensor in tensors):
        return f"device {device}, generated code has cpu and GPUs of NVIDIA"
    if any(type(tensor) not in _PLAIN or tensor.layout is not torch.strided for tensor in tensors):
        return "a tensor is not a plain dense one"
    if autocasts(device):
        return "autocast is on"
    return _transform_obstacle(tensors)


def _transform_obstacle(tensors: list[Tensor]) -> str | None:
    """Return which of torch's transformations is at work; C would compute past it."""
    if any(torch._C._functorch.is_functorch_wrapped_tensor(tensor) for tensor in tensors):
        return "a function transform is active"
    if torch.autograd.forward_ad._current_level >= 0:
        return "forward-mode differentiation is active"
    if torch._C._len_torch_dispatch_stack() or torch._C._get_tracing_state() is not None:
        return "torch is tracing"
    return None


@on_usable_threads
def pack_for_plan(plan: Plan, weight: Tensor) -> Packed | None:
    """Return the weight as the plan's backend reads it fastest, or None where nothing can be made ready.

    The caller answers for the weight: a packed filter does not follow later changes. ``.nbytes`` is its size, 0 where
    the weight itself is read.
    """
    native = _native_for(plan)
    if native is not None:
        return _pack_native(native, weight, plan)
    if plan.backend is Backend.GPU:
        from winograd.conv.gpu.run import pack_on_card

        return pack_on_card(plan, weight)
    if plan.backend is not Backend.DIRECT:
        return None
    packed = pack_direct(weight, plan.shape) if is_worth_packing(plan.shape) else None
    return packed if packed is not None and packed.layouts else torchs_own(weight, plan.shape)


def torchs_own_layouts(plan: Plan, weight: Tensor) -> tuple[Layout, ...]:
    """Return for which layouts of the output torch's own convolution is all that running the plan comes to."""
    if plan.backend is not Backend.DIRECT or is_slow_in_torch(weight, plan.shape):
        return ()
    if plan.shape.card is not None or plan.filters is Filters.LIVE or not is_worth_packing(plan.shape):
        return tuple(Layout)
    return tuple(layout for layout in Layout if not is_faster_packed(plan.shape, layout))


def run_plan(
    plan: Plan,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    packed: Packed | None = None,
    residual: Tensor | None = None,
    relu: bool = False,
) -> Tensor:
    """Run a plan made for these tensors: the convolution, plus the residual, then the ReLU if one is asked for.

    Generated code does all in one pass over the output, and rounds 16-bit outputs once, at its end; the others
    finish what they have rounded in place. So is a residual added that it cannot read, such as one that requires a
    gradient, and one to a dilated or grouped convolution, whose outputs are put where they belong after they are
    rounded. Without a residual the output is that of `torch.relu` of the convolution, bit for bit but for the sign of
    zeros in 16 bits.

    Parameters
    ----------
    plan : Plan
    input : Tensor of shape (N, C, sizes...) or (C, sizes...)
    weight : Tensor of shape (K, C / groups, taps...)
    bias : Tensor of shape (K,), optional
    packed : PackedFilter, PackedGroups, FilterOnCard, PackedDirect or TorchsOwn, optional
        From `pack_for_plan` with the same plan; without it the filter is transformed in this call.
    residual : Tensor of the shape and dtype of the result, optional
    relu : bool
        Whether negative outputs become zero; a NaN stays NaN.

    Returns
    -------
    Tensor of shape (N, K, sizes...) or (K, sizes...)
        In the memory format of torch's own convolution.

    Raises
    ------
    ValueError
        If the residual has another shape or dtype than the result.
    """
    if isinstance(packed, _DIRECT) and not FORKS:
        ready = packed.ready.get(input.stride())
        if ready is not None:
            output = ready(input, weight, bias)
            return output if residual is None and not relu else finish(output, residual, relu)
    return _run_plan(plan, input, weight, bias, packed, residual, relu)


@on_usable_threads
def _run_plan(
    plan: Plan,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    packed: Packed | None,
    residual: Tensor | None,
    relu: bool,
) -> Tensor:
    if input.ndim == plan.shape.ndim + 1:
        added = None if residual is None else residual.unsqueeze(0)
        return _run_plan(plan, input.unsqueeze(0), weight, bias, packed, added, relu).squeeze(0)
    if plan.backend is Backend.GPU:
        from winograd.conv.gpu.run import FilterOnCard, run_on_card

        kept = packed if isinstance(packed, FilterOnCard) else None
        return run_on_card(plan, input, weight, bias, packed=kept, residual=residual, relu=relu)
    native = _native_for(plan)
    if native is None:
        return finish(_run_in_torch(plan, input, weight, bias, packed), residual, relu)
    if plan.phases is not None:
        return _run_phases(native, input, weight, bias, plan, packed, residual, relu)
    if residual is None or tensor_obstacle(residual) is None:
        return _run_native(native, input, weight, bias, plan, packed, residual, relu)
    return finish(_run_native(native, input, weight, bias, plan, packed, None, False), residual, relu)


def _run_in_torch(plan: Plan, input: Tensor, weight: Tensor, bias: Tensor | None, packed: Packed | None) -> Tensor:
    if isinstance(packed, TorchsOwn):
        return packed(input, weight, bias)
    layout = torchs_layout(input, weight)
    if isinstance(packed, PackedDirect) and layout in packed.layouts:
        output = convolve_packed(input, packed, bias)
    elif isinstance(packed, PackedDirect) and packed.own is not None:
        return packed.own(input, weight, bias)
    elif plan.backend is Backend.COMPOSED:
        assert plan.algorithm is not None
        output = convolve_composed(input, weight, bias, algorithm=plan.algorithm, padding=plan.shape.padding)
    elif is_slow_in_torch(weight, plan.shape) and tensor_obstacle(input, weight, bias) is None:
        output = convolve_onednn(input, weight, bias, plan.shape)
    else:
        return convolve_direct(input, weight, bias, plan.shape)
    return as_torch_would(output, layout)


def _run_native(
    native: NativeConvolution,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    plan: Plan,
    packed: Packed | None,
    residual: Tensor | None,
    relu: bool,
) -> Tensor:
    from winograd.conv.native.kernel import PackedFilter

    filters = packed if isinstance(packed, PackedFilter) else _pack_native(native, weight, plan)
    assert isinstance(filters, PackedFilter)
    return native.convolve(
        input.detach().resolve_neg(),
        filters,
        _shift(native, bias),
        plan.shape.padding,
        relu,
        None if residual is None else residual.detach().resolve_neg(),
        plan.schedule,
        torchs_layout(input, weight),
        memory=partial(scratch, cap=_cap(plan)),
    )


def _run_phases(
    native: NativeConvolution,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    plan: Plan,
    packed: Packed | None,
    residual: Tensor | None,
    relu: bool,
) -> Tensor:
    from winograd.conv.native.phased import PackedGroups, convolve_phases

    filters = packed if isinstance(packed, PackedGroups) else _pack_native(native, weight, plan)
    assert isinstance(filters, PackedGroups)
    assert plan.phases is not None
    fused = residual is None or (not plan.phases.joins and tensor_obstacle(residual) is None)
    output = convolve_phases(
        native,
        plan.phases,
        input.detach().resolve_neg(),
        filters,
        _shift(native, bias),
        residual=residual.detach().resolve_neg() if fused and residual is not None else None,
        relu=relu and fused,
        schedule=plan.schedule,
        layout=torchs_layout(input, weight),
        cap=_cap(plan),
    )
    return output if fused else finish(output, residual, relu)


def _cap(plan: Plan) -> int | None:
    """Return the limit on the workspace that the plan was made with, or None where it was made without one."""
    return None if plan.terms is None else plan.terms.limits.workspace


def _pack_native(native: NativeConvolution, weight: Tensor, plan: Plan) -> PackedFilter | PackedGroups:
    plain = weight.detach().resolve_neg()
    if plan.phases is None:
        return native.pack(plain)
    from winograd.conv.native.phased import pack_groups

    return pack_groups(native, plan.phases, plain)


def _shift(native: NativeConvolution, bias: Tensor | None) -> Tensor | None:
    return None if bias is None else bias.detach().resolve_neg().to(native.working)


def _native_for(plan: Plan) -> NativeConvolution | None:
    if plan.backend is not Backend.NATIVE:
        return None
    assert plan.algorithm is not None
    from winograd.conv.native import kernel as native  # kernels are loaded after torch, and only where a plan wants one

    return native.native_convolution(plan.algorithm, plan.shape.dtype)


def lack_of_code(plan: Plan) -> str | None:
    """Return why the code that a plan runs cannot be compiled, or None."""
    if plan.backend is Backend.GPU:
        from winograd.conv.gpu.run import lack_on_card

        return lack_on_card(plan)
    if plan.backend is not Backend.NATIVE:
        return None
    from winograd.conv.native import copying
    from winograd.conv.native import kernel as native

    kernel = _try_compiling(native.native_convolution, plan.algorithm, plan.shape.dtype)
    return kernel if plan.phases is None or kernel is not None else _try_compiling(copying.copies_library)


@lru_cache(maxsize=64)
def _try_compiling(load: Callable[..., object], *arguments: Hashable) -> str | None:
    try:
        load(*arguments)
    except BuildError as error:
        return f"no native kernel: {str(error).partition(chr(10))[0]}"
    return None


_warned: list[str] = []


def _warn_once(lack: str) -> None:
    if not _warned:
        _warned.append(lack)
        warnings.warn(f"{lack}; torch's own operations run instead", RuntimeWarning, stacklevel=2)
