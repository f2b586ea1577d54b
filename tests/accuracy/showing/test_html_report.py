"""Reports in HTML: whole, closed, escaped, and the same bytes every time."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winograd.accuracy.showing.html_report import heading, html_page, paragraph, picture
from winograd.accuracy.showing.table import html_table

VOID = {"meta", "img"}
HOSTILE = """"><script src="http://evil.example/x.js">alert(1)</script><img src=x onerror='alert(2)'>&amp;"""


class Page(HTMLParser):
    """What a browser makes of a page: its texts and tags; every tag is closed in order."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(page.decode("utf-8"))
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def is_closed(self) -> bool:
        """Whether nothing runs and nothing is fetched."""
        sources = [value or "" for _, attrs in self.tags for name, value in attrs.items() if name in {"src", "href"}]
        runs = [tag for tag, attrs in self.tags if tag == "script" or any(name.startswith("on") for name in attrs)]
        return not runs and all(source.startswith("data:image/svg+xml;base64,") for source in sources)


def page_of(text: str) -> Page:
    parts = [heading(text), paragraph(text), html_table(text, (text,), [(text,)]), picture(b"<svg/>", text)]
    return Page(html_page(text, parts))


def test_hostile_text_stays_text() -> None:
    page = page_of(HOSTILE)
    assert page.is_closed
    assert page.texts.count(HOSTILE) == 8  # title, 2 headings, paragraph, 2 captions, header, cell
    assert [attrs["alt"] for tag, attrs in page.tags if tag == "img"] == [HOSTILE]


@given(st.text(st.characters(exclude_characters="\r\x00", exclude_categories=("Cs",)), max_size=40))
def test_no_text_opens_anything(text: str) -> None:
    page = page_of(text)
    assert page.is_closed
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in page_of("plain").tags]


@pytest.mark.parametrize("part", ["<script>x</script>", '<img src="http://x/y.png">', '<p onclick="x">y</p>'])
def test_a_page_that_is_not_closed_is_noticed(part: str) -> None:
    assert not Page(html_page("title", [part])).is_closed


def test_a_policy_forbids_what_is_not_there_anyway() -> None:
    [policy] = [attrs["content"] for tag, attrs in page_of("x").tags if attrs.get("http-equiv")]
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_lone_surrogates_do_not_stop_a_report() -> None:
    assert b"\\ud800" in html_page("\ud800", [])
