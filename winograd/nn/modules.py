"""torch's convolutions with a plan: subclasses with the same parameters, state_dict and constructor.

In: what torch.nn's convolutions take, a tolerance and perhaps an algorithm. Out: their output, by the fastest algorithm
whose predicted error is tolerated, on CPU tensors of floating dtypes, gradients included; torch's own for the rest.
Compiled and exported programs get torch's operator for our convolution. Plans are made at the first forward of each
shape and kept. They never enter state_dict, copies or pickles.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from inspect import Signature, signature
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import NestedAlgorithm
from winograd.conv.arguments import ConvArguments
from winograd.conv.calls import (
    LITTLE_SAVED,
    call_operator,
    gradient_plans,
    is_recordable,
    is_recorded,
    is_worth_an_operator,
)
from winograd.conv.direct import FUNCTIONS
from winograd.conv.dispatch import OWN, Decisions, are_strided, are_tensors, as_tuples, needs_gradient, wanted_gradients
from winograd.conv.epilogue import finish
from winograd.conv.gradient.record import Gradient, GradientPlan
from winograd.conv.layout import Layout, torchs_layout
from winograd.conv.library.execution import Asked
from winograd.conv.library.kept import Stamp, hides_writes
from winograd.conv.library.written import algorithm_text
from winograd.conv.limits import limits_or_default, memory_limits
from winograd.conv.operator import (
    UNREADABLE,
    operator_obstacle,
    pack_for_plan,
    read_shape,
    run_plan,
    runnable_plan,
    torchs_own_layouts,
)
from winograd.conv.plan import Backend, Filters, Plan
from winograd.conv.prediction import checked_tolerance, default_tolerance
from winograd.conv.shape import ConvShape
from winograd.conv.switch import Direct, is_direct, is_enabled
from winograd.conv.tuning import tuned_plan
from winograd.conv.tuning_mode import Tuning, TuningName, checked_tuning

if TYPE_CHECKING:
    from winograd.conv.operator import Packed
    from winograd.nn.folding.folding import Folding

Algorithm = BilinearAlgorithm | NestedAlgorithm | Direct

Convolution = _ConvNd
"""What torch's convolutions have in common."""

_is_exporting: Final[Callable[[], bool]] = getattr(torch.compiler, "is_exporting", bool)
"""Whether torch.export records, which leaves out differentiation; older torch cannot tell."""

MAX_PLANS: Final = 32
"""Plans, and with them transformed weights, that one layer keeps; the oldest goes first."""


class _Kept(NamedTuple):
    """A transformed weight, with the stamp of the weight at that time: threads see both or neither."""

    packed: Packed | None
    stamp: Stamp


@dataclass(slots=True)
class PlanInUse:
    """One plan in use, where torch's own convolution is all it comes to, and the weight transformed for it.

    The manner is how the taps of the weight are put in order before they are transformed. The plans of gradients are
    those of calls that are differentiated; where it is worth that, torch's operators for our convolution compute them.
    """

    plan: Plan
    own_layouts: tuple[Layout, ...]
    manner: Hashable = None
    gradients: tuple[GradientPlan, ...] = ()
    by_operator: bool = False
    kept: _Kept | None = None

    @property
    def packed(self) -> Packed | None:
        """The transformed weight."""
        kept = self.kept
        return None if kept is None else kept.packed


