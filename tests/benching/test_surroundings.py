from __future__ import annotations

import pytest

from winograd.benching.surroundings import speed_variables


def test_what_changes_speed_is_kept_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"THP_MEM_ALLOC_ENABLE": "1", "MALLOC_ARENA_MAX": "2", "HOME": "/home/somebody", "TOKEN": "secret"}
    assert speed_variables(given) == {"MALLOC_ARENA_MAX": "2", "THP_MEM_ALLOC_ENABLE": "1"}
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert speed_variables()["OMP_NUM_THREADS"] == "3"
