"""What algorithms and reports show of themselves stays short, however large they are."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from winograd import crt, error_bound, measure_error, nest, toom_cook
from winograd.accuracy.model import predict_error

F87 = toom_cook(8, 7)
LARGE: dict[str, tuple[Callable[[], object], int]] = {
    "F(8,7)": (lambda: F87, 120),
    "nested": (lambda: nest(F87, F87, F87), 120),
    "many moduli": (lambda: crt(10, 3, "x,x-1,x+1,x^2+1,x^2+x+1,x^2-x+1,inf^3"), 120),
    "bound": (lambda: error_bound(F87), 160),
    "prediction": (lambda: predict_error(F87), 160),
    "report": (lambda: measure_error(F87, trials=2), 160),
    "large tile": (lambda: toom_cook(12, 9), 240),  # it names its 20 points
}


@pytest.mark.parametrize("name", LARGE)
def test_the_repr_of_something_large_is_one_short_line(name: str) -> None:
    make, most = LARGE[name]
    shown = repr(make())
    assert "\n" not in shown
    assert len(shown) <= most