class LayerState:
    """What a planned convolution has beyond torch's: its settings, and the plans and transformed weights in use.

    Copies and pickles carry the settings only, and what is folded into the layer: ``folding`` is what it computes
    beside itself, ``folds`` names that, or says why it is nothing; see `winograd.nn.folding`.

    Parameters
    ----------
    tolerance : float or None
        Allowed relative L2 error of the layer; None takes that of the dtype it runs with.
    algorithm : BilinearAlgorithm, NestedAlgorithm or "direct", optional
        Forces this one.
    original : type, optional
        The class before conversion; None for a layer that was built as a planned one.
    filters : Filters
        FROZEN keeps transformed weights.
    workspace_cap, filter_cap : int, optional
        Limits on memory in bytes, see `winograd.conv.limits`; None takes those of the process.
    tuning : Tuning or str
        "measure" times candidates at the first forward of each shape, see `winograd.conv.tuning`.
    """

    def __init__(
        self,
        tolerance: float | None = None,
        algorithm: Algorithm | None = None,
        original: type[Convolution] | None = None,
        filters: Filters = Filters.LIVE,
        workspace_cap: int | None = None,
        filter_cap: int | None = None,
        tuning: Tuning | TuningName = Tuning.MODEL,
    ) -> None:
        self.tuning = checked_tuning(tuning)
        self.tolerance = checked_tolerance(tolerance)
        self.algorithm = algorithm
        self.original = original
        self.filters = filters
        limits_or_default(workspace_cap, filter_cap)  # refuses what are no limits
        self.workspace_cap = workspace_cap
        self.filter_cap = filter_cap
        self.folding: Folding | None = None
        self.folds = ""
        self._uses: dict[tuple[Any, ...], PlanInUse] = {}
        self._own = Decisions()

    def __reduce__(self) -> tuple[Any, ...]:
        settings = (self.tolerance, self.algorithm, self.original, self.filters)
        more = (self.workspace_cap, self.filter_cap, self.tuning)
        # The modules of a folding refer to it in turn, so that it is filled in when all of them are there.
        return type(self), (*settings, *more), {"folding": self.folding, "folds": self.folds}

    @property
    def plans(self) -> tuple[Plan, ...]:
        """The plans made so far, oldest first."""
        return tuple(use.plan for use in self._uses.values())

    @property
    def gradient_plans(self) -> tuple[GradientPlan, ...]:
        """The plans of gradients of input and weight made so far, oldest first."""
        return tuple(plan for use in self._uses.values() for plan in use.gradients)

    @property
    def packed_bytes(self) -> int:
        """Bytes of the transformed weights that are kept."""
        kept = {id(packed): packed for use in list(self._uses.values()) if (packed := use.packed) is not None}
        return sum(packed.nbytes for packed in kept.values())

    def limit(self, workspace_cap: int | None, filter_cap: int | None) -> None:
        """Take these limits on memory, and drop what was planned and transformed under the old ones."""
        limits_or_default(workspace_cap, filter_cap)
        self.workspace_cap, self.filter_cap = workspace_cap, filter_cap
        self._forget()

    def tolerate(self, tolerance: float | None) -> None:
        """Take another tolerance, None for that of the dtype, and drop what was planned under the old one."""
        self.tolerance = checked_tolerance(tolerance)
        self._forget()

    def change(
        self,
        *,
        algorithm: Algorithm | None = None,
        filters: Filters | None = None,
        tuning: Tuning | None = None,
    ) -> None:
        """Take new settings, those that are not None, and drop what was planned and transformed under the old ones."""
        self.algorithm = self.algorithm if algorithm is None else algorithm
        self.filters = self.filters if filters is None else filters
        self.tuning = self.tuning if tuning is None else tuning
        self._forget()

    def convolve(self, layer: Convolution, input: Tensor, weight: Tensor, bias: Tensor | None, padding: Any) -> Tensor:
        """Convolve with the stride, dilation and groups of the layer, by the plan for this shape.

        What is folded into the layer is computed, too, unless it is to compute itself in this call.
        """
        if not are_tensors(input, weight, bias) or not are_strided(input, weight, bias):
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
            self._drop_packed()
        autocasts = torch.is_autocast_enabled("cpu")
        more = (autocasts, watched, watched and _are_contiguous(input, weight))
        if self._own.find(input, weight, bias, geometry, *more) is OWN:
            return finish(_torch_own(layer, input, weight, bias, padding), relu=relu)
        obstacle = operator_obstacle(input, weight, bias)
        wanted = wanted_gradients(input, weight) if needs_gradient(input, weight, bias) else None
        tensors = tuple(None if x is None else (x.shape, x.dtype) for x in (input, weight, bias))
        around = (torch.backends.mkldnn.enabled, torch.get_num_threads(), memory_limits(), is_enabled())
        key = (tensors, geometry, filters, obstacle, wanted, *around)
        try:
            use = self._uses.get(key)
        except TypeError:  # sizes are symbols
            return finish(self.record(layer, input, weight, bias, padding), relu=relu)
        if use is None:
            try:
                shape = read_shape(input, weight, bias, _arguments(layer, padding), ndim=weight.ndim - 2)
            except UNREADABLE:
                return finish(_torch_own(layer, input, weight, bias, padding), relu=relu)
            use = self._settled(shape, weight, filters, obstacle, wanted)
            self._remember(key, use)
        if use.by_operator:
            output = call_operator(input, weight, bias, _arguments(layer, padding), self._asked(watched))
            return finish(output, relu=relu)
        is_own = bool(use.own_layouts) and torchs_layout(input, weight) in use.own_layouts
        if is_own and (obstacle is None or (autocasts and wanted is not None)):
            self._own.keep(OWN, input, weight, bias, geometry, *more)
        packs = watched and obstacle is None and use.plan.filters is Filters.FROZEN and not is_own
        packed = self._packed(use, weight) if packs else None
        return run_plan(use.plan, input, weight, bias, packed=packed, relu=relu)

    def record(self, layer: Convolution, input: Tensor, weight: Tensor, bias: Tensor | None, padding: Any) -> Tensor:
        """Convolve where a program is recorded: by the operator, by torch's own where Winograd cannot be worth it."""
        arguments, forced = _arguments(layer, padding), self.algorithm is not None
        traced = not torch.compiler.is_compiling() and torch._C._get_tracing_state() is not None
        if is_direct(self.algorithm) or traced:
            return _torch_own(layer, input, weight, bias, padding)
        if not is_recordable(input, weight, bias, arguments, len(layer.kernel_size), forced=forced):
            return _torch_own(layer, input, weight, bias, padding)
        trains = weight.requires_grad and torch.is_grad_enabled() and not _is_exporting()
        keeps = self.filters is Filters.FROZEN and not trains
        asked = self._asked(keeps and isinstance(weight, nn.Parameter))
        return call_operator(input, weight, bias, arguments, asked)

    def _asked(self, kept: bool) -> Asked:
        measured = self.tuning is Tuning.MEASURE
        return Asked(
            self.tolerance, algorithm_text(self.algorithm), kept, measured, self.workspace_cap, self.filter_cap
        )

    def _settled(
        self,
        shape: ConvShape,
        weight: Tensor,
        filters: Filters,
        obstacle: str | None,
        wanted: tuple[Gradient, ...] | None,
    ) -> PlanInUse:
        """Return who computes a shape, and these gradients of it if it is differentiated."""
        plan = self._planned(shape, filters, obstacle)
        if wanted is None or obstacle is not None or plan.backend is Backend.COMPOSED:
            return PlanInUse(plan, torchs_own_layouts(plan, weight))
        gradients = gradient_plans(
            wanted,
            shape,
            tolerance=self.tolerance,
            algorithm=self.algorithm,
            workspace_cap=self.workspace_cap,
            filter_cap=self.filter_cap,
        )
        forced = self.algorithm is not None and not is_direct(self.algorithm)
        if is_worth_an_operator(plan, gradients, forced=forced):
            return PlanInUse(plan, (), gradients=gradients, by_operator=True)
        own = plan if plan.backend is Backend.DIRECT else self._planned(shape, filters, LITTLE_SAVED)
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

    def _remember(self, key: tuple[Any, ...], use: PlanInUse) -> None:
        self._uses[key] = use
        for oldest in list(self._uses)[:-MAX_PLANS]:
            self._uses.pop(oldest, None)
            self._own.forget()

    def _forget(self) -> None:
        self._uses = {}
        self._own.forget()

    def _packed(
        self, use: PlanInUse, weight: Tensor, pack: Callable[[Tensor], Packed | None] | None = None
    ) -> Packed | None:
        """Return the weight transformed for the plan, now unless that was done, for this plan or one that reads it too.

        What is returned was made of this weight, whatever other threads keep or drop meanwhile.
        """
        kept = use.kept
        if kept is None or not kept.stamp.is_of(weight):
            stamp = Stamp(weight)  # before the weight is read: a write meanwhile shows
            made = partial(pack_for_plan, use.plan) if pack is None else pack
            kept = self._kept_for(use, weight) or _Kept(made(weight), stamp)
            use.kept = kept
        return kept.packed

    def _kept_for(self, use: PlanInUse, weight: Tensor) -> _Kept | None:
        """Return the weight as it was transformed for a plan of another size that transforms it alike."""
        for other in list(self._uses.values()):
            kept = other.kept
            if kept is not None and _packs_alike(use, other) and kept.stamp.is_of(weight):
                return kept
        return None

    def _drop_packed(self) -> None:
        for use in list(self._uses.values()):
            use.kept = None


