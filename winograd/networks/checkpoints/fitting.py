"""How the weights of a file fit a model: by which convention, and what is missing, too much, or of another shape.

In: tensors by the names of a file, and those of a model. Out: tensors by the model's names; or an error in one line
with the names that are missing and the nearest that are there.
Refused: files that do not fit, tensors that are sparse, complex or quantized, and patterns of names to be left out that
nothing has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from fnmatch import fnmatchcase
from typing import Final

import torch
from torch import Tensor

from winograd.networks.checkpoints.caffe2 import CAFFE2
from winograd.networks.checkpoints.conventions import NAMED, OWN, Convention
from winograd.networks.checkpoints.kinetics_i3d import KINETICS_I3D

_CONVENTIONS: Final = (OWN, *NAMED, KINETICS_I3D, CAFFE2)

_SHOWN: Final = 5
"""Names listed in an error; a wrong checkpoint has hundreds."""

_DTYPES: Final = frozenset(
    {torch.bool, torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.int8, torch.int16, torch.int32}
    | {torch.int64, torch.float16, torch.bfloat16, torch.float32, torch.float64}
)
"""A number per element, that torch can round to any other of them."""

_COUNTER: Final = ".num_batches_tracked"
"""Not in older checkpoints, and nothing depends on it where the momentum is a number."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """Tensors of a file under the names of a model.

    Parameters
    ----------
    convention : Convention
        The one whose names the model has most of.
    tensors : mapping of str to Tensor
        By the model's names; names that the convention does not know are as they were.
    names_there : mapping of str to str
        From these names to those of the file.
    """

    convention: Convention
    tensors: Mapping[str, Tensor]
    names_there: Mapping[str, str]


def fit(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> Fitted:
    """Return the tensors by the convention that gives the model the most of its names; its own ones go first.

    Raises
    ------
    ValueError
        If two names of the file stand for one of the model, or a tensor is nested: it has no shape.
    """
    nested = [name for name, value in state.items() if value.is_nested]
    if nested:
        raise ValueError(f"weights {nested[0]!r} is a nested tensor; strided tensors of real numbers are expected")
    renamings = [convention.rename(state.keys(), expected.keys()) for convention in _CONVENTIONS]
    known = [len(expected.keys() & set(renaming.values())) for renaming in renamings]
    best = known.index(max(known))
    convention, renaming = _CONVENTIONS[best], renamings[best]
    names_there: dict[str, str] = {}
    for name in state:
        ours = renaming.get(name, name)
        if ours in names_there:
            raise ValueError(f"weights {names_there[ours]!r} and {name!r} both stand for {ours}")
        names_there[ours] = name
    tensors = {
        ours: state[name] if _oddity(state[name]) else convention.reshape(name, state[name])
        for ours, name in names_there.items()
    }
    return Fitted(convention, tensors, names_there)


def complete(
    fitted: Fitted, expected: Mapping[str, Tensor], *, skip: Sequence[str], source: str, classifier: str | None
) -> dict[str, Tensor]:
    """Return a tensor for every name of the model, those that are left out and counters from the model itself.

    Parameters
    ----------
    fitted : Fitted
        See `fit`.
    expected : mapping of str to Tensor
        State of the model.
    skip : sequence of str
        Shell patterns of names, of the model or the file, that are left out.
    source : str
        Where the weights came from, for the error.
    classifier : str or None
        Layer of the model with one row per class.

    Raises
    ------
    ValueError
        Naming what is missing with the nearest that is there, what is unexpected, what has another shape, and what
        could not be copied as it is: sparse, complex, quantized or without values. Or a pattern that nothing
        has.
    """
    left = _matching(skip, [*expected, *fitted.names_there, *fitted.names_there.values()])
    there = {name: value for name, value in fitted.tensors.items() if not left & {name, fitted.names_there[name]}}
    units = {
        name: torch.ones_like(value)
        for name, value in expected.items()
        if fitted.convention.unit_scales and name.removesuffix("weight") + "running_var" in there
    }
    kept = {name: value for name, value in expected.items() if name in left or name.endswith(_COUNTER)}
    found = {**kept, **units, **there}
    problems = _problems(found, expected, fitted.names_there)
    if problems:
        program = fitted.convention.program
        by = f" by {program}'s names" if program else ""
        hint = _classes_hint(found, expected, classifier)
        raise ValueError(f"weights {source!r}{by} do not fit the model: {'; '.join(problems + hint)}")
    return found


def _matching(patterns: Sequence[str], names: Sequence[str]) -> set[str]:
    left: set[str] = set()
    for pattern in patterns:
        matching = {name for name in names if fnmatchcase(name, pattern)}
        if not matching:
            raise ValueError(f"skip has {pattern!r}, which matches no name of the model or the weights")
        left |= matching
    return left


def _problems(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], names_there: Mapping[str, str]) -> list[str]:
    unexpected = {name: found[name] for name in found if name not in expected}
    absent = [name for name in expected if name not in found]
    missing = [name + _nearest(name, expected[name], unexpected, names_there) for name in absent[:_SHOWN]]
    both = [name for name in expected if name in found]
    odd = {name: oddity for name in both if (oddity := _oddity(found[name], expected[name]))}
    reshaped = [
        f"{name} {tuple(found[name].shape)} for {tuple(expected[name].shape)}"
        for name in both
        if name not in odd and found[name].shape != expected[name].shape
    ]
    listed = (
        _listed("missing", missing + absent[_SHOWN:]),
        _listed("unexpected", [names_there[name] for name in unexpected]),
        _listed("of another shape", reshaped),
        _listed("no strided tensors of real numbers", [f"{name} ({oddity})" for name, oddity in odd.items()]),
    )
    return [problem for problem in listed if problem]


def _oddity(value: Tensor, expected: Tensor | None = None) -> str:
    """Return what keeps the values from being copied as they are, empty if nothing does."""
    if value.layout is not torch.strided:
        return str(value.layout)
    if value.dtype not in _DTYPES and (expected is None or value.dtype != expected.dtype):
        return str(value.dtype)
    return "on the device meta" if expected is not None and value.is_meta and not expected.is_meta else ""


def _nearest(name: str, value: Tensor, unexpected: Mapping[str, Tensor], names_there: Mapping[str, str]) -> str:
    alike = [other for other in unexpected if unexpected[other].shape == value.shape] or list(unexpected)
    if not alike:
        return ""
    matcher = SequenceMatcher(b=name)  # remembers what it found out about b

    def likeness(other: str) -> float:
        matcher.set_seq1(other)
        return matcher.ratio()

    return f" (nearest there: {names_there[max(alike, key=likeness)]})"


def _listed(problem: str, names: Sequence[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{len(names)} {problem}: {', '.join(names[:_SHOWN])}{more}"


def _classes_hint(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], classifier: str | None) -> list[str]:
    name = f"{classifier}.weight"
    if name not in found or name not in expected or found[name].shape[1:] != expected[name].shape[1:]:
        return []
    there, here = len(found[name]), len(expected[name])
    return [] if there == here else [f"they have {there} classes, the model {here}: num_classes={there} fits"]
