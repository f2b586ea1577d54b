"""The golden corpus: a few small files of every target, kept in ``tests/golden`` and compared byte for byte.

After a change that is meant, ``pytest tests/codegen/test_golden.py --update-golden`` writes them
again; read the difference before it is committed. Notes on errors are not in them, so a new catalogue changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from winograd.algebra.nesting import NestedAlgorithm, nest
from winograd.algebra.toom_cook import toom_cook
from winograd.artefact import first_difference
from winograd.codegen.emit import TARGETS, emit
from winograd.codegen.lower import DEFAULT_LOWERING, Lowering, SumOrder
from winograd.codegen.targets.contract import Stage

FOLDER = Path(__file__).resolve().parents[1] / "golden"
UPDATE = "pytest tests/codegen/test_golden.py --update-golden"

F23 = toom_cook(2, 3, "0,1,-1,inf")
F43 = toom_cook(4, 3, "0,1,-1,2,-2,inf")


@dataclass(frozen=True)
class Case:
    """One file of the corpus."""

    what: str
    target: str
    algorithm: NestedAlgorithm
    stage: Stage | None = None
    dtype: str | None = None
    lowering: Lowering = DEFAULT_LOWERING

    @property
    def file(self) -> str:
        # Not .py or .c: these are data, for no tool to collect, lint or format.
        return f"{self.what}.{self.target}.txt"

    def emitted(self) -> bytes:
        kernel = emit(self.algorithm, self.target, stage=self.stage, dtype=self.dtype, lowering=self.lowering)
        return kernel.source.encode("ascii")


def cases() -> Iterator[Case]:
    unfused, transposed = Lowering(SumOrder.HUFFMAN, fma=False), Lowering(transposed=True)
    for name, target in TARGETS.items():
        yield Case("f23", name, nest(F23))
        if Stage.ALL in target.stages:
            yield Case("f43_all_unfused", name, nest(F43), Stage.ALL, lowering=unfused)
        if Stage.DATA in target.stages:
            yield Case("f2x4_data", name, nest(F23, F43), Stage.DATA)
        if Stage.INVERSE in target.stages:
            yield Case("f4x2_inverse_transposed", name, nest(F43, F23), Stage.INVERSE, lowering=transposed)
        if Stage.FILTER in target.stages and target.dtypes:
            yield Case(f"f43_filter_{target.dtypes[-1]}", name, nest(F43), Stage.FILTER, target.dtypes[-1])


CASES = list(cases())


def difference(case: Case, emitted: bytes) -> str | None:
    """Return where emitted text is not the file of the corpus, or None."""
    path = FOLDER / case.file
    return first_difference(path.read_bytes(), emitted) if path.exists() else "it is missing"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_emitted_files_are_those_of_the_corpus(case: Case, update_golden: bool) -> None:
    emitted = case.emitted()
    if update_golden:
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / case.file).write_bytes(emitted)
    found = difference(case, emitted)
    assert found is None, f"tests/golden/{case.file}: {found}; if that is meant: {UPDATE}"


def test_the_corpus_has_no_other_files(update_golden: bool) -> None:
    others = {path.name for path in FOLDER.iterdir()} - {case.file for case in CASES}
    if update_golden:
        for name in others:
            (FOLDER / name).unlink()
    else:
        assert others == set(), f"if these are meant to go: {UPDATE}"


def test_every_target_has_a_file() -> None:
    assert {case.target for case in CASES} == TARGETS.keys()
    assert len({case.file for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES[::5], ids=lambda case: case.file)
def test_a_changed_byte_is_noticed(case: Case) -> None:
    text = (FOLDER / case.file).read_bytes()
    assert difference(case, text) is None
    for place in (0, len(text) // 3, len(text) // 2, len(text) - 1):
        assert difference(case, text[:place] + bytes([text[place] ^ 1]) + text[place + 1 :]) is not None
    for changed in (text[:-1], text + b"\n", text.replace(b"\n", b"\r\n", 1), b""):
        assert difference(case, changed) is not None


def test_a_missing_file_is_noticed() -> None:
    case = Case("no_such_file", "json", nest(F23))
    assert difference(case, case.emitted()) == "it is missing"
