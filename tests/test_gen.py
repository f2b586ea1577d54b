"""``python -m winograd.gen``: what it prints, what it writes, what it refuses and with which exit code."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from tests.commands import Command, header_command, header_of
from winograd import best, gen
from winograd.algebra.nests import nested_toom_cook
from winograd.codegen.command import generator_command, option_words
from winograd.codegen.cost import MACHINES
from winograd.codegen.emit import TARGETS, emit
from winograd.codegen.lower import Lowering, SumOrder
from winograd.codegen.pipeline import PASSES
from winograd.codegen.targets.contract import Stage

F23 = ["--m", "2", "--r", "3", "--target", "torch"]


@pytest.fixture
def command(capsysbinary: pytest.CaptureFixture[bytes]) -> Command:
    return Command(capsysbinary)


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_the_artefact_alone_goes_to_stdout(target: str, command: Command) -> None:
    arguments = ("--m", "4", "--r", "3", "--ndim", "2", "--target", target)
    assert command(*arguments) == 0
    assert command.error == ""
    first = command.out
    assert command(*arguments) == 0
    assert command.out == first
    plain = emit(nested_toom_cook((4, 4), (3, 3)), target).source
    # At the end of the header stand the figures that come from the accuracy room.
    added = [line for line in header_of(first.decode("ascii")) if line not in header_of(plain)]
    assert re.search("^Predicted relative L2 error.* in float32", added[0])
    assert ("of this algorithm in C" in added[0]) == (target != "c")
    assert "1 channel" in " ".join(added[:-3])
    assert re.search(r"^Catalogue \(.*\), (this|its best) F\(4,3\): x", added[-3])
    assert "float32" in added[-1]


@pytest.mark.parametrize("target", sorted(TARGETS))
@pytest.mark.parametrize(
    "chosen",
    [
        ["--m", "4", "--r", "3", "--moduli=x,x-1,x+1,x^2+1,inf"],
        ["--m", "2,4", "--r", "3", "--moduli=x,x-1,inf^2", "--moduli=x^2+1,x^2-1/2*x+3,x,inf"],
        ["--m", "4", "--r", "3", "--ndim", "3", "--best", "float32"],
        ["--m", "4", "--r", "3", "--best", "float16", "--products", "7", "--name", "mine"],
        ["--m", "2,4", "--r", "3,2", "--best", "bfloat16", "--products", "6"],
        ["--m", "4", "--r", "3", "--ndim", "2", "--recipe=x,x-1,x+1,x^2+1{-2,0,2},inf data"],
        ["--m", "4,1", "--r", "3", "--recipe=outputs 1:3 + 3:6"],
        ["--m", "4,1", "--r", "3", "--recipe=transposed x,x-1,x+1,x^2+1{0,1,inf},inf filter", "--recipe=direct"],
        ["--m", "2,1,4", "--r", "3", "--points=0,1,-1,inf", "--points=direct", "--points=0,1,-1,2,-2,inf"],
        ["--m", "2,4", "--r", "3", "--name", "mine"],
        ["--m", "2", "--r", "3,2", "--points=1/2,-1/2,0,inf", "--points=0,1,0.25"],
        ["--m", "2", "--r", "3", "--ndim", "3", "--best", "float32", "--order", "huffman"],
    ],
)
def test_other_choices_write_their_command_too(chosen: list[str], target: str, command: Command) -> None:
    assert command(*chosen, "--target", target) == 0
    first = command.out
    assert command(*header_command(first)) == 0
    assert command.out == first


def combinations(target: str) -> list[list[str]]:
    """Return every combination of what can be asked of a target's code, as words of the command."""
    known = TARGETS[target]
    dtypes = [["--dtype", dtype] for dtype in known.dtypes] or [[]]
    return [
        ["--stage", stage, *dtype, "--order", order, *fma, *transposed]
        for stage, dtype, order, fma, transposed in itertools.product(
            known.stages, dtypes, SumOrder, (["--fma"], ["--no-fma"]), ([], ["--transposed"])
        )
        if not (transposed and stage == "conv")
    ]


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_every_option_is_written_into_the_command(target: str, command: Command) -> None:
    every = combinations(target)
    for words in every[:: max(1, len(every) // 13)]:
        assert command("--m", "3", "--r", "2", "--target", target, *words) == 0
        first = command.out
        again = header_command(first)
        assert command(*again) == 0
        assert command.out == first
        assert ("--transposed" in again, "--no-fma" in again) == ("--transposed" in words, "--no-fma" in words)


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_every_combination_of_options_reads_back(target: str) -> None:
    spelled = set()
    for words in combinations(target):
        stage, options = Stage(words[1]), dict(zip(words[::2], words[1::2], strict=False))
        lowering = Lowering(SumOrder(options["--order"]), "--no-fma" not in words, "--transposed" in words)
        kernel_words = option_words(target, "f", stage, options.get("--dtype", ""), lowering)
        line = generator_command((2,), (3,), kernel_words)
        read = gen.arguments_of(line.split()[3:])
        assert (read.stage, read.dtype, read.lowering) == (stage, options.get("--dtype", ""), lowering)
        assert (read.options.target, read.options.name) == (target, "f")
        spelled.add(line)
    assert len(spelled) == len(combinations(target))


def test_the_default_stage_and_dtype_are_the_first(command: Command) -> None:
    for name, target in TARGETS.items():
        assert command("--m", "2", "--r", "3", "--target", name) == 0
        first = command.out
        words = ["--stage", target.stages[0], *(["--dtype", target.dtypes[0]] if target.dtypes else [])]
        assert command("--m", "2", "--r", "3", "--target", name, *words) == 0
        assert command.out == first
        assert not {"--stage", "--dtype", "--order"} & set(header_command(first))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--stage", "rows"], "argument --stage: 'rows' is not for target json; allowed: all, data, filter, inverse"),
        (["--stage", "conv"], "argument --stage: 'conv' is not for target json; allowed: all, data, filter, inverse"),
        (["--dtype", "float16"], "argument --dtype: 'float16' is not for target json, whose code has none"),
        (["--target", "numpy", "--dtype", "float16"], "'float16' is not for target numpy, whose code has none"),
        (["--target", "c", "--dtype", "float8"], "argument --dtype: 'float8' is not for target c; allowed: float32"),
        (["--target", "numpy", "--stage", "conv", "--transposed"], "'conv' is not for transposed matrices, only"),
        (["--target", "numpy", "--transposed"], "only transforms are; allowed: all, data, filter, inverse"),
        (["--order", "best"], "(choose from 'sequential', 'balanced', 'huffman')"),
    ],
)
def test_what_a_target_does_not_have_is_one_line(arguments: list[str], message: str, command: Command) -> None:
    assert command("--m", "2", "--r", "3", "--target", "json", *arguments) == 2
    assert command.out == b""
    assert command.error_is_one_line
    assert message in command.error


