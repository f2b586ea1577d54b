"""Checkpoint files, as tensors by name.

In: a file of torch, of safetensors, of arrays (.npz), or a pickle of arrays as Caffe2 has them. What it is, its first
bytes tell. Out: tensors by name, unwrapped and without the prefixes that training programs put before all names.
Refused: files that hold anything but tensors and plain containers; reading runs no code of theirs.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import torch
from torch import Tensor

_WRAPPERS: Final = ("state_dict", "model_state", "model_state_dict", "model", "blobs")
"""Keys under which training programs store the state of the model, next to the state of the optimiser."""

_PREFIXES: Final = ("module.", "_orig_mod.", "model.")
"""What programs put before every name: those that train on several devices, torch.compile, and trainers."""

_BODY: Final = "base_model."
"""What ECO and TSN put before every name but those of a new last layer."""

_ARRAYS: Final[Mapping[str, Any]] = {
    "_reconstruct": np.empty(0).__reduce__()[0],  # its module differs between versions
    "ndarray": np.ndarray,
    "dtype": np.dtype,
}

_UNREADABLE: Final = (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, TypeError, ValueError, IndexError)


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint file by name: unwrapped, and without a prefix that all names have.

    Only tensors and plain containers are read: a checkpoint cannot run code.

    Parameters
    ----------
    path : str or Path
        Written by `torch.save`, safetensors or `numpy.savez`, or a pickle of a dict of arrays. A dict of tensors, or a
        dict that holds one under "state_dict", "model_state", "model_state_dict", "model" or "blobs".

    Returns
    -------
    dict of str to Tensor
        On the CPU, with the dtypes of the file.

    Raises
    ------
    ImportError
        If the file is of safetensors, and that is not installed.
    OSError
        If the file cannot be read.
    ValueError
        If it is not a checkpoint, or holds no named tensors.
    """
    state = _unwrapped(_loaded(Path(path)))
    if not state or not all(isinstance(key, str) for key in state):
        raise ValueError(f"weights {str(path)!r} hold no tensors by name; a state_dict is expected")
    tensors = {key: torch.from_numpy(value) if _is_array(value) else value for key, value in state.items()}
    if not all(isinstance(value, Tensor) for value in tensors.values()):
        raise ValueError(f"weights {str(path)!r} hold no tensors by name; a state_dict is expected")
    return _without_prefixes(tensors)


def _loaded(path: Path) -> Any:
    with path.open("rb") as file:
        start = file.read(9)
        if start[8:] == b"{":  # behind the length of the header
            return _load_safetensors(path)
        if start[:2] == b"PK" and zipfile.is_zipfile(path) and _holds_arrays(path):
            with np.load(path) as arrays:
                return dict(arrays)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        arrays = _pickled_arrays(path)
        if arrays is not None:
            return arrays
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(f"weights {str(path)!r} are not a checkpoint of plain tensors: {reason}") from None


def _holds_arrays(path: Path) -> bool:
    with zipfile.ZipFile(path) as members:
        return all(name.endswith(".npy") for name in members.namelist())


def _load_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError:
        message = 'safetensors is not installed; pip install "winograd[checkpoints]"'
        raise ImportError(message, name="safetensors") from None
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"weights {str(path)!r} are not a checkpoint of safetensors: {error}") from None
    return tensors


class _ArrayUnpickler(pickle.Unpickler):
    """Makes arrays, and nothing else that has a class."""

    def find_class(self, module: str, name: str) -> Any:
        if module.partition(".")[0] == "numpy" and name in _ARRAYS:
            return _ARRAYS[name]
        if (module, name) == ("_codecs", "encode"):  # arrays that Python 2 wrote
            return lambda text, _: text.encode("latin1")
        raise pickle.UnpicklingError(f"{module}.{name} is no array")


def _pickled_arrays(path: Path) -> Any | None:
    with path.open("rb") as file:
        return _unpickled(file)


def _unpickled(file: IO[bytes]) -> Any | None:
    try:
        return _ArrayUnpickler(file, encoding="latin1").load()
    except (*_UNREADABLE, AttributeError, UnicodeError, MemoryError):  # whatever bytes that are no pickle lead to
        return None


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "biuf"


def _unwrapped(loaded: Any) -> dict[Any, Any]:
    for wrapper in _WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(wrapper), Mapping):
            return dict(loaded[wrapper])
    return dict(loaded) if isinstance(loaded, Mapping) else {}


def _without_prefixes(state: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in _PREFIXES:
        if all(key.startswith(prefix) for key in state):
            return _without_prefixes({key.removeprefix(prefix): value for key, value in state.items()})
    bare = {key.removeprefix(_BODY): value for key, value in state.items()}
    return bare if len(bare) == len(state) else state
