"""Runs of small networks on small clips, and what a run refuses."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.networks.checkpoints import formats
from tests.videos import waves, write_video
from winograd.networks import VideoNetwork, registry
from winograd.networks.outline import ShapeError, check_shape, outline
from winograd.networks.registry import UnknownNetworkError
from winograd.networks.resnet3d import r2plus1d
from winograd.running import execute
from winograd.running.execute import input_shape, run_network
from winograd.running.settings import RunSettings


class Tiny(VideoNetwork):
    """Two convolutions and a normalisation; frames of 8 x 8 at least."""

    classifier = "head"

    def __init__(self, num_classes: int = 7, channels: int = 3) -> None:
        super().__init__()
        self.input_shape = (channels, 2 if channels == 23 else 4, 16, 16)
        self.conv1 = nn.Conv3d(channels, 6, (1, 7, 7), padding=(0, 0, 0))
        self.norm = nn.BatchNorm3d(6)
        self.conv2 = nn.Conv3d(6, 8, 3, padding=1)
        self.head = nn.Linear(8, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv2(self.norm(self.conv1(x)).relu()).relu().mean(dim=(2, 3, 4)))


class TinyResidual(VideoNetwork):
    """Four residual blocks with normalisations."""

    input_shape = (3, 4, 16, 16)
    classifier = "head"

    def __init__(self, num_classes: int = 7) -> None:
        super().__init__()
        self.stem = nn.Conv3d(3, 8, 3, padding=1)
        self.blocks = nn.Sequential(*(TinyBlock() for _ in range(4)))
        self.head = nn.Linear(8, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x)).mean(dim=(2, 3, 4)))


class TinyBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(8, 8, 3, padding=1)
        self.norm = nn.BatchNorm3d(8)
        self.downsample = None

    def forward(self, x: Tensor) -> Tensor:
        return (x + self.norm(self.conv(x))).relu()


@pytest.fixture(autouse=True)
def tiny_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._BUILDERS, "tiny_residual", TinyResidual)
    for channels in (2, 3, 4, 5, 23):
        monkeypatch.setitem(
            registry._BUILDERS, f"tiny{channels}", lambda channels=channels, **kw: Tiny(channels=channels, **kw)
        )


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    return str(write_video(path, waves(44)))


@pytest.mark.parametrize(("channels", "input"), [(2, "2x4"), (3, "3x4"), (5, "5x4"), (23, "23x2")])
def test_a_network_of_each_kind_of_input_runs(channels: int, input: str, video: str) -> None:
    said: list[str] = []
    run = run_network(RunSettings(f"tiny{channels}", video, repeats=0), said.append)
    assert [layer.layer for layer in run.comparison.layers] == ["conv1", "conv2"]
    assert run.comparison.error < 1e-5
    assert f"clips 1x{input}x16x16, tolerance 1e-05" in str(run)
    assert said[:2] == ["frames of the video", "weights"]
    assert said[-1] == "layer 2 of 2: conv2"
    figures = json.loads(json.dumps(run.as_dict(), allow_nan=False))
    assert figures["weights"].endswith("not trained; normalisations from the first clip")
    assert figures["clips"] == [video, video]
    assert figures["times"] is None


def test_sizes_batch_and_dtype_are_taken(video: str) -> None:
    run = run_network(RunSettings("tiny3", video, frames=5, size=20, batch=3, dtype="bfloat16", repeats=0))
    assert run.input_shape == (3, 5, 20, 20)
    assert run.own_shape == (3, 4, 16, 16)
    assert "bfloat16, clips 3x3x5x20x20 (its own size: 3x4x16x16)" in run.heading
    assert len(run.comparison.outputs) == 3
    assert [layer.input for layer in run.comparison.layers] == [(3, 3, 5, 20, 20), (3, 6, 5, 14, 14)]
    assert run.comparison.dtype == "bfloat16"
    assert run.excess is None


def test_a_checkpoint_decides_on_classes_and_normalisations(video: str, tmp_path: Path) -> None:
    torch.save(Tiny(num_classes=3).state_dict(), tmp_path / "tiny.pth")
    run = run_network(RunSettings("tiny3", video, weights=str(tmp_path / "tiny.pth"), repeats=0))
    assert run.weights == f"weights from {tmp_path / 'tiny.pth'}"
    assert len(run.comparison.outputs[0].top) == 3


def test_clips_and_own_size_are_those_of_the_form_that_a_checkpoint_chooses(
    video: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry._BUILDERS, "r2plus1d_10", partial(r2plus1d, depth=10))
    state = r2plus1d(3, depth=10, mid_channels="mmaction2").state_dict()
    torch.save({"state_dict": formats.mmaction2_r2plus1d(state)}, tmp_path / "r2plus1d.pth")
    seen: list[Any] = []
    monkeypatch.setattr(execute, "compare", lambda model, clips, **given: seen.extend((model, clips, given["stack"])))
    monkeypatch.setattr(execute, "pretrained", watched := Watched(execute.pretrained, stack=("stem.0",)))
    run = run_network(RunSettings("r2plus1d_10", video, weights=str(tmp_path / "r2plus1d.pth"), repeats=0))
    assert outline("r2plus1d_10").input_shape == (3, 16, 112, 112)
    assert run.own_shape == run.input_shape == (3, 8, 224, 224)
    assert seen[0] is watched.built
    assert seen[1].shape == (2, 3, 8, 224, 224)
    assert seen[2] == ("stem.0",)


def test_a_size_is_held_against_the_form_that_a_checkpoint_chooses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(Tiny(num_classes=3).state_dict(), tmp_path / "tiny.pth")
    settings = RunSettings("tiny3", str(tmp_path / "none.mp4"), weights=str(tmp_path / "tiny.pth"), size=12)
    with pytest.raises(FileNotFoundError, match=r"none\.mp4"):
        run_network(settings)
    loaded = Tiny(num_classes=3, channels=5).eval()
    monkeypatch.setattr(execute, "pretrained", lambda *_, **__: loaded)
    with pytest.raises(FileNotFoundError):
        run_network(settings)
    loaded.conv1.kernel_size, loaded.conv1.weight = (1, 13, 13), nn.Parameter(torch.zeros(6, 5, 1, 13, 13))
    with pytest.raises(ShapeError, match=r"tiny3 cannot take clips of 5x4x12x12 \(its own are 5x4x16x16\)"):
        run_network(settings)
    assert loaded.conv1.weight.device.type == "cpu"


class Watched:
    """Builds a network as `pretrained` does, keeps it, and gives it a stack."""

    def __init__(self, build: Any, stack: tuple[str, ...]) -> None:
        self._build = build
        self._stack = stack

    def __call__(self, *given: Any, **options: Any) -> VideoNetwork:
        self.built: VideoNetwork = self._build(*given, **options)
        self.built.stack = self._stack
        return self.built


def test_a_run_says_where_residual_branches_are_scaled(video: str, monkeypatch: pytest.MonkeyPatch) -> None:
    models: list[nn.Module] = []
    monkeypatch.setattr(execute, "compare", lambda model, *_, **__: models.append(model))
    line = "He-initialised weights, seed 0, not trained; normalisations from the first clip"
    scaled = run_network(RunSettings("tiny_residual", video, repeats=0))
    left = run_network(RunSettings("tiny_residual", video, repeats=0, undamped=True))
    plain = run_network(RunSettings("tiny3", video, repeats=0))
    assert scaled.weights == f"{line}; residual branches scaled by 1/sqrt(n)"
    assert left.weights == plain.weights == line
    assert scaled.weights in scaled.heading
    assert [float(model.blocks[0].norm.weight[0].detach()) for model in models[:2]] == [0.5, 1.0]


def test_options_of_the_network_are_taken(video: str) -> None:
    run = run_network(RunSettings("tiny3", video, repeats=0, options=(("num_classes", 2),)))
    assert len(run.comparison.outputs[0].top) == 2
    assert run.heading.startswith("tiny3 (num_classes=2), He-initialised weights")
    assert run.as_dict()["options"] == {"num_classes": 2}
    with pytest.raises(TypeError, match="depht"):
        run_network(RunSettings("p3d_63", video, repeats=0, options=(("depht", 63),)))


def test_the_same_seed_gives_the_same_figures(video: str) -> None:
    one, same, other = (run_network(RunSettings("tiny3", video, seed=seed, repeats=0)).comparison for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_what_cannot_be_run_is_refused_before_any_work(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "none.mp4")
    with pytest.raises(UnknownNetworkError, match="'tini3' is unknown"):
        run_network(RunSettings("tini3", nowhere))
    said = r"tiny3 cannot take clips of 3x4x6x6 \(its own are .*\): conv1, with a window of 1x7x7, gets only 4x6x6"
    with pytest.raises(ShapeError, match=said):
        run_network(RunSettings("tiny3", nowhere, size=6))
    with pytest.raises(ValueError, match="input has 4 channels"):
        run_network(RunSettings("tiny4", nowhere))
    with pytest.raises(FileNotFoundError):
        run_network(RunSettings("tiny3", nowhere))


def test_shapes_keep_what_is_not_asked_for() -> None:
    network = outline("r3d_10")
    assert input_shape(network, None, None) == network.input_shape
    assert input_shape(network, 8, None) == (3, 8, 112, 112)
    assert input_shape(network, None, 40) == (3, 16, 40, 40)
    check_shape(network, "r3d_10", (3, 1, 8, 8))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"batch": 0}, "batch is 0, must be at least 1"),
        ({"frames": 0}, "frames is 0, must be at least 1"),
        ({"size": -1}, "size is -1, must be at least 1"),
        ({"repeats": -1}, "repeats is -1, must be at least 0"),
        ({"dtype": "int8"}, "dtype is 'int8', must be one of float32, float64, float16, bfloat16"),
        ({"weights": "a.pth", "undamped": True}, "undamped is for initial values, weights are from a file"),
        ({"other_clip": "b", "batch": 3}, "batch is 3, must be 1 or 2 where clips are from two files"),
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RunSettings("tiny3", "a", **wrong)  # type: ignore[arg-type]
