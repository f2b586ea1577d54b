"""`Folding`: one convolution with the norm and the ReLU that it computes, and its folded weight.

In: the tensors of a call. Out: the weight and bias to compute with, or None where this call is computed as it came:
while it trains or is differentiated, where hooks look on, also at what is saved for a backward, as in a checkpoint, and
where norm or ReLU were exchanged, patched or compiled.
Weights are folded anew after every write that torch counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from winograd.conv.library.kept import Stamp, hides_writes
from winograd.nn.folding.hooks import has_global_hooks, has_hooks
from winograd.nn.folding.marks import mark, may_be_computed_again
from winograd.nn.folding.places import Place
from winograd.nn.folding.weights import Folded, Norm, fold_weights
from winograd.nn.recipes import blank_from_recipe


class _Kept(NamedTuple):
    """What was folded, if that could be, and of what: the stamps of the tensors, and the eps of the norm."""

    folded: Folded | None
    stamps: tuple[Stamp, ...]
    eps: float

    def is_of(self, given: tuple[Tensor, ...], eps: float) -> bool:
        """Return whether it was made of these tensors as they are."""
        return self.eps == eps and len(self.stamps) == len(given) and all(map(Stamp.is_of, self.stamps, given))


class Folding:
    """What a convolution computes beside itself. Copies and pickles carry the modules, not the folded weight.

    Parameters
    ----------
    norm : BatchNorm1d, BatchNorm2d or BatchNorm3d, optional
    relu : ReLU, optional
        At least one of them is there.
    places : dict from module to tuple of Place
        Where both are in the model; nothing is computed beside the convolution once one is not there any more.
    """

    def __init__(self, norm: Norm | None, relu: nn.ReLU | None, places: Mapping[nn.Module, tuple[Place, ...]]) -> None:
        self.norm = norm
        self.relu = relu
        self._places = tuple((module, place) for module in self.modules for place in places[module])
        self._kept: _Kept | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return blank_from_recipe, ("Folding",), {**vars(self), "_kept": None}

    @property
    def modules(self) -> tuple[nn.Module, ...]:
        """The norm and the ReLU, those that are there."""
        return tuple(module for module in (self.norm, self.relu) if module is not None)

    @property
    def nbytes(self) -> int:
        """Bytes of the folded weight and bias that are kept."""
        kept = None if self._kept is None else self._kept.folded
        return 0 if kept is None else sum(tensor.nbytes for tensor in kept)

    def find(self, layer: nn.Module, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None] | None:
        """Return what the layer computes with now, or None if norm and ReLU are to compute themselves."""
        if has_global_hooks() or has_hooks(layer) or not self._are_as_they_were() or may_be_computed_again():
            return None
        norm = self.norm
        if norm is None:
            return weight, bias
        given = _given(layer, norm)
        if given is None or norm.training or any(map(hides_writes, given)):
            return None
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in given):
            return None
        kept = self._kept
        if kept is None or not kept.is_of(given, norm.eps):
            if not all(map(_is_plain, given)):
                return None
            stamps = tuple(map(Stamp, given))  # before the tensors are read: a write meanwhile shows
            eps = norm.eps
            kept = self._kept = _Kept(fold_weights(weight, bias, norm), stamps, eps)
        return kept.folded

    def _are_as_they_were(self) -> bool:
        """Return whether norm and ReLU are where they were, and compute what they did, unseen."""
        for module, place in self._places:
            if not place.holds(module) or "forward" in module.__dict__ or module._compiled_call_impl is not None:
                return False
            if has_hooks(module):
                return False
        return True

    def let_go(self) -> None:
        """Drop the folded weight, which is made anew where it is needed."""
        self._kept = None

    def hand_on(self, output: Tensor) -> Tensor:
        """Return the output, marked so that norm and ReLU pass it on."""
        return mark(output, self)


def _given(layer: nn.Module, norm: Norm) -> tuple[Tensor, ...] | None:
    """Return the tensors that are folded, or None where one is no parameter or buffer any more.

    With them the number of batches: torch counts no write to statistics while a norm trains, but those to this.
    """
    try:
        parameters = [module._parameters[name] for module in (layer, norm) for name in ("weight", "bias")]
        buffers = [norm._buffers[name] for name in ("running_mean", "running_var", "num_batches_tracked")]
    except KeyError:
        return None
    return tuple(tensor for tensor in (*parameters, *buffers) if tensor is not None)


def _is_plain(tensor: Tensor) -> bool:
    """Return whether a tensor holds its numbers itself, and has any."""
    is_wrapped: bool = torch._C._functorch.is_functorch_wrapped_tensor(tensor)
    return type(tensor) in (Tensor, nn.Parameter) and not is_wrapped and not tensor.is_meta
