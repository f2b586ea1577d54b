"""The GPU's tests where only torch, Triton and pytest are installed, as images of GPU clouds have it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.codegen.tiny_kernels import has_text, wait_until

ROOT = Path(__file__).parents[3]

WAITS = """\
import os, pathlib, signal, time
def tell(*_):
    pathlib.Path("told").write_text("what there is\\n")
    os._exit(0)
signal.signal(signal.SIGINT, tell)
pathlib.Path("pid").write_text(f"{os.getpid()}\\n")
time.sleep(60)
"""

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


@pytest.mark.skipif(shutil.which("make") is None, reason="no make")
def test_every_command_on_a_gpu_is_bounded_and_writes_where_it_is_told() -> None:
    words = ["make", "-n", "-C", str(ROOT), "gpu-quick", "gpu", "GPU_PYTHON=python3", "GPU_OUT=/somewhere"]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    found = subprocess.run(words, env=variables, capture_output=True, text=True, timeout=60, check=True).stdout
    parts = re.split(r"[;\n]", found.replace("\\\n", " "))
    commands = [line for line in parts if "python3 -m" in line or "gpu_fit.py" in line]
    assert len(commands) >= 8
    assert all("timeout --foreground --signal=INT --kill-after=20 " in line for line in commands)
    files = [word for line in commands for word in line.split() if word.endswith(".json")]
    assert len(files) >= 6
    assert all(word.startswith("/somewhere/") for word in files)


@pytest.mark.skipif(shutil.which("timeout") is None, reason="no timeout")
def test_what_takes_too_long_is_interrupted_and_says_what_it_has() -> None:
    code = "import time\ntry:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    print('what there is')"
    words = ["timeout", "--foreground", "--signal=INT", "--kill-after=20", "2", sys.executable, "-c", code]
    found = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (found.returncode, found.stdout) == (124, "what there is\n")


@pytest.mark.skipif(not all(map(shutil.which, ("timeout", "make", "setsid"))), reason="no timeout, make or setsid")
@pytest.mark.parametrize("is_there", [True, False])
def test_ctrl_c_reaches_what_runs_on_a_gpu(tmp_path: Path, is_there: bool) -> None:
    """Outside the foreground it does not, and nobody can end the benchmark."""
    rule = "waits:\n\t@$(GPU_UNTIL) 30 $(GPU_PYTHON) waits.py\n"
    drop = "" if is_there else "GPU_UNTIL := $(filter-out --foreground,$(GPU_UNTIL))\n"
    (tmp_path / "Makefile").write_text(f"include {ROOT}/Makefile\n{drop}{rule}")
    (tmp_path / "waits.py").write_text(WAITS)
    variables = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    keyboard, terminal = os.openpty()
    words = ["setsid", "--ctty", "--wait", "make", "waits", f"GPU_PYTHON={sys.executable}"]
    with subprocess.Popen(words, cwd=tmp_path, env=variables, stdin=terminal, stdout=terminal, stderr=terminal) as make:
        os.close(terminal)
        try:
            assert wait_until(lambda: has_text(tmp_path / "pid"))
            os.write(keyboard, b"\x03")
            if is_there:
                assert wait_until(lambda: has_text(tmp_path / "told"))
            else:
                time.sleep(1)
                assert not has_text(tmp_path / "told")
                os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
            make.wait(60)
        finally:
            make.kill()
            os.close(keyboard)


def test_the_benchmark_is_imported(bare: Path) -> None:
    code = "import winograd.bench, winograd.benching.cuda.measurement, winograd.conv.gpu.tuning"
    subprocess.run([bare, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, timeout=240)
