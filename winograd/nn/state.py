"""What a planned convolution has beyond torch's: its settings, its plans, and weights transformed for them.

In: settings. Out: plans, as they are made at the first forward of each shape. Refused: settings that are none. Plans
and transformed weights never enter state_dict, copies or pickles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from winograd.algebra.serialise import from_json, to_json
from winograd.conv.arguments import Algorithm
from winograd.conv.choosing.prediction import checked_tolerance
from winograd.conv.choosing.selection import Filters
from winograd.conv.gradient.record import GradientPlan
from winograd.conv.library.execution import kept_filters
from winograd.conv.library.kept import hides_writes
from winograd.conv.limits import limits_or_default
from winograd.conv.plan.record import Plan
from winograd.conv.planning.tuning_mode import Tuning, TuningName, checked_tuning
from winograd.conv.running.decisions import Decisions
from winograd.nn.plans_in_use import PlanInUse, PlansInUse
from winograd.nn.recipes import found, from_recipe

if TYPE_CHECKING:
    from winograd.nn.folding.folding import Folding

Convolution = _ConvNd
"""What torch's convolutions have in common."""


class SharedBudget(NamedTuple):
    """How the tolerances of several layers were chosen, an `OutputBudget`, and how many layers have this."""

    budget: Any
    holders: int

    def __reduce__(self) -> tuple[Any, ...]:
        return from_recipe, ("SharedBudget", *self)