def test_the_best_algorithm_is_that_of_the_catalogue(command: Command) -> None:
    assert command("--m", "4", "--r", "3", "--best", "float16", "--products", "7", "--target", "json") == 0
    artefact = json.loads(command.out)
    axis = best(4, 3, dtype="float16", products=7)
    assert artefact["axes"][0]["g"] == [[str(entry) for entry in row] for row in axis.g.tolist()]
    assert any("float16" in line for line in artefact["header"])
    assert command.error == ""


def test_what_the_catalogue_warns_of_is_said(command: Command, tmp_path: Path) -> None:
    assert (
        command("--m", "14", "--r", "3", "--best", "bfloat16", "-o", str(tmp_path / "file"), "--target", "torch") == 0
    )
    first, *more = command.error.splitlines()
    assert first.startswith("python -m winograd.gen: warning: F(14,3) in 1D bfloat16 has a predicted")
    assert all("--best bfloat16" in line for line in more)


@pytest.mark.parametrize(
    ("best_for", "arguments", "kept"),
    [
        ("float16", ["--target", "c", "--dtype", "float16"], "float32"),
        ("bfloat16", ["--target", "c", "--stage", "data"], "float32"),
        ("float16", ["--target", "c", "--dtype", "float64"], "float64"),
        ("float16", ["--target", "triton", "--dtype", "float16"], "float32"),
        ("float16", ["--target", "numpy"], "float32"),
        ("float16", ["--target", "numpy", "--stage", "data"], None),  # in the dtype of the array
        ("float16", ["--target", "json"], None),
        ("float32", ["--target", "c", "--dtype", "float16"], None),
    ],
)
def test_best_for_what_is_stored_otherwise_is_warned_of(
    best_for: str, arguments: list[str], kept: str | None, command: Command
) -> None:
    assert command("--m", "4", "--r", "3", "--best", best_for, *arguments) == 0
    if kept is None:
        assert command.error == ""
        return
    assert command.error == (
        f"python -m winograd.gen: warning: --best {best_for} is for transformed data and filters stored in {best_for}; "
        f"this code keeps them in {kept}, for which --best {kept} chooses\n"
    )
    assert command("--help") == 0
    assert "keeps them in float32" in " ".join(command.out.decode("ascii").split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--moduli=x,x-1,x+1,x^2-1,inf"], "have the common factor"),
        (["--moduli=x,x-1,x+1,inf"], "F(4,3) needs moduli whose degrees sum to 6, got 4"),
        (["--points=direct"], "F(4,3) needs 6 points, direct is for an axis with one output or one tap"),
        (["--recipe=x,x-1 filter"], "F(4,3) needs"),
        (["--recipe=x,x-1,__import__('os') filter"], "is not a polynomial in x"),
        (["--recipe=outputs 1:3 + 2:4"], "the outputs must add up"),
        (["--best", "float32", "--products", "5"], "products is 5, must be at least 6"),
        (["--m", "60", "--best", "float32"], "F(60,3) is not in the catalogue"),
    ],
)
def test_what_the_mathematics_refuses_of_other_choices(arguments: list[str], message: str, command: Command) -> None:
    assert command("--m", "4", "--r", "3", *arguments) == 1
    assert command.out == b""
    assert command.error_is_one_line
    assert message in command.error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--products", "7"], "argument --products: is for --best only"),
        (["--best", "float8"], "invalid choice: 'float8'"),
        (["--best", "float32", "--products", "0"], "argument --products"),
        (["--best", "float32", "--products", "1e9"], "argument --products"),
        (["--best", "float32", "--moduli=x,x-1,x+1,inf"], "not allowed with argument"),
        (["--points=0,1,-1,inf", "--moduli=x,x-1,x+1,inf"], "not allowed with argument"),
        (["--points=0,1,-1,inf", "--best", "float32"], "not allowed with argument"),
        (["--moduli=x,x-1,__import__('os')"], "argument --moduli"),
        (["--moduli="], "argument --moduli"),
        (["--recipe="], "argument --recipe: recipe of 0 characters"),
        (["--recipe=" + "x," * 5000], "argument --recipe: recipe of 10000 characters"),
        (["--recipe=\N{GREEK SMALL LETTER KAPPA}"], "argument --recipe: recipe '\\u03ba' must be printable ASCII"),
        (["--recipe=direct", "--recipe=direct"], "2 lists for 1 axes"),
        (["--recipe=direct", "--best", "float32"], "not allowed with argument"),
        (["--moduli=" + "x," * 5000], "argument --moduli"),
        (["--moduli=x", "--moduli=x"], "2 lists for 1 axes"),
        (["--explain", "-o", "file"], "not allowed with argument"),
        (["--explain", "--check", "file"], "not allowed with argument"),
        (["--explain", "--measure"], "argument --measure: a table has no place for comments"),
        (["--measure", "--target", "json"], "argument --measure: json code has no place for comments"),
        (["--measure", "--transposed", "--stage", "data"], "argument --measure: not allowed with --transposed"),
    ],
)
def test_choices_that_make_no_sense(arguments: list[str], message: str, command: Command) -> None:
    assert command("--m", "2", "--r", "3", *arguments) == 2
    assert command.out == b""
    assert command.error_is_one_line
    assert message in command.error


