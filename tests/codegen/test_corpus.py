"""One corpus through every emitter: NumPy, torch and C have the interpreter's bits; the interpreter is exact."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.codegen.corpus import ALGORITHMS, LOWERINGS, random_programs, without_fma
from winograd.algebra.bilinear import fraction_rows
from winograd.algebra.nesting import NestedAlgorithm
from winograd.codegen.compiler import cpu_features, find_compiler
from winograd.codegen.emit import emit
from winograd.codegen.forms import matrix_of
from winograd.codegen.interpret import Contraction, interpret
from winograd.codegen.lower import Lowering, SumOrder
from winograd.codegen.module import python_module
from winograd.codegen.nested import AxisPass, lower_nested
from winograd.codegen.program import Node, Program
from winograd.codegen.targets.axes import pad_axes
from winograd.codegen.targets.c.bare import bare_source
from winograd.codegen.targets.numpy import NUMPY
from winograd.codegen.targets.straight_line import function
from winograd.codegen.targets.torch import TORCH
from winograd.codegen.tolerance import longest_path, without_signs

PROGRAMS = random_programs(300)
DTYPES = ("float32", "float64")
TRANSFORMS = ("filter", "data", "inverse")
COUNT = 8
"""Numbers per input; the first two are zeros of both signs."""

Runner = Callable[[int, np.ndarray], np.ndarray]
"""Runs the program of a number on an array (inputs, COUNT) and returns (outputs, COUNT)."""


def numbers(program: Program, dtype: str) -> np.ndarray:
    x = np.random.default_rng(program.inputs).standard_normal((program.inputs, COUNT)).astype(dtype)
    x[:, :2] = 0.0, -0.0
    return x


def interpreted(program: Program, x: np.ndarray) -> np.ndarray:
    return np.stack(interpret(program, list(x)))


def axis_programs(lowerings: Sequence[Lowering] = LOWERINGS) -> list[Program]:
    """Return the programs of all axes of the corpus of algorithms, each once."""
    found: dict[Program, None] = {}
    for nested in ALGORITHMS:
        for lowering in lowerings:
            programs = lower_nested(nested, lowering)
            found.update((step.program, None) for stage in TRANSFORMS for step in getattr(programs, stage))
    return list(found)


@lru_cache(maxsize=1)
def everything() -> tuple[Program, ...]:
    return (*PROGRAMS, *axis_programs())


def numpy_runner(programs: Sequence[Program]) -> Runner:
    lines = [line for number, program in enumerate(programs) for line in function(f"f{number}", program, NUMPY.dialect)]
    namespace: dict[str, Any] = {"np": np}
    exec("\n".join(lines), namespace)

    def run(number: int, x: np.ndarray) -> np.ndarray:
        return np.stack(namespace[f"f{number}"](lambda p, q=1: x.dtype.type(p / q), *x))

    return run


def torch_runner(programs: Sequence[Program]) -> Runner:
    torch = pytest.importorskip("torch")
    lines = [line for number, program in enumerate(programs) for line in function(f"f{number}", program, TORCH.dialect)]
    namespace: dict[str, Any] = {"torch": torch}
    exec("\n".join(lines), namespace)
    return lambda number, x: torch.stack(namespace[f"f{number}"](*torch.from_numpy(x))).numpy()


def compiled(source: Path, optimised: str) -> ctypes.CDLL:
    library = source.with_suffix(".so")
    find_compiler().compile(source, library, ("-std=c11", optimised, "-march=native", "-fPIC", "-shared"))
    return ctypes.CDLL(str(library))


def c_runner(
    programs: Sequence[Program], dtype: str, directory: Path, contraction: Contraction, optimised: str = "-O0"
) -> Runner:
    source = directory / f"{dtype}_{contraction.value}.c"
    source.write_text(bare_source(programs, dtype, contraction, "bare"), encoding="ascii")
    functions = compiled(source, optimised)

    def run(number: int, x: np.ndarray) -> np.ndarray:
        y = np.empty((len(programs[number].outputs), COUNT), dtype)
        pointers = [ctypes.c_void_p(array.ctypes.data) for array in (x, y)]
        functions[f"bare_program_{number}"](*pointers, ctypes.c_int64(COUNT))
        return y

    return run


def unequal(programs: Sequence[Program], dtype: str, run: Runner) -> list[int]:
    """Return the numbers of the programs whose bits are not the interpreter's."""
    inputs = [numbers(program, dtype) for program in programs]
    return [
        number
        for number, (program, x) in enumerate(zip(programs, inputs, strict=True))
        if run(number, x).tobytes() != interpreted(program, x).tobytes()
    ]


