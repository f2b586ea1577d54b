"""Limits on memory: how much workspace a call may take, and how much memory a transformed filter that is kept.

In: bytes. Out: the limits that hold for the plans that are made from then on, in this process or inside a ``with``.
They bound what the native backend takes; a plan that would take more gets smaller blocks of tiles, another algorithm or
direct convolution, and its reason says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from types import TracebackType
from typing import Final

from winograd.algebra.bilinear import checked_size


@dataclass(frozen=True, slots=True)
class MemoryLimits:
    """Limits on the memory of one convolution of one shape, in bytes; None for no limit.

    Parameters
    ----------
    workspace : int or None
        Of V and M and what else a call holds beside the filter: blocks of tiles are made small enough.
    filters : int or None
        Of a transformed filter that is kept from call to call; a layer that sees several shapes may keep several.
    workspace_is_set : bool
        Whether somebody asked for this workspace: what nobody set is for the CPU, and a GPU has a limit of its own.

    Raises
    ------
    TypeError, ValueError
        If one is no integer or below 1.
    """

    workspace: int | None = 64 << 20
    filters: int | None = 512 << 20
    workspace_is_set: bool = field(default=True, repr=False)

    def __post_init__(self) -> None:
        for name in ("workspace", "filters"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, checked_size(name, value))


class _Kept(Enum):
    """Says that a limit stays what it is; None says that there is none."""

    KEPT = "kept"


_KEPT: Final = _Kept.KEPT


class _Setting:
    """The limits that were set last; ``with`` brings the former ones back at its end."""

    def __init__(self, former: MemoryLimits) -> None:
        self._former = former

    def __enter__(self) -> MemoryLimits:
        return memory_limits()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _current[0] = self._former


_current: Final = [MemoryLimits(workspace_is_set=False)]


def memory_limits() -> MemoryLimits:
    """Return the limits of plans that are made without limits of their own.

    Examples
    --------
    >>> memory_limits()
    MemoryLimits(workspace=67108864, filters=536870912)
    """
    return _current[0]


def set_memory_limits(*, workspace: int | _Kept | None = _KEPT, filters: int | _Kept | None = _KEPT) -> _Setting:
    """Set limits for all plans that this process makes from now on, or, after ``with``, until its end.

    Layers plan anew at their next forward; plans that are held elsewhere stay as they are. The setting is that of the
    process: threads that set it at once disturb each other.

    Parameters
    ----------
    workspace, filters : int or None, optional
        See `MemoryLimits`; what is left out stays as it is.

    Raises
    ------
    TypeError, ValueError
        If one is no integer or below 1.

    Examples
    --------
    >>> with set_memory_limits(workspace=16 << 20) as limits:
    ...     limits.workspace == memory_limits().workspace == 16 << 20
    True
    >>> memory_limits().workspace == 64 << 20
    True
    """
    former = memory_limits()
    limits = former
    if not isinstance(workspace, _Kept):
        limits = replace(limits, workspace=workspace, workspace_is_set=True)
    _current[0] = limits if isinstance(filters, _Kept) else replace(limits, filters=filters)
    return _Setting(former)


def limits_or_default(workspace_cap: int | None, filter_cap: int | None) -> MemoryLimits:
    """Return limits where None takes that of the process.

    Examples
    --------
    >>> limits_or_default(1 << 20, None) == MemoryLimits(1 << 20, memory_limits().filters)
    True
    """
    limits = memory_limits()
    if workspace_cap is not None:
        limits = replace(limits, workspace=workspace_cap, workspace_is_set=True)
    return limits if filter_cap is None else replace(limits, filters=filter_cap)
