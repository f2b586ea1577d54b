"""Tables as aligned text and as escaped HTML. In: a header and rows of text. Out: one string."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """Align columns with spaces: the first ``left`` to the left, the others to the right; a rule below the header.

    Examples
    --------
    >>> print(text_table(["layer", "ms"], [["conv1", "12.5"], ["fc", "3.0"]]))
    layer    ms
    -----------
    conv1  12.5
    fc      3.0
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (header, *rows)
    ]
    lines.insert(1, "-" * (sum(widths) + 2 * (len(widths) - 1)))
    return "\n".join(lines)


def html_table(caption: str, header: Sequence[str], rows: Sequence[Sequence[str]], *, foot: Sequence[str] = ()) -> str:
    """Write a table in HTML, every text escaped, with a last row of sums where there is one.

    Examples
    --------
    >>> html_table("a < b", ["name"], [["x"]])
    '<table><caption>a &lt; b</caption><tr><th>name</th></tr><tr><td>x</td></tr></table>'
    """
    body = "".join(_html_row(row, "td") for row in rows)
    last = f"<tfoot>{_html_row(foot, 'th')}</tfoot>" if foot else ""
    return f"<table><caption>{escape(caption)}</caption>{_html_row(header, 'th')}{body}{last}</table>"


def _html_row(cells: Sequence[str], tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def scientific(value: float | None) -> str:
    """Write a small figure with two digits, or a dash where there is none."""
    return "-" if value is None else f"{value:.1e}"


def mebibytes(count: int) -> str:
    """Write a number of bytes in MiB, or a dash for none."""
    return "-" if count == 0 else f"{count / 2**20:.1f}"
