"""What a model gives for an example, whatever its form, and how far two such outputs are apart.

In: a model, and a tensor, a tuple of arguments or a mapping of named arguments. Out: the floating tensors of what it
returns, by their place: in tuples, lists, mappings and dataclasses of any depth. Refused: outputs without such a
tensor, and those that are not finite.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from winograd.nn.conversion.example import one_run
from winograd.nn.depth import relative_l2

Outputs = dict[str, Tensor]
"""Floating tensors by their place in what a model returned."""


def outputs_of(model: nn.Module, example: Any) -> Outputs:
    """Run the model once, leave it and the example as they were, and return copies of its floating tensors.

    Raises
    ------
    ValueError
        If there is none, or one is not finite.
    """
    with one_run(model, example) as output:
        found = dict(_floating(output, "output"))
    if not found:
        raise ValueError("model returns no floating tensor for the example, so that no error of its output is known")
    for place, tensor in found.items():
        if not bool(tensor.isfinite().all()):
            raise ValueError(f"{place} of the model is not finite for the example; check the weights and the example")
    return found


def output_error(outputs: Outputs, exact: Outputs) -> float:
    """Return the largest relative L2 error of any of the tensors.

    Raises
    ------
    ValueError
        If the tensors are not at the same places or not of the same shapes: the model does not repeat itself.

    Examples
    --------
    >>> exact = {"output": torch.tensor([3.0, 4.0])}
    >>> output_error({"output": torch.tensor([3.0, 4.5])}, exact)
    0.1
    """
    if {place: tensor.shape for place, tensor in outputs.items()} != {p: tensor.shape for p, tensor in exact.items()}:
        raise ValueError(
            "model returns tensors of other shapes or at other places each time, there is no error of them"
        )
    return max(relative_l2(outputs[place], tensor) for place, tensor in exact.items())


def with_dtype(value: Any, dtype: torch.dtype) -> Any:
    """Return the example with all its floating tensors in another dtype.

    Examples
    --------
    >>> with_dtype({"clip": torch.zeros(2), "frames": torch.tensor([3])}, torch.float64)
    {'clip': tensor([0., 0.], dtype=torch.float64), 'frames': tensor([3])}
    """
    if isinstance(value, Tensor):
        return value.to(dtype) if value.is_floating_point() else value
    if isinstance(value, Mapping):
        return {key: with_dtype(one, dtype) for key, one in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(with_dtype(one, dtype) for one in value))
    if isinstance(value, (tuple, list)):
        return type(value)(with_dtype(one, dtype) for one in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: with_dtype(getattr(value, field.name), dtype) for field in fields(value)})
    return value


def _floating(value: Any, place: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        if value.is_floating_point():
            yield place, value.detach().clone()
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from _floating(one, f"{place}[{key!r}]")
    elif isinstance(value, (tuple, list)):
        for index, one in enumerate(value):
            yield from _floating(one, f"{place}[{index}]")
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from _floating(getattr(value, field.name), f"{place}.{field.name}")
