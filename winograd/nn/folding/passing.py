"""Norms and ReLUs that pass on what the convolution before them computed already, and compute themselves otherwise.

In: a tensor. Out: the same tensor if a folded convolution made it for this module, what torch's module gives otherwise.
The convolution decides at each call, and marks what it gives; each module passes it on once, and again where a
checkpoint computes anew.
"""

from __future__ import annotations

import types
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, SupportsIndex

from torch import Tensor, nn

from winograd.nn.folding.marks import find_mark, is_cut_off, mark, may_be_computed_again
from winograd.nn.folding.pairs import plain_class
from winograd.nn.folding.weights import Norm
from winograd.nn.recipes import from_recipe

if TYPE_CHECKING:
    from winograd.nn.folding.folding import Folding


class Passing(nn.Module):
    """Mixed in before one of torch's modules: passes on what is marked for it."""

    _winograd_plain: ClassVar[type[nn.Module]]
    _winograd_foldings: list[Folding]

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        self._let_go()
        return super()._apply(fn, recurse)  # type: ignore[no-any-return, no-untyped-call]

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self._let_go()
        super()._load_from_state_dict(*args, **kwargs)

    def _let_go(self) -> None:
        for folding in self._winograd_foldings:
            folding.let_go()

    def __reduce_ex__(self, _protocol: SupportsIndex) -> tuple[Any, ...]:
        state = object.__reduce_ex__(self, 2)[2]
        return from_recipe, ("blank_passing", self._winograd_plain), state


class PassingNorm(Passing, Norm):
    """A batch norm; `Passing`."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the input if it is normalised already.

        Raises
        ------
        RuntimeError
            If a gradient is wanted of what was computed without one.
        """
        marked = find_mark(input, self)
        if marked is None:
            return super().forward(input)
        if is_cut_off(input, marked):
            raise RuntimeError(
                "a gradient is wanted of a norm that was folded into the convolution before it and computed without "
                "gradients, by checkpointing both apart for example; thaw the model first"
            )
        self._check_input_dim(input)  # type: ignore[no-untyped-call]
        if may_be_computed_again():  # the mark stays for that, and what follows may write over its own copy
            return mark(input.clone(), marked.folding, (self,))
        marked.passed = (*marked.passed, self)
        return input


class PassingReLU(Passing, nn.ReLU):
    """A ReLU; `Passing`."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the input if it has no negative number any more."""
        marked = find_mark(input, self)
        if marked is None or is_cut_off(input, marked) or may_be_computed_again():
            return super().forward(input)
        marked.passed = (*marked.passed, self)
        return input


_made: Final[weakref.WeakKeyDictionary[type[nn.Module], weakref.ref[type[Passing]]]] = weakref.WeakKeyDictionary()
"""The class that passes on for each class, while there are modules of it."""


def begin_passing(module: nn.Module, folding: Folding) -> None:
    """Make a norm or ReLU pass on what a folded convolution marks; its parameters and its name stay."""
    vars(module).setdefault("_winograd_foldings", []).append(folding)
    module.__class__ = passing_class(plain_class(type(module)))


def end_passing(module: nn.Module, folding: Folding) -> None:
    """Give a module its former class back, unless others still pass something through it."""
    foldings = vars(module)["_winograd_foldings"]
    foldings.remove(folding)
    if not foldings:
        del vars(module)["_winograd_foldings"]
        module.__class__ = plain_class(type(module))


def is_passing(module: nn.Module) -> bool:
    """Return whether a module has the class that `begin_passing` gave it."""
    return isinstance(module, Passing) and type(module) is passing_class(plain_class(type(module)))


def passing_class(base: type[nn.Module]) -> type[Passing]:
    """Return the class that does what ``base`` does where nothing is marked; it pickles as the recipe to make it."""
    made = _made[base]() if base in _made else None
    if made is None:
        mixin: type[Passing] = PassingNorm if issubclass(base, Norm) else PassingReLU
        body = {"_winograd_plain": base, "__doc__": base.__doc__, "__module__": base.__module__}
        made = types.new_class(base.__name__, (mixin, base), exec_body=lambda space: space.update(body))
        _made[base] = weakref.ref(made)
    return made


def blank_passing(base: type[nn.Module]) -> Passing:
    """Make an uninitialised module of the class that passes on, which its state will fill."""
    cls = passing_class(base)
    return cls.__new__(cls)
