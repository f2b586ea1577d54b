"""Tables as text and as HTML."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winograd.accuracy.showing.table import MOST_ROWS, html_table, text_table

CELL = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=8)
PRINTED = st.text("abc<&\"'1. ", max_size=8)


@given(st.lists(st.tuples(PRINTED, PRINTED, PRINTED), max_size=5))
def test_every_cell_of_a_column_ends_or_begins_at_one_place(rows: list[tuple[str, str, str]]) -> None:
    header = ("name", "first", "second")
    lines = text_table(header, rows).split("\n")
    assert len(lines) == len(rows) + 2
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    edges = [(0, widths[0]), (widths[0] + 2, sum(widths[:2]) + 2), (sum(widths[:2]) + 4, sum(widths) + 4)]
    for cells, line in zip((header, *rows), (lines[0], *lines[2:]), strict=True):
        padded = line.ljust(edges[-1][1])
        found = [padded[low:high] for low, high in edges]
        assert found == [cells[0].ljust(widths[0]), cells[1].rjust(widths[1]), cells[2].rjust(widths[2])]


@given(CELL, st.lists(st.tuples(CELL, CELL), max_size=4))
def test_html_gives_every_text_back(caption: str, rows: list[tuple[str, str]]) -> None:
    table = ElementTree.fromstring(html_table(caption, ("a", "b"), rows))
    assert (table.findtext("caption") or "") == caption
    assert [tuple(cell.text or "" for cell in row) for row in table.findall("tr")] == [("a", "b"), *rows]


def test_html_escapes_what_a_browser_would_run() -> None:
    hostile = "<script>alert('x')</script>"
    assert "<script" not in html_table(hostile, (hostile,), [(hostile,)])


def test_html_of_many_rows_is_short() -> None:
    text = html_table("many", ("n",), [(str(n),) for n in range(10_000)])
    assert text.count("<tr>") == MOST_ROWS + 2
    assert f"and {10_000 - MOST_ROWS} more" in text


def test_html_has_all_rows_and_their_sums_where_that_is_asked_for() -> None:
    table = ElementTree.fromstring(
        html_table("all", ("n",), [(str(n),) for n in range(99)], foot=("<4851",), most=None)
    )
    assert [row.findtext("td") for row in table.findall("tr")[1:]] == [str(n) for n in range(99)]
    assert table.findtext("tfoot/tr/th") == "<4851"


@pytest.mark.parametrize(
    ("left", "places"), [(0, ()), (1, (0,)), (2, (0, 1)), ((), ()), ((1,), (1,)), (range(3), (0, 1, 2))]
)
def test_columns_of_words_are_counted_or_named(left: int | tuple[int, ...], places: tuple[int, ...]) -> None:
    line = text_table(("aaa", "bbb", "ccc"), [("1", "2", "3")], left=left).split("\n")[-1].ljust(13)
    assert [line[start] != " " for start in (0, 5, 10)] == [place in places for place in range(3)]


@pytest.mark.parametrize("rows", [[("1",)], [("1", "2", "3")]])
def test_text_of_ragged_rows_is_refused(rows: list[tuple[str, ...]]) -> None:
    with pytest.raises(ValueError, match="argument"):
        text_table(("a", "b"), rows)
