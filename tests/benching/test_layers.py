from __future__ import annotations

import pytest

from tests.benching.made_up import layer
from winograd.benching.layers import Suite, each_once

SUITE = Suite("made_up", (layer("conv1", 3, 4, 5, 5, count=2), layer("conv2", 4, 8, 5, 5)))


def test_multiplications_are_counted_as_often_as_the_network_has_the_shape() -> None:
    assert SUITE.macs == 2 * (3 * 4 * 9 * 25) + 4 * 8 * 9 * 25
    assert [each.macs for each in SUITE.layers] == [3 * 4 * 9 * 25, 4 * 8 * 9 * 25]
    assert [each.input for each in SUITE.layers] == [(1, 3, 5, 5), (1, 4, 5, 5)]


def test_a_part_is_chosen_by_a_shell_pattern() -> None:
    assert SUITE.matching("conv*") == SUITE
    assert [each.name for each in SUITE.matching("*[2-9]").layers] == ["conv2"]
    with pytest.raises(ValueError, match=r"^'Conv\*' matches no layer of made_up, which has conv1, conv2$"):
        SUITE.matching("Conv*")


def test_a_suite_needs_a_layer() -> None:
    with pytest.raises(ValueError, match="suite empty has no layers"):
        Suite("empty", ())


def test_equal_shapes_are_counted_under_the_first_name_and_bias_tells_apart() -> None:
    first, second, other = layer("a", 3, 4, 5, count=2), layer("b", 3, 4, 5), layer("c", 3, 4, 6)
    without = layer("d", 3, 4, 5, has_bias=False)
    kept = each_once([first, other, second, without])
    assert [(each.name, each.count) for each in kept] == [("a", 3), ("c", 1), ("d", 1)]
    assert sum(each.count * each.macs for each in kept) == sum(
        each.count * each.macs for each in (first, second, other, without)
    )
