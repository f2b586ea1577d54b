from __future__ import annotations

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save
from torch import nn

from winograd.networks import initialise_he, load_weights
from winograd.networks.checkpoints import read_weights


def small() -> nn.Sequential:
    return nn.Sequential(nn.Conv3d(4, 64, 3), nn.BatchNorm3d(64), nn.Flatten(), nn.Linear(64, 32))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model_state": state},
        lambda state: {"model_state_dict": state},
        lambda state: {"model": state},
        lambda state: {f"module.{name}": value for name, value in state.items()},
        lambda state: {"state_dict": {f"module.{name}": value for name, value in state.items()}},
        lambda state: {f"module.base_model.{name}": value for name, value in state.items()},
        lambda state: {f"_orig_mod.module.{name}": value for name, value in state.items()},
    ],
)
def test_checkpoints_are_unwrapped(tmp_path: Path, wrap: object) -> None:
    source, target = initialise_he(small(), seed=1), initialise_he(small(), seed=2)
    torch.save(wrap(source.state_dict()), tmp_path / "weights.pth")  # type: ignore[operator]
    assert load_weights(target, tmp_path / "weights.pth") is target
    assert all(torch.equal(a, b) for a, b in zip(source.parameters(), target.parameters(), strict=True))


class Trap:
    """Unpickled without care, this makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_a_checkpoint_cannot_run_code(tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    torch.save({"state_dict": Trap(trace)}, tmp_path / "weights.pth")
    with pytest.raises(ValueError, match="not a checkpoint of plain tensors") as caught:
        load_weights(small(), tmp_path / "weights.pth")
    assert "\n" not in str(caught.value)
    assert not trace.exists()
    pickle.loads(pickle.dumps(Trap(trace)))
    assert trace.exists()  # the trap does work where it is not guarded against


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 cut off"])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "weights.pth").write_bytes(content)
    with pytest.raises(ValueError, match=r"weights '.*weights.pth' are not a checkpoint"):
        load_weights(small(), tmp_path / "weights.pth")


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {}, torch.zeros(2)])
def test_a_checkpoint_without_named_tensors_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(ValueError, match="hold no tensors by name"):
        load_weights(small(), tmp_path / "weights.pth")


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_weights(small(), tmp_path / "weights.pth")


def test_a_prefix_that_only_some_names_have_stays(tmp_path: Path) -> None:
    torch.save({"module.weight": torch.ones(1), "bias": torch.zeros(1)}, tmp_path / "weights.pth")
    assert set(read_weights(tmp_path / "weights.pth")) == {"module.weight", "bias"}


def test_a_pickle_of_arrays_cannot_run_code(tmp_path: Path) -> None:
    trace, path = tmp_path / "ran", tmp_path / "weights.pkl"
    path.write_bytes(pickle.dumps({"blobs": {"conv1_w": np.zeros(2), "trap": Trap(trace)}}, protocol=2))
    with pytest.raises(ValueError, match="not a checkpoint of plain tensors"):
        read_weights(path)
    assert not trace.exists()


def test_objects_in_arrays_are_refused(tmp_path: Path) -> None:
    with (tmp_path / "weights").open("wb") as file:
        np.savez(file, weight=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match=r"weights '.*weights' are not a checkpoint .*allow_pickle=False"):
        read_weights(tmp_path / "weights")


def test_a_cut_file_of_safetensors_is_refused(tmp_path: Path) -> None:
    content = save({"weight": torch.ones(8)})
    (tmp_path / "whole").write_bytes(content)
    assert torch.equal(read_weights(tmp_path / "whole")["weight"], torch.ones(8))
    (tmp_path / "cut").write_bytes(content[:-4])
    with pytest.raises(ValueError, match=r"cut' are not a checkpoint .*deserializing") as caught:
        read_weights(tmp_path / "cut")
    assert "\n" not in str(caught.value)


def test_safetensors_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "whole").write_bytes(save({"weight": torch.ones(8)}))
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    with pytest.raises(ImportError, match=r'safetensors is not installed; pip install "winograd\[checkpoints\]"'):
        read_weights(tmp_path / "whole")
