"""Tables in Markdown from the JSON of benchmarks, and pages that hold them.

In: figures as `Benchmark.as_dict` writes them. Out: tables; pages with the tables in place of those that were there.
A page has a table of layers behind the line that names its file, and others between lines such as
``<!-- table coverage -->`` and ``<!-- end of table coverage -->``. What a page does not ask for is not put there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

Figures = Mapping[str, Any]

_LAYERS: Final = ("layer", "direct, ms (error)", "algorithm", "ours, ms (error)", "ratio")

_SUITES: Final = (
    "suite", "GMACs", "layers", "by Winograd", "direct, ms", "ours, ms", "ratio", "stride 1", "strided",
    "below 0.97", "most added, us", "worst error",
)  # fmt: skip

COVERAGE: Final = "coverage"
"""The table of whole suites, one a row."""


def layers_table(figures: Figures) -> str:
    """Return the table of one suite: a row a layer, and their sum."""
    return markdown(_LAYERS, [*map(layer_cells, figures["layers"]), stack_cells(figures["stack"])])


def layer_cells(layer: Figures) -> tuple[str, ...]:
    """Return name, times with errors, algorithm and ratio of one layer."""
    return (
        layer["layer"] + (f" (x{layer['count']})" if layer["count"] > 1 else ""),
        f"{layer['direct_ms']:.2f} ({layer['direct_error']:.1e})",
        layer["algorithm"].removeprefix("native "),
        f"{layer['ours_ms']:.2f} ({layer['measured_error']:.1e})",
        f"{layer['ratio']['value']:.2f}",
    )


def stack_cells(stack: Figures) -> tuple[str, ...]:
    """Return the sums over all layers, the ratio with its interval."""
    ours = f"{stack['ours_ms']:.1f} ({stack['worst_error']:.1e} at most)"
    return "all", f"{stack['direct_ms']:.1f}", "", ours, _interval(stack["ratio"])


def suites_table(suites: Iterable[Figures]) -> str:
    """Return the table of whole suites: sums, ratios by kind of layer, what falls short, and the worst error."""
    return markdown(_SUITES, [suite_cells(figures) for figures in suites])


def suite_cells(figures: Figures) -> tuple[str, ...]:
    """Return the row of one suite; errors are those of the layers that Winograd computes."""
    layers, stack, parts = figures["layers"], figures["stack"], figures["parts"]
    ours = [layer for layer in layers if layer["algorithm"] != "direct"]
    slower = [layer for layer in layers if layer["falls_short"] and layer["direct_ms"] >= 1]
    added = figures["most_added_us"]
    return (
        f"{figures['suite']}, batch {figures['batch']}",
        f"{sum(layer['count'] * layer['macs'] for layer in layers) / 1e9:.1f}",
        str(len(layers)),
        str(len(ours)),
        f"{stack['direct_ms']:.1f}",
        f"{stack['ours_ms']:.1f}",
        _interval(stack["ratio"]),
        *(f"{parts[part]['ratio']['value']:.2f}" if part in parts else "-" for part in ("stride1", "strided")),
        str(len(slower)),
        "-" if added is None else f"{added:.0f}",
        f"{max(layer['measured_error'] for layer in ours):.1e}" if ours else "-",
    )


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table.

    Examples
    --------
    >>> print(markdown(("a", "b"), [("1", "")]))
    | a | b |
    |---|---|
    | 1 | |
    """
    lines = [f"| {' | '.join(cells)} |".replace("|  |", "| |") for cells in (header, *rows)]
    return "\n".join([lines[0], "|---" * len(header) + "|", *lines[1:]])


def with_layers(page: str, file: str, figures: Figures) -> str:
    """Return a page with the table behind the line that names the file, if it has one, made from the figures."""
    behind = re.compile(rf"^(?P<line>.*{re.escape(file)}.*\n\n)(?:\|.*\n)+", re.MULTILINE)
    return behind.sub(lambda found: f"{found['line']}{layers_table(figures)}\n", page)


def with_table(page: str, name: str, table: str) -> str:
    """Return a page with the table between the two lines of that name, if it has them."""
    first, last = f"<!-- table {name} -->", f"<!-- end of table {name} -->"
    between = re.compile(rf"(?<=^{re.escape(first)}\n).*?(?=^{re.escape(last)}$)", re.MULTILINE | re.DOTALL)
    return between.sub(lambda _: f"\n{table}\n\n", page)


def _interval(ratio: Figures) -> str:
    return f"{ratio['value']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})"
