"""A network drawn: a box for every stage, as high as its pictures, as deep as its time, as thick as its channels.

In: a description. Out: one ``<svg>`` element in ASCII, the same for the same description; nothing else is needed to
draw it. Text and lines have the colour of the text around it, so that it is read in light and dark.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from math import log2, sqrt
from typing import Final

from winograd.accuracy.showing.plots.canvas import COLOURS
from winograd.networks.description.record import Description
from winograd.networks.description.stages import Stage, stages

_COLUMN: Final = 118.0
_COLUMNS: Final = 8
_ABOVE: Final = 20.0
_BELOW: Final = 44.0
"""Room for the text above the highest box of a row, and below its ground."""

_HIGHEST: Final = 62.0
_DEEPEST: Final = 26.0
_THICKEST: Final = 34.0
_LEAST: Final = 2.0
_MOST_CHARACTERS: Final = 18
_FILLS: Final = {"clip": COLOURS[2], "pool": COLOURS[4], "scores": COLOURS[1], "features": COLOURS[0]}


def picture_svg(description: Description) -> str:
    """Return the picture of a network.

    Examples
    --------
    >>> from winograd.networks import describe
    >>> picture_svg(describe("c3d")).count("<g>")  # the clip, and twelve stages
    13
    """
    rows = list(_rows(stages(description)))
    largest = tuple(max(stage.sizes[axis] for row in rows for stage in row) for axis in range(4))
    boxes, height = "", 0.0
    for row in rows:
        ground = height + _ABOVE + max(_high(stage, largest) + _rise(stage, largest) for stage in row)
        boxes += "".join(_box(stage, _COLUMN * column, ground, largest) for column, stage in enumerate(row))
        height = ground + _BELOW
    width = _COLUMN * max(map(len, rows))
    title = escape(f"{description.network}, from clip to scores")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'style="max-width:100%;height:auto" role="img" aria-label="{title}" font-family="sans-serif" font-size="10" '
        f'text-anchor="middle" fill="currentColor" stroke-linejoin="round"><title>{title}</title>{boxes}</svg>'
    )


def _rows(found: Sequence[Stage]) -> Iterator[list[Stage]]:
    """Yield the stages row by row: a row ends where it is full, and where a second stream begins."""
    row: list[Stage] = []
    for stage in found:
        if row and (len(row) == _COLUMNS or stage.height > row[-1].height):
            yield row
            row = []
        row.append(stage)
    yield row


def _high(stage: Stage, largest: tuple[int, ...]) -> float:
    return max(_LEAST, _HIGHEST * sqrt(stage.height / largest[2]))


def _deep(stage: Stage, largest: tuple[int, ...]) -> float:
    return max(_LEAST, _DEEPEST * sqrt(stage.time / largest[1]))


def _rise(stage: Stage, largest: tuple[int, ...]) -> float:
    """Return by how much the back of a box is above its front; small pictures recede less."""
    return _deep(stage, largest) * _high(stage, largest) / _HIGHEST / 2 + 1


def _box(stage: Stage, left: float, ground: float, largest: tuple[int, ...]) -> str:
    """Return a box with its front, top and side, its sizes above and its names below."""
    high, deep, rise = (measure(stage, largest) for measure in (_high, _deep, _rise))
    thick = max(_LEAST, _THICKEST * log2(stage.channels + 1) / log2(largest[0] + 1))
    x, back = left + (_COLUMN - thick - deep) / 2, left + (_COLUMN + thick + deep) / 2
    front = [(x, ground), (x + thick, ground), (x + thick, ground - high), (x, ground - high)]
    roof = [front[3], front[2], (back, ground - high - rise), (x + deep, ground - high - rise)]
    side = [front[1], front[2], roof[2], (back, ground - rise)]
    faces = "".join(_face(points, stage, shade) for points, shade in ((front, 0.75), (roof, 0.35), (side, 0.55)))
    middle = left + _COLUMN / 2
    said = escape(", ".join(stage.names) or stage.type)
    return (
        f"<g><title>{said}: {stage.label}</title>{faces}"
        f'<text x="{middle:.1f}" y="{ground - high - rise - 5:.1f}">{stage.label}</text>'
        f'<text x="{middle:.1f}" y="{ground + 14:.1f}">{escape(_name(stage))}</text>'
        f"{_count(stage, middle, ground + 27)}</g>"
    )


def _face(points: Sequence[tuple[float, float]], stage: Stage, shade: float) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (
        f'<polygon points="{path}" fill="{_fill(stage)}" fill-opacity="{shade:g}" stroke="currentColor" '
        'stroke-width="0.6"/>'
    )


def _fill(stage: Stage) -> str:
    if stage.type == "clip":
        return _FILLS["clip"]
    if stage.is_pooling:
        return _FILLS["pool"]
    return _FILLS["scores" if stage.sizes[1:] == (1, 1, 1) else "features"]


def _name(stage: Stage) -> str:
    """Return the name of the first block, without its stream where it is long."""
    name = stage.names[0] if stage.names else stage.type
    return name.partition(".")[2] if len(name) > _MOST_CHARACTERS and "." in name else name


def _count(stage: Stage, x: float, y: float) -> str:
    """Return which block is the last of several."""
    if len(stage.names) < 2:
        return ""
    return f'<text x="{x:.1f}" y="{y:.1f}" opacity="0.75">to {escape(stage.names[-1])}</text>'
