"""Checkpoint files, as tensors by name.

In: a file of torch, of safetensors, of arrays (.npz), or a pickle of arrays as Caffe2 has them. What it is, its first
bytes tell. Out: tensors by name, unwrapped and without the prefixes that training programs put before all names.
Refused: files that hold anything but tensors and plain containers; reading runs no code of theirs.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from winograd.networks.checkpoints.pickled_arrays import PickledArray, unpickled_arrays

_WRAPPERS: Final = ("state_dict", "model_state", "model_state_dict", "model", "blobs")
"""Keys under which training programs store the state of the model, next to the state of the optimiser."""

_PREFIXES: Final = ("module.", "_orig_mod.", "model.")
"""What programs put before every name: those that train on several devices, torch.compile, and trainers."""

_BODY: Final = "base_model."
"""What ECO and TSN put before every name but those of a new last layer."""

_FOREIGN: Final = {
    b"": "the file is empty",
    b"<": "it is a page of HTML, perhaps what a server says in the place of the file",
    b"version ": "it is a pointer of Git LFS, not the file itself; git lfs pull fetches that",
}
"""What is often there in the place of a checkpoint, by its first bytes, all eight of them or one."""

_TORCH_REASON: Final = "WeightsUnpickler error: "
"""Before it, torch tells how to read the file in spite of the danger."""


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
        If the file cannot be opened.
    ValueError
        Naming the file, if it is not a checkpoint, is damaged, or holds no named tensors.
    """
    with Path(path).open("rb") as file:
        start = file.read(9)
    foreign = _FOREIGN.get(start[:8], _FOREIGN.get(start[:1]))
    if foreign is not None and start[8:] != b"{":  # a header of safetensors, of that length
        raise ValueError(f"weights {str(path)!r} are not a checkpoint: {foreign}")
    try:
        state = {key: _as_tensor(value) for key, value in _unwrapped(_loaded(Path(path), start)).items()}
    except ImportError:
        raise
    except Exception as error:  # four readers, and what they raise for damaged files is not documented
        raise ValueError(f"weights {str(path)!r} are not a checkpoint of plain tensors: {_reason(error)}") from None
    if not state or not all(isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items()):
        raise ValueError(f"weights {str(path)!r} hold no tensors by name; a state_dict is expected")
    return _without_prefixes(state)


def _reason(error: Exception) -> str:
    text = str(error)
    return (text.partition(_TORCH_REASON)[2] or text).strip().partition("\n")[0] or type(error).__name__


def tensor_of(array: NDArray[Any]) -> Tensor:
    """Return a copy with the bytes in the order of this machine, the only one that torch has."""
    return torch.from_numpy(np.array(array, array.dtype.newbyteorder("=")))


def _as_tensor(value: Any) -> Any:
    if isinstance(value, PickledArray):
        value = value.array()
    return tensor_of(value) if isinstance(value, np.ndarray) and value.dtype.kind in "biuf" else value


def _loaded(path: Path, start: bytes) -> Any:
    if start[8:] == b"{":  # behind the length of the header
        return _load_safetensors(path)
    if start[:2] == b"PK" and zipfile.is_zipfile(path) and _holds_arrays(path):
        with np.load(path) as arrays:
            return dict(arrays)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception:
        arrays = _pickled_arrays(path)
        if arrays is None:
            raise
        return arrays


def _holds_arrays(path: Path) -> bool:
    with zipfile.ZipFile(path) as members:
        return all(name.endswith(".npy") for name in members.namelist())


def _load_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        from safetensors.torch import load_file
    except ImportError:
        message = 'safetensors is not installed; pip install "winograd[checkpoints]"'
        raise ImportError(message, name="safetensors") from None
    tensors: dict[str, Tensor] = load_file(path)
    return tensors


def _pickled_arrays(path: Path) -> Mapping[Any, Any] | None:
    with path.open("rb") as file:
        try:
            loaded = unpickled_arrays(file)
        except Exception:
            return None
    return loaded if isinstance(loaded, Mapping) else None  # old files of torch begin with the pickle of a number


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
