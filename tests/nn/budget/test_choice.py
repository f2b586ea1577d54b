from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winograd.nn.budget import choice
from winograd.nn.budget.choice import Options, choose

WEIGHTS = st.one_of(st.just(0.0), st.floats(1e-6, 3.0), st.just(float("inf")))
LAYERS = st.lists(
    st.lists(st.tuples(WEIGHTS, st.integers(0, 20).map(float)), min_size=1, max_size=4), min_size=1, max_size=4
)


def cheapest_ref(layers: list[Options], limit: float) -> float | None:
    """Return the least cost of any choice under the limit, by looking at all of them."""
    costs = [sum(cost for _, cost in taken) for taken in product(*layers) if sum(w for w, _ in taken) <= limit]
    return min(costs, default=None)


def cost_of(layers: list[Options], chosen: tuple[int, ...]) -> tuple[float, float]:
    taken = [options[index] for options, index in zip(layers, chosen, strict=True)]
    return sum(weight for weight, _ in taken), sum(cost for _, cost in taken)


def check(layers: list[Options], levels: int) -> None:
    """The law: under the limit, and as cheap as anything under a limit that is smaller by what rounding takes."""
    chosen = choose(layers, 1.0, levels)
    sure = cheapest_ref(layers, 1.0 - len(layers) / levels)
    if chosen is None:
        assert sure is None
        return
    weight, cost = cost_of(layers, chosen)
    assert weight <= 1.0 + 1e-12
    assert sure is None or cost <= sure


@given(LAYERS, st.sampled_from([50, 1000]))
def test_the_choice_is_the_cheapest_under_the_limit(layers: list[Options], levels: int) -> None:
    check(layers, levels)


def test_a_choice_that_rounds_weights_down_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    layers: list[Options] = [[(0.0, 9.0), (0.999, 1.0)]] * 2
    check(layers, 50)
    monkeypatch.setattr(choice, "_level", lambda weight, limit, levels: int(weight / limit * levels) // 2)
    with pytest.raises(AssertionError):
        check(layers, 50)


def test_limits_other_than_one_are_limits_too() -> None:
    for limit in (0.25, 1.0, 4.0):
        light, even, heavy = (0.0, 9.0), (limit, 1.0), (1.01 * limit, 0.0)
        assert choose([[light, even, heavy]], limit) == (1,)
        assert choose([[light, heavy], [light, (limit / 2, 1.0)]], limit) == (0, 1)
        assert choose([[even], [even]], limit) is None


def test_nothing_to_choose_from() -> None:
    assert choose([], 1.0) == ()
    assert choose([[(1.5, 1.0)], [(0.0, 1.0)]], 1.0) is None


def test_a_hundred_layers_take_a_moment_and_use_the_limit() -> None:
    layers: list[Options] = [[(0.0, 3.0), (0.011, 2.0), (0.1, 1.0)]] * 100
    chosen = choose(layers, 1.0)
    assert chosen is not None
    assert cost_of(layers, chosen)[1] <= 300 - 89  # 90 layers may take 0.011, less what rounding to 10000 levels takes
