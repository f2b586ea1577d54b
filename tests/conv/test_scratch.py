"""The memory that a thread keeps between calls: one buffer within the limit, whatever shapes it has seen."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
import torch

from winograd.algebra.nesting import nest
from winograd.algebra.toom_cook import toom_cook
from winograd.conv import scratch
from winograd.conv.arguments import ConvArguments
from winograd.conv.geometry.phases import phases_of
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.limits import set_memory_limits
from winograd.conv.native import kernel
from winograd.conv.planning.make import make_plan
from winograd.conv.running.run import run_plan

CAP = 1 << 18
SHAPES = [
    ConvArguments(padding=1).shape((2, 64, 12, 12), (64, 64, 3, 3), dtype="float32"),
    ConvArguments(dilation=2, padding=2).shape((4, 16, 16, 16), (16, 16, 3, 3), dtype="float32"),
    ConvArguments(stride=2, padding=1).shape((4, 24, 17, 19), (8, 24, 3, 3), dtype="float32"),
    ConvArguments(groups=2, padding=1).shape((1, 6, 9, 9), (8, 3, 3, 3), dtype="float16"),
]


@pytest.fixture(autouse=True)
def _released() -> Iterator[None]:
    scratch.release_workspace()
    yield
    scratch.release_workspace()


def run(shape: ConvShape, cap: int | None = None) -> int:
    """Run a forced plan and return the bytes of workspace that it states."""
    phases = phases_of(shape)
    core = shape if phases is None else phases.core
    plan = make_plan(shape, algorithm=nest(*(toom_cook(2, taps) for taps in core.taps)), workspace_cap=cap)
    dtype = getattr(torch, shape.dtype)
    run_plan(plan, torch.ones((shape.batch, shape.channels, *shape.sizes), dtype=dtype), weight_of(shape))
    return plan.workspace_bytes


def weight_of(shape: ConvShape) -> torch.Tensor:
    return torch.ones(shape.weight_sizes, dtype=getattr(torch, shape.dtype))


def test_what_is_kept_is_what_one_call_needs_and_stays_within_the_limit() -> None:
    stated = 0
    with set_memory_limits(workspace=CAP):
        for shape in SHAPES:
            stated = max(stated, run(shape))
            assert 0 < scratch.kept_bytes() <= stated <= CAP
    assert stated > CAP // 2


def test_a_lower_limit_frees_what_is_above_it() -> None:
    with set_memory_limits(workspace=CAP):
        run(SHAPES[0])
        before = scratch.kept_bytes()
    lower = before // 2
    with set_memory_limits(workspace=lower):
        for shape in reversed(SHAPES):
            run(shape)
            assert scratch.kept_bytes() <= lower


@pytest.mark.parametrize("cap", [None, 4 * CAP])
def test_shapes_that_take_turns_use_the_same_memory(cap: int | None) -> None:
    with set_memory_limits(workspace=CAP):
        for shape in SHAPES:
            run(shape, cap)
        kept = scratch._thread.kept
        for shape in SHAPES:
            run(shape, cap)
            assert scratch._thread.kept is kept


def test_a_plan_with_a_larger_limit_leaves_nothing_to_those_without() -> None:
    with set_memory_limits(workspace=CAP // 2):
        run(SHAPES[0], 4 * CAP)
        assert scratch.kept_bytes() > CAP // 2
        run(SHAPES[2])
        assert scratch.kept_bytes() <= CAP // 2


def test_pieces_lie_apart_from_cache_line_to_cache_line() -> None:
    pieces = scratch.carve((100, 7, 64, 3))
    assert [piece.numel() for piece in pieces] == [100, 7, 64, 3]
    assert all(piece.data_ptr() % 64 == 0 for piece in pieces)
    assert all(one.data_ptr() + one.numel() <= other.data_ptr() for one, other in pairwise(pieces))
    assert scratch.kept_bytes() == 128 + 64 + 64 + 3


def test_a_workspace_that_is_too_small_is_an_error_of_ours() -> None:
    convolution = kernel.native_convolution(nest(toom_cook(2, 3)))
    packed = convolution.pack(torch.ones(1, 1, 3))
    with pytest.raises(RuntimeError, match="internal error: a workspace of 8 bytes, the kernel needs"):
        convolution.convolve(
            torch.ones(1, 1, 9), packed, padding=((1, 1),), memory=lambda _: torch.empty(8, dtype=torch.uint8)
        )


def test_memory_that_is_just_large_enough_is_kept_up_to_the_very_limit() -> None:
    first = scratch.scratch(1000, cap=1000).data_ptr()
    assert scratch.scratch(1000, cap=1000).data_ptr() == first
    assert scratch.scratch(1, cap=1000).data_ptr() == first
    assert scratch.kept_bytes() == 1000
    scratch.scratch(1, cap=999)
    assert scratch.kept_bytes() == 1


def test_too_little_memory_goes_before_there_is_other(monkeypatch: pytest.MonkeyPatch) -> None:
    make, kept = scratch.fresh_memory, []

    def noting(sizes: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        kept.append(scratch.kept_bytes())
        return make(sizes, dtype)

    monkeypatch.setattr(scratch, "fresh_memory", noting)
    for size in (100, 200):
        scratch.scratch(size)
    assert kept == [0, 0]
