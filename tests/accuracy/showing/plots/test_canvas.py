"""The paper that figures are drawn on: no global state, the same bytes every time."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import matplotlib as mpl
import pytest

from winograd.accuracy.showing.plots.canvas import (
    in_style,
    integer_ticks,
    log_scale,
    new_figure,
    png_bytes,
    style,
    svg_bytes,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DRAW = """
import hashlib, sys
from winograd.accuracy.showing.plots.canvas import png_bytes, svg_bytes
from winograd.accuracy.showing.plots.tiles import TileSeries, draw_error_by_tile
figure = draw_error_by_tile([TileSeries("caf\\xe9", (2, 4), (1e-7, 2e-7))], error="mean |error|", title="title")
print(hashlib.sha256(svg_bytes(figure)).hexdigest(), hashlib.sha256(png_bytes(figure)).hexdigest())
print("matplotlib.pyplot" in sys.modules)
"""


@in_style
def line(height: float = 1.0) -> Figure:
    figure = new_figure(3, 2)
    axes = figure.subplots()
    axes.plot([1, 2], [height, 10 * height], label="line")
    axes.legend()
    log_scale(axes)
    integer_ticks(axes)
    return figure


def test_the_same_figure_has_the_same_bytes_and_another_has_others() -> None:
    assert svg_bytes(line()) == svg_bytes(line())
    assert png_bytes(line()) == png_bytes(line())
    assert svg_bytes(line()) != svg_bytes(line(2.0))
    assert png_bytes(line()) != png_bytes(line(2.0))


def test_a_figure_that_is_written_twice_does_not_move() -> None:
    figure = line()
    assert svg_bytes(figure) == svg_bytes(figure)
    assert png_bytes(figure) == png_bytes(figure)


def test_bytes_depend_on_no_process_and_pyplot_stays_unloaded() -> None:
    found = set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "DISPLAY": ""}
        done = subprocess.run(
            [sys.executable, "-c", DRAW], capture_output=True, text=True, check=True, env=environment, timeout=120
        )
        digests, loaded = done.stdout.splitlines()
        assert loaded == "False"
        found.add(digests)
    assert len(found) == 1


def test_an_svg_names_nothing_outside_and_no_date() -> None:
    data = svg_bytes(line())
    ElementTree.fromstring(data)
    text = data.decode("ascii")
    assert "<metadata" not in text
    assert "<script" not in text
    references = [part.split('"')[0] for part in text.split('href="')[1:]]
    assert references
    assert all(reference.startswith("#") for reference in references)


def test_the_users_style_changes_nothing_and_comes_back() -> None:
    expected = png_bytes(line())
    with mpl.rc_context({"lines.linewidth": 7.5, "axes.grid": False, "svg.hashsalt": None}):
        assert png_bytes(line()) == expected
        assert mpl.rcParams["lines.linewidth"] == 7.5


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'winograd\[plot\]'"), style():
        pass
