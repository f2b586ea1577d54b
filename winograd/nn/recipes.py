"""Recipes: what files of models name in place of our classes and functions, whose modules may move.

In: a word, and parts that are plain or torch's. Out: what the word stands for, made of them. Files that `pickle` and
`torch.save` write name this module, which stays where it is, and the words, which keep their meaning. Refused: other
words, as a file of a newer version may have them.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final

from winograd.quoting import quote

HOMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(["Conv1d", "Conv2d", "Conv3d"], "winograd.nn.modules"),
        **dict.fromkeys(["ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"], "winograd.nn.transposed"),
        **dict.fromkeys(["LazyConv1d", "LazyConv2d", "LazyConv3d"], "winograd.nn.lazy"),
        **dict.fromkeys(["LazyConvTranspose1d", "LazyConvTranspose2d", "LazyConvTranspose3d"], "winograd.nn.lazy"),
        "ConversionReport.from_json": "winograd.nn.report",
        "ConvolutionState": "winograd.nn.convolving",
        "Folding": "winograd.nn.folding.folding",
        "OutputBudget.from_dict": "winograd.nn.budget.record",
        "Place": "winograd.nn.folding.places",
        "SharedBudget": "winograd.nn.state",
        "TransposedState": "winograd.nn.transposed",
        "blank_passing": "winograd.nn.folding.passing",
        "blank_planned": "winograd.nn.planned",
        "convert_again": "winograd.nn.planned",
        "restored_state": "winograd.nn.state",
    }
)
"""By the word: the module in which it stands for something today."""


def from_recipe(word: str, *parts: Any) -> Any:
    """Return what a word makes of these parts.

    Raises
    ------
    ValueError
        If the word is unknown.

    Examples
    --------
    >>> from_recipe("TransposedState").filters
    <Filters.LIVE: 'live'>
    >>> from_recipe("Conv9d")
    Traceback (most recent call last):
    ...
    ValueError: recipe 'Conv9d' is unknown, the file is of another version of winograd
    """
    return found(word)(*parts)


def blank_from_recipe(word: str) -> Any:
    """Return an uninitialised object of the class that a word stands for; its state fills it."""
    cls = found(word)
    return cls.__new__(cls)


def found(word: str) -> Any:
    """Return what a word stands for."""
    if word not in HOMES:
        raise ValueError(f"recipe {quote(word)} is unknown, the file is of another version of winograd")
    return attrgetter(word)(importlib.import_module(HOMES[word]))


def word_of(cls: type) -> str | None:
    """Return the word that stands for this very class, or None where it has none, as a subclass of one has."""
    return cls.__name__ if HOMES.get(cls.__name__) == cls.__module__ else None