def rows_of(table: bytes) -> dict[str, list[str]]:
    """Return the last lines of a table of counts, by their first word."""
    lines = table.decode("ascii").splitlines()
    return {line.split()[0]: line.split()[1:] for line in lines[-3:]}


@pytest.mark.parametrize(
    ("m", "points", "counts"),
    [
        ("2", ["0,1,-1,inf"], {"data": (4, 4), "inverse": (4, 4), "filter": (4, 4)}),
        ("6", ["0,1,-1,2,-2,1/2,-1/2,inf"], {"data": (24, 34), "inverse": (20, 30), "filter": (12, 17)}),
        ("4", ["0,1,-1,2,-2,inf"], {"data": (12, 17), "inverse": (10, 13), "filter": (8, 11)}),
        ("4,4", ["0,1,-1,2,-2,inf"], {"data": (144, 204), "inverse": (100, 130), "filter": (72, 99)}),
        ("2,4,4", ["0,1,-1,inf", *["0,1,-1,2,-2,inf"] * 2],
         {"data": (720, 960), "inverse": (344, 404), "filter": (324, 432)}),
        ("4,4,4", ["0,1,-1,2,-2,inf"], {"data": (1296, 1836), "inverse": (760, 988), "filter": (504, 693)}),
    ],
)  # fmt: skip
def test_explain_prints_the_counts(
    m: str, points: list[str], counts: dict[str, tuple[int, int]], command: Command
) -> None:
    arguments = ["--m", m, "--r", "3", *(f"--points={one}" for one in points)]
    for target, unfused in (("c", ["filter"]), ("json", []), ("torch", ["data", "inverse", "filter"])):
        assert command(*arguments, "--explain", "--target", target) == 0
        assert command.error == ""
        rows = rows_of(command.out)
        assert {stage: tuple(map(int, row[:2])) for stage, row in rows.items()} == counts
        assert {stage: int(row[2]) for stage, row in rows.items()} == {
            stage: pair[stage in unfused] for stage, pair in counts.items()
        }
    # The header of a file says the same.
    assert command(*arguments, "--target", "json") == 0
    shown = ", ".join("{} {} ({})".format(stage, *counts[stage]) for stage in ("data", "filter", "inverse"))
    assert f"  {shown}" in header_of(command.out.decode("ascii"))


