"""Training on moving shapes: both sides begin alike, see the same batches, and the committed logs say what is claimed.

The commands run once with a small network in this process, and once as they are under torchrun in two.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

import winograd

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "training"
MODULES = ("processes", "moving_shapes", "learning", "train", "infer", "speed")
TINY = ["--clips", "16", "--batch", "8", "--test-clips", "16", "--tests", "1", "--frames", "8", "--size", "16"]


@pytest.fixture(scope="module")
def example() -> Iterator[dict[str, ModuleType]]:
    """The example's modules, which import each other by their bare names, as scripts in one folder do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLE))
        modules = {name: import_module(name) for name in MODULES}
        patch.setattr(modules["learning"].Settings, "build", lambda _, seed: small_network(seed))
        yield modules
    for name in (*MODULES, "plots"):
        sys.modules.pop(name, None)


def small_network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    layers = [nn.Conv3d(3, 32, 3, padding=1, bias=False), nn.BatchNorm3d(32), nn.ReLU()]
    layers += [nn.Conv3d(32, 32, 3, padding=1, bias=False), nn.BatchNorm3d(32), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(32, 8))


@pytest.fixture(scope="module")
def trained(example: dict[str, ModuleType], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "moving-shapes"
    assert example["train"].main(["--seeds", "3", "--out", str(folder), *TINY]) == 0
    return folder


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def allowed(loss: float) -> float:
    """Return how far the loss of a converted network may be from that of the direct one with the same weights.

    Each of its 12 convolutions is off by a relative 1e-5, which norms and sums pass on; ReLUs and the mean add nothing.
    The loss of a batch moves by at most twice the largest change of a score, and scores of an untrained network are
    smaller than its loss of about the logarithm of 8, twofold to be sure.
    """
    return 2 * 12 * 1e-5 * 2 * loss


def test_a_training_is_logged(trained: Path) -> None:
    log = read(trained / "seed-3.json")
    assert log["seed"] == 3
    assert (log["processes"], log["settings"]["clips"], log["settings"]["network"]) == (1, 16, "r3d_10")
    direct, ours = log["sides"]["direct"], log["sides"]["winograd"]
    assert len(direct["losses"]) == len(ours["losses"]) == 2
    assert abs(direct["losses"][0] - ours["losses"][0]) <= allowed(direct["losses"][0])
    for side in (direct, ours):
        ((step, right),) = side["accuracies"].items()
        told = sum(side["confusion"][label][label] for label in range(8))
        assert (step, right) == ("2", told / 16)
        assert [sum(row) for row in side["confusion"]] == [2] * 8
    assert {layer["layer"] for layer in log["layers"]} == {"0", "3"}
    assert all(set(layer) == {"layer", "computes", "algorithm", "error"} for layer in log["layers"])


def first_losses(example: dict[str, ModuleType]) -> list[float]:
    settings = example["learning"].Settings(clips=8, batch=8, frames=8, size=16, test_clips=8)
    learners, _ = example["learning"].sides(settings, seed=0)
    example["learning"].train(learners, settings, seed=0)
    return [learner.losses[0] for learner in learners.values()]


def test_without_winograd_both_sides_are_equal_to_the_bit(example: dict[str, ModuleType]) -> None:
    with winograd.set_enabled(False):
        direct, ours = first_losses(example)
    assert direct == ours


def test_sides_that_begin_with_other_weights_are_noticed(
    example: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    convert = winograd.convert_

    def turned(model: nn.Module, **options: Any) -> Any:
        with torch.no_grad():
            model[0].weight.copy_(model[0].weight.flip(2))
        return convert(model, **options)

    monkeypatch.setattr(winograd, "convert_", turned)
    direct, ours = first_losses(example)
    assert abs(direct - ours) > allowed(direct)


def test_batches_depend_on_the_seed_alone(example: dict[str, ModuleType]) -> None:
    batches, settings = example["learning"].batches, example["learning"].Settings(clips=32, batch=8, epochs=2)
    first, again, other = (list(batches(settings, seed)) for seed in (0, 0, 1))
    assert len(first) == settings.steps == 8
    assert all(torch.equal(clips, same) for (clips, _), (same, _) in zip(first, again, strict=True))
    assert not any(torch.equal(clips, another) for (clips, _), (another, _) in zip(first, other, strict=True))
    assert not torch.equal(first[0][0], first[4][0])  # the second epoch has another order


def test_processes_share_each_batch(example: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    learning = example["learning"]
    settings = learning.Settings(clips=32, batch=8)
    whole = [clips for clips, _ in learning.batches(settings, 0)]
    monkeypatch.setattr(learning, "WORLD", 2)
    parts = []
    for rank in range(2):
        monkeypatch.setattr(learning, "RANK", rank)
        parts.append([clips for clips, _ in learning.batches(settings, 0)])
    for batch, *shares in zip(whole, *parts, strict=True):
        assert torch.equal(torch.cat(shares).sort(0).values, batch.sort(0).values)
    monkeypatch.setattr(learning, "WORLD", 3)
    with pytest.raises(ValueError, match="batch is 8, must be a multiple of 3, the number of processes"):
        learning.Settings(clips=32, batch=8)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--clips", "4"], "clips is 4, must be at least 16, those of a batch"),
        (["--tests", "0"], "tests is 0, must be at least 1"),
        (["--size", "8"], "size is 8, must be at least 14"),
        (["--seeds", "1", "-1"], "seed is -1, must not be negative"),
    ],
)
def test_trainings_that_cannot_be_are_refused(
    example: dict[str, ModuleType], capsys: pytest.CaptureFixture, tmp_path: Path, words: list[str], message: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        example["train"].main(["--out", str(tmp_path / "none"), *words])
    assert message in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_trained_networks_run_in_every_dtype(
    example: dict[str, ModuleType], trained: Path, capsys: pytest.CaptureFixture
) -> None:
    words = ["--dir", str(trained), "--own-float16-clips", "2"]
    assert example["infer"].main(words) == 0
    rows = read(trained / "inference.json")["rows"]
    assert {(row["trained"], row["runs"], row["dtype"]) for row in rows} == {
        (trained, runs, dtype)
        for trained in ("direct", "winograd")
        for runs in ("direct", "winograd")
        for dtype in ("float32", "bfloat16", "float16")
    }
    log = read(trained / "seed-3.json")["sides"]
    for row in rows:
        assert row["clips"] == (2 if (row["runs"], row["dtype"]) == ("direct", "float16") else 16)
        if (row["runs"], row["dtype"]) == ("direct", "float32"):
            assert row["right"] == pytest.approx(log[row["trained"]]["accuracies"]["2"], abs=1 / 16)
    assert len(capsys.readouterr().out.splitlines()) == len(rows) == 12
    with pytest.raises(SystemExit, match=r"has no seed-7.json; train.py writes them"):
        example["infer"].main(["--dir", str(trained), "--seeds", "7"])


def test_steps_are_timed(example: dict[str, ModuleType], trained: Path) -> None:
    assert example["speed"].main(["--dir", str(trained), "--batch", "2", "--repeats", "1", "--own-float16"]) == 0
    log = read(trained / "speed.json")
    assert list(log["step_ms"]) == ["direct", "direct, channels last", "winograd"]
    sides = [f"{dtype} {side}" for dtype in ("float32", "bfloat16") for side in ("direct", "winograd")]
    assert list(log["inference_ms"]) == [*sides, "float16 winograd", "float16 direct"]
    assert min(*log["step_ms"].values(), *log["inference_ms"].values()) > 0


def test_pictures_are_drawn_and_the_same_again(example: dict[str, ModuleType], trained: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plots = import_module("plots")
    for name in ("seed-3.json", "inference.json", "speed.json"):
        (tmp_path / name).write_bytes((trained / name).read_bytes())
    assert plots.main(["--dir", str(tmp_path)]) == 0
    pictures = sorted(path.name for path in (*tmp_path.glob("*.svg"), *tmp_path.glob("*.png")))
    assert pictures == ["accuracies.svg", "clips.png", "confusion.svg", "inference.svg", "losses.svg", "speed.svg"]
    again = tmp_path / "again.svg"
    plots.save(plots.draw_losses([read(tmp_path / "seed-3.json")]), again)
    assert again.read_bytes() == (tmp_path / "losses.svg").read_bytes()


def test_inference_without_a_training_is_refused(example: dict[str, ModuleType], tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"has no seed-N.json; train.py writes them"):
        example["infer"].main(["--dir", str(tmp_path)])


def test_two_processes_train_by_the_same_script(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    words = [str(EXAMPLE / "train.py"), "--out", str(tmp_path), *TINY]
    done = subprocess.run([*command, *words], env=environment, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("seed 0: 2 steps of 8 clips in 2 processes") == 1
    log = read(tmp_path / "seed-0.json")
    direct, ours = log["sides"]["direct"], log["sides"]["winograd"]
    assert log["processes"] == 2
    assert abs(direct["losses"][0] - ours["losses"][0]) <= allowed(direct["losses"][0])
    assert sum(map(sum, ours["confusion"])) == 16


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the name of the script and the arguments of each command of a page that runs one of the example."""
    for line in text.splitlines():
        before, found, after = line.partition("examples/training/")
        if line.startswith("$ ") and found:
            assert before in {"$ python ", "$ torchrun --nproc-per-node 2 "}
            script, *words = shlex.split(after)
            yield script.removesuffix(".py"), words


def test_the_commands_of_the_page_are_those_that_made_the_results(example: dict[str, ModuleType]) -> None:
    pytest.importorskip("matplotlib")
    page = (ROOT / "docs" / "train-with-winograd.md").read_text()
    modules = {**example, "plots": import_module("plots")}
    asked: dict[str, Any] = {}
    for script, words in commands(page):
        asked.setdefault(script, modules[script]._parser().parse_args(words))
    assert list(asked) == ["train", "infer", "speed", "plots"]
    results = EXAMPLE / "results"
    logs = [read(path) for path in sorted(results.glob("seed-*.json"))]
    assert asked["train"].seeds == [log["seed"] for log in logs]
    assert all(log["settings"][name] == getattr(asked["train"], name) for log in logs for name in log["settings"])
    assert all(f"$ export OMP_NUM_THREADS={log['threads']}\n" in page for log in logs)
    speed = read(results / "speed.json")
    assert all(speed[name] == getattr(asked["speed"], name) for name in ("batch", "threads", "repeats"))
    assert asked["speed"].own_float16 is ("float16 direct" in speed["inference_ms"])
    whole = logs[0]["settings"]["test_clips"]
    few = {row["clips"] for row in read(results / "inference.json")["rows"] if row["clips"] != whole}
    assert few == ({asked["infer"].own_float16_clips} if asked["infer"].own_float16_clips else set())


def test_a_command_that_a_script_does_not_take_is_noticed(example: dict[str, ModuleType]) -> None:
    ((script, words),) = commands("$ python examples/training/infer.py --dir moving-shapes --repeats 5")
    with pytest.raises(SystemExit):
        example[script]._parser().parse_args(words)