def _packs_alike(one: PlanInUse, other: PlanInUse) -> bool:
    """Return whether both plans transform a weight by the same algorithm, split into the same phases."""
    if one.plan.algorithm is None or one.plan.algorithm != other.plan.algorithm or one.manner != other.manner:
        return False
    geometries = [(plan.shape.stride, plan.shape.dilation, plan.shape.groups) for plan in (one.plan, other.plan)]
    return geometries[0] == geometries[1]


def is_watched(layer: Convolution, weight: Tensor) -> bool:
    """Return whether this weight may be kept transformed.

    A weight that is no parameter of the layer is computed for each call, by a weight norm for example.
    """
    if weight is not layer._parameters.get("weight") or not isinstance(weight, nn.Parameter):
        return False
    return not hides_writes(weight) and not (weight.requires_grad and torch.is_grad_enabled())


def _are_contiguous(input: Tensor, weight: Tensor) -> bool:
    """Return whether both lie channels first in memory, which decides whether a packed weight is faster."""
    strided = input.layout is torch.strided and weight.layout is torch.strided
    return strided and input.is_contiguous() and weight.is_contiguous()


def _arguments(layer: Convolution, padding: Any) -> ConvArguments:
    return ConvArguments(layer.stride, padding, layer.dilation, layer.groups)