class LayerState:
    """What a planned convolution has beyond torch's: its settings, and the plans and transformed weights in use.

    Copies and pickles carry the settings only, and what is folded into the layer: ``folding`` is what it computes
    beside itself, ``folds`` names that, or says why it is nothing; see `winograd.nn.folding`. ``budget`` is how
    tolerances were chosen, if that was for the output of a model, until one is changed; ``unseen`` why an example led
    to no plan; ``reverted`` whether the layer has its class back.

    Parameters
    ----------
    tolerance : float or None
        Allowed relative L2 error of the layer; None takes that of the dtype it runs with.
    algorithm : BilinearAlgorithm, NestedAlgorithm or "direct", optional
        Forces this one.
    original : type, optional
        The class before conversion; None for a layer that was built as a planned one.
    filters : Filters or str
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
        filters: Filters | str = Filters.LIVE,
        workspace_cap: int | None = None,
        filter_cap: int | None = None,
        tuning: Tuning | TuningName = Tuning.MODEL,
    ) -> None:
        self.tuning = checked_tuning(tuning)
        self.tolerance = checked_tolerance(tolerance)
        self.algorithm = algorithm
        self.original = original
        self.filters = Filters(filters)
        limits_or_default(workspace_cap, filter_cap)  # refuses what are no limits
        self.workspace_cap = workspace_cap
        self.filter_cap = filter_cap
        self.folding: Folding | None = None
        self.folds = ""
        self.budget: SharedBudget | None = None
        self.unseen = ""
        self.reverted = False
        self._uses = PlansInUse()
        self._own = Decisions()

    def __reduce__(self) -> tuple[Any, ...]:
        settings = {
            "tolerance": self.tolerance,
            "original": self.original,
            "filters": self.filters.value,
            "workspace_cap": self.workspace_cap,
            "filter_cap": self.filter_cap,
            "tuning": self.tuning.value,
            **_written(self.algorithm),
        }
        # The modules of a folding refer to it in turn, so that it is filled in when all of them are there.
        filled_in = {"folding": self.folding, "folds": self.folds, "budget": self.budget}
        return from_recipe, ("restored_state", type(self).__name__, settings), filled_in

    @property
    def plans(self) -> tuple[Plan, ...]:
        """The plans made so far, oldest first."""
        return tuple(use.plan for use in self._uses)

    @property
    def gradient_plans(self) -> tuple[GradientPlan, ...]:
        """The plans of gradients of input and weight made so far, oldest first."""
        return tuple(plan for use in self._uses for plan in use.gradients)

    @property
    def packed_bytes(self) -> int:
        """Bytes of the transformed weights that are kept."""
        return self._uses.packed_bytes

    def limit(self, workspace_cap: int | None, filter_cap: int | None) -> None:
        """Take these limits on memory, and drop what was planned and transformed under the old ones."""
        limits_or_default(workspace_cap, filter_cap)
        self.workspace_cap, self.filter_cap = workspace_cap, filter_cap
        self._forget()

    def tolerate(self, tolerance: float | None) -> None:
        """Take another tolerance, None for that of the dtype, and drop what was planned under the old one."""
        self.tolerance = checked_tolerance(tolerance)
        self.budget = None
        self._forget()

    def change(
        self,
        *,
        algorithm: Algorithm | None = None,
        filters: Filters | None = None,
        tuning: Tuning | None = None,
    ) -> None:
        """Take new settings, those that are not None, and drop what was planned and transformed under the old ones."""
        if algorithm is not None:
            self.algorithm, self.budget = algorithm, None
        self.filters = self.filters if filters is None else filters
        self.tuning = self.tuning if tuning is None else tuning
        self._forget()

    def plan_ahead(self, layer: Convolution, sizes: tuple[int, ...]) -> None:
        """Make the plan for an input of these sizes, as the first forward without gradients would.

        Parameters
        ----------
        layer : Convolution
            The layer that this is the state of; its weight has a shape.
        sizes : tuple of int
            (N, C, sizes...) or (C, sizes...), as torch's convolution takes them.

        Raises
        ------
        TypeError, ValueError
            If that is no input of the layer.
        """
        raise NotImplementedError

    def snapshot(self) -> Callable[[], None]:
        """Return a function that gives this the settings and plans that it has now."""
        settings, plans = dict(vars(self)), self._uses.snapshot()

        def put_back() -> None:
            vars(self).update(settings)
            plans()
            self._own.forget()

        return put_back

    def let_go(self, layer: Convolution) -> None:
        """Drop all that is kept of the weights: torch swaps no tensor that something refers to, be it weakly."""
        self._uses.drop_packed()
        weight = layer._parameters.get("weight")
        if weight is not None:
            kept_filters.drop(weight)
        if self.folding is not None:
            self.folding.let_go()

    def retire(self) -> None:
        """Say that the layer is as it was before the conversion; plans stay for reports, no memory stays with them."""
        self.reverted = True
        self._uses.drop_packed()

    def _remember(self, key: tuple[Any, ...], use: PlanInUse) -> None:
        if self._uses.keep(key, use):
            self._own.forget()

    def _forget(self) -> None:
        self._uses, self._own = PlansInUse(), Decisions()


def restored_state(kind: str, settings: Mapping[str, Any]) -> LayerState:
    """Return the state of a kind that a file has these settings of."""
    algorithm = {"algorithm": _read(settings["algorithm_json"])} if "algorithm_json" in settings else {}
    given = {name: value for name, value in settings.items() if name != "algorithm_json"}
    state: LayerState = found(kind)(**given, **algorithm)
    return state


def _written(algorithm: Algorithm | None) -> dict[str, Any]:
    """Return a forced algorithm as a setting: as JSON text, or as it is where it has none."""
    if algorithm is None or isinstance(algorithm, str):
        return {"algorithm": algorithm}
    try:
        return {"algorithm_json": to_json(algorithm)}
    except (NotImplementedError, TypeError):  # it cannot run either, which the first forward says
        return {"algorithm": algorithm}


_read: Final = lru_cache(maxsize=64)(from_json)


def is_watched(layer: Convolution, weight: Tensor) -> bool:
    """Return whether this weight may be kept transformed.

    A weight that is no parameter of the layer is computed for each call, by a weight norm for example.
    """
    if weight is not layer._parameters.get("weight") or not isinstance(weight, nn.Parameter):
        return False
    return not hides_writes(weight) and not (weight.requires_grad and torch.is_grad_enabled())


def refuse_quantised(input: Tensor) -> None:
    """Refuse what a quantised layer gave: torch's quantisation has no place for layers with a plan, and leaves them.

    Raises
    ------
    RuntimeError
        If the input is quantised.
    """
    if input.is_quantized:
        raise RuntimeError(
            f"input is {input.dtype}, the convolution is not quantised: torch.ao.quantization leaves converted layers "
            "as they are; give it winograd.revert_(model), or set qconfig = None for these layers and dequantise"
        )
