"""The switch: whether convolutions may be computed by Winograd algorithms at all in this process.

In: on or off, from Python or from the environment variable ``WINOGRAD_DISABLE``. Out: what holds for all plans that are
made from then on, in this process or inside a ``with``. Off, every convolution is direct, in the fastest variant that
is known for its shape, and its plan says so; a forced algorithm gives way, too.
"""

from __future__ import annotations

import os
from types import TracebackType
from typing import Final, Literal

from winograd.quoting import quote

Direct = Literal["direct"]

DIRECT: Final = "direct"
"""What ``algorithm`` may be to switch Winograd off for one call, one layer or one plan."""

SWITCHED_OFF: Final = "Winograd is switched off"
"""The reason of plans that were made meanwhile."""

ASKED_FOR: Final = "direct convolution was asked for"
"""The reason of plans for which ``algorithm`` was `DIRECT`."""

VARIABLE: Final = "WINOGRAD_DISABLE"
"""Environment variable that switches Winograd off from the start, unless it is empty or 0."""


class _Switching:
    """The setting that was made last; ``with`` brings the former one back at its end."""

    def __init__(self, former: bool) -> None:
        self._former = former

    def __enter__(self) -> bool:
        return is_enabled()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _current[0] = self._former


_current: Final = [os.environ.get(VARIABLE, "").strip() in {"", "0"}]


def is_enabled() -> bool:
    """Return whether plans may choose Winograd algorithms.

    Examples
    --------
    >>> with set_enabled(False):
    ...     is_enabled()
    False
    """
    return _current[0]


def set_enabled(enabled: bool) -> _Switching:
    """Switch Winograd on or off for all plans that this process makes from now on, or, after ``with``, until its end.

    Off, `winograd.conv3d`, the modules, converted models and `winograd.plan_conv` compute directly, and their plans say
    so; layers plan anew at their next forward. On again, layers use the plans that they had. Plans that are held
    elsewhere stay as they are. The setting is that of the process: threads that set it at once disturb each other.
    Memory formats of outputs stay those of `winograd.conv3d`: some of batch 1 are channels last, as their input is,
    where torch's own would be contiguous.
    It begins as on, unless the environment variable ``WINOGRAD_DISABLE`` is set to anything but 0 when this is loaded.

    Parameters
    ----------
    enabled : bool

    Raises
    ------
    TypeError
        If it is no bool.

    Examples
    --------
    >>> import winograd
    >>> with winograd.set_enabled(False):
    ...     winograd.plan_conv((1, 64, 8, 28, 28), (64, 64, 3, 3, 3), padding=1)
    <Plan direct: Winograd is switched off>
    """
    if not isinstance(enabled, bool):
        raise TypeError(f"enabled is {quote(enabled)}, must be True or False")
    former = is_enabled()
    _current[0] = enabled
    return _Switching(former)


def switched_off(algorithm: object) -> str | None:
    """Return why no Winograd algorithm may be taken, given an ``algorithm`` argument, or None.

    Raises
    ------
    TypeError
        If the argument is another text than "direct".

    Examples
    --------
    >>> switched_off("direct"), switched_off(None)
    ('direct convolution was asked for', None)
    """
    if is_direct(algorithm):
        return ASKED_FOR
    return None if is_enabled() else SWITCHED_OFF


def is_direct(algorithm: object) -> bool:
    """Return whether an ``algorithm`` argument asks for direct convolution.

    Raises
    ------
    TypeError
        If it is another text.

    Examples
    --------
    >>> is_direct("direct"), is_direct(None)
    (True, False)
    """
    if not isinstance(algorithm, str):
        return False
    if algorithm != DIRECT:
        raise TypeError(
            f"algorithm is the text {quote(algorithm)}, must be a BilinearAlgorithm, a NestedAlgorithm or 'direct'"
        )
    return True
