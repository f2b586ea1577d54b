"""The GPU's tests where only torch, Triton and pytest are installed, as images of GPU clouds have it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

MISSING = ("hypothesis", "xdist", "pytest_timeout", "platformdirs", "scipy", "ml_dtypes", "joblib", "matplotlib", "av")


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """Return a Python that has neither pytest's plugins nor what is not needed."""
    for name in MISSING:
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('{name} is not there')\n")
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{tmp_path}:$PYTHONPATH" exec "{sys.executable}" "$@"\n')
    python.chmod(0o700)
    return python


@pytest.mark.skipif(shutil.which("make") is None, reason="no make")
def test_the_gpu_tests_are_found(bare: Path) -> None:
    variables = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": "--collect-only -qq"}
    for name in ("MAKEFLAGS", "MAKELEVEL", "PYTEST_XDIST_WORKER", "PYTEST_CURRENT_TEST"):
        variables.pop(name, None)
    words = ["make", "-C", str(ROOT), "gpu-test", f"GPU_PYTHON={bare}"]
    found = subprocess.run(words, env=variables, capture_output=True, text=True, timeout=240, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "tests/gpu/test_on_gpu.py: " in found.stdout


def test_the_benchmark_is_imported(bare: Path) -> None:
    code = "import winograd.bench, winograd.benching.cuda.measurement, winograd.conv.gpu.tuning"
    subprocess.run([bare, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, timeout=240)
