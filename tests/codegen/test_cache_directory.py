"""The directory of compiled kernels where platformdirs is not installed, as on a bare machine with a GPU."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from winograd.codegen.cache import cache_directory


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"XDG_CACHE_HOME": "/caches", "HOME": "/home/x"}, "/caches/winograd/kernels"),
        ({"XDG_CACHE_HOME": "", "HOME": "/home/x"}, "/home/x/.cache/winograd/kernels"),
    ],
)
def test_linux_has_it_where_platformdirs_would(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str
) -> None:
    monkeypatch.delenv("WINOGRAD_CACHE_DIR", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if sys.platform == "linux":
        assert cache_directory() == Path(expected)
    monkeypatch.setitem(sys.modules, "platformdirs", None)  # importing it fails
    assert cache_directory() == Path(expected)


def test_no_home_is_a_missing_file(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WINOGRAD_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def fail() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setitem(sys.modules, "platformdirs", None)
    monkeypatch.setattr(Path, "home", fail)
    with pytest.raises(FileNotFoundError, match="home directory"):
        cache_directory()


def test_planning_needs_no_platformdirs() -> None:
    needed = "winograd.codegen.build, winograd.conv.measuring.tuning_cache"
    code = f"import sys; sys.modules['platformdirs'] = None; import {needed}"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
