"""Weights from checkpoint files.

In: a model and a checkpoint file. Out: the same model with other values, in place.
Refused: files that hold more than tensors, and checkpoints that do not fit; the model is then as it was.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import torch
from torch import Tensor, nn

_Model = TypeVar("_Model", bound=nn.Module)

_WRAPPERS: Final = ("state_dict", "model_state")
"""Keys under which training programs store the state of the model, next to the state of the optimiser."""

_SHOWN = 5
"""Names listed in an error; a wrong checkpoint has hundreds."""


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint file by name: unwrapped, and without a leading ``module.``.

    Only tensors and plain containers are read (``weights_only=True``): a checkpoint cannot run code.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is not a checkpoint, or holds no named tensors.
    """
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(f"weights {str(path)!r} are not a checkpoint of plain tensors: {reason}") from None
    state = _unwrapped(loaded)
    if not state or not all(isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items()):
        raise ValueError(f"weights {str(path)!r} hold no tensors by name; a state_dict is expected")
    if all(key.startswith("module.") for key in state):
        state = {key.removeprefix("module."): value for key, value in state.items()}
    return state


def _unwrapped(loaded: Any) -> dict[Any, Any]:
    for wrapper in _WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(wrapper), Mapping):
            return dict(loaded[wrapper])
    return dict(loaded) if isinstance(loaded, Mapping) else {}


def load_weights(model: _Model, path: str | Path) -> _Model:
    """Load a checkpoint file into the model, in place, after checking that names and shapes fit.

    Parameters
    ----------
    model : torch.nn.Module
        Unchanged if anything does not fit.
    path : str or Path
        A state_dict, or a dict that holds one under "state_dict" or "model_state"; names may begin with "module.".

    Returns
    -------
    torch.nn.Module
        The same model.

    Raises
    ------
    OSError, ValueError
        As `read_weights`; ValueError naming the missing and unexpected names and the shapes that differ.
    """
    return load_state(model, read_weights(path), source=path)


def load_state(model: _Model, state: Mapping[str, Tensor], *, source: str | Path) -> _Model:
    """Load tensors by name, as `load_weights` does; ``source`` is where they came from, for the error."""
    expected = model.state_dict()
    reshaped = [
        f"{name} {tuple(state[name].shape)} for {tuple(expected[name].shape)}"
        for name in expected.keys() & state.keys()
        if state[name].shape != expected[name].shape
    ]
    problems = [
        _listed("missing", expected.keys() - state.keys()),
        _listed("unexpected", state.keys() - expected.keys()),
        _listed("of another shape", reshaped),
    ]
    if any(problems):
        raise ValueError(f"weights {str(source)!r} do not fit the model: {'; '.join(filter(None, problems))}")
    model.load_state_dict(state)
    return model


def _listed(problem: str, names: Iterable[str]) -> str:
    ordered = sorted(names)
    if not ordered:
        return ""
    more = f" and {len(ordered) - _SHOWN} more" if len(ordered) > _SHOWN else ""
    return f"{len(ordered)} {problem} ({', '.join(ordered[:_SHOWN])}{more})"
