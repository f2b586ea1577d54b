"""`emit`: kernels, headers, the command that makes a file, literals, refusals."""

from __future__ import annotations

import ast
import itertools
import json
import math
import pickle
import re
import shlex
import string
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import nested_algorithms
from winograd import __version__, gen
from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.crt import crt
from winograd.algebra.forms import balanced
from winograd.algebra.moduli import parse_moduli
from winograd.algebra.nesting import NestedAlgorithm, nest
from winograd.algebra.nests import nested_crt, nested_toom_cook
from winograd.algebra.points import parse_points
from winograd.algebra.residues import ComplexProduct
from winograd.algebra.scaling import Scaling, rescaled
from winograd.algebra.toom_cook import toom_cook
from winograd.codegen.command import (
    command_line,
    find_recipe,
    option_words,
)
from winograd.codegen.emit import TARGETS, emit
from winograd.codegen.header import MAX_NOTE_LENGTH, header_lines
from winograd.codegen.kernel import Kernel
from winograd.codegen.literals import check_range, float64_literal
from winograd.codegen.lower import Lowering, SumOrder
from winograd.codegen.targets.contract import Stage

F23 = toom_cook(2, 3)
MATRICES = BilinearAlgorithm(m=1, r=2, at=[[2, 2]], g=[["1/2", 0], [0, "1/2"]], bt=[[1, 0], [0, 1]])


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_a_kernel_is_ascii_text_and_the_same_every_time(target: str) -> None:
    nested = nest(F23, toom_cook(4, 3))
    kernel = emit(nested, target)
    assert kernel == emit(nested, target)
    assert (kernel.target, kernel.name, kernel.algorithm) == (target, "winograd", nested)
    assert set(kernel.source) <= set(string.printable) - set("\r\t\x0b\x0c")
    assert pickle.loads(pickle.dumps(kernel)).digest == kernel.digest
    assert len(repr(kernel)) < 100


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_every_target_begins_with_the_header(target: str) -> None:
    kernel = emit(F23, target, notes=["one note", "and another"])
    stage, unfused = TARGETS[target].stages[0], TARGETS[target].unfused
    words = option_words(target)
    lines = header_lines(kernel.algorithm, words, ["one note", "and another"], stage=stage, unfused=unfused)
    if TARGETS[target].comment:
        marks = re.compile(rf"^(/\*|\*/| \* ?|{re.escape(TARGETS[target].comment)} )", re.ASCII)
        top = [marks.sub("", line) for line in kernel.source.splitlines() if marks.match(line)]
        assert [line for line in top if line][: len(lines)] == [line.rstrip() for line in lines]
    else:
        assert json.loads(kernel.source)["header"] == list(lines)
    assert lines[-2:] == ("one note", "and another")
    assert __version__ in lines[1]


