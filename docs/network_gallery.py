"""The gallery of the networks: a page for each family, every network of it drawn, with its shapes layer by layer.

Written by the build of the documentation. Pictures and tables are HTML as it is, which costs the build next to nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

from winograd.networks.description.describing import describe
from winograd.networks.description.picture import picture_svg
from winograd.networks.description.record import Description
from winograd.networks.description.showing import headline, html_tables
from winograd.networks.registry import list_networks


class Family(NamedTuple):
    """The networks of a page, as patterns of names, and what is said about them."""

    title: str
    patterns: tuple[str, ...]
    text: str


FAMILIES = {
    "c3d": Family(
        "C3D and its light-weight form",
        ("c3d", "lightweight_c3d"),
        "Eight 3x3x3 convolutions and three linear layers (arXiv 1412.0767); and the same with fully separable "
        "convolutions on the changes between frames (arXiv 1905.13388).",
    ),
    "i3d": Family(
        "I3D and the fused two-stream network",
        ("i3d_*", "fused_two_stream"),
        "Inception-v1 inflated in time, for colours, for flow and for both, and two streams over single pictures that "
        "one 3x3x3 convolution fuses (arXiv 1705.07750).",
    ),
    "mixed": Family(
        "R2D, MC and rMC",
        ("r2d_*", "fr2d_*", "mc*", "rmc*"),
        "Residual networks with space and time together in some groups only (arXiv 1711.11248). A convolution over "
        "space does not step in time, so the MC networks keep more frames than R3D.",
    ),
    "r3d": Family(
        "R3D and R(2+1)D",
        ("r3d_*", "r2plus1d_*"),
        "Residual networks of 3x3x3, or of 1x3x3 and 3x1x1 in its place (arXiv 1711.11248). R(2+1)D has the channels "
        "in between that the paper computes; `mid_channels=\"torchvision\"` has those of torchvision's weights.",
    ),
    "csn": Family(
        "ResNet3D with bottlenecks, ip-CSN and ir-CSN",
        ("resnet3d_*", "ip_csn_*", "ir_csn_*"),
        "Bottlenecks of 3x3x3, of 1x1x1 and depthwise 3x3x3, or of depthwise 3x3x3 alone (arXiv 1904.02811).",
    ),
    "p3d": Family(
        "P3D",
        ("p3d_*",),
        "Bottlenecks with 1x3x3 and 3x1x1 in three wirings that take turns, and a last layer over single pictures "
        "(arXiv 1711.10305). `form=\"port\"` has the sums and the first pooling of the PyTorch port.",
    ),
    "eco": Family(
        "ECO-Lite with eight structures",
        ("eco_lite_*",),
        "A network over frames, then one over clips whose 3x3x3 is one of eight structures; see "
        "[what is counted for each](../networks.md#eco-lite-with-eight-structures).",
    ),
}  # fmt: skip


def write_gallery(folder: Path) -> None:
    """Write the pages of all families."""
    folder.mkdir(exist_ok=True)
    for name, family in FAMILIES.items():
        (folder / f"{name}.md").write_text(page(family), encoding="utf-8")


def members(family: Family) -> list[str]:
    """Return the names of a family's networks, small networks first."""
    names = {name for pattern in family.patterns for name in list_networks(pattern)}
    return sorted(names, key=lambda name: (name.rpartition("_")[0], len(name), name))


def page(family: Family) -> str:
    """Return the page of a family in Markdown."""
    parts = [f"# {family.title}", family.text]
    for name in members(family):
        parts += section(describe(name))
    return "\n\n".join(parts) + "\n"


def section(description: Description) -> Iterator[str]:
    """Yield what the page has of one network."""
    _, *lines = headline(description)
    yield f"## {description.network}"
    yield "\n".join(f"- {line}" for line in lines)
    yield raw(picture_svg(description))
    kinds, tiles, layers = html_tables(description)
    yield raw(f"{kinds}{tiles}{folded(f'{len(description.layers)} layers, one by one', [layers])}")


def folded(title: str, parts: Sequence[str]) -> str:
    """Return HTML that opens at a click."""
    return f"<details><summary>{escape(title)}</summary>{''.join(parts)}</details>"


def raw(html: str) -> str:
    """Return HTML as a block of Markdown."""
    return f"```{{raw}} html\n{html}\n```"
