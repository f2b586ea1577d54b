"""Emitted text as modules: made from memory alone, once, for the interpreter or for a GPU that need not be there."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import pytest

if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
    pytest.skip("triton has wheels for Linux on x86-64 and 64-bit Arm alone", allow_module_level=True)

import triton.language as tl

from tests.codegen.triton_files import compiled
from winograd import nest, toom_cook
from winograd.codegen.compiler import BuildError
from winograd.conv.gpu.loading import gpu_module

F2 = nest(toom_cook(2, 3))
F444 = nest(*[toom_cook(4, 3)] * 3)


def test_a_module_without_a_file_compiles_for_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    module = gpu_module(F2, "staged")
    assert not module.INTERPRETED
    assert not Path(module.__file__).exists()
    constants = {"PRECISION": "tf32x3", "INDEX": tl.int32, "WHOLE": True, "SHIFTED": False}
    constants |= {"BLOCK_T": 64, "BLOCK_K": 64, "BLOCK_C": 32}
    types = dict.fromkeys(("u", "v", "target"), "*fp32") | {"split": "i64"}
    ptx = compiled(module.winograd_product_kernel, types, constants, enable_fp_fusion=False)["ptx"]
    assert ".target sm_90" in ptx
    assert "tf32" in ptx


def test_equal_calls_share_a_module_and_the_interpreter_has_its_own() -> None:
    before = os.environ.get("TRITON_INTERPRET")
    interpreted = gpu_module(F2, "staged", interpreted=True)
    assert interpreted is gpu_module(nest(toom_cook(2, 3)), "staged", interpreted=True)
    assert interpreted.INTERPRETED
    assert not gpu_module(F2, "staged").INTERPRETED
    assert os.environ.get("TRITON_INTERPRET") == before


def test_what_kernels_cannot_do_is_said_in_one_line() -> None:
    with pytest.raises(BuildError, match="'staged' is for"):
        gpu_module(F444, "fused")
