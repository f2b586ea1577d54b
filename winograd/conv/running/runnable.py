"""Plans that run on this machine: where code cannot be compiled, the plan is the one that runs without it.

In: a `ConvShape` and what `winograd.conv.planning.make.make_plan` is given. Out: a `Plan`. Refused: what `make_plan`
refuses. One warning says that there is no compiler.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import torch

from winograd.codegen.compiler import BuildError
from winograd.conv.arguments import Algorithm
from winograd.conv.choosing.selection import Filters
from winograd.conv.direct.packed import PackedDirect, TorchsOwn
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.plan.record import Backend, Plan
from winograd.conv.planning.make import make_plan

if TYPE_CHECKING:
    from winograd.conv.gpu.run import FilterOnCard
    from winograd.conv.native.operands import PackedFilter
    from winograd.conv.native.phased import PackedGroups

    Packed = PackedFilter | PackedGroups | FilterOnCard | PackedDirect | TorchsOwn


def runnable_plan(
    shape: ConvShape,
    *,
    tolerance: float | None,
    algorithm: Algorithm | None,
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


def lack_of_code(plan: Plan) -> str | None:
    """Return why the code that a plan runs cannot be compiled, or None."""
    if plan.backend is Backend.GPU:
        from winograd.conv.gpu.run import lack_on_card

        return lack_on_card(plan)
    if plan.backend is not Backend.NATIVE:
        return None
    from winograd.conv.native import copying
    from winograd.conv.native import kernel as native

    kernel = try_compiling(native.native_convolution, plan.algorithm, plan.shape.dtype)
    return kernel if plan.phases is None or kernel is not None else try_compiling(copying.copies_library)


@lru_cache(maxsize=64)
def try_compiling(load: Callable[..., object], *arguments: Hashable) -> str | None:
    """Return why what a function loads cannot be compiled, or None; asked once for the same arguments."""
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
