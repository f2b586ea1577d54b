"""What machine code of emitted products is on Hopper: pipelined, on tensor cores, without detours through registers."""

from __future__ import annotations

import importlib.util
import json
import platform
import sys
from pathlib import Path
from types import ModuleType

import pytest

if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
    pytest.skip("triton has wheels for Linux on x86-64 and 64-bit Arm alone", allow_module_level=True)

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "triton_machine_code.py"
FLAT = (1, 2, 2)
"""Outputs of a tile with direct taps; but for these, the algorithm does not matter to products."""


@pytest.fixture(scope="module")
def study() -> ModuleType:
    spec = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(autouse=True)
def _no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("layer", "sizes", "kernel", "resident"),
    [("conv3b", (2, 2, 2), "product", 1), ("conv3b", FLAT, "product", 1), ("conv2", (2, 2, 2), "few", 2)],
    ids=str,
)
def test_products_may_keep_the_tensor_cores_busy(study: ModuleType, layer, sizes, kernel, resident) -> None:
    (row,) = study.rows_of(layer, sizes=sizes, products=True)
    assert (row.kernel, row.stack, row.resident) == (kernel, 0, resident)
    channels, numbers = 32, 4
    rows, outputs = (64, 128) if kernel == "few" else (128, 128)
    blocks = 2 if kernel == "few" else 1  # of channels, in one pass through the loop
    assert row.tensor_cycles == 3 * rows * outputs * channels * blocks / 1024
    # While tensor cores work the loop copies what the next passes need: rows, and both parts of filters that change.
    copied = rows * channels * blocks + (0 if kernel == "few" else 2 * outputs * channels)
    assert row.copied_bytes == numbers * copied
    assert row.issue_cycles < row.tensor_cycles / 2
    assert row.shared_cycles <= row.tensor_cycles
    if kernel == "product":
        assert row.stores_to_shared == 0  # neither rows nor filters pass through registers on the way there


def test_a_loop_that_does_not_copy_ahead_is_noticed(study: ModuleType) -> None:
    (row,) = study.rows_of("conv3b", sizes=FLAT, products=True, config={"stages": 1})
    assert row.copied_bytes == 0 < row.stores_to_shared


CODE = """
        /*0000*/                   LDG.E.128 R4, desc[UR4][R2.64] ;
.L_x_1:
        /*0010*/                   LDGSTS.E.BYPASS.128 [R75], desc[UR18][R72.64], !P0 ;
        /*0020*/              @!PT LDS RZ, [RZ] ;
        /*0030*/                   LDSM.16.M88.4 R72, [R105+UR5] ;
        /*0040*/                   HGMMA.64x128x8.F32.TF32 R24, R56, gdesc[UR12], RZ, !UPT ;
        /*0050*/              @!P0 STS.64 [R1], R2 ;
        /*0060*/              @P0  BRA `(.L_x_1) ;
        /*0070*/                   EXIT ;
.L_x_2:
        /*0080*/                   BRA `(.L_x_2);
        /*0090*/                   NOP;
"""


def test_instructions_are_read_with_what_they_take(study: ModuleType) -> None:
    instructions, loop = study.read_code(CODE)
    assert [study.name_of(one) for one in instructions] == [
        *("LDG", "LDGSTS", "LDSM", "HGMMA", "STS", "BRA", "EXIT", "BRA"),
    ]  # fmt: skip
    assert loop == instructions[1:6]
    assert [study.width_of(one) for one in (*instructions[:3], instructions[4])] == [16, 16, 16, 8]
    assert sum(map(study.tensor_cycles, loop)) == 64
    assert [study.shared_cycles(one) for one in loop] == [4, 4, 8, 2, 0]
    assert study.classes_of(loop) == {
        **{"tensor": 1, "float": 0, "global": 1, "shared": 2, "predicate": 0, "barrier": 0, "other": 1}
    }
    assert study.resident(128, 81920, 8) == 2
    assert study.resident(32, 0, 4) == 16


def test_the_command_prints_and_keeps_its_table(study: ModuleType, tmp_path: Path, capsys) -> None:
    study.main(["--layer", "r3d 64", "--precision", "bfloat16", "--products", "--json", str(tmp_path / "table.json")])
    heading, names, line = capsys.readouterr().out.splitlines()
    assert heading.startswith("triton 3.")
    assert (names.split()[:3], line.split()[:3]) == (["layer", "kernel", "programs"], ["r3d", "64", "few"])
    (row,) = json.loads((tmp_path / "table.json").read_text())["rows"]
    assert row["tensor_cycles"] == 64 * 64 * 64 / 2048
