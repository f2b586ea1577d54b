"""``python -m winograd.layers``: what it prints and writes, what it refuses, and with which exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands import Command
from winograd import layers
from winograd.networks import describe


@pytest.fixture
def command(capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.chdir(tmp_path)
    return Command(capfdbinary, layers)


def test_it_prints_the_description(command: Command) -> None:
    assert command("c3d", "--classes", "487") == 0
    assert command.out.decode() == f"{describe('c3d', num_classes=487)}\n"
    assert command.error == ""


def test_sizes_options_and_tiles_reach_the_network(command: Command) -> None:
    assert command(
        "r2plus1d_18", "--option", "mid_channels=torchvision", "--option", "norm_eps=1e-3", "--batch", "2",
        "--frames", "8", "--size", "64", "--classes", "5", "--tiles", "3,5", "--json", "net.json",
    ) == 0  # fmt: skip
    figures = json.loads(Path("net.json").read_text())
    expected = describe(
        "r2plus1d_18", batch=2, input_shape=(3, 8, 64, 64), tiles=(3, 5), num_classes=5, mid_channels="torchvision"
    )
    assert figures == json.loads(json.dumps(expected.as_dict()))
    assert figures["input"] == [2, 3, 8, 64, 64]
    assert set(figures["tiles"]) == {"3", "5", "best"}


def test_a_pattern_gives_a_line_each(command: Command) -> None:
    assert command("r3d_1*", "--json", "nets.json") == 0
    _, _, *rows = command.out.decode().splitlines()
    assert [row.split()[0] for row in rows] == ["r3d_10", "r3d_18"]
    assert rows[1].split()[2:4] == ["33,371,472", "40.697"]
    assert [figures["network"] for figures in json.loads(Path("nets.json").read_text())] == ["r3d_10", "r3d_18"]


def test_pictures_and_pages_are_written(command: Command) -> None:
    assert command("c3d", "--picture", "c3d.svg", "--plot", "c3d.png", "--html", "c3d.html") == 0
    assert Path("c3d.svg").read_text().startswith("<svg ")
    assert Path("c3d.png").read_bytes().startswith(b"\x89PNG")
    assert Path("c3d.html").read_text().startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["r3d_19"], "network 'r3d_19' is unknown; nearest: r3d_18"),
        (["x[*"], "network 'x[*' is unknown"),
        (
            ["c3d", "--size", "64"],
            "the network cannot take: fc6 takes 8192 values of a clip",
        ),
        (["c3d", "--option", "depth=3"], "c3d: option 'depth' is unknown, c3d takes dropout, conv"),
        (["c3d", "--option", "depth"], "argument --option: 'depth' must be NAME=VALUE"),
        (["c3d", "--option", "num_classes=0"], "num_classes is 0"),
        (["c3d", "--plot", "x.svg"], "argument --plot: 'x.svg' must end in .png"),
        (["c3d", "--picture", "x.png"], "argument --picture: 'x.png' must end in .svg"),
        (["c3d", "--tiles", "2,33"], "argument --tiles: '2,33' must be"),
        (["c3d", "--batch", "0"], "argument --batch: '0' must be an integer of at least 1"),
        (["c3d", "--classes", "9" * 18], "c3d: a tensor of these sizes has 2^63 bytes or more"),
        (["c3d", "--batch", "9" * 15], "c3d: a tensor of these sizes has 2^63 bytes or more"),
        (["r3d_*", "--plot", "x.png"], "argument --plot: is for one network, 'r3d_*' are 3"),
    ],
)
def test_what_is_refused_is_one_line(words: list[str], said: str, command: Command) -> None:
    assert command(*words) == 2
    assert command.error_is_one_line
    assert said in command.error
    assert command.out == b""
    assert list(Path().iterdir()) == []


def test_files_that_cannot_be_written_are_refused_before_anything_is_counted(command: Command) -> None:
    assert command("c3d", "--json", "no/where.json") == 1
    assert command.error_is_one_line