def test_explain_follows_the_options(command: Command) -> None:
    arguments = ["--m", "4", "--r", "3", "--points=0,1,-1,2,-2,inf", "--explain", "--target", "json"]
    assert command(*arguments, "--no-fma") == 0
    assert {stage: row[:3] for stage, row in rows_of(command.out).items()} == {
        "data": ["12", "17", "17"],
        "inverse": ["10", "13", "13"],
        "filter": ["8", "11", "11"],
    }
    assert command(*arguments, "--stage", "inverse", "--transposed") == 0
    last = command.out.decode("ascii").splitlines()[-1].split()
    assert last[0] == "inverse"
    assert b"data" not in command.out
    assert b"filter" not in command.out


@pytest.mark.parametrize(
    ("target", "machines"),
    [
        ("c", {"SSE2", "AVX2", "AVX-512"}),
        ("triton", {"GPU thread"}),
        ("numpy", set()),
        ("torch", set()),
        ("json", set(MACHINES)),
    ],
)
def test_explain_shows_the_machines_and_the_programs_of_a_target(
    target: str, machines: set[str], command: Command
) -> None:
    assert command("--m", "4", "--r", "3", "--points=0,1,-1,2,-2,inf", "--explain", "--target", target) == 0
    text = command.out.decode("ascii")
    assert {name for name in MACHINES if name in text} == machines
    assert ("keeps every value in memory" in text) == (not machines)
    for stage in Stage.ALL.transforms:
        fuses = any(line.startswith(f"{stage} of") and " fusing " in line for line in text.splitlines())
        assert fuses == (stage not in TARGETS[target].unfused)


