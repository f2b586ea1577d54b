from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.videos import greys, write_video
from winograd import run
from winograd.networks import VideoNetwork, initialise_he, registry
from winograd.nn.compare import compare
from winograd.nn.comparison import Comparison
from winograd.running import execute, progress


class Small(VideoNetwork):
    input_shape = (3, 8, 32, 32)
    classifier = "head"
    stack = ("conv2",)

    def __init__(self, num_classes: int = 9, needs: int = 1) -> None:
        super().__init__()
        self.needs = needs
        self.conv1 = nn.Conv3d(3, 64, 3, padding=1)
        self.conv2 = nn.Conv3d(64, 64, 3, padding=1)
        self.head = nn.Linear(64, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] < self.needs:
            raise ValueError("too small")
        return self.head(self.conv2(self.conv1(x).relu()).relu().mean(dim=(2, 3, 4)))


@pytest.fixture(autouse=True)
def small_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(registry._BUILDERS, "small", Small)
    monkeypatch.setattr(progress, "_PAUSE", float("inf"))  # what a slow machine says meanwhile is no error
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def video(tmp_path: Path) -> str:
    return str(write_video(tmp_path / "clip.mp4", greys([30 + 8 * index for index in range(16)])))


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    errors = [line for line in captured.err.splitlines() if line]
    assert captured.out == ""
    assert len(errors) == 1
    assert errors[0].startswith("python -m winograd.run: error: ")
    return errors[0]


