"""The page *Choosing an algorithm*: places for tables are closed, and its arithmetic is right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parent.parent / "docs/choosing-an-algorithm.md"


def tables(text: str) -> dict[str, str]:
    """Return what stands between the marks of each table."""
    found: dict[str, str] = {}
    for mark in re.finditer(r"^<!-- table (\w+) -->$", text, re.MULTILINE):
        name = mark.group(1)
        content, end, _ = text[mark.end() :].partition(f"<!-- end of table {name} -->")
        if name in found or not end or "<!-- table" in content:
            raise ValueError(f"table {name} is there twice, or does not end")
        found[name] = content.strip()
    return found


def test_every_table_ends_and_is_empty_or_a_table() -> None:
    found = tables(PAGE.read_text(encoding="utf-8"))
    assert len(found) == 4
    for content in found.values():
        assert not content or "|---" in content


def test_a_table_that_does_not_end_is_noticed() -> None:
    with pytest.raises(ValueError, match="does not end"):
        tables("<!-- table one -->\n| a |\n<!-- table two -->\n<!-- end of table two -->\n<!-- end of table one -->\n")


def test_the_multiplications_that_are_saved() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for m, saved in ((2, "3.4"), (4, "8"), (6, "11.4")):
        assert f"{(3 * m / (m + 2)) ** 3:.1f}".removesuffix(".0") == saved
        assert f"{m} save {saved} times" in text or f"{m} outputs per axis save {saved} times" in text
