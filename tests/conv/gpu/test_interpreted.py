"""The backend of a GPU through Triton's interpreter: a hundred random shapes, exact on integers, within bounds else."""

from __future__ import annotations

import platform
import sys
from dataclasses import replace

import pytest
import torch

if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
    pytest.skip("triton has wheels for Linux on x86-64 and 64-bit Arm alone", allow_module_level=True)

from tests.conv.gpu.random_shapes import Case, draw_case, exact, laid_out, sizes_of
from winograd import error_bound, nest
from winograd.conv.gpu.device import pretending
from winograd.conv.gpu.schedule import GpuSchedule
from winograd.conv.plan.record import Plan
from winograd.conv.planning.make import make_plan
from winograd.conv.running.packing import pack_for_plan
from winograd.conv.running.run import run_plan

EXACT = [draw_case(number, (1, 2), ("ieee", "tf32x3", "tf32", "float16")) for number in range(60)]
ROUNDED = [draw_case(number, (1, 2, 3, 4), ("ieee",)) for number in range(1000, 1040)]


def planned(case: Case) -> Plan:
    plan = make_plan(case.shape, algorithm=case.algorithm)
    return replace(plan, gpu=GpuSchedule("staged", case.products, tuple(sorted(case.config.items()))))


def computed(case: Case, tensors: dict[str, torch.Tensor]) -> torch.Tensor:
    plan = planned(case)
    with pretending(case.shape.card), torch.no_grad():
        weight = tensors["weight"]
        return run_plan(
            plan,
            laid_out(tensors["input"], case.layout),
            weight,
            tensors["bias"] if case.has_bias else None,
            packed=pack_for_plan(plan, weight),
            residual=laid_out(tensors["residual"], case.layout) if case.has_residual else None,
            relu=case.relu,
        )


def expected(case: Case, tensors: dict[str, torch.Tensor]) -> torch.Tensor:
    bias, residual = tensors["bias"] if case.has_bias else None, tensors["residual"] if case.has_residual else None
    return exact(case, tensors["input"], tensors["weight"], bias, residual)


@pytest.mark.parametrize("case", EXACT, ids=lambda case: case.name)
def test_integers_are_exact(case: Case) -> None:
    # |V| is at most 4 * 8, |U| a multiple of 1/8 up to 4 * 27 / 8: all of 11 digits; sums are below 2^24 / 8.
    generator = torch.Generator().manual_seed(1)
    tensors = {name: torch.randint(-4, 5, sizes, generator=generator).float() for name, sizes in sizes_of(case).items()}
    assert torch.equal(computed(case, tensors).double(), expected(case, tensors))


@pytest.mark.parametrize("case", ROUNDED, ids=lambda case: case.name)
def test_errors_are_within_the_bound(case: Case) -> None:
    generator = torch.Generator().manual_seed(2)
    drawn = {name: torch.rand(sizes, generator=generator) * 2 - 1 for name, sizes in sizes_of(case).items()}
    output, truth = computed(case, drawn), expected(case, drawn)
    transformed = [axis for axis in case.algorithm.axes if axis.m > 1]
    taps = case.algorithm.r
    terms = case.shape.channels
    for axis, count in zip(case.algorithm.axes, taps, strict=True):
        terms *= count if axis.m == 1 else 1
    bound = error_bound(nest(*transformed), channels=terms)
    # Bias and residual are added with a rounding each, of sums that the largest output bounds.
    added = 2 * 2.0**-24 * (float(truth.abs().max()) + 2 + bound.max_abs)
    assert float((output.double() - truth).abs().max()) <= bound.max_abs + added


def test_the_cases_cover_everything() -> None:
    cases = EXACT + ROUNDED
    assert len(cases) == 100
    assert {case.shape.ndim for case in cases} == {1, 2, 3}
    assert {case.layout for case in cases} == {"contiguous", "channels_last", "gaps", "turned"}
    assert any(1 in case.algorithm.m for case in cases)
    assert any(any(low != high for low, high in case.shape.padding) for case in cases)
    assert any(case.has_bias and case.has_residual and case.relu for case in cases)
    assert {case.products for case in cases} == {"ieee", "tf32x3", "tf32", "float16"}


def test_a_wrong_coefficient_is_noticed() -> None:
    case = next(case for case in EXACT if case.shape.ndim == 2 and 1 not in case.algorithm.m)
    generator = torch.Generator().manual_seed(1)
    tensors = {name: torch.randint(-4, 5, sizes, generator=generator).float() for name, sizes in sizes_of(case).items()}
    plan = planned(case)
    with pretending(case.shape.card), torch.no_grad():
        packed = pack_for_plan(plan, tensors["weight"])
        packed.u.reshape(-1)[0] += 1
        broken = run_plan(plan, tensors["input"], tensors["weight"], packed=packed)
    right = replace(case, has_bias=False, has_residual=False, relu=False)
    assert not torch.equal(broken.double(), expected(right, tensors))
