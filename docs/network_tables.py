"""The tables of docs/networks.md, counted from the networks as they are built.

    python docs/network_tables.py

writes them into the page anew. Published figures stand here as they were printed; everything else is counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from torch import empty, no_grad
from torch.nn.modules.batchnorm import _BatchNorm

from winograd.artefact import write_atomically
from winograd.benching.tables import with_table
from winograd.networks.description.describing import describe
from winograd.networks.description.kinds import LayerKind
from winograd.networks.description.record import Description
from winograd.networks.description.showing import OVERVIEW, overview_row
from winograd.networks.outline import outline
from winograd.networks.registry import list_networks

PAGE = Path(__file__).with_name("networks.md")


class Published(NamedTuple):
    """A network at some size of clip, and what its authors printed of it: millions of weights, GMACs."""

    network: str
    clip: tuple[int, ...]
    weights: str
    gmacs: str
    source: str
    options: dict[str, Any] = {}  # noqa: RUF012


_FRAMES = {8: (3, 8, 112, 112), 16: (3, 16, 112, 112)}
_VMZ = "VMZ, models"
_ZOO = "VMZ, model zoo"
_PAPER = "paper"
_RESNETS = {
    "fr2d_18": ("11.4", "27.6", "13.8"), "mc2_18": ("11.4", "28.5", "14.3"), "mc3_18": ("11.7", "43.3", "21.7"),
    "mc4_18": ("", "", ""), "mc5_18": ("16.8", "39.9", "20"), "rmc2_18": ("33.3", "39.8", "19.9"),
    "rmc3_18": ("", "", ""), "rmc4_18": ("32.0", "29.1", "14.5"), "rmc5_18": ("27.9", "30.8", "15.4"),
    "r3d_18": ("33.4", "40.7", "20.3"), "r2plus1d_18": ("33.3", "41.5", "20.7"),
}  # fmt: skip

PUBLISHED = [
    Published("r2d_18", _FRAMES[16], "11.5", "2.2", _VMZ),
    Published("r2d_18", _FRAMES[8], "", "1.9", _VMZ, {"frames": 8}),
    *(
        Published(name, _FRAMES[frames], weights, gmacs, _VMZ if gmacs else "")
        for name, (weights, long, short) in _RESNETS.items()
        for frames, gmacs in ((16, long), (8, short))
    ),
    Published("r2plus1d_18", _FRAMES[16], "", "", "", {"mid_channels": "torchvision"}),
    Published("r2plus1d_18", _FRAMES[8], "", "", "", {"mid_channels": "torchvision"}),
    Published("r3d_34", _FRAMES[16], "", "", ""),
    Published("r2plus1d_34", _FRAMES[16], "", "", ""),
    Published("r2plus1d_34", (3, 8, 128, 128), "", "49.8", _ZOO),
    Published("r2plus1d_34", (3, 32, 128, 128), "", "199.0", _ZOO),
    Published("resnet3d_50", (3, 8, 224, 224), "46.9", "29.5", _PAPER),
    Published("resnet3d_101", (3, 8, 224, 224), "85.9", "44.7", _PAPER),
    Published("resnet3d_152", (3, 8, 224, 224), "", "", ""),
    Published("ir_csn_50", (3, 8, 224, 224), "13.1", "10.6", _PAPER),
    Published("ir_csn_101", (3, 8, 224, 224), "22.1", "14.1", _PAPER),
    Published("ir_csn_152", (3, 8, 224, 224), "", "", ""),
    Published("ir_csn_152", (3, 32, 256, 256), "29.6", "96.7", _ZOO),
    Published("ip_csn_50", (3, 8, 224, 224), "14.3", "11.9", _PAPER),
    Published("ip_csn_101", (3, 8, 224, 224), "24.5", "15.9", _PAPER),
    Published("ip_csn_152", (3, 8, 224, 224), "", "", ""),
    Published("ip_csn_152", (3, 32, 256, 256), "32.8", "108.8", _ZOO),
    *(
        Published(f"{name}_{depth}", (3, 32, size, size), "", "", "")
        for name in ("resnet3d", "ir_csn", "ip_csn")
        for depth in (50, 101, 152)
        for size in (224, 256)
        if (name, size) != ("resnet3d", 256) and (depth, size) != (152, 256)
    ),
    Published("i3d_rgb", (3, 32, 224, 224), "", "", ""),
    Published("i3d_rgb", (3, 79, 224, 224), "", "", ""),
    Published("p3d_63", (3, 16, 160, 160), "", "", ""),
    Published("p3d_131", (3, 16, 160, 160), "", "", ""),
    Published("p3d_199", (3, 16, 160, 160), "", "", ""),
    Published("p3d_199", (3, 16, 224, 224), "", "", ""),
]
"""Every size that somebody published, and those that are left to be counted."""

TOUCHED: list[tuple[str, dict[str, Any], str]] = [
    ("c3d", {}, ""), ("i3d_rgb", {}, ""), ("fused_two_stream", {}, ""), ("r2d_18", {}, ""), ("fr2d_18", {}, ""),
    *((f"{kind}{split}_18", {}, "") for kind in ("mc", "rmc") for split in range(2, 6)),
    ("r3d_10", {}, ""), ("r3d_18", {}, ""), ("r3d_34", {}, ""), ("r2plus1d_18", {"mid_channels": "torchvision"}, ""),
    ("r2plus1d_18", {}, ""), ("r2plus1d_34", {}, ""),
    *((f"{name}_{depth}", {}, "") for name in ("resnet3d", "ip_csn", "ir_csn") for depth in (50, 101, 152)),
    ("p3d_63", {}, ""), ("p3d_131", {}, ""), ("p3d_199", {}, ""),
    *((f"eco_lite_{end}", {"num_classes": 101, **({"tensors": "5d"} if end == "rank1" else {})}, "clips")
      for end in ("conv3d", "r2plus1d", "p3d_a", "p3d_b", "p3d_c", "rank1", "add", "cat")),
    ("lightweight_c3d", {}, ""),
]  # fmt: skip
"""Networks, their options, and "clips" where the part over single frames is left out."""

STRUCTURES = {
    "conv3d": ("Conv3D", "33.7", "35.6"), "r2plus1d": ("R(2+1)D", "33.7", "36.9"),
    "cat": ("Proposed-Cat", "32.2", "32.7"), "add": ("Proposed-Add", "16.3", "17.1"),
    "rank1": ("Rank-1", "13.7", "14.7"), "p3d_a": ("P3D-A", "22.5", "19.5"),
    "p3d_b": ("P3D-B", "23.5", "20.9"), "p3d_c": ("P3D-C", "22.8", "19.6"),
}  # fmt: skip
"""Table II of the study of ECO-Lite: its name of the structure, millions of parameters, GFLOPs."""


@cache
def described(name: str, clip: tuple[int, ...] | None = None, **options: Any) -> Description:
    return describe(name, input_shape=clip, **options)


def overview_table() -> str:
    return markdown(OVERVIEW, [overview_row(described(name)) for name in list_networks()])


def markdown(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a table; empty cells are as narrow as they can be."""
    lines = [f"| {' | '.join(cells)} |" for cells in (header, *rows)]
    lines.insert(1, "|---" * len(header) + "|")
    return "\n".join(re.sub(r"(?<=\|) +(?=\|)", " ", line) for line in lines)