def test_targets_and_comment_markers_go_together() -> None:
    assert TARGETS.keys() >= {"c", "numpy", "torch", "latex", "json"}
    assert {name for name, target in TARGETS.items() if target.comment is None} == {"json"}
    with pytest.raises(TypeError):
        TARGETS["fortran"] = TARGETS["c"]  # type: ignore[index]


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_every_stage_dtype_and_order_is_emitted(target: str) -> None:
    known = TARGETS[target]
    lowerings = [
        Lowering(order, fma, transposed) for order in SumOrder for fma in (True, False) for transposed in (True, False)
    ]
    wanted = itertools.product(known.stages, known.dtypes or (None,), lowerings)
    made = {
        emit(F23, target, stage=stage, dtype=dtype, lowering=lowering).digest
        for stage, dtype, lowering in wanted
        if not (lowering.transposed and stage is Stage.CONV)
    }
    transforms = 12 * sum(stage is not Stage.CONV for stage in known.stages)
    assert len(made) == (transforms + 6 * (Stage.CONV in known.stages)) * max(1, len(known.dtypes))


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        ("json", {"stage": "conv"}, "stage 'conv' is not for target json; allowed: all, data, filter, inverse"),
        ("c", {"stage": "rows"}, "stage 'rows' is not for target c; allowed: conv, all, data, filter, inverse"),
        ("c", {"stage": ""}, "stage '' is not for target c; allowed: conv"),
        ("c", {"dtype": "int8"}, "dtype 'int8' is not for target c; allowed: float32, float64, float16, bfloat16"),
        ("triton", {"dtype": "float64"}, "dtype 'float64' is not for target triton; allowed: float32"),
        ("numpy", {"dtype": "float32"}, "dtype 'float32' is not for target numpy, whose code has none"),
        ("c", {"stage": "conv", "lowering": Lowering(transposed=True)}, "only transforms are; allowed: all, data"),
        ("numpy", {"lowering": Lowering(transposed=True)}, "stage 'conv' is not for transposed matrices, only"),
    ],
)
def test_what_a_target_does_not_have_is_refused(target: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        emit(F23, target, **options)
    assert "\n" not in str(caught.value)


def test_a_lowering_is_no_word() -> None:
    with pytest.raises(TypeError, match="lowering is a str, must be a Lowering"):
        emit(F23, "c", lowering="huffman")  # type: ignore[arg-type]


def test_a_chosen_algorithm_has_its_command_in_the_header() -> None:
    chosen = header_lines(nest(MATRICES), ["--target c"], chosen="--best float16")
    assert chosen[1].endswith(": python -m winograd.gen --m 1 --r 2 --best float16 --target c")
    # Points say more than a catalogue, which changes.
    assert "--points=0,1,-1,inf" in header_lines(nest(F23), ["--target c"], chosen="--best float16")[1]


@pytest.mark.parametrize("algorithm", [MATRICES, F23])
@pytest.mark.parametrize(
    ("chosen", "error", "message"),
    [
        ("*/ int main(void)", ValueError, r"^chosen .* must be one line"),
        (5, TypeError, "^chosen 5 is a int, must be text$"),
        (None, TypeError, "^chosen None is a NoneType, must be text$"),
        (["--best float16"], TypeError, "is a list, must be text$"),
    ],
)
def test_chosen_words_are_checked_whether_they_are_needed_or_not(
    algorithm: BilinearAlgorithm, chosen: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        emit(algorithm, "json", chosen=chosen)


def test_a_header_counts_what_the_file_has() -> None:
    f43 = nest(toom_cook(4, 3, "0,1,-1,2,-2,inf"))
    assert "  inverse 10 (13)" in header_lines(f43, ["--target c"], stage=Stage.INVERSE)
    unfused = header_lines(f43, ["--target c"], lowering=Lowering(fma=False))
    assert "  data 17, filter 11, inverse 13" in unfused
    assert not any("fused" in line for line in unfused)
    assert any("for gradients" in line for line in header_lines(f43, [], lowering=Lowering(transposed=True)))
    mixed = header_lines(f43, ["--target c"], unfused=[Stage.FILTER])
    assert "  data 12 (17), filter 11, inverse 10 (13)" in mixed
    assert header_lines(f43, [], stage=Stage.FILTER, unfused=[Stage.FILTER])[-2:] == (
        "Instructions per tile, an addition or a multiplication being one:",
        "  filter 11",
    )


INSTRUCTION = {
    "c": r"^ *const (?:double|winograd_vector) t\d+ = (.*);$",
    "numpy": r"^    x\d+ = (.*)$",
    "torch": r"^    x\d+ = (.*)$",
    "triton": r"^    x\d+ = (?!tl\.load)(.*)$",
    "latex": r"^(t_\{\d+\}) &=",
}
"""What a line of a program looks like in every language; JSON is read. An equation is one instruction."""


def executed(target: str, source: str) -> int:
    """Return how many additions, multiplications and fused multiply-adds stand in the text of one transform."""
    if target == "json":
        return sum(len(step["nodes"]) for stage in Stage for step in json.loads(source).get(stage, []))
    lines = re.findall(INSTRUCTION[target], source, re.MULTILINE)
    if target == "latex":
        return len(lines)
    fused = [line for line in lines if re.match(r"(winograd_|tl\.)fm[as]\(", line)]
    return len(fused) + sum(len(re.findall(r"^-(?=[tx])| [-+*] ", line)) for line in lines if line not in fused)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("fma", [False, True])
@pytest.mark.parametrize("stage", [Stage.DATA, Stage.FILTER, Stage.INVERSE])
@pytest.mark.parametrize("target", sorted(TARGETS))
def test_the_counts_of_a_header_are_what_the_file_executes(
    target: str, stage: Stage, fma: bool, transposed: bool
) -> None:
    for algorithm in (toom_cook(4, 3, "0,1,-1,2,-2,inf"), toom_cook(6, 3), crt(4, 3, "x,x-1,x+1,x^2+1,inf")):
        source = emit(algorithm, target, stage=stage, lowering=Lowering(fma=fma, transposed=transposed)).source
        (count, without), *more = re.findall(rf"^.*  {stage} (\d+)(?: \((\d+)\))?", source, re.MULTILINE)
        assert more == []
        assert int(count) == executed(target, source)
        assert bool(without) == (fma and stage not in TARGETS[target].unfused)


def test_only_what_is_emitted_has_to_be_in_range() -> None:
    algorithm = toom_cook(2, 3, ["0", "1", "-1", "1" + "0" * 39])
    with pytest.raises(ValueError, match="beyond float32"):
        emit(algorithm, "c", stage="data")
    assert emit(algorithm, "c", stage="data", dtype="float64")
    assert emit(algorithm, "c", stage="filter")
    for dtype in ("float16", "bfloat16"):  # they are for what is stored
        assert emit(toom_cook(2, 3, ["0", "1", "-1", "1000000"]), "c", stage="data", dtype=dtype)


@pytest.mark.parametrize("target", ["fortran", "", "C", "c\n", "x" * 10_000])
def test_unknown_targets_are_refused_with_the_known_ones(target: str) -> None:
    with pytest.raises(ValueError, match=rf"^target .* is unknown; {', '.join(TARGETS)} are allowed$") as caught:
        emit(F23, target)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("algorithm", [None, "F(2,3)", F23.bt, (F23, F23)])
def test_only_algorithms_are_emitted(algorithm: object) -> None:
    with pytest.raises(TypeError, match="algorithm is a"):
        emit(algorithm, "torch")  # type: ignore[arg-type]


def test_symbols_are_refused() -> None:
    import sympy

    a = sympy.Symbol("a")
    with pytest.raises(NotImplementedError, match="not rational"):
        emit(toom_cook(2, 3, [0, a, -a, "inf"]), "torch")


@pytest.mark.parametrize("name", ["class", "f(){}; //", "a" * 65, "", "_", "__", "_X"])
def test_names_are_checked(name: str) -> None:
    with pytest.raises(ValueError, match=r"^name "):
        emit(F23, "torch", name=name)


@pytest.mark.parametrize("name", ["NAME", "MY_NAME", "LABEL_", "CONSTANTS_", "a_NAME_b", "tl", "np", "main", "x0"])
def test_a_name_is_put_in_and_nothing_else_changes(name: str) -> None:
    other = re.sub("[A-Za-z0-9]", "q", name)  # as long, because long lines are wrapped
    for target, known in TARGETS.items():
        for stage in known.stages:
            right, found = (emit(F23, target, stage=stage, name=one).source for one in (other, name))
            assert found.replace(r"\_", "_") == re.sub(rf"(?<![a-z]){other}", name, right.replace(r"\_", "_"))


@pytest.mark.parametrize(
    "note",
    ["a\nb", "a\r", "*/ int x;", "/* a", "a\\", "what??/", "\x1b[0m", "caf\xe9", "\N{LINE SEPARATOR}", "a" * 201],
)
def test_notes_that_could_leave_their_comment_are_refused(note: str) -> None:
    with pytest.raises(ValueError, match=r"^note "):
        emit(F23, "torch", notes=["fine", note])


def test_notes_are_a_sequence_of_lines() -> None:
    with pytest.raises(TypeError, match="notes is one text"):
        emit(F23, "torch", notes="abc")
    for notes, message in (
        ([3], "^note 3 is a int, must be text$"),
        (["fine", None], "^note None is a NoneType, must be text$"),
        ([b"abc"], "is a bytes, must be text$"),
        (None, "^notes is a NoneType, must be a sequence of lines$"),
        (5, "^notes is a int, must be a sequence of lines$"),
    ):
        with pytest.raises(TypeError, match=message):
            emit(F23, "torch", notes=notes)  # type: ignore[arg-type]
    longest = "x" * MAX_NOTE_LENGTH
    assert f"# {longest}\n" in emit(F23, "torch", notes=[longest]).source


@pytest.mark.parametrize(("name", "source"), [("class", "x\n"), ("f", "x"), ("f", ""), ("f", "\xe9\n")])
def test_kernels_check_themselves(name: str, source: str) -> None:
    with pytest.raises(ValueError, match=r"name|source"):
        Kernel(target="c", name=name, source=source, algorithm=nest(F23))


def test_kernels_with_other_text_have_other_digests() -> None:
    digests = {emit(F23, target, name=name).digest for target in TARGETS for name in ("f", "g")}
    assert len(digests) == 2 * len(TARGETS)


def test_operation_counts_are_those_of_the_literature() -> None:
    f43 = toom_cook(4, 3, ["0", "1", "-1", "2", "-2", "inf"])
    # Lavin and Gray count 156 and 100 for F(4x4,3x3), wincnn 144 for the data.
    assert "  data 144 (204), filter 72 (99), inverse 100 (130)" in header_lines(nest(f43, f43), ["--target c"])


def test_axes_with_other_points_are_listed_one_by_one() -> None:
    lines = header_lines(nest(F23, toom_cook(1, 3)), ["--target c"])
    assert "Points of axis 0: 0,1,-1,inf" in lines
    assert "Points of axis 1: none (the direct algorithm)" in lines


# The command that is written into a file makes that file.


@given(nested_algorithms(), st.sampled_from(sorted(TARGETS)), st.sampled_from(["winograd", "other"]))
def test_the_command_makes_the_algorithm_again(nested: NestedAlgorithm, target: str, name: str) -> None:
    recipe = find_recipe(nested)
    assert recipe is not None
    words = shlex.split(command_line(recipe, option_words(target, name)))
    assert words[:3] == ["python", "-m", "winograd.gen"]
    read = gen.arguments_of(words[3:])
    assert gen.algorithm_of(read)[0] == nested
    assert (read.options.target, read.options.name) == (target, name)


F = option_words("c", "f")
SEVEN = crt(4, 3, "x,x-1,x+1,x^2+1,inf")


@pytest.mark.parametrize(
    ("nested", "words"),
    [
        (nest(SEVEN), "--m 4 --r 3 --moduli=x,x-1,x+1,x^2+1,inf"),
        (nest(SEVEN, SEVEN), "--m 4 --r 3 --ndim 2 --moduli=x,x-1,x+1,x^2+1,inf"),
        (nest(SEVEN, toom_cook(1, 3)), "--m 4,1 --r 3 --moduli=x,x-1,x+1,x^2+1,inf"),
        (nest(SEVEN, toom_cook(2, 3)), "--m 4,2 --r 3 --moduli=x,x-1,x+1,x^2+1,inf --moduli=x,x-1,x+1,inf"),
        (nest(toom_cook(2, 2, "1/2,-1/2,inf"), crt(2, 3, "x^2-1/2*x+3,inf^2")),
         "--m 2 --r 2,3 --moduli=x-1/2,x+1/2,inf --moduli=x^2-1/2*x+3,inf^2"),
    ],
)  # fmt: skip
def test_moduli_are_written_into_the_command(nested: NestedAlgorithm, words: str) -> None:
    recipe = find_recipe(nested)
    assert command_line(recipe, ["--target json"]) == f"python -m winograd.gen {words} --target json"
    lists = [parse_moduli(word.removeprefix("--moduli=")) for word in words.split() if word.startswith("--moduli=")]
    assert nested_crt(nested.m, nested.r, lists) == nested


def test_the_header_names_moduli() -> None:
    assert "Moduli: x,x-1,x+1,x^2+1,inf" in header_lines(nest(SEVEN, SEVEN), F)
    mixed = header_lines(nest(SEVEN, toom_cook(1, 3)), F)
    assert "Moduli of axis 0: x,x-1,x+1,x^2+1,inf" in mixed
    assert "Points of axis 1: none (the direct algorithm)" in mixed


@pytest.mark.parametrize("moduli", ["x,x-1,x+1,x^2+2,inf", "*/ int main(void)", "\n", (object(),)])
def test_moduli_that_an_algorithm_only_claims_are_never_printed(moduli: object) -> None:
    matrices = {name: getattr(SEVEN, name) for name in ("m", "r", "at", "g", "bt")}
    claimed = BilinearAlgorithm(**matrices, moduli=moduli)  # type: ignore[arg-type]
    for nested in (nest(claimed), nest(F23, claimed)):
        assert find_recipe(nested) is None
        assert not any("oduli" in line for line in header_lines(nested, F))


@pytest.mark.parametrize(
    ("axis", "text"),
    [
        (crt(4, 3, "x,x-1,x+1,x^2+1,inf", [None, None, None, "schoolbook", None]),
         "x,x-1,x+1,x^2+1{schoolbook},inf filter"),
        (crt(4, 3, "x,x-1,x+1,x^2+1,inf", [None, None, None, [-2, 0, 2], None]), "x,x-1,x+1,x^2+1{-2,0,2},inf filter"),
        (rescaled(SEVEN, Scaling.INTEGER), "x,x-1,x+1,x^2+1,inf integer"),
        (rescaled(toom_cook(4, 3), Scaling.DATA), "x,x-5/8,x+5/8,x-3/2,x+3/2,inf data"),
    ],
)  # fmt: skip
def test_what_lists_do_not_say_is_a_recipe(axis: BilinearAlgorithm, text: str) -> None:
    lines = header_lines(nest(axis, axis), F)
    assert f"--m 4 --r 3 --ndim 2 '--recipe={text}' --target c" in lines[1]
    assert lines[2] == f"Recipe: {text}"
    assert "--recipe=direct" in header_lines(nest(axis, toom_cook(1, 3)), F)[1]


def test_what_a_recipe_cannot_say_has_no_command() -> None:
    other = crt(4, 3, "x,x-1,x+1,x^2+4,inf", [None, None, None, ComplexProduct(), None])
    assert find_recipe(nest(other)) is None
    assert find_recipe(nest(balanced(SEVEN))) is None
    lines = header_lines(nest(F23, balanced(SEVEN)), F)
    assert "Recipe of axis 0: x,x-1,x+1,inf filter" in lines
    assert "Matrices of axis 1: handed in" in lines


def test_words_that_chose_an_algorithm_may_be_long() -> None:
    words = " ".join(["--recipe=" + "x" * 250] * 3)
    assert words in header_lines(nest(MATRICES), F, chosen=words)[1]


def test_a_direct_axis_beside_others_has_its_word() -> None:
    nested = nest(F23, toom_cook(1, 3), toom_cook(4, 3, "0,1,-1,2,-2,inf"))
    line = header_lines(nested, F)[1]
    assert "--m 2,1,4 --r 3 --points=0,1,-1,inf --points=direct --points=0,1,-1,2,-2,inf" in line


def test_lists_of_moduli_must_fit() -> None:
    with pytest.raises(ValueError, match="2 lists of moduli for 3 axes"):
        nested_crt((2,) * 3, (3,) * 3, [parse_moduli("x,x-1,x+1,inf")] * 2)


def test_matrices_that_no_points_give_have_no_command() -> None:
    assert find_recipe(nest(MATRICES)) is None
    assert header_lines(nest(MATRICES), F)[1].endswith("from matrices that were handed in")


@pytest.mark.parametrize("points", [("0", "1", "-1", "2"), ("*/ int main(void)",), ("\n", "\n"), (object(),)])
def test_points_that_an_algorithm_only_claims_are_never_printed(points: tuple[object, ...]) -> None:
    claimed = BilinearAlgorithm(m=2, r=3, at=F23.at, g=F23.g, bt=F23.bt, points=points)  # type: ignore[arg-type]
    label, _, *rest = header_lines(nest(F23), F)
    command = f"Made by winograd {__version__}: python -m winograd.gen --m 2 --r 3 --target c --name f"
    assert header_lines(nest(claimed), F) == (label, command, *rest)


@pytest.mark.parametrize(
    ("m", "r", "points", "message"),
    [
        ((2, 2), (3, 3), ["0,1,-1,inf"] * 3, "3 lists of points for 2 axes"),
        ((2, 2), (3, 3), ["0,1,-1"], r"F\(2,3\) needs 3 finite points"),
        ((2, 4), (3, 3), ["0,1,-1,inf"], r"F\(4,3\) needs 5 finite points"),
        ((1, 1), (3, 3), ["0,1"], "2 points fit no axis"),
        ((2, 1), (3, 3), ["0,1,-1,inf", "0"], r"F\(1,3\) needs"),
    ],
)
def test_lists_of_points_must_fit(m: tuple[int, ...], r: tuple[int, ...], points: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nested_toom_cook(m, r, [parse_points(text) for text in points])


def test_one_list_is_for_every_axis_that_can_save() -> None:
    chosen = parse_points("0,1,-1,2")
    assert nested_toom_cook((2, 1, 4), (3, 3, 1), [chosen]).axes == (
        toom_cook(2, 3, chosen),
        toom_cook(1, 3),
        toom_cook(4, 1, chosen),
    )


# Constants.


@given(st.fractions().filter(lambda value: abs(value) < 2**1000))
def test_literals_read_back_as_the_nearest_float64(value: Fraction) -> None:
    literal = float64_literal(value)
    read = ast.literal_eval(literal)
    assert type(read) is float
    error = abs(Fraction(read) - value)
    for neighbour in (math.nextafter(read, -math.inf), math.nextafter(read, math.inf)):
        assert error <= abs(Fraction(neighbour) - value)


HUGE = "1" + "0" * 60


@pytest.mark.parametrize(
    ("algorithm", "dtype"),
    [
        (toom_cook(6, 3, ["0", "1", "-1", "2", "-2", "3", "4", HUGE]), "float64"),
        (toom_cook(7, 3, ["0", "1", "-1", "2", "-2", "3", "4", "5", f"1/{HUGE}"]), "float64"),
        (toom_cook(2, 3, ["0", "1", "-1", "1" + "0" * 39]), "float32"),
    ],
)
def test_constants_out_of_range_are_refused(algorithm: BilinearAlgorithm, dtype: str) -> None:
    target = {"float64": "torch", "float32": "c"}[dtype]
    with pytest.raises(ValueError, match=rf"^axis 1: F\({algorithm.m},3\) has a constant beyond {dtype}; choose"):
        emit(nest(F23, algorithm), target)
    check_range(nest(F23, toom_cook(8, 3)), dtype)
