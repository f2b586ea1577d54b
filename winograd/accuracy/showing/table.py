"""Tables of figures as aligned text and as escaped HTML. In: a caption, a header and rows of text. Out: one string."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from html import escape

MOST_ROWS = 20
"""Rows of a table in a notebook; of more, the first ones and how many are left out."""


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, left: Collection[int] = (0,)) -> str:
    """Align columns with spaces, those of ``left`` to the left and the others to the right; a rule below the header.

    Examples
    --------
    >>> print(text_table(["algorithm", "rank"], [["F(2,3)", "4"], ["F(4,3)", "6"]]))
    algorithm  rank
    ---------------
    F(2,3)        4
    F(4,3)        6
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (header, *rows)
    ]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join(line.rstrip() for line in (lines[0], rule, *lines[1:]))


def html_table(caption: str, header: Sequence[str], rows: Sequence[Sequence[str]], *, most: int = MOST_ROWS) -> str:
    """Write a table in HTML, every text escaped, at most so many rows of it.

    Examples
    --------
    >>> html_table("a < b", ["name"], [["x"]])
    '<table><caption>a &lt; b</caption><tr><th>name</th></tr><tr><td>x</td></tr></table>'
    """
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows[:most])
    if len(rows) > most:
        body += f'<tr><td colspan="{len(header)}">and {len(rows) - most} more</td></tr>'
    return f"<table><caption>{escape(caption)}</caption><tr>{head}</tr>{body}</table>"
