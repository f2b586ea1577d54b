"""README and documentation: every ``pycon`` block runs and prints what it says; links to files lead somewhere."""

from __future__ import annotations

import doctest
import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```pycon\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")


def failures(text: str, name: str) -> int:
    """Run the blocks of one document in order, in one namespace; return how many examples fail."""
    source = "\n".join(BLOCK.findall(text))
    test = doctest.DocTestParser().get_doctest(source, {"__name__": name}, name, name, 0)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    return runner.run(test).failed


@pytest.mark.parametrize("path", [path for path in DOCUMENTS if "```pycon" in path.read_text()], ids=lambda p: p.name)
def test_examples_run(path: Path) -> None:
    assert failures(path.read_text(), path.name) == 0


def test_a_wrong_example_is_caught() -> None:
    assert failures("```pycon\n>>> 1 + 1\n3\n```\n", "wrong") == 1


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_links_lead_to_files(path: Path) -> None:
    missing = [target for target in LINK.findall(path.read_text()) if not (path.parent / target).exists()]
    assert missing == []


def test_documents_name_only_targets_that_make_has() -> None:
    text = "".join(path.read_text() for path in DOCUMENTS)
    named = set(re.findall(r"(?:^\$ |`)make ([a-z]+)", text, re.MULTILINE))
    assert {"demo", "test", "check"} <= named
    assert named <= set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def cells_with_results(notebook: dict[str, Any]) -> list[int]:
    cells = enumerate(notebook["cells"])
    return [number for number, cell in cells if cell.get("outputs") or cell.get("execution_count") is not None]


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda p: p.name)
def test_notebooks_are_stored_without_results(path: Path) -> None:
    assert cells_with_results(json.loads(path.read_text())) == []


def test_a_stored_result_is_caught() -> None:
    assert cells_with_results({"cells": [{"outputs": []}, {"outputs": ["42"]}, {"execution_count": 1}]}) == [1, 2]
