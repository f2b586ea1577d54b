"""Marks on what a folded convolution gave: what computed a tensor, and which modules passed it on since.

In: tensors. Out: marks, which go with the tensors. What a checkpoint computes again gets a tensor that was passed on
before, perhaps under another name, and finds its mark by the memory.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from winograd.nn.folding.folding import Folding


@dataclass(slots=True)
class Mark:
    """What computed a tensor, whether that was recorded for gradients, and which modules passed it on since."""

    tensor: weakref.ref[Tensor]
    folding: Folding
    is_recorded: bool
    version: int
    passed: tuple[nn.Module, ...] = ()

    def is_for(self, module: nn.Module) -> bool:
        """Return whether a module is still to pass the tensor on."""
        return any(one is module for one in self.folding.modules) and not self.was_passed_by(module)

    def was_passed_by(self, module: nn.Module) -> bool:
        """Return whether a module passed the tensor on."""
        return any(one is module for one in self.passed)


marks: Final[dict[int, Mark]] = {}
"""By the id of a tensor. They are beside the tensors, so that none is saved with one."""

_top_hooks: Final[Callable[[bool], object]] = getattr(
    torch._C._autograd, "_top_saved_tensors_default_hooks", lambda _: True
)
"""What looks at tensors that are saved for a backward; older torch cannot tell."""


def mark(output: Tensor, folding: Folding, passed: tuple[nn.Module, ...] = ()) -> Tensor:
    """Mark what a folded convolution gives; the mark goes with the tensor."""
    number = id(output)
    # The callback's argument, the reference, is what `pop` would return if there were no mark any more.
    reference, version = weakref.ref(output, partial(marks.pop, number)), _version(output)
    marks[number] = Mark(reference, folding, output.requires_grad, version, passed)
    return output


def find_mark(input: Tensor, module: nn.Module) -> Mark | None:
    """Return the mark of a tensor that a module is to pass on; compilers see none, and what they record marks nothing.

    What a checkpoint computes again gets the tensor that the module passed on before, under another name.
    """
    if torch.compiler.is_compiling():
        return None
    marked = marks.get(id(input))
    if marked is not None and marked.tensor() is input:
        return marked if marked.is_for(module) else None
    return _find_passed(input, module) if marks and _is_computed_again() else None


def _is_computed_again() -> bool:
    """Return whether a checkpoint may be at work: it computes anew in a backward, and records that for gradients."""
    return torch.is_grad_enabled() and torch._C._current_graph_task_id() != -1


def _find_passed(input: Tensor, module: nn.Module) -> Mark | None:
    """Return the mark of a tensor in the same memory that a module passed on where no gradients were recorded."""
    for marked in list(marks.values()):
        tensor = marked.tensor()
        if tensor is not None and marked.was_passed_by(module) and _is_same(tensor, input):
            if _version(tensor) != marked.version:
                raise RuntimeError(
                    "a checkpoint computes anew what was written over since a folded norm passed it on; "
                    "thaw the model first"
                )
            return marked
    return None


def _is_same(one: Tensor, other: Tensor) -> bool:
    """Return whether two tensors are the same numbers in the same memory; empty ones are in none."""
    if not other.numel() or type(other) is not Tensor or torch._C._functorch.is_functorch_wrapped_tensor(other):
        return False
    facts = [(tensor.shape, tensor.stride(), tensor.dtype, tensor.device) for tensor in (one, other)]
    return facts[0] == facts[1] and one.data_ptr() == other.data_ptr()


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version


def is_cut_off(input: Tensor, marked: Mark) -> bool:
    """Return whether a gradient is wanted of a marked tensor that was computed without one, as in a checkpoint."""
    return input.requires_grad and not marked.is_recorded


def may_be_computed_again() -> bool:
    """Return whether a checkpoint may call the module again, with the same tensor."""
    return torch.is_grad_enabled() and _top_hooks(True) is not None
