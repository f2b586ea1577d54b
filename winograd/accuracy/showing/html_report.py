"""Reports as one HTML file: everything inside, nothing fetched, nothing run, readable in light and dark.

In: a title, and parts made by `heading`, `paragraph`, `picture` and `winograd.accuracy.showing.table.html_table`. Out:
the bytes of a page, the same for the same parts. Text is escaped; what a page may load is forbidden by its own policy.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from typing import Final

_STYLE: Final = """
:root { color-scheme: light dark; }
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: .4rem; }
th, td { padding: .25rem .8rem; text-align: right;
  border-bottom: 1px solid color-mix(in srgb, currentColor 25%, transparent); }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
figure { margin: 1rem 0; }
figure img { display: block; max-width: 100%; background: white;
  padding: .5rem; border-radius: .4rem; box-sizing: border-box; }
figcaption { font-size: .9rem; opacity: .85; margin-top: .3rem; }
"""

_POLICY: Final = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def html_page(title: str, parts: Sequence[str]) -> bytes:
    """Return a whole page.

    Parameters
    ----------
    title : str
        Any text.
    parts : sequence of str
        HTML, in order.

    Returns
    -------
    bytes
        UTF-8.

    Examples
    --------
    >>> b"<h1>F(2,3) &lt; F(4,3)</h1>" in html_page("F(2,3) < F(4,3)", [])
    True
    """
    text = escape(title)
    head = (
        '<meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text}</title><style>{_STYLE}</style>"
    )
    body = "\n".join((f"<h1>{text}</h1>", *parts))
    page = f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'
    return page.encode("utf-8", "backslashreplace")


def heading(text: str) -> str:
    """Return the heading of a section."""
    return f"<h2>{escape(text)}</h2>"


def paragraph(text: str) -> str:
    """Return text as a paragraph.

    Examples
    --------
    >>> paragraph("a < b")
    '<p>a &lt; b</p>'
    """
    return f"<p>{escape(text)}</p>"


def picture(svg: bytes, caption: str) -> str:
    """Return an SVG as an image within the page, which runs and fetches nothing, with its caption below.

    Examples
    --------
    >>> picture(b"<svg/>", "nothing")
    '<figure><img src="data:image/svg+xml;base64,PHN2Zy8+" alt="nothing"><figcaption>nothing</figcaption></figure>'
    """
    source, text = b64encode(svg).decode("ascii"), escape(caption)
    return (
        f'<figure><img src="data:image/svg+xml;base64,{source}" alt="{text}"><figcaption>{text}</figcaption></figure>'
    )
