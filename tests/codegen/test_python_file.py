"""What the files of NumPy and torch have in common: stages, literals, self-tests, one library and nothing else."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from sympy import ImmutableMatrix, Matrix, ones, zeros

from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.crt import crt
from winograd.algebra.nesting import NestedAlgorithm, nest
from winograd.algebra.toom_cook import toom_cook
from winograd.codegen.emit import emit
from winograd.codegen.lower import Lowering, SumOrder
from winograd.codegen.nested import lower_nested

STAGES = ("conv", "all", "data", "filter", "inverse")
TRANSFORMS = ("filter", "data", "inverse")
MIXED = nest(toom_cook(2, 3), crt(4, 3, "x,x-1,x+1,x^2+1,inf"), toom_cook(3, 2))
CASES = [
    (target, stage, Lowering(transposed=transposed))
    for target in ("numpy", "torch")
    for stage in STAGES
    for transposed in (False, True)
    if not (stage == "conv" and transposed)
]


def label(value: object) -> str:
    return ("transposed" if value.transposed else "forward") if isinstance(value, Lowering) else str(value)


def need(target: str) -> None:
    pytest.importorskip(target)


def run_file(source: str) -> int:
    """Run a file as a script in this process and return its exit status."""
    with pytest.raises(SystemExit) as stopped:
        exec(compile(source, "emitted", "exec"), {"__name__": "__main__"})
    return int(str(stopped.value.code))


@pytest.mark.parametrize(("target", "stage", "lowering"), CASES, ids=label)
def test_a_stage_has_its_functions_and_no_others(target: str, stage: str, lowering: Lowering) -> None:
    tree = ast.parse(emit(MIXED, target, stage=stage, lowering=lowering).source)
    public = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]
    ending = "_transform" + ("_transposed" if lowering.transposed else "")
    chosen = [stage] if stage in TRANSFORMS else TRANSFORMS
    assert public == [name + ending for name in chosen] + (["convolve"] if stage == "conv" else [])
    called = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    private = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)} - set(public)
    assert private <= called  # nothing is in the file that it does not use
    imported = {
        alias.asname or alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names
    }
    assert imported <= called
    assert "Fraction" in called or "import Fraction" not in emit(MIXED, target, stage=stage, lowering=lowering).source


@pytest.mark.parametrize(("target", "stage", "lowering"), CASES, ids=label)
@pytest.mark.parametrize("nested", [MIXED, nest(toom_cook(1, 1)), nest(toom_cook(4, 3))], ids=lambda one: one.label)
def test_the_self_test_passes(target: str, stage: str, lowering: Lowering, nested: NestedAlgorithm) -> None:
    need(target)
    assert run_file(emit(nested, target, stage=stage, lowering=lowering).source) == 0


def test_every_output_is_measured_by_its_own_size() -> None:
    need("torch")
    source = emit(toom_cook(16, 3), "torch", stage="filter").source  # entries of its rows differ by orders of magnitude
    assert run_file(source) == 0
    smallest = min(constants(source))
    assert smallest < 1e-3
    changed, count = re.subn(rf"\b{float(smallest)!r}\b", repr(float(smallest) * 1.0001), source)
    assert count >= 1
    assert run_file(changed) == 1


def test_a_row_of_zeros_is_no_trouble() -> None:
    one = toom_cook(2, 2)
    at, g, bt = (Matrix(matrix) for matrix in (one.at, one.g, one.bt))
    idle = BilinearAlgorithm(
        m=2,
        r=2,
        at=ImmutableMatrix(at.row_join(zeros(2, 1))),
        g=ImmutableMatrix(g.col_join(ones(1, 2))),
        bt=ImmutableMatrix(bt.col_join(zeros(1, 3))),
    )
    for target in ("numpy", "torch"):
        need(target)
        for transposed in (False, True):
            assert run_file(emit(idle, target, stage="data", lowering=Lowering(transposed=transposed)).source) == 0
            assert run_file(emit(idle, target, stage="inverse", lowering=Lowering(transposed=transposed)).source) == 0


@pytest.mark.parametrize(("target", "stage", "lowering"), CASES, ids=label)
def test_the_self_test_fails_for_every_changed_sum(target: str, stage: str, lowering: Lowering) -> None:
    need(target)
    nested = nest(toom_cook(2, 3), toom_cook(3, 2))
    source = emit(nested, target, stage=stage, lowering=lowering).source
    sums = list(re.finditer(r"^    x\d+ = .*x\d+ (?P<sign>[+-]) .*x\d+$", source, re.MULTILINE))
    assert len(sums) >= 3
    for found in sums:
        sign = {"+": "-", "-": "+"}[found["sign"]]
        assert run_file(source[: found.start("sign")] + sign + source[found.end("sign") :]) == 1, found.group()


@pytest.mark.parametrize("order", SumOrder)
@pytest.mark.parametrize("fma", [False, True])
@pytest.mark.parametrize("target", ["numpy", "torch"])
def test_constants_read_back_as_they_are(target: str, fma: bool, order: SumOrder) -> None:
    lowering = Lowering(order=order, fma=fma)
    programs = lower_nested(MIXED, lowering, TRANSFORMS)
    exact = {
        abs(node.constant)
        for stage in TRANSFORMS
        for step in getattr(programs, stage)
        for node in step.program.nodes
        if node.constant is not None
    }
    found = set(constants(emit(MIXED, target, lowering=lowering).source))
    assert found == (exact if target == "numpy" else {Fraction(float(constant)) for constant in exact})


def constants(source: str) -> Iterator[Fraction]:
    """Yield the absolute values of what the functions of the axes multiply by."""
    for function in ast.parse(source).body:
        if not (isinstance(function, ast.FunctionDef) and re.fullmatch(r"_(filter|data|inverse)_\d", function.name)):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Call):  # c(p, q)
                yield abs(Fraction(*[ast.literal_eval(argument) for argument in node.args]))
            if isinstance(node, ast.Constant) and isinstance(node.value, float):
                yield Fraction(node.value)


BARRIER = """
import runpy, sys

