"""What machine code of emitted products looks like on Hopper: pipelined, on tensor cores, without detours."""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path

import pytest

if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
    pytest.skip("triton has wheels for Linux on x86-64 and 64-bit Arm alone", allow_module_level=True)

from benchmarks import triton_machine_code as study

FOUR = (1, 2, 2)
"""Outputs of tiles that compile quickly: the products' code depends on the algorithm by its direct axes alone."""


@pytest.fixture(autouse=True)
def _no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "cache"))


@pytest.mark.parametrize(("layer", "sizes"), [("conv3b", FOUR), ("conv2", (2, 2, 1)), ("r3d 64", (2, 2, 2))], ids=str)
def test_products_keep_the_tensor_cores_busy(layer: str, sizes: tuple[int, ...]) -> None:
    data, product, inverse = study.rows_of(layer, sizes=sizes)
    assert [data.kernel, inverse.kernel] == ["data", "inverse"]
    assert product.kernel == ("few" if sizes == (2, 2, 2) else "product")
    assert data.stack == product.stack == inverse.stack == 0
    # A loop multiplies and copies at the same time; what a block reads of V and of U it copies once.
    assert product.classes["tensor"] > 0
    assert product.copied_bytes > 0
    assert product.resident >= (2 if product.kernel == "few" else 1)
    assert product.least > 0.65
    assert product.most > 0.8