def test_explain_lists_every_pass_of_every_program(command: Command) -> None:
    several = ["--m", "2,4,4", "--r", "3", "--points=0,1,-1,inf", *["--points=0,1,-1,2,-2,inf"] * 2]
    assert command(*several, "--target", "json", "--explain") == 0
    text = command.out.decode("ascii")
    first = command.out
    for stage in ("data", "inverse", "filter"):
        for axes in ("F(2,3), axis 0", "F(4,3), axes 1,2"):
            rows = [line for line in text.splitlines() if line.startswith(f"{stage} of {axes}")]
            assert len(rows) == len(PASSES)
            assert all(name in row for name, row in zip(PASSES, rows, strict=True))
    assert re.search(r"data of F\(4,3\), axes 1,2 +fusing +18 -> 12 +18 -> 20", text)
    assert re.search(r"inverse +344 +404 +344 +0,2,1 +72,48", text)
    assert command(*several, "--target", "json", "--explain") == 0
    assert command.out == first


def test_what_is_printed_runs(command: Command) -> None:
    assert command("--m", "2", "--r", "3,2", "--points=1/2,-1/2,0,inf", "--points=0,1,0.25", "--target", "numpy") == 0
    namespace = {"__name__": "__main__"}
    with pytest.raises(SystemExit) as stopped:
        exec(compile(command.out, "emitted", "exec"), namespace)
    assert stopped.value.code == 0


@pytest.mark.parametrize(
    ("arguments", "m", "r"),
    [
        (["--m", "2", "--r", "3"], (2,), (3,)),
        (["--m", "2", "--r", "3", "--ndim", "3"], (2, 2, 2), (3, 3, 3)),
        (["--m", "2,4,4", "--r", "3"], (2, 4, 4), (3, 3, 3)),
        (["--m", "2", "--r", "3,3,1"], (2, 2, 2), (3, 3, 1)),
        (["--m", "2,3", "--r", "3,2", "--ndim", "2"], (2, 3), (3, 2)),
        (["--m=1", "--r=1"], (1,), (1,)),
    ],
)
def test_sizes_are_one_value_or_one_per_axis(
    arguments: list[str], m: tuple[int, ...], r: tuple[int, ...], command: Command
) -> None:
    assert command(*arguments, "--target", "torch") == 0
    text = command.out.decode("ascii")
    assert f"\nM = {m}\nR = {r}\n" in text


@pytest.mark.parametrize(
    "points", [["--points=-1,0,1,inf"], ["--points", "-1,0,1,inf"], ["--points", " -1, 0, 1, inf"]]
)
def test_a_list_may_begin_with_a_negative_point(points: list[str], command: Command) -> None:
    assert command(*F23, *points) == 0
    assert b"# Points: -1,0,1,inf\n" in command.out


# Usage: exit 2, one line, nothing on stdout.


@pytest.mark.parametrize(
    "points",
    ["__import__('os').system('touch X')", "1/0", "", ",", "0,,1", "nan", "0,1,-1,oo", "1e3", "0,1,-1,\xe9",
     "0,1,-1,2\n", "1" * 100_000, "0,1,-1," + "9" * 65, "[0,1,-1,2]", "0 1 -1 2", "1+1", "x", "inf/2", "0,1,-1,\x00"],
)  # fmt: skip
def test_points_outside_the_grammar(
    points: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command(*F23, f"--points={points}") == 2
    assert command.out == b""
    assert command.error_is_one_line
    assert len(command.error) < 500
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["--name", "f(){}; //"],
        ["--name", "class"],
        ["--name", "a" * 10_000],
        ["--name", ""],
        ["--name", "__x"],
        ["--name", "_"],
        ["--ndim", "0"],
        ["--ndim", "4"],
        ["--ndim", "x"],
        ["--ndim", "\N{SUPERSCRIPT TWO}"],
        ["--m", "2,2,2,2"],
        ["--m", "2,4", "--r", "3,3,3"],
        ["--m", "2,4", "--ndim", "3"],
        ["--points=0,1,-1,2", "--points=0,1,-1,2"],
        ["--points"],
        ["--stage", "rows"],
        ["--stage", ""],
        ["--stage", "data\n"],
        ["--stage"],
        ["--dtype", "float32"],
        ["--order", "random"],
        ["--order", ""],
        ["--fma", "yes"],
        ["--fma=yes"],
        ["--transposed=1"],
        ["--nd", "2"],
        ["extra"],
        ["--check", "a", "-o", "b"],
        ["\x1b[31m\n"],
    ],
)
def test_other_arguments_that_make_no_sense(arguments: list[str], command: Command) -> None:
    assert command(*F23, *arguments) == 2
    assert command.out == b""
    assert command.error_is_one_line
    assert len(command.error) < 500