def test_a_run_prints_the_table_and_writes_json_and_plot(
    video: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.main(["small", "--clip", video, "--repeats", "1", "--seed", "7"]) == 0
    out = capsys.readouterr().out
    for words in (
        "He-initialised weights, seed 7, not trained",
        "conv2",
        "stack (conv2)",
        "whole network",
        "so far",
        "top 5 of",
    ):
        assert words in out
    assert not re.search("class|recognis|predict(s|ion)", out)
    table = json.loads((tmp_path / "winograd-small.json").read_text())
    assert table["seed"] == 7
    assert table["machine"]["torch"] == torch.__version__
    assert [layer["layer"] for layer in table["layers"]] == ["conv1", "conv2"]
    assert table["outputs"][0]["agreement"] == "order"
    assert 0 < table["layers"][1]["measured_error"] <= 3e-6
    assert (tmp_path / "winograd-small.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_is_timed_for_zero_repeats_and_sizes_can_be_reduced(
    video: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["small", "--clip", video, "--repeats", "0", "--frames", "4", "--size", "24", "--batch", "2"]
    assert run.main([*arguments, "--dtype", "bfloat16"]) == 0
    out = capsys.readouterr().out
    assert "bfloat16, clips 2x3x4x24x24 (its own size: 3x8x32x32), tolerance 1e-05" in out
    assert "ratio" not in out
    table = json.loads((tmp_path / "winograd-small.json").read_text())
    assert table["times"] is None
    assert table["layers"][0]["input"] == [2, 3, 4, 24, 24]
    assert table["input_shape"] == [3, 4, 24, 24]
    assert (tmp_path / "winograd-small.png").read_bytes().startswith(b"\x89PNG")


def test_weights_and_a_second_clip_from_files(video: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"state_dict": initialise_he(Small(num_classes=4), 3).state_dict()}, tmp_path / "small.pth")
    other = write_video(tmp_path / "other.mp4", greys([200, 20] * 4))
    arguments = ["small", "--clip", video, "--other-clip", str(other), "--weights", "small.pth", "--repeats", "1"]
    assert run.main([*arguments, "--json", "a.json", "--plot", "a.png"]) == 0
    assert "weights from small.pth" in capsys.readouterr().out
    table = json.loads((tmp_path / "a.json").read_text())
    assert table["clips"] == [video, str(other)]
    assert len(table["outputs"][0]["top"]) == 4


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    clips = torch.randn(2, *Small.input_shape, generator=torch.Generator().manual_seed(0))
    return compare(initialise_he(Small(), 0).eval(), clips, repeats=1, stack=Small.stack)


def with_errors(comparison: Comparison, *errors: float) -> Comparison:
    rows = zip(comparison.layers, errors, strict=True)
    return replace(comparison, layers=tuple(replace(layer, measured_error=error) for layer, error in rows))


def test_a_layer_above_the_tolerance_ends_with_exit_1_after_the_table(
    comparison: Comparison, video: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert [layer.predicted_error is None for layer in comparison.layers] == [True, False]
    # Without a prediction, conv1 is torch's own convolution, for which no tolerance is promised.
    direct = replace(comparison.layers[0], predicted_error=None)
    comparison = replace(comparison, layers=(direct, comparison.layers[1]))
    for error, status in ((1e-5, 0), (2e-5, 1)):
        found = with_errors(comparison, 1.0, error)
        monkeypatch.setattr(execute, "compare", lambda *_, found=found, **__: found)
        assert run.main(["small", "--clip", video]) == status
        captured = capsys.readouterr()
        line = "python -m winograd.run: error: measured errors above the tolerance 1.0e-05: conv2 2.0e-05\n"
        assert captured.err == line * status
        assert "whole network" in captured.out
        assert json.loads(Path("winograd-small.json").read_text())["layers"][1]["measured_error"] == error


@pytest.mark.parametrize("error", [float("inf"), float("nan")])
def test_a_layer_that_is_not_finite_ends_in_one_line(
    error: float, comparison: Comparison, video: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(execute, "compare", lambda *_, **__: with_errors(comparison, 1e-7, error))
    assert run.main(["small", "--clip", video]) == 1
    assert "outputs of conv2 are not finite" in one_line(capsys)
    assert not list(Path().glob("*.json"))


def test_outputs_that_are_not_finite_end_in_one_line(video: str, capsys: pytest.CaptureFixture[str]) -> None:
    state = initialise_he(Small(), 0).state_dict()
    torch.save({**state, "head.bias": state["head.bias"] + float("inf")}, "infinite.pth")
    assert run.main(["small", "--clip", video, "--weights", "infinite.pth", "--repeats", "1"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[-1].startswith(
        "python -m winograd.run: error: outputs of the network are not finite"
    )
    assert not list(Path().glob("*.json"))


RUN_SMALL = """
import sys
from tests.test_run import Small
from winograd import run
from winograd.networks import registry
registry._BUILDERS["small"] = Small
sys.exit(run.main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("compiler", "words"),
    [("no-such-compiler", "no C compiler: looked for no-such-compiler"), ("false", "failed with exit status 1")],
)
def test_without_a_working_compiler_layers_run_directly_and_a_warning_says_so(
    compiler: str, words: str, video: str, tmp_path: Path
) -> None:
    root = Path(run.__file__).parents[1]
    environment = {**os.environ, "CC": compiler, "WINOGRAD_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", RUN_SMALL, "small", "--clip", video, "--repeats", "1"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (warning,) = (line for line in done.stderr.splitlines() if "warning" in line)
    assert warning.startswith("python -m winograd.run: warning: conv2 run directly: no native kernel: ")
    assert words in warning
    table = json.loads((tmp_path / "winograd-small.json").read_text())
    assert [layer["algorithm"] for layer in table["layers"]] == ["direct", "direct"]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["smal", "--clip", "clip.mp4"], 2, "argument NAME: network 'smal' is unknown; nearest: small"),
        (["small", "--clip", "missing.mp4"], 1, "'missing.mp4': No such file"),
        (["small", "--clip", "."], 1, "'.': Is a directory"),
        (["small", "--clip", "text.mp4"], 1, "clip 'text.mp4' cannot be decoded"),
        (["small", "--clip", "short.mp4"], 1, "has 9 frames; two clips of 8 need 16"),
        (["small", "--clip", "clip.mp4", "--other-clip", "missing.mp4"], 1, "'missing.mp4': No such file"),
        (["small", "--clip", "clip.mp4", "--weights", "missing.pth"], 1, "'missing.pth': No such file"),
        (["small", "--clip", "clip.mp4", "--weights", "text.mp4"], 1, "are not a checkpoint"),
        (["small", "--clip", "clip.mp4", "--weights", "wrong.pth"], 1, "do not fit the model: 4 missing"),
        (
            ["small", "--clip", "clip.mp4", "--json", "nowhere/a.json"],
            1,
            "nowhere/a.json: its directory does not exist",
        ),
        (["small", "--clip", "clip.mp4", "--plot", "folder.png"], 1, "folder.png: is a directory"),
        (["r3d_10", "--clip", "clip.mp4", "--frames", "9"], 1, "has 16 frames; two clips of 9 need 18"),
        (["c3d", "--clip", "clip.mp4", "--size", "64"], 2, ": fc6 takes 8192 values of a clip, these give 4608"),
        (["c3d", "--clip", "clip.mp4", "--size", "9" * 18], 2, "c3d cannot take clips of 3x16x99999"),
        (
            ["small", "--clip", "clip.mp4", "--weights", "wide.pth", "--option", "needs=9", "--size", "8"],
            2,
            "small cannot take clips of 3x8x8x8",
        ),
        (["small", "--clip", "a", "--other-clip", "b", "--batch", "3"], 2, "batch is 3, must be 1 or 2"),
        (["small", "--clip", "a", "--weights", "wide.pth", "--undamped"], 2, "undamped is for initial values"),
        (["p3d_63", "--clip", "clip.mp4", "--option", "form=none"], 2, "form is 'none', must be one of official, port"),
        (["small", "--clip", "clip.mp4", "--option", "width=2.5"], 2, "option 'width' is unknown, small takes "),
        (["small", "--clip", "clip.mp4", "--option", "num_classes=abc"], 2, "small: num_classes is 'abc', must be an"),
        (["r3d_10", "--clip", "clip.mp4", "--option", "norm_eps=abc"], 2, "r3d_10 cannot take clips"),
        (["lightweight_c3d", "--clip", "a", "--option", "width=-1"], 2, "lightweight_c3d: "),
        (["small", "--clip", "clip.mp4", "--option", "form"], 2, "argument --option: 'form' must be NAME=VALUE"),
        (["c3d", "--clip", "clip.mp4", "--plot", "out.jpg"], 2, "argument --plot: 'out.jpg' must end in .png"),
        (["c3d", "--clip", "clip.mp4", "--threads", "99999"], 2, "argument --threads: '99999' must be an integer"),
    ],
)
def test_what_cannot_be_run_ends_in_one_line(
    video: str, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, words: str
) -> None:
    Path("text.mp4").write_text("not a video")
    write_video(Path("short.mp4"), greys([9] * 9))
    torch.save({"head.weight": torch.zeros(9, 64), "head.bias": torch.zeros(9)}, "wrong.pth")
    torch.save(Small(num_classes=4).state_dict(), "wide.pth")
    Path("folder.png").mkdir()
    assert Path(video).is_file()
    assert run.main(arguments) == status
    assert words in one_line(capsys)
    assert not list(Path().glob("*.json"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["small"],
        ["--clip", "clip.mp4"],
        ["small", "--clip", "clip.mp4", "--tolerance", "0"],
        ["small", "--clip", "clip.mp4", "--tolerance", "nan"],
        ["small", "--clip", "clip.mp4", "--tolerance", "small"],
        ["small", "--clip", "clip.mp4", "--repeats", "-1"],
        ["small", "--clip", "clip.mp4", "--batch", "0"],
        ["small", "--clip", "clip.mp4", "--frames", "0"],
        ["small", "--clip", "clip.mp4", "--dtype", "int8"],
        ["small", "--clip", "clip.mp4", "--threads", "0"],
        ["small", "--clip", "clip.mp4", "--seed", "-1"],
        ["small", "--clip", "clip.mp4", "--seed", "9" * 30],
        ["small", "--clip", "clip.mp4", "--cli", "clip.mp4"],
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(arguments) == 2
    assert one_line(capsys)


def test_without_words_there_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main([]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "--clip FILE" in captured.err


@pytest.mark.parametrize(
    ("module", "extra", "options"),
    [("torch", "torch", []), ("av", "video", []), ("matplotlib", "plot", ["--plot", "a.png"])],
)
def test_a_missing_extra_is_named(
    module: str, extra: str, options: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("winograd.extras.find_spec", lambda name: name != module or None)
    assert run.main(["small", "--clip", "clip.mp4", *options]) == 1
    assert one_line(capsys).endswith(f"{module} is not installed: pip install 'winograd[{extra}]'")


def test_without_matplotlib_there_is_a_table_and_no_plot(
    video: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "find_spec", lambda name: name != "matplotlib" or None)
    assert run.main(["small", "--clip", video, "--repeats", "1"]) == 0
    captured = capsys.readouterr()
    assert "whole network" in captured.out
    assert "no plot: matplotlib is not installed: pip install 'winograd[plot]'" in captured.err
    assert "plot: " not in captured.out
    assert not Path("winograd-small.png").exists()


def test_help_needs_no_torch() -> None:
    code = "import sys; from winograd import run; run.main(['--help']); sys.exit('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(run.__file__).parents[1], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "--clip FILE" in done.stdout


def test_the_table_is_kept_where_nobody_reads_it(
    comparison: Comparison, video: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(_: object) -> int:
        raise BrokenPipeError

    monkeypatch.setattr(execute, "compare", lambda *_, **__: comparison)
    monkeypatch.setattr(run, "_print", closed)
    assert run.main(["small", "--clip", video]) == 1
    assert json.loads(Path("winograd-small.json").read_text())["undamped"] is False
    assert Path("winograd-small.png").is_file()


def test_a_line_names_the_first_layers_only(
    comparison: Comparison, video: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = replace(comparison.layers[1], measured_error=1.0)
    many = tuple(replace(wrong, layer=f"conv{number}") for number in range(200))
    monkeypatch.setattr(execute, "compare", lambda *_, **__: replace(comparison, layers=many))
    assert run.main(["small", "--clip", video]) == 1
    assert capsys.readouterr().err.endswith("conv0 1.0e+00, conv1 1.0e+00, conv2 1.0e+00 and 197 more\n")
