"""What to say of an example whose forward failed: what it is, and what the model is.

In: a model and an example. Out: a line of text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn.parameter import is_lazy


def describe_failure(model: nn.Module, example: Any) -> str:
    """Return one line for an error that the forward of an example raised.

    Examples
    --------
    >>> import torch
    >>> describe_failure(nn.Conv2d(1, 1, 1), torch.zeros(1, 1, 2, 2, dtype=torch.float64))
    'in the forward of the example: it is a float64 tensor of 1x1x2x2, parameters of the model are float32'
    """
    if isinstance(example, Mapping):
        given = "it is " + ", ".join(f"{name}: {_described(value)}" for name, value in example.items())
    elif isinstance(example, (tuple, list)):
        given = f"its arguments are {', '.join(map(_described, example))}"
    else:
        given = f"it is {_described(example)}"
    own = [parameter for parameter in model.parameters() if parameter.is_floating_point()]
    dtypes = {_plain(parameter) for parameter in own if not is_lazy(parameter)}
    asked = f", parameters of the model are {' and '.join(sorted(dtypes))}" if dtypes else ""
    return f"in the forward of the example: {given}{asked}{_advice(example)}"


def _described(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a {_plain(value)} tensor of {'x'.join(map(str, value.shape)) or 'one number'}"
    return f"of {type(value).__module__}.{type(value).__qualname__}".replace("builtins.", "")


def _plain(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _advice(example: Any) -> str:
    if isinstance(example, (tuple, list)) and example and all(type(one) is int for one in example):
        sizes = ", ".join(map(str, example))
        return f"; for an input of these sizes give torch.randn({sizes}), or shapes={{name: ({sizes})}} in its place"
    if type(example).__module__ == "numpy":
        return "; torch.from_numpy makes a tensor of it"
    return ""