@pytest.mark.parametrize("option", ["--m", "--r"])
@pytest.mark.parametrize(
    "value", ["0", "-1", "1.5", "x", "", "2,", ",2", "1_0", " 2", "+2", "\N{ARABIC-INDIC DIGIT TWO}", "9" * 5000]
)
def test_sizes_outside_the_grammar(option: str, value: str, command: Command) -> None:
    assert command(*F23, f"{option}={value}") == 2
    assert command.error_is_one_line
    assert option in command.error


@pytest.mark.parametrize("arguments", [["--m", "2"], ["--r", "3"], ["--target", "c"]])
def test_sizes_are_required(arguments: list[str], command: Command) -> None:
    assert command(*arguments) == 2
    assert "required" in command.error


def test_no_arguments_give_help_on_stderr(command: Command) -> None:
    assert command() == 2
    assert command.out == b""
    assert command.error.startswith("usage: python -m winograd.gen")


@pytest.mark.parametrize("target", ["fortran", "", "C", "x" * 10_000, "\n"])
def test_unknown_targets_give_help_on_stderr(target: str, command: Command) -> None:
    assert command("--m", "2", "--r", "3", "--target", target) == 2
    assert command.out == b""
    assert command.error.startswith("usage: ")
    assert command.error.splitlines()[-1].endswith(f"is unknown; {', '.join(TARGETS)} are allowed")


def test_help_is_an_answer(command: Command) -> None:
    assert command("--help") == 0
    assert command.error == ""
    assert b"--points=LIST" in command.out


VALUES = [
    "", "0", "2", "-1", "2,4", "1,1,1,1", "x", "1e3", "data", "all", "conv", "c", "json", "numpy", "float16", "float64",
    "huffman", "0,1,-1,inf", "0,1,1,2", "x,x-1,x+1,inf", "x,x,x",
    "\x00", "\n", "\xe9", "--", "-", "nan", "9" * 20, "class", "%s", "{}",
    "$(id)", "../x", ".", "/", "missing/file", "file",
]  # fmt: skip


def test_words_in_any_order_end_in_a_file_or_in_one_line(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    options = re.findall(r"^ +(-[a-z-]+)", gen.parser().format_help(), re.MULTILINE)
    random = Random(0)
    codes = Counter()
    for _ in range(200):
        words = ["--m", random.choice(["2", "2,4", "1"]), "--r", random.choice(["3", "2", "3,2"])]
        for _ in range(random.randint(0, 3)):
            words += [random.choice(options), *random.sample(VALUES, random.randint(0, 1))]
        code = command(*words)
        codes[code] += 1
        said = [line for line in command.error.splitlines() if not line.startswith("python -m winograd.gen: warning: ")]
        if code:
            assert command.out == b"", words
            assert len(said) == 1 or said[0].startswith("usage: "), words
        else:
            assert said == [], words
    assert set(codes) == {0, 1, 2}
    assert {path.name for path in tmp_path.iterdir()} <= {"here", "x"}


# Mathematics: exit 1, one line, nothing on stdout.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--points=0,1,1,2"], "points 1 and 2 are both 1"),
        (["--points=0,1/2,0.5,inf"], "points 1 and 2 are both 1/2"),
        (["--points=0,inf,1,inf"], "both inf"),
        (["--points=0,1"], "F(2,3) needs 3 finite points and INFINITY or 4 finite points, got 2"),
        (["--points=0,1,2,3,4"], "got 5"),
        (["--m", "2,4", "--points=0,1,-1,inf"], "F(4,3) needs"),
        (["--m", "1000"], "F(1000,3) has a tile of 1002, at most 64"),
        (["--m", "999999999"], "at most 64"),
        (["--points=0,1,-1,1" + "0" * 60, "--m", "2", "--target", "c"], "beyond float32"),
    ],
)
def test_what_the_mathematics_refuses(arguments: list[str], message: str, command: Command) -> None:
    assert command(*F23, *arguments) == 1
    assert command.out == b""
    assert command.error_is_one_line
    assert message in command.error