def published_table() -> str:
    header = ("network", "clip", "parameters", "weights, M", "published", "GMACs", "published", "by")
    return markdown(header, [_published_cells(row) for row in PUBLISHED])


def _published_cells(row: Published) -> tuple[str, ...]:
    one = described(row.network, row.clip, **row.options)
    options = "".join(f", {name} {value}" for name, value in row.options.items())
    return (
        f"`{row.network}`{options}",
        "x".join(map(str, row.clip)),
        f"{one.parameters.total:,}",
        f"{one.parameters.weights / 1e6:.3f}",
        row.weights,
        f"{one.macs / 1e9:.3f}",
        row.gmacs,
        row.source,
    )


def touched_table() -> str:
    header = (
        "network", "3x3x3", "1x3x3", "3x1x1", "1x3x1, 1x1x3", "strided", "first layer", "depthwise", "1x1x1, linear",
        "F(2)", "F(4)", "F(6)", "best",
    )  # fmt: skip
    return markdown(header, [touched_cells(*row) for row in TOUCHED])


def touched_cells(name: str, options: dict[str, Any], part: str) -> tuple[str, ...]:
    """Return the shares of the kinds in percent, and what tiles divide the multiplications by."""
    one = described(name, **options)
    layers = [layer for layer in one.layers if not (part and layer.name.startswith("net2d."))]
    total = sum(layer.macs for layer in layers)

    def share(*kinds: LayerKind) -> str:
        count = sum(layer.macs for layer in layers if layer.kind in kinds)
        return f"{100 * count / total:.1f}" if count else ""

    strided = sum(layer.macs for layer in layers if layer.shape and max(layer.shape.stride) > 1 < max(layer.shape.taps))
    label = (
        f"`{name}`" + (", torchvision's rule" if "mid_channels" in options else "") + (", over clips" if part else "")
    )
    return (
        label,
        *(share(kind) for kind in (LayerKind.CUBE, LayerKind.PICTURE, LayerKind.TIME, LayerKind.LINE)),
        f"{100 * strided / total:.1f}" if strided else "",
        f"{100 * layers[0].macs / total:.1f}" if layers[0].macs else "",
        share(LayerKind.DEPTHWISE),
        share(LayerKind.POINTWISE, LayerKind.LINEAR),
        *(f"{total / sum(layer.multiplications(m) for layer in layers):.2f}" for m in (2, 4, 6, None)),
    )


