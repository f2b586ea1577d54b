from __future__ import annotations

from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from winograd.nn.budget.outputs import output_error, outputs_of, with_dtype

Pair = namedtuple("Pair", ["clip", "frames"])


@dataclass
class Scores:
    logits: Tensor
    labels: Tensor


class Gives(nn.Module):
    """Gives what it was built with."""

    def __init__(self, output: object) -> None:
        super().__init__()
        self.output = output

    def forward(self, *_: object, **__: object) -> object:
        return self.output


ONE = torch.tensor([3.0, 4.0])
NONE = torch.tensor([1])


@pytest.mark.parametrize(
    ("output", "places"),
    [
        (ONE, ["output"]),
        ((ONE, [NONE, ONE]), ["output[0]", "output[1][1]"]),
        (OrderedDict(a=ONE, b={"c": ONE}), ["output['a']", "output['b']['c']"]),
        (Scores(ONE, NONE), ["output.logits"]),
        (Pair(ONE, None), ["output[0]"]),
    ],
)
def test_tensors_are_found_in_any_form_of_output(output: object, places: list[str]) -> None:
    assert list(outputs_of(Gives(output), ONE)) == places


@pytest.mark.parametrize("output", [None, NONE, {}, (1.0, "text")])
def test_an_output_without_a_floating_tensor_is_refused(output: object) -> None:
    with pytest.raises(ValueError, match="returns no floating tensor"):
        outputs_of(Gives(output), ONE)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_an_output_that_is_not_finite_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match=r"output\[1\] of the model is not finite"):
        outputs_of(Gives((ONE, torch.tensor([wrong]))), ONE)


def test_the_error_is_that_of_the_worst_tensor() -> None:
    exact = {"a": ONE, "b": ONE, "none": torch.zeros(2)}
    assert output_error({"a": ONE, "b": ONE * 1.5, "none": torch.zeros(2)}, exact) == 0.5
    assert output_error(exact, exact) == 0


def test_outputs_that_are_not_alike_have_no_error() -> None:
    for other in ({"b": ONE}, {"a": ONE[:1]}, {}):
        with pytest.raises(ValueError, match="other shapes or at other places"):
            output_error(other, {"a": ONE})


def test_floating_tensors_change_their_dtype_and_nothing_else() -> None:
    given: Any = {"a": [Pair(ONE, NONE)], "b": Scores(ONE, NONE), "c": "text"}
    wide = with_dtype(given, torch.float64)
    assert wide["a"][0].clip.dtype is wide["b"].logits.dtype is torch.float64
    assert wide["a"][0].frames is wide["b"].labels is NONE
    assert isinstance(wide["a"][0], Pair)
    assert wide["c"] == "text"
    assert given["a"][0].clip.dtype is torch.float32
