"""Kept filters: weights transformed once, for calls that know the weight only as a tensor, as compiled code does.

In: a weight that its owner promises not to change unseen, and a plan. Out: the weight as `pack_for_plan` makes it, made
anew after every write that torch counts. Refused: weights to which torch does not count all writes, and all weights
while a CUDA graph is captured; nothing of them is kept, nor is that a card had too little memory. A filter goes when
its weight's memory does.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

import torch
from torch.multiprocessing.reductions import StorageWeakRef

from winograd.conv.gpu.streams import may_be_kept
from winograd.conv.plan.record import Plan
from winograd.conv.running.packing import is_settled
from winograd.conv.tensors.layout import read_address

Tensor = torch.Tensor

Made = TypeVar("Made")

MOST: Final = 32
"""Filters that are kept of one weight; the oldest goes first."""


class Stamp:
    """What tells one content of a weight from another, as far as torch does: its memory, and how often it was written.

    The weak reference keeps the identity of the memory, not the memory: other memory at the same address differs.

    Examples
    --------
    >>> weight = torch.zeros(2)
    >>> stamp = Stamp(weight)
    >>> stamp.is_of(weight), stamp.is_of(weight.clone()), stamp.is_of(weight.add_(1))
    (True, False, False)
    """

    __slots__ = ("_facts", "_storage", "_tensor")

    def __init__(self, weight: Tensor) -> None:
        self._storage = StorageWeakRef(weight.untyped_storage())  # type: ignore[no-untyped-call]
        self._facts = _facts(weight)
        self._tensor = weakref.ref(weight)

    def is_of(self, weight: Tensor) -> bool:
        """Whether it is the same tensor, in the same memory, and was not written since.

        Two tensors may share memory, each with its own count of writes.
        """
        # The same tensor first: what stands for it in a transform, as under vmap, has no memory to look at.
        if self._tensor() is not weight:
            return False
        return self._storage.cdata == weight.untyped_storage()._cdata and self._facts == _facts(weight)

    @property
    def is_gone(self) -> bool:
        """Whether the tensor is no more, or its memory was given back."""
        return self._tensor() is None or bool(self._storage.expired())  # type: ignore[no-untyped-call]


def _facts(weight: Tensor) -> tuple[Any, ...]:
    content = weight._version, read_address(weight), weight.dtype, weight.is_neg()
    return *content, weight.shape, weight.stride()


def hides_writes(weight: Tensor) -> bool:
    """Return whether torch does not count all writes to a weight.

    It counts none to an inference tensor, nor those of a fused optimiser, whose step a gradient announces.
    """
    return weight.is_inference() or weight.grad is not None


class KeptFilters(Generic[Made]):
    """Transformed weights by weight and by how they were transformed, the same for every thread.

    Examples
    --------
    >>> import winograd
    >>> plan = winograd.plan_conv((1, 64, 8, 28, 28), (64, 64, 3, 3, 3), padding=1)
    >>> kept, weight = KeptFilters(), torch.zeros(64, 64, 3, 3, 3)
    >>> made = [kept.find(plan, weight, lambda: object()) for _ in range(2)]
    >>> made[0] is made[1], kept.find(plan, weight.add_(1), lambda: object()) is made[0]
    (True, False)
    """

    def __init__(self) -> None:
        self._made: dict[int, dict[tuple[Any, ...], tuple[Stamp, Made]]] = {}
        self._lock = threading.Lock()

    def find(self, plan: Plan, weight: Tensor, make: Callable[[], Made]) -> Made:
        """Return what was made of this content of the weight for such a plan, made now unless it was before."""
        if hides_writes(weight):
            self.drop(weight)
            return make()
        manner = _manner(plan)
        kept = self._made.get(id(weight), {}).get(manner)
        if kept is not None and kept[0].is_of(weight):
            return kept[1]
        if not may_be_kept(weight):
            return make()
        stamp = Stamp(weight)  # before the weight is read: a write meanwhile shows
        made = make()
        if not is_settled(plan, made):
            return made
        with self._lock:
            self._purge()
            others = self._made.get(id(weight), {})
            current = {key: entry for key, entry in others.items() if key != manner and entry[0].is_of(weight)}
            kept_ones = [*current.items(), (manner, (stamp, made))]
            self._made[id(weight)] = dict(kept_ones[-MOST:])  # replaced whole: readers need no lock
        return made

    def drop(self, weight: Tensor) -> None:
        """Forget what was made of a weight."""
        if id(weight) in self._made:
            with self._lock:
                self._made.pop(id(weight), None)

    def _purge(self) -> None:
        """Forget what was made of weights that are no more."""
        for identity, made in list(self._made.items()):
            if all(stamp.is_gone for stamp, _ in made.values()):
                del self._made[identity]

    def __len__(self) -> int:
        return sum(map(len, self._made.values()))


def _manner(plan: Plan) -> tuple[Any, ...]:
    """Return how a plan transforms a weight; direct convolution packs for one shape."""
    shape = plan.shape
    if plan.algorithm is None:
        return (shape,)
    return plan.algorithm, shape.dtype, shape.stride, shape.dilation, shape.groups, plan.filter_form
