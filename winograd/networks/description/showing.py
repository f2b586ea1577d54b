"""A description as text and as HTML. In: a `Description`. Out: tables with the sums above them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from winograd.accuracy.showing.table import MOST_ROWS, html_table, text_table
from winograd.networks.description.layer import MOST_OUTPUTS, Layer, Tile
from winograd.networks.description.record import Description

KINDS: Final = ("kind", "layers", "parameters", "MACs", "share")
TILE_COLUMNS: Final = ("tile", "multiplications", "fewer by", "U MiB")
_LAYERS: Final = ("layer", "kind", "what", "input", "output", "parameters", "MMACs", "share")

OVERVIEW: Final = (
    "network", "clip", "parameters", "GMACs", *(f"F({m})" for m in (2, 4)), "weights MiB", "peak MiB",
)  # fmt: skip
"""Header of a table with a line for each network."""


def description_text(description: Description) -> str:
    """Return sums, kinds of layers, tiles and all layers."""
    return "\n".join(
        [
            *headline(description),
            "",
            text_table(KINDS, kind_rows(description)),
            "",
            text_table(TILE_COLUMNS, tile_rows(description)),
            "",
            text_table(layer_header(description), layer_rows(description), left=(0, 1, 2)),
        ]
    )


def description_html(description: Description) -> str:
    """Return the same as HTML for a notebook; of many layers, the first ones."""
    first, *rest = headline(description)
    figures = html_table(first, ("figure", ""), [tuple(line.split(": ", 1)) for line in rest])
    return "".join([figures, *html_tables(description, most=MOST_ROWS)])


def html_tables(description: Description, most: int | None = None) -> tuple[str, str, str]:
    """Return the tables of kinds, of tiles and of layers; of many layers the first ones, unless all are wanted."""
    rows = layer_rows(description)
    return (
        html_table("Kinds of layers", KINDS, kind_rows(description)),
        html_table("Tiles", TILE_COLUMNS, tile_rows(description)),
        html_table("Layers", layer_header(description), rows, most=len(rows) if most is None else most),
    )


def headline(description: Description) -> list[str]:
    """Return what is said before any table: a line on the network, and one each on parameters, work and memory."""
    own, clip, scores = description.parameters, description.input, description.output
    parts = {"convolutions": own.convolutions, "linear layers": own.linear, "biases": own.biases}
    parts |= {"normalisations": own.normalisations, "others": own.other}
    shown = ", ".join(f"{name} {count:,}" for name, count in parts.items() if count)
    alive, made = _mebibytes(description.peak_bytes), _mebibytes(description.made_bytes)
    return [
        f"{description.network}, clips {sizes(clip)}, scores {sizes(scores)}, float32",
        f"parameters: {own.total:,} ({shown}); {own.statistics:,} statistics beside them",
        f"multiply-accumulates: {description.macs:,} ({description.macs / 1e9:.3f} G); normalisations, biases apart",
        f"memory: weights {_mebibytes(description.weight_bytes)} MiB; clips and activations {alive} MiB at most "
        f"at a time, {made} MiB made in all",
    ]


def kind_rows(description: Description) -> list[tuple[str, ...]]:
    """Return a row for each kind of layer."""
    return [
        (kind.value, str(one.layers), f"{one.parameters:,}", f"{one.macs:,}", f"{100 * one.share:.1f} %")
        for kind, one in description.by_kind().items()
    ]


def tile_rows(description: Description) -> list[tuple[str, ...]]:
    """Return a row for each tile, and one for the best of every layer and axis."""
    named: list[tuple[str, Tile]] = [(f"F({m})", m) for m in description.tiles]
    return [
        (
            name,
            f"{description.multiplications(m):,}",
            f"{description.reduction(m):.2f}",
            _mebibytes(description.filter_bytes(m)),
        )
        for name, m in [*named, (f"best per axis, up to F({MOST_OUTPUTS})", None)]
    ]


def layer_header(description: Description) -> tuple[str, ...]:
    """Return the header of `layer_rows`."""
    return (*_LAYERS, *(f"F({m})" for m in description.tiles))


def layer_rows(description: Description) -> list[tuple[str, ...]]:
    """Return a row for each layer; below a tile, by how much it divides the multiplications of the layer."""
    return [_layer_cells(layer, description) for layer in description.layers]


def _layer_cells(layer: Layer, description: Description) -> tuple[str, ...]:
    return (
        layer.name,
        layer.kind.value,
        what(layer),
        sizes(layer.input),
        sizes(layer.output),
        f"{layer.parameters:,}" if layer.parameters else "",
        f"{layer.macs / 1e6:,.1f}" if layer.macs else "",
        f"{100 * layer.macs / description.macs:.1f} %" if layer.macs else "",
        *(
            f"{layer.macs / layer.multiplications(m):.2f}" if layer.is_transformable else ""
            for m in description.tiles
        ),
    )  # fmt: skip


def what(layer: Layer) -> str:
    """Return taps, stride and groups of a convolution, or the class of another layer.

    Examples
    --------
    >>> from winograd.networks import describe
    >>> stem, fc = (describe("r3d_18").layer(name) for name in ("stem.0", "fc"))
    >>> what(stem), what(fc)
    ('3x7x7 /1,2,2', 'Linear')
    """
    shape = layer.shape
    if shape is None:
        return layer.type
    parts = ["x".join(map(str, shape.taps))]
    for sign, steps in (("/", shape.stride), ("d", shape.dilation)):
        if max(steps) > 1:
            parts.append(sign + (str(steps[0]) if len(set(steps)) == 1 else ",".join(map(str, steps))))
    return " ".join([*parts, *([f"g{shape.groups}"] if shape.groups > 1 else [])])


def overview_row(description: Description) -> tuple[str, ...]:
    """Return a row of `OVERVIEW`."""
    return (
        description.network,
        sizes(description.input[1:]),
        f"{description.parameters.total:,}",
        f"{description.macs / 1e9:.3f}",
        *(f"{description.reduction(m):.2f}" for m in (2, 4)),
        _mebibytes(description.weight_bytes),
        _mebibytes(description.peak_bytes),
    )


def sizes(tensor: Sequence[int]) -> str:
    """Return sizes as text.

    Examples
    --------
    >>> sizes((3, 16, 112, 112))
    '3x16x112x112'
    """
    return "x".join(map(str, tensor))


def _mebibytes(count: int) -> str:
    return f"{count / 2**20:.1f}"
