"""``python -m winograd.plan``: what it prints and writes, what it refuses, and with which exit code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import winograd
from tests.commands import Command
from winograd import plan
from winograd.conv.machine import NOMINAL
from winograd.conv.tuning import rivals, tuned

ROOT = Path(__file__).resolve().parents[1]
LAYER = ("--input", "1,64,16,56,56", "--weight", "128,64,3,3,3", "--padding", "1", "--threads", "2")


@pytest.fixture
def command(capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WINOGRAD_CACHE_DIR", str(tmp_path / "cache"))
    return Command(capfdbinary, plan)


def test_it_prints_the_explanation(command: Command) -> None:
    assert command(*LAYER, "--tolerance", "2e-6") == 0
    made = winograd.plan_conv((1, 64, 16, 56, 56), (128, 64, 3, 3, 3), padding=1, tolerance=2e-6, threads=2)
    assert command.out.decode() == f"{made.explain().text()}\n"
    assert command.error == ""


def test_all_arguments_reach_the_plan(command: Command) -> None:
    assert command(
        "--input", "2,8,9,30", "--weight", "16,4,3,5", "--stride", "1,2", "--padding", "1,2", "--dilation", "2,1",
        "--groups", "2", "--dtype", "float16", "--tolerance", "1e-3", "--threads", "1", "--live",
        "--workspace-cap", "4194304", "--filter-cap", "2097152", "--json", "plan.json",
    ) == 0  # fmt: skip
    asked = json.loads(Path("plan.json").read_text())["asked"]
    assert asked["shape"]["stride"] == [1, 2]
    assert asked["shape"]["padding"] == [[1, 1], [2, 2]]
    assert asked["shape"]["dilation"] == [2, 1]
    assert (asked["shape"]["groups"], asked["shape"]["dtype"]) == (2, "float16")
    assert (asked["tolerance"], asked["threads"], asked["filters"]) == (1e-3, 1, "live")
    assert (asked["workspace_cap"], asked["filter_cap"]) == (1 << 22, 1 << 21)


def test_padding_may_be_a_word(command: Command) -> None:
    assert command("--input", "1,4,9", "--weight", "4,4,4", "--padding", "same") == 0
    assert "padding 1+2" in command.out.decode()


def test_stages_add_up_on_any_machine(command: Command) -> None:
    Path("machine.json").write_text(NOMINAL.to_json())
    assert command(*LAYER, "--stages", "--json", "a.json") == 0
    assert command(*LAYER, "--machine", "machine.json", "--json", "b.json") == 0
    first, second = (json.loads(Path(name).read_text()) for name in ("a.json", "b.json"))
    assert first == second
    total = sum(stage["milliseconds"] for stage in first["stages"])
    assert total == pytest.approx(first["chosen"]["predicted_ms"])
    assert "input transform" in command.out.decode()


def test_stages_of_phases_and_live_filters_add_up(command: Command) -> None:
    stem = ("--input", "1,64,16,56,56", "--weight", "128,64,3,3,3", "--padding", "1", "--stride", "2", "--live")
    assert command(*stem, "--stages", "--json", "a.json") == 0
    found = json.loads(Path("a.json").read_text())
    total = sum(stage["milliseconds"] for stage in found["stages"])
    assert total == pytest.approx(found["chosen"]["predicted_ms"], rel=0.05)


def test_another_machine_takes_other_times(command: Command) -> None:
    Path("machine.json").write_text(NOMINAL.with_ratio(1.0).to_json())
    assert command(*LAYER, "--machine", "machine.json", "--json", "a.json") == 0
    assert "the stages are for that of machine.json" in command.out.decode()
    stages = json.loads(Path("a.json").read_text())["stages"]
    assert stages[0]["memory_bytes"] > 0
    assert stages[0]["bound_ms"] != pytest.approx(0)


def test_a_network_has_a_line_for_each_layer(command: Command) -> None:
    assert command("--network", "c3d", "--layer", "conv[12]", "--batch", "2", "--stages", "--json", "a.json") == 0
    lines = command.out.decode().splitlines()
    assert lines[0].startswith("c3d, batch 2: float32, tolerance 1e-05, filters frozen, ")
    assert [line.split()[0] for line in lines[4:7]] == ["conv1", "conv2", "all"]
    assert "2x64x16x56x56" in lines[5]
    data = json.loads(Path("a.json").read_text())
    assert [layer["layer"] for layer in data["layers"]] == ["conv1", "conv2"]
    assert all(layer["stages"] for layer in data["layers"])


ON_CARD = ("--input", "32,64,16,56,56", "--weight", "128,64,3,3,3", "--padding", "1", "--tolerance", "5e-6")


def test_a_card_is_planned_for_without_having_one(command: Command) -> None:
    assert command(*ON_CARD, "--device", "H200", "--stages", "--json", "a.json") == 0
    made = winograd.plan_conv((32, 64, 16, 56, 56), (128, 64, 3, 3, 3), padding=1, tolerance=5e-6, device="h200")
    explained, _, stages = command.out.decode().partition("\n\nstage ")
    assert explained == made.explain().text()
    assert [line.split()[0] for line in stages.splitlines()[2:]] == ["data", "products", "inverse", "total"]
    found = json.loads(Path("a.json").read_text())
    assert found["asked"]["shape"]["card"]["name"] == "NVIDIA H200"
    assert sum(stage["milliseconds"] for stage in found["stages"]) == pytest.approx(made.predicted_ms)
    assert "machine" not in found
    assert command(*ON_CARD, "--device", "cpu") == 0
    assert "H200" not in command.out.decode()


def test_limits_of_a_card_are_those_that_were_asked_for(command: Command) -> None:
    """64 MiB too, which is what holds on the CPU where nothing was asked for."""
    assert command(*ON_CARD, "--device", "h200", "--workspace-cap", str(64 << 20), "--json", "a.json") == 0
    found = json.loads(Path("a.json").read_text())
    assert found["asked"]["workspace_cap"] == 64 << 20
    assert found["chosen"]["workspace_bytes"] <= 64 << 20
    assert "workspace up to 64.0 MiB" in command.out.decode()


def test_a_network_is_planned_for_a_card(command: Command) -> None:
    assert command("--network", "c3d", "--batch", "32", "--device", "a100", "--stages", "--json", "a.json") == 0
    text = command.out.decode()
    assert "on NVIDIA A100-SXM4-80GB (sm_80)" in text.splitlines()[0]
    layers = json.loads(Path("a.json").read_text())["layers"]
    assert {layer["shape"]["card"]["name"] for layer in layers} == {"NVIDIA A100-SXM4-80GB"}
    assert layers[0]["stages"][0]["name"] == "direct"  # three channels
    assert layers[1]["label"].startswith("gpu F(4x4x4,3x3x3)")


def test_a_network_says_why_layers_are_direct(command: Command) -> None:
    assert command("--network", "r2plus1d_18", "--layer", "stem.0", "--layer", "layer2.0.downsample.0") == 0
    assert [line.split()[0] for line in command.out.decode().splitlines()[4:]] == [
        "stem.0",
        "layer2.0.downsample.0",
        "all",
    ]
    with winograd.set_enabled(False):
        assert command("--network", "c3d", "--layer", "conv1") == 0
    heading, *_, line, _ = command.out.decode().splitlines()
    assert heading.endswith("Winograd is switched off")
    assert line.endswith("Winograd is switched off")


def test_measuring_again_forgets_the_answer(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    races = []
    monkeypatch.setattr(os, "getloadavg", lambda: (2.5, 0.0, 0.0))
    monkeypatch.setattr(rivals, "_compiles", lambda _: True)
    monkeypatch.setattr(
        tuned, "run_heats", lambda _, rivals: races.append(1) or {"direct": 9.0, **dict.fromkeys(rivals, 5.0)}
    )
    for more, count in (((), 1), ((), 1), (("--again",), 2), ((), 2)):
        assert command(*LAYER, "--tuning", "measure", *more) == 0
        assert len(races) == count
        assert "warning: load average 2.5" in command.error
    assert command(*LAYER, "--again") == 2
    assert "--again: is for --tuning measure only" in command.error


def test_measuring_says_so(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0))
    monkeypatch.setattr(rivals, "_compiles", lambda _: True)
    monkeypatch.setattr(tuned, "run_heats", lambda _, rivals: {"direct": 9.0, **dict.fromkeys(rivals, 5.0)})
    assert command(*LAYER, "--tuning", "measure") == 0
    assert "measured: " in command.out.decode()
    assert command("--network", "c3d", "--layer", "conv2", "--tuning", "measure", "--threads", "2") == 0
    assert command.error == "python -m winograd.plan: conv2 (1 of 1)\n"
    assert "1.80" in command.out.decode()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--input=-1,64,8,8", "--weight", "64,64,3,3"), "--input: '-1,64,8,8' must be 1 to 5 integers"),
        (("--input", "1,64,8,8", "--weight=-64,64,3,3"), "--weight: '-64,64,3,3' must be"),
        (("--input", "-1,64,8,8", "--weight", "1,1,1"), "--input"),
        (("--input", "1,,8", "--weight", "1,1,1"), "--input: '1,,8'"),
        (("--input", "", "--weight", "1,1,1"), "--input: ''"),
        (("--input", "1,2,9e9", "--weight", "1,1,1"), "--input: '1,2,9e9'"),
        (("--input", "__import__('os').system('touch X')", "--weight", "1,1,1"), "--input"),
        (("--input", "1,2,3,4,5,6", "--weight", "1,1,1"), "--input: '1,2,3,4,5,6'"),
        (("--input", "9" * 40, "--weight", "1,1,1"), "--input"),
        (("--input", "1,2,9"), "--weight: is needed"),
        (("--input", "1,2,9", "--weight", "3"), "weight has 1 axes"),
        (("--input", "1,2,9,9", "--weight", "3,2,3"), "input has 4 axes"),
        (("--input", "1,2,9", "--weight", "3,2,10"), "smaller than the kernel"),
        (("--input", "1,2,9", "--weight", "3,2,0"), "taps"),
        (("--input", "1,2,9", "--weight", "3,3,3"), "input has 2 channels"),
        (("--input", "1,2,9", "--weight", "3,2,3", "--stride", "0"), "stride is"),
        (("--input", "1,2,9", "--weight", "3,2,3", "--stride=-1"), "--stride: '-1'"),
        (("--input", "1,2,9", "--weight", "3,2,3", "--stride", "1,2"), "stride is (1, 2), must be one integer or 1"),
        (("--input", "1,2,9", "--weight", "3,2,3", "--padding", "some"), "or same, or valid"),
        (("--input", "1,2,9", "--weight", "3,2,3", "--padding", "same", "--stride", "2"), "padding 'same' with stride"),
        (("--input", "1,2,9", "--weight", "3,2,3", "--groups", "0"), "--groups"),
        (("--input", "1,2,9", "--weight", "3,2,3", "--dtype", "float31"), "--dtype"),
        (("--input", "1,2,9", "--weight", "3,2,3", "--tolerance", "0"), "--tolerance"),
        (("--input", "1,2,9", "--weight", "3,2,3", "--tolerance", "nan"), "--tolerance"),
        (("--input", "1,2,9", "--weight", "3,2,3", "--threads", "0"), "--threads"),
        (("--input", "1,2,9", "--weight", "3,2,3", "--tuning", "guess"), "--tuning"),
        (("--input", "1,2,9", "--weight", "3,2,3", "--batch", "2"), "--batch: is for --network only"),
        (("--input", "1,2,9", "--weight", "3,2,3", "--layer", "x"), "--layer: is for --network only"),
        (("--input", f"{'9' * 18},2,9", "--weight", "3,2,3"), "more than 2**62 elements"),
        (("--network", "c4d"), "'c4d' is unknown; nearest: c3d"),
        (("--network", "c3d", "--layer", "pool*"), "no layer matches 'pool*', the names are conv1"),
        (("--network", "c3d", "--stride", "2"), "--stride: is for --input only"),
        (("--network", "c3d", "--input", "1,2,9"), "not allowed with"),
        (("--threads", "1"), "one of the arguments --input --network is required"),
        (
            ("--input", "1,2,9", "--weight", "3,2,3", "--device", "h2000"),
            "--device: device is 'h2000', must be one of cpu",
        ),
        (("--input", "1,2,9", "--weight", "3,2,3", "--device", "cuda:x"), "there is no such GPU here"),
        (
            ("--input", "1,2,9", "--weight", "3,2,3", "--device", "h200", "--threads", "1"),
            "--threads: is for --device cpu",
        ),
        (
            ("--input", "1,2,9", "--weight", "3,2,3", "--device", "h200", "--machine", "X"),
            "--machine: is for --device cpu",
        ),
        (
            ("--input", "1,2,9", "--weight", "3,2,3", "--device", "l40s", "--tuning", "measure"),
            "--tuning: there is no NVIDIA L40S here to measure on",
        ),
        (("--network", "c3d", "--device", "h2000"), "nearest: h200"),
        (("--network", "c3d", "--batch", "9" * 17), "--batch: a tensor of these sizes has 2^63 bytes or more"),
        (("--inp", "1,2,9"), ""),
    ],
)
def test_a_wrong_command_is_refused_in_one_line(command: Command, words: tuple[str, ...], message: str) -> None:
    assert command(*words) == 2
    assert message in command.error
    assert command.error_is_one_line
    assert command.out == b""
    assert not Path("X").exists()


@pytest.mark.parametrize(
    ("words", "text", "message"),
    [
        (("--machine", "none.json"), None, "No such file"),
        (("--machine", "a.json"), "{", "machine is no JSON"),
        (("--machine", "a.json"), "[]", "must be a JSON object"),
        (("--machine", "a.json"), '{"peaks": {}}', "a.json: "),
        (("--machine", "a.json"), " " * (1 << 17), "more than 65536 bytes"),
        (("--machine", "."), None, "directory"),
        (("--json", "missing/a.json"), None, "its directory does not exist"),
        (("--json", "."), None, "is a directory"),
    ],
)
def test_what_files_refuse_is_one_line(
    command: Command, words: tuple[str, ...], text: str | None, message: str
) -> None:
    if text is not None:
        Path("a.json").write_text(text)
    assert command(*LAYER, *words) == 1
    assert message in command.error
    assert command.error_is_one_line
    assert {path.name for path in Path().iterdir()} <= {"a.json"}


def test_without_words_it_prints_its_help(command: Command) -> None:
    assert command() == 2
    assert "--network" in command.error


def test_without_torch_sizes_are_enough() -> None:
    code = "import sys; sys.modules['torch'] = None; from winograd.plan import main; sys.exit(main(sys.argv[1:]))"
    sizes = ("--input", "1,64,56,56", "--weight", "64,64,3,3")
    for words, status in ((sizes, 0), ((*sizes, "--device", "h200"), 0), (("--network", "c3d"), 1)):
        found = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
        assert found.returncode == status, found.stderr
        assert found.stderr.count("\n") == status
        assert "torch" in found.stderr or not status


def test_the_same_bytes_wherever_it_runs(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "winograd.plan", *LAYER]
    outputs = {
        subprocess.run(words, env={**os.environ, **more, "PYTHONPATH": str(ROOT)}, cwd=tmp_path, capture_output=True,
            check=True).stdout
        for more in ({"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "2", "LC_ALL": "C", "TZ": "Asia/Tokyo"})
    }  # fmt: skip
    assert len(outputs) == 1


def headings(output: str) -> list[list[str]]:
    """Return the words of the lines that no figure of the cost model is in: what was asked for, and the header."""
    return [line.split() for line in output.splitlines() if line.startswith(("asked for", "candidate", "layer"))]


def test_the_page_shows_what_the_command_prints(command: Command) -> None:
    page = (ROOT / "docs" / "plan-command.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```console\n\$ python -m winograd\.plan (.*)\n((?:.*\n)*?)```$", page, re.MULTILINE)
    shown = [(words.split(), output) for words, output in blocks if output.strip()]
    assert shown
    for words, output in shown:
        assert command(*words) == 0
        assert headings(command.out.decode()) == headings(output)  # figures follow the fit of the cost model


def test_a_wrong_page_is_caught(command: Command) -> None:
    command(*LAYER, "--tolerance", "2e-6")
    first = headings(command.out.decode())
    command(*LAYER, "--tolerance", "1e-6")
    assert len(first) == 2
    assert headings(command.out.decode()) != first
