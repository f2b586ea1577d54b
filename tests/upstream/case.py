"""The test case of PyTorch's suites on our convolutions: engagement is asserted, deviations of tolerance are listed.

In: `deviations.toml` beside this file. Out: `Case`. A test fails if Winograd was forced, could run and did not run; if
a difference is above the stock tolerance and not listed; if it is listed and no longer is above it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch.testing._comparison import default_tolerances
from torch.testing._internal.common_utils import TestCase
from torch.utils._pytree import tree_leaves

from tests.upstream.engagement import EXCESSES, MISSED, counted

LISTED: Final = Path(__file__).with_name("deviations.toml")

MARGIN: Final = 2.0
"""A listed excess was measured on one machine; another sums in another order, and may be above it by this factor."""


@dataclass(frozen=True, slots=True)
class Deviation:
    """A test whose stock tolerance is exceeded: by what factor, as measured, and why."""

    test: str
    excess: float
    reason: str


def read_deviations(path: Path = LISTED) -> dict[str, Deviation]:
    """Return the listed deviations by the name of their test."""
    entries = tomllib.loads(path.read_text(encoding="utf-8")).get("deviation", [])
    return {entry["test"]: Deviation(**entry) for entry in entries}


DEVIATIONS: Final = read_deviations()


class Case(TestCase):
    """What every class of tests here is made from."""

    exact_dtype = True
    deviations = DEVIATIONS

    def setUp(self) -> None:
        super().setUp()
        MISSED.clear()
        self._excess = 0.0
        self.addCleanup(torch.set_num_threads, torch.get_num_threads())
        torch.set_num_threads(1)  # samples are small
        counting = counted()
        counting.__enter__()
        self.addCleanup(counting.__exit__, None, None, None)

    def tearDown(self) -> None:
        super().tearDown()
        missed = sorted(set(MISSED))
        assert not missed, f"Winograd was forced and did not run for {missed}"
        listed = self.deviations.get(self._testMethodName)
        if listed is not None:
            EXCESSES[listed.test] = self._excess
            needed = self._excess > 1 / MARGIN
            assert needed, f"{listed.test} is listed in {LISTED.name}, its excess is {self._excess:.2g}: remove it"

    def assertEqual(self, x: Any, y: Any, *arguments: Any, **named: Any) -> None:
        """Compare as torch does, with the tolerance of a listed deviation."""
        __tracebackhide__ = True
        listed = self.deviations.get(self._testMethodName)
        rtol, atol = named.pop("rtol", None), named.pop("atol", None)
        excess = self._measured_excess(x, y, rtol, atol)
        if listed is None or excess is None:
            with self._naming(excess):
                super().assertEqual(x, y, *arguments, **named, rtol=rtol, atol=atol)
            return
        self._excess = max(self._excess, excess)
        factor = MARGIN * listed.excess
        for one, other in zip(_tensors(x), _tensors(y), strict=True):
            stock_rtol, stock_atol = self._stock(one, rtol, atol)
            super().assertEqual(one, other, *arguments, **named, rtol=factor * stock_rtol, atol=factor * stock_atol)

    @contextmanager
    def _naming(self, excess: float | None) -> Iterator[None]:
        try:
            yield
        except AssertionError as error:
            times = "other than by numbers" if excess is None else f"{excess:.3g} times the stock tolerance"
            raise AssertionError(f"{error}\n{self._testMethodName}: {times}") from error

    def _stock(self, tensor: torch.Tensor, rtol: float | None, atol: float | None) -> tuple[float, float]:
        """Return the relative and the absolute tolerance that a comparison of such tensors has."""
        stock_rtol, stock_atol = default_tolerances(tensor) if rtol is None or atol is None else (rtol, atol)
        return max(stock_rtol, self.rel_tol), max(stock_atol, self.precision)

    def _measured_excess(self, x: Any, y: Any, rtol: float | None, atol: float | None) -> float | None:
        """Return the largest difference as a multiple of its tolerance, None if these are no tensors of one kind."""
        pairs = list(zip(_tensors(x), _tensors(y), strict=False))
        if not pairs or any(a.shape != b.shape or a.dtype != b.dtype or a.is_meta for a, b in pairs):
            return None
        return max(self._ratio(a, b, rtol, atol) for a, b in pairs)

    def _ratio(self, actual: torch.Tensor, expected: torch.Tensor, rtol: float | None, atol: float | None) -> float:
        stock_rtol, stock_atol = self._stock(actual, rtol, atol)
        wide = torch.complex128 if actual.is_complex() else torch.float64
        exact = expected.detach().to(wide)
        allowed = stock_atol + stock_rtol * exact.abs()
        return float(((actual.detach().to(wide) - exact).abs() / allowed).max())


def _tensors(of: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(of) if isinstance(leaf, torch.Tensor) and leaf.numel()]
