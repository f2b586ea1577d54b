"""What a plan costs a tiny convolution: microseconds that each way of calling adds to torch's own.

    python benchmarks/dispatch.py [--rounds N] [--json FILE]

Shapes are so small that everything is direct. Calls take turns; each round times a few hundred of every way, and both
the median and the least of the rounds are printed. The modules are compared with `torch.nn.Conv3d`, and everything
with ``torch.conv3d`` too, since the cost of a module is torch's.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import torch

import winograd
from winograd.artefact import write_atomically
from winograd.conv.measuring.timing import interleaved, measured_on
from winograd.nn import Conv3d

CALLS = 300
"""Calls that are timed at once: one alone is near the resolution of the clock."""

SHAPES = (("4 to 4 channels, 3x3x3", (1, 4, 4, 6, 6), 4, 3), ("8 to 16 channels, 1x1x1", (2, 8, 2, 7, 7), 16, 1))

OWN = "torch.conv3d"


@dataclass(frozen=True)
class Row:
    shape: str
    way: str
    median_us: float
    least_us: float
    added_median_us: float
    added_least_us: float


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=31, help="rounds of timing (default: 31)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the table as JSON")
    options = parser.parse_args()
    with torch.no_grad():
        rows = [row for shape in SHAPES for row in measured_rows(*shape, options.rounds)]
    print("shape                     way                        median us  least us  added (median)  added (least)")
    for row in rows:
        added = f"{row.added_median_us:14.1f}  {row.added_least_us:13.1f}"
        print(f"{row.shape:24s}  {row.way:25s}  {row.median_us:9.1f}  {row.least_us:8.1f}  {added}")
    if options.json:
        table = {"machine": measured_on(), "calls": CALLS, "rows": [asdict(row) for row in rows]}
        write_atomically(options.json, (json.dumps(table, indent=2, allow_nan=False) + "\n").encode())


def measured_rows(name: str, sizes: tuple[int, ...], outputs: int, taps: int, rounds: int) -> list[Row]:
    """Return a row for every way of calling one convolution."""
    times = interleaved({way: many(call) for way, call in ways(sizes, outputs, taps).items()}, rounds)
    each = {way: [ms * 1e3 / CALLS for ms in values] for way, values in times.items()}
    own = each[OWN]
    return [
        Row(
            name,
            way,
            median(values),
            min(values),
            median(a - b for a, b in zip(values, own, strict=True)),
            min(values) - min(own),
        )
        for way, values in each.items()
    ]


def ways(sizes: tuple[int, ...], outputs: int, taps: int) -> dict[str, Callable[[], object]]:
    """Return what computes one convolution, by torch and by us."""
    image, channels, padding = torch.randn(sizes), sizes[1], taps // 2
    plain = torch.nn.Conv3d(channels, outputs, taps, padding=padding)
    planned = Conv3d(channels, outputs, taps, padding=padding)
    frozen = torch.nn.Sequential(torch.nn.Conv3d(channels, outputs, taps, padding=padding))
    winograd.convert_(frozen)
    winograd.freeze(frozen)
    weight, bias = plain.weight.detach(), plain.bias
    return {
        OWN: lambda: torch.conv3d(image, weight, bias, 1, padding),
        "torch.nn.Conv3d": lambda: plain(image),
        "winograd.conv3d": lambda: winograd.conv3d(image, weight, bias, 1, padding),
        "winograd.nn.Conv3d": lambda: planned(image),
        "converted and frozen": lambda: frozen[0](image),
    }


def many(call: Callable[[], object]) -> Callable[[], None]:
    """Return what calls so often."""

    def calls() -> None:
        for _ in range(CALLS):
            call()

    return calls


if __name__ == "__main__":
    main()
