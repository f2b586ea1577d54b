"""The layers of a network as bars: multiplications, direct and by tiles, and memory.

In: a description. Out: the bytes of a PNG or an SVG. Needs matplotlib, which the extra ``plot`` installs; no display is
needed.
"""

from __future__ import annotations

from io import BytesIO
from math import prod
from typing import TYPE_CHECKING, Final

from winograd.accuracy.showing.plots.canvas import COLOURS, MARKERS, in_style, new_figure, style, svg_bytes
from winograd.networks.description.kinds import LayerKind
from winograd.networks.description.layer import NUMBER_BYTES, Layer
from winograd.networks.description.record import Description

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDEST: Final = 40.0
"""Inches, however many layers there are."""

_MOST_NAMED: Final = 80
"""Layers up to which each has its name below."""

_MEBIBYTE: Final = 2**20


def description_png(description: Description) -> bytes:
    """Draw two panels over the layers that multiply, as a PNG.

    Above: multiplications, one colour for each kind of layer, and with each tile a marker. Below: MiB of what the layer
    gives, of its parameters, and of its transformed filter for the first tile.

    Raises
    ------
    ModuleNotFoundError
        If matplotlib is not installed.
    """
    target = BytesIO()
    figure = _drawn(description)
    with style():
        figure.savefig(target, format="png", dpi=120)
    return target.getvalue()


def description_svg(description: Description) -> bytes:
    """Draw the same as `description_png` as an SVG document, the same bytes for the same description."""
    return svg_bytes(_drawn(description))


@in_style
def _drawn(description: Description) -> Figure:
    layers = [layer for layer in description.layers if layer.macs]
    figure = new_figure(min(max(7.0, 0.24 * len(layers) + 2), _WIDEST), 7.0)
    work, memory = figure.subplots(2, 1, sharex=True)
    _draw_work(work, layers, description)
    _draw_memory(memory, layers, description)
    if len(layers) <= _MOST_NAMED:
        memory.set_xticks(range(len(layers)), [layer.name for layer in layers], rotation=90, fontsize="xx-small")
    else:
        memory.set_xlabel("layer, in the order of execution")
    figure.suptitle(repr(description).strip("<>"), fontsize="medium")
    return figure


def _draw_work(axes: Axes, layers: list[Layer], description: Description) -> None:
    kinds = [kind for kind in LayerKind if any(layer.kind is kind for layer in layers)]
    colours = [*COLOURS, "#999999", "#666666", "#bbbbbb"]
    for kind, colour in zip(kinds, colours, strict=False):
        places = [place for place, layer in enumerate(layers) if layer.kind is kind]
        axes.bar(places, [layers[place].macs / 1e6 for place in places], color=colour, label=kind.value)
    tiled = [(place, layer) for place, layer in enumerate(layers) if layer.is_transformable]
    for m, marker in zip(description.tiles, MARKERS, strict=False):
        counts = [layer.multiplications(m) / 1e6 for _, layer in tiled]
        axes.plot([place for place, _ in tiled], counts, marker, color="black", fillstyle="none", label=f"F({m})")
    axes.set_ylabel("million multiplications")
    axes.legend(ncols=5, loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False)


def _draw_memory(axes: Axes, layers: list[Layer], description: Description) -> None:
    m = description.tiles[0]
    series = {
        "output": [NUMBER_BYTES * prod(layer.output) for layer in layers],
        "parameters": [NUMBER_BYTES * layer.parameters for layer in layers],
        f"U of F({m})": [layer.filter_bytes(m) for layer in layers],
    }
    for (label, sizes), colour, marker in zip(series.items(), COLOURS, MARKERS, strict=False):
        shown = [(place, size / _MEBIBYTE) for place, size in enumerate(sizes) if size]
        places, values = [place for place, _ in shown], [value for _, value in shown]
        axes.plot(places, values, marker, color=colour, label=label, markersize=4)
    axes.set_yscale("log")
    axes.set_ylabel("MiB")
    axes.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False)
