from __future__ import annotations

from typing import Any

import pytest

from tests.benching.made_up import layer
from winograd.benching.layers import Part, Suite, each_once, part_of
from winograd.conv.arguments import ConvArguments

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


def test_several_patterns_keep_the_order_of_the_network_and_each_has_to_match() -> None:
    assert SUITE.matching("conv2", "conv1") == SUITE
    with pytest.raises(ValueError, match="'conv9' matches no layer"):
        SUITE.matching("conv1", "conv9")


def test_a_message_names_no_hundred_layers() -> None:
    many = Suite("many", tuple(layer(f"conv{number}", 3, 4, 5, number + 5) for number in range(30)))
    with pytest.raises(ValueError, match=r"conv19 and 10 more$"):
        many.matching("x")


@pytest.mark.parametrize(
    ("taps", "arguments", "part"),
    [
        (3, {}, Part.STRIDE_1),
        (3, {"stride": (1, 2)}, Part.STRIDED),
        (3, {"dilation": 2}, Part.STRIDED),
        (1, {"stride": 2}, Part.POINTWISE),
        (3, {"groups": 2, "stride": 2}, Part.GROUPED),
    ],
)
def test_every_layer_is_of_one_kind(taps: int, arguments: dict[str, Any], part: Part) -> None:
    groups = arguments.get("groups", 1)
    shape = ConvArguments(**arguments).shape((1, 4, 9, 9), (4, 4 // groups, taps, taps), dtype="float32")
    assert part_of(shape) is part


def test_layers_of_one_kind_make_a_suite() -> None:
    assert SUITE.only(Part.STRIDE_1) == SUITE
    with pytest.raises(ValueError, match=r"^grouped is no layer of made_up, which has stride1$"):
        SUITE.only(Part.GROUPED)


def test_another_dtype_changes_nothing_else() -> None:
    double = SUITE.of_dtype("float64")
    assert {each.shape.dtype for each in double.layers} == {"float64"}
    assert double.of_dtype("float32") == SUITE


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


def test_memory_of_the_tensors_is_known_before_they_are_made() -> None:
    one = layer("one", 4, 8, 10, 10)
    assert one.tensor_bytes == 4 * (4 * 100 + 8 * 4 * 9 + 8 * 100)
    suite = Suite("suite", (one,))
    assert suite.within(one.tensor_bytes) is suite
    with pytest.raises(ValueError, match=r"1 images take .* GiB for input and output of one"):
        suite.within(one.tensor_bytes - 1)
