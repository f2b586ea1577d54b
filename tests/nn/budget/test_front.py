from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from winograd.conv.arguments import ConvArguments
from winograd.conv.choosing.selection import Filters
from winograd.conv.planning.make import make_plan
from winograd.nn.budget.front import LOOSEST, Calls, Option, direct_tolerance, front, planner_of

LOW, HIGH = 8e-7, 2e-5


def calls(sizes: tuple[int, ...] = (1, 64, 8, 16, 16), dtype: str = "float32", **arguments: int) -> Calls:
    shape = ConvArguments(**{"padding": 1, **arguments}).shape(sizes, (128, sizes[1], 3, 3, 3), dtype=dtype)
    return Calls((planner_of(make_plan(shape, filters=Filters.FROZEN, threads=2)),))


def is_front(called: Calls, options: tuple[Option, ...]) -> bool:
    """Whether each option is what its tolerance gives, and is faster and less exact than the next."""
    falls = all(a.error > b.error and a.milliseconds < b.milliseconds for a, b in pairwise(options))
    return falls and all(called.at(one.tolerance) == one for one in options if one.tolerance is not None)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_options_are_what_their_tolerances_give_and_direct_is_the_last(dtype: str) -> None:
    called = calls(dtype=dtype)
    options = front(called, LOW, HIGH)
    assert len(options) > 3
    assert is_front(called, options)
    assert options[0].error <= HIGH
    assert options[-1] == called.direct
    assert (options[-1].label, options[-1].error, options[-1].tolerance) == ("direct", 0.0, None)


def test_limits_belong_to_the_front_and_calls_count() -> None:
    called = calls()
    options = front(called, LOW, HIGH)
    first, last = options[0], options[-2]
    assert front(called, last.error, first.error) == options
    assert front(called, first.error, HIGH) == (first, called.direct)
    assert front(called, LOW, last.error * (1 - 1e-9))[0].error < last.error
    thrice = replace(called, count=3)
    assert thrice.direct.milliseconds == pytest.approx(3 * called.direct.milliseconds)


def test_a_front_with_a_wrong_tolerance_is_noticed() -> None:
    called = calls()
    options = front(called, LOW, HIGH)
    assert not is_front(called, (replace(options[0], tolerance=options[1].tolerance), *options[1:]))
    assert not is_front(called, tuple(reversed(options)))


def test_just_below_its_tolerance_an_option_is_not_taken() -> None:
    called = calls()
    for option in front(called, LOW, HIGH)[:-1]:
        assert option.tolerance is not None
        assert called.at(option.tolerance * (1 - 1e-6)).error < option.error


def test_the_direct_tolerance_leaves_all_calls_to_direct_convolution() -> None:
    called = calls()
    tolerance = direct_tolerance(called)
    assert 0 < tolerance < 1e-6
    assert called.at(tolerance).tolerance is None


def test_a_layer_without_an_algorithm_has_direct_convolution_only() -> None:
    for called in (calls(stride=3), calls((1, 4, 2, 3, 3))):
        assert called.at(LOOSEST).tolerance is None
        assert front(called, LOW, HIGH) == (called.direct,)


def test_calls_of_several_shapes_add_up() -> None:
    one, other = calls(), calls((1, 64, 8, 14, 14))
    both = Calls((*one.planners, *other.planners), count=6)
    assert both.direct.milliseconds == pytest.approx(3 * (one.direct.milliseconds + other.direct.milliseconds))
    options = front(both, LOW, HIGH)
    assert is_front(both, options)
    assert " | " in options[0].label
