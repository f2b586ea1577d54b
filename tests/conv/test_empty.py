"""Convolutions of no image or no channel: the sizes that a whole batch would have, and the same algorithms forced."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import winograd  # noqa: E402

F2, F3 = winograd.toom_cook(2, 2), winograd.toom_cook(2, 3)
EMPTY = {"no image": (0, 2), "no channel": (1, 0), "neither": (0, 0)}
every_empty = pytest.mark.parametrize("empty", EMPTY)


@every_empty
@pytest.mark.parametrize(("stride", "dilation", "algorithm"), [(2, 1, F2), (1, 2, F3), (2, 2, F3), (1, 1, F3)])
def test_a_forced_algorithm_gives_the_sizes_of_torch(empty: str, stride: int, dilation: int, algorithm: Any) -> None:
    images, channels = EMPTY[empty]
    input, weight, bias = torch.ones(images, channels, 9), torch.ones(3, channels, 3), torch.arange(3.0)
    expected = torch.conv1d(input, weight, bias, stride, 1, dilation)
    found = winograd.conv1d(input, weight, bias, stride, 1, dilation, algorithm=algorithm)
    assert torch.equal(found, expected)
    # of no channel torch makes no output, which is an empty sum of nothing but the bias
    expected = torch.conv1d(input.new_zeros(images, 1, 9), weight.new_zeros(3, 1, 3), bias, stride, 1, dilation)
    arrays = (tensor.numpy() for tensor in (input, weight, bias))
    assert np.array_equal(winograd.conv1d(*arrays, stride, 1, dilation, algorithm=algorithm), expected.numpy())


@every_empty
def test_an_algorithm_for_other_taps_is_refused_as_it_is_for_a_whole_batch(empty: str) -> None:
    images, channels = EMPTY[empty]
    messages = []
    for sizes in ((images, channels), (1, 2)):
        with pytest.raises(NotImplementedError, match="must be for") as raised:
            winograd.conv1d(torch.ones(*sizes, 9), torch.ones(3, sizes[1], 3), stride=2, algorithm=F3)
        messages.append(str(raised.value))
    assert messages[0] == messages[1]


@pytest.mark.parametrize("stride", [1, 2, (1, 3)])
@pytest.mark.parametrize("groups", [1, 2])
def test_no_image_is_transposed_to_none(stride: Any, groups: int) -> None:
    input, weight = torch.ones(0, 4, 5, 6), torch.ones(4, 3, 3, 2)
    expected = torch.conv_transpose2d(input, weight, None, stride, 1, 0, groups)
    for wrapped in ((input, weight), (input.numpy(), weight.numpy())):
        found = winograd.conv_transpose2d(*wrapped, None, stride, 1, 0, groups)
        assert tuple(found.shape) == expected.shape
        assert str(found.dtype).endswith("float32")


def outcome(call: Any) -> Any:
    """Return the sizes of a result, or the error."""
    try:
        return call().shape
    except Exception as error:
        return type(error), str(error)


@pytest.mark.parametrize("algorithm", [None, "direct", F3])
@pytest.mark.parametrize("images", [0, 2])
@pytest.mark.parametrize(("outputs", "padding"), [(0, 0), (3, 3), (3, 4), (0, 3)])
def test_what_leaves_no_output_is_transposed_as_by_torch(
    outputs: int, padding: int, images: int, algorithm: Any
) -> None:
    input, weight = torch.ones(images, 2, 4), torch.ones(2, outputs, 3)
    expected = outcome(lambda: torch.conv_transpose1d(input, weight, None, 1, padding))
    found = outcome(lambda: winograd.conv_transpose1d(input, weight, None, 1, padding, algorithm=algorithm))
    assert found == expected
