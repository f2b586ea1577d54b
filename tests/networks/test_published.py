"""The page of the networks has what is counted, and what is counted there is what the literature has.

The tables are made anew once; everything else reads them from the page.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Decimal

import pytest

from docs import network_gallery, network_tables
from docs.network_tables import PAGE, PUBLISHED, TABLES, described
from winograd.benching.tables import with_table
from winograd.networks.description.layer import Layer
from winograd.networks.registry import list_networks

NOT_MET = {("`r2plus1d_34`", "3x8x128x128")}
"""49.749, printed as 49.8."""

SHARES = {
    # 3x3x3, 1x3x3, 3x1x1, one axis in space, strided, first layer, depthwise, 1x1x1 and linear, F(2), F(4)
    "`c3d`": ("99.9", "", "", "", "", "2.7", "", "0.1", "3.33", "7.06"),
    "`i3d_rgb`": ("69.6", "", "", "", "23.8", "23.8", "", "6.6", "1.96", "2.52"),
    "`r3d_18`": ("90.3", "", "", "", "9.4", "3.5", "", "0.2", "2.71", "4.47"),
    "`mc3_18`": ("51.2", "38.4", "", "", "9.7", "3.3", "", "0.7", "2.25", "3.53"),
    "`mc2_18`": ("", "84.2", "", "", "14.7", "5.0", "", "1.1", "1.79", "2.51"),
    "`r2plus1d_18`, torchvision's rule": ("", "66.2", "23.1", "", "10.4", "0.8", "", "0.2", "1.79", "2.49"),
    "`resnet3d_50`": ("56.5", "", "", "", "17.9", "9.6", "", "25.6", "1.63", "1.85"),
    "`ip_csn_50`": ("", "", "", "", "23.9", "23.8", "1.6", "74.6", "1.01", "1.01"),
    "`ir_csn_152`": ("", "", "", "", "15.4", "15.3", "1.7", "83.0", "1.01", "1.01"),
    "`p3d_199`": ("", "42.0", "13.7", "", "5.2", "5.2", "", "39.1", "1.38", "1.46"),
    "`eco_lite_conv3d`, over clips": ("93.5", "", "", "", "5.8", "0.4", "", "0.6", "2.84", "5.12"),
    "`eco_lite_add`, over clips": ("", "65.2", "21.7", "", "9.5", "0.9", "", "3.6", "1.73", "2.37"),
}
"""Percent of the multiply-accumulates, and by what tiles divide the multiplications."""

CROPS: dict[str, tuple[str, str]] = {
    "resnet3d_50": ("117.8", ""),
    "resnet3d_101": ("179.0", ""),
    "resnet3d_152": ("254.5", ""),
    "ir_csn_50": ("42.31", "55.3"),
    "ir_csn_101": ("56.47", "73.8"),
    "ir_csn_152": ("74.05", "96.7"),
    "ip_csn_50": ("47.65", "62.2"),
    "ip_csn_101": ("63.56", "83.0"),
    "ip_csn_152": ("83.30", "108.8"),  # rounded twice: 83.2948, 83.295, 83.30
}
"""GMACs of 32 frames of 224 x 224 and of 256 x 256, as they are printed."""

TABLE_II = {
    "conv3d": ("33.725", "35.607", "35.63", "yes"),
    "r2plus1d": ("33.735", "36.837", "36.90", "yes"),
    "add": ("16.266", "17.033", "17.07", "yes"),
    "cat": ("32.160", "32.678", "32.73", "yes"),
    "rank1": ("13.689", "14.669", "14.74", "yes"),
    "p3d_a": ("16.111", "17.033", "17.07", "no"),
    "p3d_b": ("15.936", "16.801", "16.84", "no"),
    "p3d_c": ("16.440", "17.187", "17.23", "no"),
}
"""Millions of parameters, GMACs over clips, the same with two operations for each normalised number, whether met."""


TEXT = PAGE.read_text(encoding="utf-8")


def rows(name: str) -> list[list[str]]:
    """Return the cells of a table of the page, without its header."""
    table = TEXT.partition(f"<!-- table {name} -->")[2].partition("<!-- end")[0]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.strip().splitlines()[2:]]


def is_met(cells: list[str]) -> bool:
    """Whether rounding what is counted gives what was printed."""
    _, _, _, weights, printed_weights, gmacs, printed_gmacs, _ = cells
    pairs = ((weights, printed_weights), (gmacs, printed_gmacs))
    return all(not printed or rounded(counted, printed) == printed for counted, printed in pairs)


def rounded(counted: str, printed: str) -> str:
    digits = Decimal(1).scaleb(-len(printed.partition(".")[2]))
    return str(Decimal(counted).quantize(digits, rounding=ROUND_HALF_EVEN))


PRINTED = [cells for cells in rows("published") if cells[-1]]


@pytest.mark.parametrize("cells", PRINTED, ids=lambda cells: f"{cells[0]}-{cells[1]}")
def test_published_figures_are_met_to_every_printed_digit(cells: list[str]) -> None:
    assert is_met(cells) is ((cells[0], cells[1]) not in NOT_MET)


def test_every_published_figure_is_there() -> None:
    assert len(rows("published")) == len(PUBLISHED)
    assert len(PRINTED) == sum(bool(row.source) for row in PUBLISHED)


def test_a_figure_off_by_its_last_digit_is_noticed() -> None:
    cells = ["", "", "", "33.361", "33.4", "20.348", "20.3", "VMZ"]
    assert is_met(cells)
    assert not is_met([*cells[:4], "33.3", *cells[5:]])
    assert not is_met([*cells[:6], "20.4", "VMZ"])


@pytest.mark.parametrize("label", SHARES)
def test_shares_and_savings_are_the_known_ones(label: str) -> None:
    found = {cells[0]: cells[1:] for cells in rows("touched")}
    assert tuple(found[label][: len(SHARES[label])]) == SHARES[label]


@pytest.mark.parametrize("name", CROPS)
def test_multiplications_of_32_frames(name: str) -> None:
    found = {(cells[0], cells[1]): cells[5] for cells in rows("published")}
    for size, printed in zip((224, 256), CROPS[name], strict=True):
        assert not printed or rounded(found[f"`{name}`", f"3x32x{size}x{size}"], printed) == printed


def test_every_network_has_its_shares() -> None:
    names = {re.match("`(.*?)`", cells[0])[1] for cells in rows("touched")}  # type: ignore[index]
    assert names | {"i3d_flow", "i3d_two_stream"} == set(list_networks())
    assert [cells[0] for cells in rows("networks")] == list_networks()


@pytest.mark.parametrize("end", TABLE_II)
def test_table_ii_of_the_study_of_eco_lite(end: str) -> None:
    found = {cells[0].partition("`eco_lite_")[2].rstrip("`"): cells[1:] for cells in rows("structures")}
    parameters, _, gmacs, all_in, _, met = found[end]
    assert (parameters, gmacs, all_in, met) == TABLE_II[end]


@pytest.mark.parametrize(("end", "gmacs"), [("p3d_a", "19.3"), ("p3d_b", "19.1"), ("p3d_c", "19.3")])
def test_the_p3d_rows_with_two_dense_convolutions_where_there_is_a_step(end: str, gmacs: str) -> None:
    """What the page says of the three rows, with 400 classes."""
    one = described(f"eco_lite_{end}")
    parameters = one.parameters.weights
    macs = sum(layer.macs for layer in one.layers if not layer.name.startswith("net2d."))
    for block, width, places in (("net3d.2.", 256, 8 * 14 * 14), ("net3d.4.", 512, 4 * 7 * 7)):
        literal = [*one.part(f"{block}conv1."), *one.part(f"{block}downsample")]
        dense = 2 * 27 * (width // 2) * width
        parameters += dense - sum(layer.parameters for layer in literal)
        macs += dense * places - sum(layer.macs for layer in literal)
    assert (f"{parameters / 1e6:.1f}", f"{macs / 1e9:.1f}") == ("22.5", gmacs)


def full(layer: Layer, m: int) -> float:
    """Return the multiplications as if all tiles were full."""
    assert layer.shape is not None
    saved = 1.0
    for taps in layer.shape.taps:
        saved *= (m + taps - 1) / (m * taps) if taps > 1 else 1
    return layer.macs * saved


@pytest.mark.parametrize(
    ("width", "weights", "macs", "tiles"),
    [
        (1.0, ("4.297", "6.43"), ("7.417", "5.19"), {2: ("5.87", "6.55"), 4: ("5.12", "7.52")}),
        (0.5, ("2.149", "12.87"), ("3.708", "10.38"), {2: ("2.94", "13.11"), 4: ("2.56", "15.04")}),
    ],
)
def test_fully_separable_convolutions_in_c3d(
    width: float, weights: tuple[str, str], macs: tuple[str, str], tiles: dict[int, tuple[str, str]]
) -> None:
    dense, one = described("c3d"), described("lightweight_c3d", width=width)
    whole = sum(layer.macs for layer in dense.layers if layer.shape)
    layers = [layer for layer in one.layers if layer.shape]
    work = sum(layer.macs for layer in layers)
    count = one.parameters.convolutions
    assert (f"{count / 1e6:.3f}", f"{dense.parameters.convolutions / count:.2f}") == weights
    assert (f"{work / 1e9:.3f}", f"{whole / work:.2f}") == macs
    for m, (billions, factor) in tiles.items():
        products = sum(full(layer, m) for layer in layers)
        assert (f"{products / 1e9:.2f}", f"{whole / products:.2f}") == (billions, factor)
        assert sum(layer.multiplications(m) for layer in layers) >= products * (1 - 1e-12)
    if width == 1:
        first = work - sum(layer.macs for layer in one.part("conv1.")) + dense.layer("conv1").macs
        assert f"{first / 1e9:.2f}" == "7.40"


def test_the_page_has_the_tables_as_they_are_counted() -> None:
    assert all(f"<!-- table {name} -->" in TEXT for name in TABLES)
    assert network_tables.page_anew(TEXT) == TEXT


def test_another_cell_in_the_page_is_noticed() -> None:
    changed = TEXT.replace("| 4.297 |", "| 4.298 |")
    assert changed != TEXT
    assert with_table(changed, "separable", TABLES["separable"]()) == TEXT


def test_every_network_is_in_one_family_of_the_gallery() -> None:
    shown = [name for family in network_gallery.FAMILIES.values() for name in network_gallery.members(family)]
    assert sorted(shown) == list_networks()


def test_a_page_of_the_gallery_draws_every_network_with_all_its_layers() -> None:
    family = network_gallery.FAMILIES["c3d"]
    page = network_gallery.page(family)
    assert page.count("<svg ") == len(network_gallery.members(family)) == page.count("<details>")
    for name in network_gallery.members(family):
        assert f"## {name}\n" in page
        assert all(f"<td>{layer.name}</td>" in page for layer in described(name).layers)


def test_the_page_links_every_page_of_the_gallery() -> None:
    assert all(f"networks/{name}\n" in TEXT for name in network_gallery.FAMILIES)
