"""The recipe for a new target: the module on its page is registered, emitted with every option, and run by awk."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from itertools import product
from pathlib import Path
from types import MappingProxyType, ModuleType

import numpy as np
import pytest

from winograd import gen
from winograd.algebra.nesting import nest
from winograd.algebra.toom_cook import toom_cook
from winograd.codegen import emit as emitting
from winograd.codegen.emit import emit
from winograd.codegen.interpret import interpret
from winograd.codegen.lower import Lowering, SumOrder
from winograd.codegen.nested import lower_nested
from winograd.codegen.targets.contract import TRANSFORMS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "add-a-target.md"
NESTED = nest(toom_cook(2, 3), toom_cook(4, 2))
LOWERINGS = [Lowering(*options) for options in product(SumOrder, (True, False), (True, False))]

pytestmark = pytest.mark.skipif(shutil.which("awk") is None, reason="no awk is installed")


@pytest.fixture(autouse=True)
def target(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Register the module of the page under the name that the page gives it."""
    [text] = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    module = ModuleType("winograd_target_awk")
    exec(compile(text, str(PAGE), "exec", dont_inherit=True), module.__dict__)
    targets = MappingProxyType({**emitting.TARGETS, "awk": module.TARGET})
    monkeypatch.setattr(emitting, "TARGETS", targets)
    monkeypatch.setattr(gen, "TARGETS", targets)
    return module


def awk(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ) | {"LC_ALL": "C"}  # gawk may read 1,5 for 1.5 elsewhere
    return subprocess.run(
        ["awk", *arguments], check=False, input=given, capture_output=True, text=True, env=environment
    )


def test_its_commands_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    commands = re.findall(r"^\$ (.*)\n([^$`]*)", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    (generate, nothing), (run, output) = commands
    assert generate.startswith("python -m winograd.gen ")
    assert (gen.main(generate.split()[3:]), nothing) == (0, "")
    ran = awk(*run.split()[1:])
    assert (ran.stdout, ran.stderr, ran.returncode) == (output, "", 0)


@pytest.mark.parametrize("lowering", LOWERINGS, ids=str)
@pytest.mark.parametrize("stage", ["data", "filter", "inverse"])
def test_it_agrees_with_the_interpreter_bit_for_bit(stage: str, lowering: Lowering, tmp_path: Path) -> None:
    file = tmp_path / "f.awk"
    kernel = emit(NESTED, "awk", stage=stage, lowering=lowering, name="f")
    file.write_text(kernel.source, encoding="ascii")
    tested = awk("-v", "self_test=1", "-f", str(file))
    assert (tested.returncode, tested.stderr) == (0, "")
    steps = lower_nested(NESTED, lowering, TRANSFORMS).of(stage)
    tiles = np.random.default_rng(0).standard_normal((5, *steps[0].extents))
    ran = awk("-f", str(file), given="\n".join(" ".join(map(repr, tile.ravel().tolist())) for tile in tiles) + "\n")
    assert (ran.returncode, ran.stderr) == (0, "")
    expected = tiles
    for step in steps:
        axis = step.axis + 1
        expected = np.stack(interpret(step.program, list(np.moveaxis(expected, axis, 0))), axis)
    found = [[float(number) for number in line.split()] for line in ran.stdout.splitlines()]
    assert found == expected.reshape(len(tiles), -1).tolist()


def test_it_refuses_lines_of_another_length(tmp_path: Path) -> None:
    file = tmp_path / "f.awk"
    file.write_text(emit(NESTED, "awk", name="f").source, encoding="ascii")
    ran = awk("-f", str(file), given="1 2 3\n")
    assert (ran.returncode, ran.stdout, ran.stderr) == (1, "", "f: line 1 has 3 numbers, must have 20\n")


def test_its_self_test_notices_a_changed_sign(tmp_path: Path) -> None:
    source = emit(nest(toom_cook(4, 3)), "awk", stage="data").source
    signs = [match.start() for match in re.finditer(r"(?<= x\d)( [+-] )(?=x\d)", source)]
    assert len(signs) >= 3
    for place in signs:
        other = "-" if source[place + 1] == "+" else "+"
        file = tmp_path / "f.awk"
        file.write_text(f"{source[: place + 1]}{other}{source[place + 2 :]}", encoding="ascii")
        assert awk("-v", "self_test=1", "-f", str(file)).returncode == 1


def test_the_command_in_its_header_makes_it_again(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    words = ["--m", "2,4", "--r", "3,2", "--target", "awk", "--stage", "filter", "--no-fma", "--transposed"]
    assert gen.main(words) == 0
    first = capsysbinary.readouterr().out
    [line] = [line for line in first.decode("ascii").splitlines() if "python -m winograd.gen" in line]
    assert gen.main(line.partition("winograd.gen ")[2].split()) == 0
    assert capsysbinary.readouterr().out == first


def test_what_it_does_not_have_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert gen.main(["--m", "2", "--r", "3", "--target", "awk", "--stage", "conv"]) == 2
    assert "'conv' is not for target awk; allowed: data, filter, inverse" in capsys.readouterr().err