def _torch_own(layer: Convolution, input: Tensor, weight: Tensor, bias: Tensor | None, padding: Any) -> Tensor:
    return FUNCTIONS[len(layer.kernel_size)](input, weight, bias, layer.stride, padding, layer.dilation, layer.groups)


class PlannedConvolution(Convolution):
    """Mixed in before one of torch's convolutions: replaces the narrow ``_conv_forward``, and nothing else."""

    _winograd: LayerState
    _state_class: ClassVar[type[LayerState]] = LayerState

    @property
    def tolerance(self) -> float:
        """Allowed relative L2 error of this layer; plans are made anew when it is set, None takes that of the dtype."""
        asked, weight = self._winograd.tolerance, getattr(self, "weight", None)
        dtype = str(getattr(weight, "dtype", "float32")).removeprefix("torch.")
        return default_tolerance(dtype) if asked is None else asked

    @tolerance.setter
    def tolerance(self, value: float | None) -> None:
        self._winograd.tolerate(value)

    @property
    def algorithm(self) -> Algorithm | None:
        """The forced algorithm, or None where the plan chooses."""
        return self._winograd.algorithm

    @property
    def plans(self) -> tuple[Plan, ...]:
        """The plans made so far, one per shape, oldest first."""
        return self._winograd.plans

    @property
    def gradient_plans(self) -> tuple[GradientPlan, ...]:
        """The plans of the gradients that were asked for, of each shape that was differentiated, oldest first."""
        return self._winograd.gradient_plans

    def __prepare_scriptable__(self) -> Convolution:
        """Refuse `torch.jit.script`, which would put what is returned here into the model in place of the layer.

        Raises
        ------
        RuntimeError
            Always.
        """
        raise RuntimeError(
            f"torch.jit.script has no {type(self).__name__} with a plan, "
            "give it winograd.revert_(copy.deepcopy(model)), or use torch.export"
        )

    def extra_repr(self) -> str:
        """Return torch's description, the tolerance and the newest plan."""
        newest = f", plan={self.plans[-1]!r}" if self.plans else ""
        return f"{super().extra_repr()}, tolerance={self.tolerance:g}{newest}"  # type: ignore[no-untyped-call]

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            input = nn.functional.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            padding = 0
        if is_recorded():
            return self._winograd.record(self, input, weight, bias, padding)
        return self._winograd.convolve(self, input, weight, bias, padding)


class Built(PlannedConvolution):
    """A planned convolution built as such, by its constructor."""

    def __init__(
        self,
        *args: Any,
        tolerance: float | None = None,
        algorithm: Algorithm | None = None,
        tuning: TuningName = "model",
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._winograd = self._state_class(tolerance, algorithm, tuning=tuning)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        # What torch.nn.utils.skip_init reads: torch's own parameters, ``device`` among them, and ours.
        super().__init_subclass__(**kwargs)
        given = list(signature(cls.__init__).parameters.values())
        if cls.__init__ is Built.__init__:
            others = [base for base in cls.__mro__ if not issubclass(base, PlannedConvolution)]
            torchs = next(base for base in others if base.__module__.startswith("torch."))
            own = [one for one in given if one.kind is one.KEYWORD_ONLY]
            given = [given[0], *signature(torchs).parameters.values(), *own]
        cls.__signature__ = Signature(given[1:])  # type: ignore[attr-defined]


class Conv1d(Built, nn.Conv1d):
    """`torch.nn.Conv1d` by plan; see `Conv3d`."""


class Conv2d(Built, nn.Conv2d):
    """`torch.nn.Conv2d` by plan; see `Conv3d`."""


class Conv3d(Built, nn.Conv3d):
    """`torch.nn.Conv3d` by plan: same parameters, state_dict and results up to the tolerance.

    Parameters
    ----------
    *args, **kwargs
        As `torch.nn.Conv3d`.
    tolerance : float, optional
        Allowed relative L2 error against exact arithmetic, as predicted for independent zero-mean inputs; that of
        the dtype that it runs with if None: 1e-5, and 1.9e-14 for float64.
    algorithm : BilinearAlgorithm, NestedAlgorithm or "direct", optional
        Forces this one, whatever its error and speed; "direct" switches Winograd off for this layer.
    tuning : "model" or "measure"
        How candidates are compared: by the cost model, or timed on this machine at the first forward of each shape.

    Raises
    ------
    TypeError
        If the tolerance is no number.
    ValueError
        If the tolerance is not above 0, or tuning is another word; at the first forward if the algorithm does not fit
        the weight.

    Examples
    --------
    >>> layer = Conv3d(4, 8, 3, padding=1, tolerance=1e-6)
    >>> layer
    Conv3d(4, 8, kernel_size=(3, 3, 3), stride=(1, 1, 1), padding=(1, 1, 1), tolerance=1e-06)
    >>> sorted(layer.state_dict())
    ['bias', 'weight']
    """
