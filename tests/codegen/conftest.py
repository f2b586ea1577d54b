"""A cache of compiled kernels for a test alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.codegen.tiny_kernels import forget


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "cache"
    monkeypatch.setenv("WINOGRAD_CACHE_DIR", str(directory))
    forget(monkeypatch)
    return directory
