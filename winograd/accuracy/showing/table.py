"""Tables of figures as aligned text and as escaped HTML. In: a caption, a header and rows of text. Out: one string.

Every table of the package is written here, and figures in its cells that have one form everywhere.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from html import escape

MOST_ROWS = 20
"""Rows of a table in a notebook; of more, the first ones and how many are left out."""


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, left: int | Collection[int] = 1) -> str:
    """Align columns with spaces, some to the left and the others to the right; a rule below the header.

    Parameters
    ----------
    header : sequence of str
    rows : sequence of sequences of str
        As long as the header.
    left : int or collection of int
        Which columns stand to the left: so many from the first on, or these.

    Raises
    ------
    ValueError
        If a row has another length than the header.

    Examples
    --------
    >>> print(text_table(["algorithm", "rank"], [["F(2,3)", "4"], ["F(4,3)", "6"]]))
    algorithm  rank
    ---------------
    F(2,3)        4
    F(4,3)        6
    """
    words = range(left) if isinstance(left, int) else left
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if column in words else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (header, *rows)
    ]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join(line.rstrip() for line in (lines[0], rule, *lines[1:]))


def html_table(
    caption: str,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    foot: Sequence[str] = (),
    most: int | None = MOST_ROWS,
) -> str:
    """Write a table in HTML, every text escaped.

    Parameters
    ----------
    caption : str
    header : sequence of str
    rows : sequence of sequences of str
    foot : sequence of str
        A last row of sums, where there is one.
    most : int or None
        Rows that are shown at most, and how many are left out; None shows all.

    Examples
    --------
    >>> html_table("a < b", ["name"], [["x"]])
    '<table><caption>a &lt; b</caption><tr><th>name</th></tr><tr><td>x</td></tr></table>'
    """
    shown = rows if most is None else rows[:most]
    body = "".join(_html_row(row, "td") for row in shown)
    if len(rows) > len(shown):
        body += f'<tr><td colspan="{len(header)}">and {len(rows) - len(shown)} more</td></tr>'
    last = f"<tfoot>{_html_row(foot, 'th')}</tfoot>" if foot else ""
    return f"<table><caption>{escape(caption)}</caption>{_html_row(header, 'th')}{body}{last}</table>"


def _html_row(cells: Sequence[str], tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def scientific(value: float | None) -> str:
    """Write a small figure with two digits, or a dash where there is none.

    Examples
    --------
    >>> scientific(1.26e-6), scientific(None)
    ('1.3e-06', '-')
    """
    return "-" if value is None else f"{value:.1e}"


def mebibytes(count: int) -> str:
    """Write a number of bytes in MiB, or a dash for none.

    Examples
    --------
    >>> mebibytes(3 << 19), mebibytes(0)
    ('1.5', '-')
    """
    return "-" if count == 0 else f"{count / 2**20:.1f}"
