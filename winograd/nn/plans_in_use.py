"""The plans that one layer has in use, and the weights transformed for them.

In: plans by the circumstances that they were made for. Out: the plan of a call, its transformed weight. No more than
`MAX_PLANS` stay; the oldest goes first.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from torch import Tensor

from winograd.conv.gpu.streams import may_be_kept
from winograd.conv.gradient.record import GradientPlan
from winograd.conv.library.kept import Stamp
from winograd.conv.plan.record import Plan
from winograd.conv.running.packing import is_settled, pack_for_plan
from winograd.conv.tensors.layout import Layout

if TYPE_CHECKING:
    from winograd.conv.running.packing import Packed

MAX_PLANS: Final = 32
"""Plans, and with them transformed weights, that one layer keeps."""


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


class PlansInUse:
    """The plans of one layer, oldest first."""

    def __init__(self) -> None:
        self._uses: dict[tuple[Any, ...], PlanInUse] = {}

    def __iter__(self) -> Iterator[PlanInUse]:
        return iter(list(self._uses.values()))

    def find(self, key: tuple[Any, ...]) -> PlanInUse | None:
        """Return the plan for these circumstances, if there is one.

        Raises
        ------
        TypeError
            If the key holds what cannot be told from others, such as symbols for sizes.
        """
        return self._uses.get(key)

    def keep(self, key: tuple[Any, ...], use: PlanInUse) -> int:
        """Keep a plan for these circumstances, and return how many others went for it."""
        self._uses[key] = use
        gone = list(self._uses)[:-MAX_PLANS]
        for oldest in gone:
            self._uses.pop(oldest, None)
        return len(gone)

    def snapshot(self) -> Callable[[], None]:
        """Return a function after which the plans are those of now."""
        uses = dict(self._uses)

        def put_back() -> None:
            self._uses = uses

        return put_back

    def drop_packed(self) -> None:
        """Drop the transformed weights."""
        for use in self:
            use.kept = None

    @property
    def packed_bytes(self) -> int:
        """Bytes of the transformed weights that are kept."""
        kept = {id(packed): packed for use in self if (packed := use.packed) is not None}
        return sum(packed.nbytes for packed in kept.values())

    def pack(
        self, use: PlanInUse, weight: Tensor, made: Callable[[Tensor], Packed | None] | None = None
    ) -> Packed | None:
        """Return the weight transformed for a plan, now unless that was done, for it or for one that reads it too.

        What is returned was made of this weight, whatever other threads keep or drop meanwhile. What a CUDA graph that
        is captured makes is computed when the graph is run, and not kept; nor is that a card has too little
        memory now.
        """
        kept = use.kept
        if kept is None or not kept.stamp.is_of(weight):
            stamp = Stamp(weight)  # before the weight is read: a write meanwhile shows
            transform = partial(pack_for_plan, use.plan) if made is None else made
            kept = self._kept_for(use, weight)
            if kept is None and not may_be_kept(weight):
                return transform(weight)
            kept = kept or _Kept(transform(weight), stamp)
            if is_settled(use.plan, kept.packed):
                use.kept = kept
        return kept.packed

    def _kept_for(self, use: PlanInUse, weight: Tensor) -> _Kept | None:
        """Return the weight as it was transformed for a plan of another size that transforms it alike."""
        for other in self:
            kept = other.kept
            if kept is not None and _packs_alike(use, other) and kept.stamp.is_of(weight):
                return kept
        return None


def _packs_alike(one: PlanInUse, other: PlanInUse) -> bool:
    """Return whether both plans transform a weight by the same algorithm, split into the same phases."""
    if one.plan.algorithm is None or one.plan.algorithm != other.plan.algorithm or one.manner != other.manner:
        return False
    plans = (one.plan, other.plan)
    manners = [(plan.shape.stride, plan.shape.dilation, plan.shape.groups, plan.filter_form) for plan in plans]
    return manners[0] == manners[1]