@pytest.mark.parametrize("dtype", DTYPES)
def test_numpy_has_the_interpreters_bits(dtype: str) -> None:
    assert unequal(everything(), dtype, numpy_runner(everything())) == []


@pytest.mark.parametrize("dtype", DTYPES)
def test_torch_has_the_interpreters_bits(dtype: str) -> None:
    assert unequal(everything(), dtype, torch_runner(everything())) == []


@pytest.mark.parametrize("dtype", DTYPES)
def test_c_without_fma_has_the_interpreters_bits(dtype: str, tmp_path: Path) -> None:
    assert unequal(everything(), dtype, c_runner(everything(), dtype, tmp_path, Contraction.SEPARATE)) == []


@pytest.mark.parametrize("dtype", DTYPES)
def test_optimised_c_without_fma_has_the_interpreters_bits(dtype: str, tmp_path: Path) -> None:
    # A sample: nearly all of the time is the compiler's.
    sample = everything()[:: len(everything()) // 60]
    assert {without_fma(program) for program in sample} == {False, True}
    assert unequal(sample, dtype, c_runner(sample, dtype, tmp_path, Contraction.SEPARATE, "-O1")) == []


@pytest.mark.parametrize("dtype", DTYPES)
def test_c_with_fma_is_within_the_bound_and_has_those_bits_where_nothing_fuses(dtype: str, tmp_path: Path) -> None:
    run = c_runner(everything(), dtype, tmp_path, Contraction.FUSED)
    differing = 0
    for number, program in enumerate(everything()):
        x = numbers(program, dtype)
        y, separate = run(number, x), interpreted(program, x)
        if without_fma(program):
            assert y.tobytes() == separate.tobytes()
        else:
            differing += y.tobytes() != separate.tobytes()
            assert beyond(program, x, y) == []
    fuses = any(name in cpu_features().split() for name in ("fma", "asimd"))
    assert differing > 100 if fuses else differing == 0


def beyond(program: Program, x: np.ndarray, y: np.ndarray) -> list[int]:
    """Return the places where a result is farther from the exact one than the roundings on the way allow.

    Every value carries at most K relative roundings, K being the longest path, of magnitudes that add without signs.
    """
    roundings = longest_path(program) * Fraction(float(np.finfo(x.dtype).eps)) / 2
    relative = roundings / (1 - roundings)
    found = []
    for place in range(2, COUNT, 2):
        values = [Fraction(float(value)) for value in x[:, place]]
        exact = interpret(program, values)
        sizes = interpret(without_signs(program), [abs(value) for value in values])
        errors = [abs(Fraction(float(got)) - value) for got, value in zip(y[:, place], exact, strict=True)]
        if any(error > relative * size for error, size in zip(errors, sizes, strict=True)):
            found.append(place)
    return found


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_interpreter_is_exact_on_fractions_and_within_the_bound_on_floats(dtype: str) -> None:
    for program in everything():
        x = numbers(program, dtype)
        values = [Fraction(float(value)) for value in x[:, -1]]
        by_matrix = [sum(a * b for a, b in zip(row, values, strict=True)) for row in matrix_of(program)]
        assert interpret(program, values) == by_matrix
        assert beyond(program, x, interpreted(program, x)) == []


def test_programs_of_the_corpus_are_the_matrices() -> None:
    for nested in ALGORITHMS:
        for lowering in LOWERINGS:
            programs = lower_nested(nested, lowering)
            for stage, name in zip(TRANSFORMS, ("g", "bt", "at"), strict=True):
                for step in getattr(programs, stage):
                    matrix = getattr(nested.axes[step.axis], name)
                    rows = fraction_rows(matrix.T if lowering.transposed else matrix)
                    assert matrix_of(step.program) == rows
                    assert lowering.fma or without_fma(step.program)


def changed(program: Program) -> Iterator[Program]:
    """Yield the program with one of its constants changed by one in ten thousand, where that matters to an output."""
    for place, node in enumerate(program.nodes):
        if node.constant is not None:
            wrong = Node(node.op, node.args, node.constant * Fraction(10001, 10000))
            nodes = (*program.nodes[:place], wrong, *program.nodes[place + 1 :])
            if matrix_of(replace(program, nodes=nodes)) != matrix_of(program):
                yield replace(program, nodes=nodes)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_changed_constant_is_noticed_everywhere(dtype: str, tmp_path: Path) -> None:
    pairs = [(program, next(changed(program), None)) for program in PROGRAMS[:100]]
    right, wrong = zip(*[pair for pair in pairs if pair[1] is not None], strict=True)
    assert len(right) > 50
    runners = [numpy_runner(wrong), torch_runner(wrong)]
    runners += [c_runner(wrong, dtype, tmp_path, contraction) for contraction in Contraction]
    for run in runners:
        assert unequal(right, dtype, run) == list(range(len(right)))
    for number, program in enumerate(right):
        x = numbers(program, dtype)
        assert beyond(program, x, run(number, x))


def transformed(x: np.ndarray, passes: Sequence[AxisPass]) -> np.ndarray:
    """Run programs along the last axes of an array, in the order of the passes."""
    for step in passes:
        axis = step.axis - len(passes)
        x = np.stack(interpret(step.program, list(np.moveaxis(x, axis, 0))), axis)
    return x


@pytest.mark.parametrize("nested", ALGORITHMS, ids=lambda nested: nested.label)
@pytest.mark.parametrize("target", ["numpy", "torch"])
def test_emitted_files_have_the_interpreters_bits(target: str, nested: NestedAlgorithm) -> None:
    if target == "torch":
        torch = pytest.importorskip("torch")
    for lowering in LOWERINGS:
        module = python_module(emit(nested, target, stage="all", lowering=lowering))
        for stage in TRANSFORMS:
            passes = lower_nested(nested, lowering, TRANSFORMS).of(stage)
            transform = getattr(module, f"{stage}_transform" + ("_transposed" if lowering.transposed else ""))
            for dtype in DTYPES:
                x = np.random.default_rng(0).standard_normal((2, *passes[0].extents)).astype(dtype)
                y = transform(x) if target == "numpy" else transform(torch.from_numpy(x)).numpy()
                assert y.tobytes() == transformed(x, passes).tobytes()


@pytest.mark.parametrize(
    ("number", "dtype", "lowering"),
    [
        (-2, "float32", Lowering(fma=False)),
        (-1, "float64", Lowering(SumOrder.HUFFMAN, fma=False)),
        (9, "float32", Lowering(SumOrder.BALANCED, fma=False, transposed=True)),
    ],
)
def test_emitted_c_has_the_interpreters_bits(number: int, dtype: str, lowering: Lowering, tmp_path: Path) -> None:
    nested = pad_axes(ALGORITHMS[number])
    (tmp_path / "emitted.c").write_text(emit(nested, "c", stage="all", dtype=dtype, lowering=lowering).source)
    functions = compiled(tmp_path / "emitted.c", "-O1")
    for stage in TRANSFORMS:
        passes = getattr(lower_nested(nested, lowering), stage)
        x = np.random.default_rng(0).standard_normal((2 * COUNT, *passes[0].extents)).astype(dtype)
        # Filters are transformed in float64 and rounded once.
        expected = transformed(x.astype("float64") if stage == "filter" else x, passes).astype(dtype)
        columns, y = (np.ascontiguousarray(np.moveaxis(array, 0, -1)) for array in (x, np.zeros_like(expected)))
        arguments = [value for a in (columns, y) for value in (ctypes.c_void_p(a.ctypes.data), ctypes.c_int64(len(x)))]
        function = functions[f"winograd_{stage}" + ("_transposed" if lowering.transposed else "")]
        function.restype = ctypes.c_char_p
        assert function(*arguments, ctypes.c_int64(len(x))) is None
        assert np.moveaxis(y, -1, 0).tobytes() == expected.tobytes()
