from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

from winograd.networks import initialise_he, load_weights


def small() -> nn.Sequential:
    return nn.Sequential(nn.Conv3d(4, 64, 3), nn.BatchNorm3d(64), nn.Flatten(), nn.Linear(64, 32))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model_state": state},
        lambda state: {f"module.{name}": value for name, value in state.items()},
        lambda state: {"state_dict": {f"module.{name}": value for name, value in state.items()}},
    ],
)
def test_checkpoints_are_unwrapped(tmp_path: Path, wrap: object) -> None:
    source, target = initialise_he(small(), seed=1), initialise_he(small(), seed=2)
    torch.save(wrap(source.state_dict()), tmp_path / "weights.pth")  # type: ignore[operator]
    assert load_weights(target, tmp_path / "weights.pth") is target
    assert all(torch.equal(a, b) for a, b in zip(source.parameters(), target.parameters(), strict=True))


def test_a_checkpoint_that_does_not_fit_is_refused_and_the_model_stays(tmp_path: Path) -> None:
    model = small()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = model.state_dict()
    state["extra.weight"] = torch.zeros(1)
    del state["0.bias"]
    state["3.weight"] = torch.zeros(31, 64)
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(ValueError, match="do not fit the model") as caught:
        load_weights(model, tmp_path / "weights.pth")
    message = str(caught.value)
    assert "1 missing (0.bias)" in message
    assert "1 unexpected (extra.weight)" in message
    assert "1 of another shape (3.weight (31, 64) for (32, 64))" in message
    assert "\n" not in message
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


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