def structures_table() -> str:
    header = ("structure", "parameters, M", "published", "GMACs over clips", "with 2 per norm", "published", "met")
    return markdown(header, [structure_cells(end) for end in STRUCTURES])


def structure_cells(end: str) -> tuple[str, ...]:
    """Return what is counted for a row of table II with 101 classes, beside what the table says."""
    printed, parameters, flops = STRUCTURES[end]
    one = described(f"eco_lite_{end}", num_classes=101)
    macs = sum(layer.macs for layer in one.layers if not layer.name.startswith("net2d."))
    all_in = macs + 2 * normalised(f"eco_lite_{end}", "net3d")
    counted = f"{one.parameters.total / 1e6:.1f}", f"{all_in / 1e9:.1f}"
    return (
        f"{printed}, `eco_lite_{end}`",
        f"{one.parameters.total / 1e6:.3f}",
        parameters,
        f"{macs / 1e9:.3f}",
        f"{all_in / 1e9:.2f}",
        flops,
        "yes" if counted == (parameters, flops) else "no",
    )


def normalised(name: str, part: str) -> int:
    """Return how many numbers the normalisations of a part of a network give for one clip."""
    model = outline(name, num_classes=101)
    counts: list[int] = []
    for module in model.get_submodule(part).modules():
        if isinstance(module, _BatchNorm):
            module.register_forward_hook(lambda _module, _inputs, output: counts.append(output.numel()))
    with no_grad():
        model(empty(1, *model.input_shape, device="meta"))
    return sum(counts)


def separable_table() -> str:
    header = (
        "convolutions",
        "weights, M",
        "fewer by",
        "GMACs",
        "fewer by",
        "F(2), G",
        "fewer by",
        "F(4), G",
        "fewer by",
    )
    return markdown(header, list(_separable_rows()))


def _separable_rows() -> Iterator[tuple[str, ...]]:
    dense = described("c3d")
    whole, work = dense.parameters.convolutions, sum(layer.macs for layer in dense.layers if layer.shape)
    for width in (1.0, 0.5):
        one = described("lightweight_c3d", width=width)
        layers = [layer for layer in one.layers if layer.shape]
        weights, macs = one.parameters.convolutions, sum(layer.macs for layer in layers)
        counts = [macs, *(sum(layer.multiplications(m) for layer in layers) for m in (2, 4))]
        yield (
            f"fully separable, a = {width:g}",
            f"{weights / 1e6:.3f}",
            f"{whole / weights:.2f}",
            *(cell for count in counts for cell in (f"{count / 1e9:.3f}", f"{work / count:.2f}")),
        )


TABLES: dict[str, Callable[[], str]] = {
    "networks": overview_table,
    "published": published_table,
    "touched": touched_table,
    "structures": structures_table,
    "separable": separable_table,
}


def page_anew(text: str) -> str:
    """Return the page with all tables counted anew."""
    for name, table in TABLES.items():
        text = with_table(text, name, table())
    return text


if __name__ == "__main__":
    write_atomically(str(PAGE), page_anew(PAGE.read_text(encoding="utf-8")).encode("utf-8"))