class Barrier:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in sys.stdlib_module_names | {allowed}:
            raise ModuleNotFoundError(f"{{name}} is not to be had")

sys.meta_path.insert(0, Barrier())
runpy.run_path({file!r}, run_name="__main__")
"""

F244 = nest(toom_cook(2, 3), toom_cook(4, 3), toom_cook(4, 3))


def run_alone(source: str, directory: Path, allowed: set[str]) -> subprocess.CompletedProcess[str]:
    """Run a file outside the repository, in a clean process that can import these packages and no others."""
    (directory / "emitted.py").write_text(source, encoding="ascii")
    program = BARRIER.format(file=str(directory / "emitted.py"), allowed=allowed)
    command = [sys.executable, "-I", "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=directory)


@pytest.mark.parametrize(
    ("stage", "lowering", "nested"),
    [
        ("conv", Lowering(), F244),
        ("conv", Lowering(), nest(toom_cook(2, 3))),
        ("all", Lowering(transposed=True), MIXED),
    ],
    ids=label,
)
def test_numpy_files_run_with_numpy_alone(
    stage: str, lowering: Lowering, nested: NestedAlgorithm, tmp_path: Path
) -> None:
    ran = run_alone(emit(nested, "numpy", stage=stage, lowering=lowering).source, tmp_path, {"numpy"})
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.count("exact in integers and fractions") == 3
    assert "WRONG" not in ran.stdout


def test_torch_files_run_with_torch_and_what_it_asks_for(tmp_path: Path) -> None:
    need("torch")
    installed = {name.partition(".")[0] for name in packages_distributions()}
    source = emit(F244, "torch").source
    ran = run_alone(source, tmp_path, installed - {"winograd"})
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.count("allowed") == 3
    names = {alias.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import) for alias in node.names}
    assert names == {"itertools", "torch"}


def test_what_is_not_allowed_is_not_found(tmp_path: Path) -> None:
    ran = run_alone("import winograd\n", tmp_path, {"numpy"})
    assert ran.returncode == 1
    assert "winograd is not to be had" in ran.stderr


@pytest.mark.parametrize("target", ["numpy", "torch"])
def test_the_order_of_sums_is_honoured_and_nothing_is_ever_fused(target: str) -> None:
    nested = nest(toom_cook(6, 3))
    sources = [
        emit(nested, target, lowering=Lowering(order=order, fma=fma)).source
        for order in SumOrder
        for fma in (False, True)
    ]
    bodies = [source[source.index("\ndef _filter_0") :] for source in sources]
    assert bodies[::2] == bodies[1::2]
    assert len(set(bodies)) == len(SumOrder)


@pytest.mark.parametrize("target", ["numpy", "torch"])
def test_a_bound_beyond_float64_is_spelled_as_python_can_read_it(target: str) -> None:
    need(target)
    huge = toom_cook(3, 3, [0, 10**60, -(10**60), 10**61, "inf"])
    source = emit(nest(huge, huge), target).source
    assert '_LIMITS = (float("inf"), 1.0)' in source or re.search(r"_LIMITS = \(\d[^,]*, 1.0\)", source)
    assert run_file(source) == (0 if target == "numpy" else 1)
