"""How far a network is off at every layer: each error counts all layers before it, too.

In: a network in float64, the same network otherwise, names of layers, and clips. Out: relative L2 errors by layer.
Refused: nothing; where float64 gives zeros only, the error is the norm of what came instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

Visit = Callable[[str, Tensor, Tensor], None]
"""Called with the name of a layer, its input and its output; it may not keep them, the network may change them."""


def relative_l2(values: Tensor, exact: Tensor) -> float:
    """Return ||values - exact|| / ||exact|| in float64; the plain norm where the exact values are all zero."""
    reference = exact.double()
    norm = float(torch.linalg.vector_norm(reference))
    return float(torch.linalg.vector_norm(values.double() - reference)) / (norm or 1.0)


def visit_layers(model: nn.Module, names: Iterable[str], clips: Tensor, visit: Visit) -> Tensor:
    """Run the model once, visit the layers of these names at their first call, and return the output of the model."""
    seen: set[str] = set()

    def first(name: str, inputs: tuple[Any, ...], output: Tensor) -> None:
        if name not in seen:
            seen.add(name)  # a visit may call the layer again
            visit(name, inputs[0], output)

    with ExitStack() as cleanup:
        for name in names:
            hook = model.get_submodule(name).register_forward_hook(
                lambda _layer, inputs, output, name=name: first(name, inputs, output)
            )
            cleanup.callback(hook.remove)
        output: Tensor = model(clips)
    return output


def record_inputs(model: nn.Module, names: Iterable[str], clips: Tensor) -> dict[str, Tensor]:
    """Run the model once, and return what the layers of these names saw at their first call, in that order."""
    seen: dict[str, Tensor] = {}
    visit_layers(model, names, clips, lambda name, input, _: seen.update({name: input.clone()}))
    return seen


def record_outputs(model: nn.Module, names: Iterable[str], clips: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """Run the model once for each clip, and return what the layers of these names gave, and what the model gave.

    One clip at a time: direct convolution in float64 takes memory for every tap of every place of every clip. A layer
    that sees the frames of a clip as a batch sees those of the first clip first, and so do the tensors returned.
    """
    outputs: list[Tensor] = []
    parts: dict[str, list[Tensor]] = {}
    for clip in torch.split(clips, 1):
        visit = lambda name, _, output: parts.setdefault(name, []).append(output.clone())  # noqa: E731
        outputs.append(visit_layers(model, names, clip, visit))
    return {name: torch.cat(tensors) for name, tensors in parts.items()}, torch.cat(outputs)


def errors_so_far(model: nn.Module, exact: Mapping[str, Tensor], clips: Tensor) -> tuple[dict[str, float], Tensor]:
    """Run the model once, and return how far each layer is off what it gave exactly, and the output of the model."""
    errors: dict[str, float] = {}
    output = visit_layers(
        model, exact, clips, lambda name, _, output: errors.update({name: relative_l2(output, exact[name])})
    )
    return errors, output
