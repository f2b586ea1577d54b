"""Decisions: calls whose facts were seen before, recognised before anything is read or planned again.

In: tensors and the arguments of a convolution. Out: what was decided for such a call, if anything was. A decision is
kept by all facts that it was made from: sizes, dtypes, devices, arguments, threads, limits, switches. Finding one takes
some two microseconds, which is what a tiny convolution pays for having a plan.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

import torch

from winograd.conv.gpu.device import pretended_card
from winograd.conv.limits import memory_limits
from winograd.conv.plan.record import Plan
from winograd.conv.switch import is_enabled
from winograd.conv.tensors.facts import are_tensors, needs_gradient
from winograd.conv.tensors.forked import has_lost_threads

Tensor = torch.Tensor


MOST: Final = 4096
"""Calls that are remembered; then all are forgotten."""


Arguments = tuple[Hashable, ...]


class Own:
    """Says that a call goes to torch's own convolution as it came."""


OWN: Final = Own()


class ByOperator:
    """Says that a call goes to torch's operator for our convolution, which can be differentiated."""


BY_OPERATOR: Final = ByOperator()


Decision = Plan | Own | ByOperator


class Decisions:
    """What was decided for calls by their facts.

    Examples
    --------
    >>> decisions, image, weight = Decisions(), torch.zeros(1, 2, 5), torch.zeros(4, 2, 3)
    >>> decisions.keep(OWN, image, weight, None, (1, 0, 1, 1))
    >>> decisions.find(image, weight, None, (1, 0, 1, 1)) is OWN
    True
    >>> decisions.find(image, weight.double(), None, (1, 0, 1, 1)) is None
    True
    """

    __slots__ = ("_made",)

    def __init__(self) -> None:
        self._made: dict[tuple[Hashable, ...], Decision] = {}

    def find(
        self, input: Tensor, weight: Tensor, bias: Tensor | None, arguments: Arguments, *more: Hashable
    ) -> Decision | None:
        """Return what was decided for such a call; None if nothing was, or if the call cannot be told from others."""
        if not are_tensors(input, weight, bias):
            return None
        try:
            decision = self._made.get(_call_key(input, weight, bias, arguments, more))
        except TypeError:  # an argument that is neither number nor tuple, sizes that are symbols
            return None
        if decision is None or has_lost_threads():
            return None
        return decision if decision is OWN or _are_plain(arguments) else None

    def keep(
        self,
        decision: Decision,
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        arguments: Arguments,
        *more: Hashable,
    ) -> None:
        """Remember what was decided for such a call, if it can be told from others."""
        if len(self._made) >= MOST:
            self.forget()
        try:
            self._made[_call_key(input, weight, bias, arguments, more)] = decision
        except TypeError:
            return

    def forget(self) -> None:
        """Drop all decisions."""
        self._made.clear()


def as_tuples(arguments: Arguments) -> Arguments:
    """Return arguments with tuples for lists, which torch takes alike and no key can hold.

    Examples
    --------
    >>> as_tuples((1, [2, 2], (0, 0), 1))
    (1, (2, 2), (0, 0), 1)
    """
    if list not in map(type, arguments):
        return arguments
    return tuple(tuple(one) if isinstance(one, list) else one for one in arguments)


def _call_key(
    input: Tensor, weight: Tensor, bias: Tensor | None, arguments: Arguments, more: Arguments
) -> tuple[Hashable, ...]:
    return (
        input.shape,
        input.dtype,
        input.device,
        weight.shape,
        weight.dtype,
        weight.device,
        None if bias is None else (bias.shape, bias.dtype, bias.device),
        arguments,
        needs_gradient(input, weight, bias),
        (input.requires_grad, weight.requires_grad),
        torch.get_num_threads(),
        torch._C._get_mkldnn_enabled(),
        memory_limits(),
        is_enabled(),
        pretended_card(),
        more,
    )


def _are_plain(arguments: Arguments) -> bool:
    """Return whether the arguments are what they equal: torch refuses 1.0, which equals 1."""
    return all(
        type(one) in (int, str) or (isinstance(one, tuple) and all(type(entry) is int for entry in one))
        for one in arguments
    )
