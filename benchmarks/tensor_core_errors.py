"""The errors of layers whose products are taken on tensor cores: emulated in NumPy, and predicted.

    python benchmarks/tensor_core_errors.py [--outputs N] [--json FILE]

Relative L2, normal data and filters. Sums of "tf32x3" are partial sums of 32 channels, as in the Triton kernels; the
others run on over all channels.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path

from winograd.accuracy.tensor_cores import Products, measure_product_error, predict_product_error
from winograd.algebra.nesting import NestedAlgorithm, nest
from winograd.algebra.toom_cook import toom_cook
from winograd.artefact import write_atomically

FORMS = ((2,), (4,), (2, 2), (3, 3), (4, 4), (2, 2, 2), (2, 4, 4), (3, 3, 3), (4, 4, 4))
"""Outputs of a tile along each axis."""

CHANNELS, BLOCK = (64, 512), 32


@dataclass(frozen=True)
class Row:
    algorithm: str
    channels: int
    products: str
    emulated: float
    predicted: float


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--outputs", type=int, default=4000, help="outputs of each figure (default: 4000)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the table as JSON")
    options = parser.parse_args()
    rows = []
    print("algorithm               channels  products  emulated  predicted  ratio")
    for row in measured_rows(options.outputs):
        figures = f"{row.emulated:8.2e}  {row.predicted:9.2e}  {row.predicted / row.emulated:5.2f}"
        print(f"{row.algorithm:22s}  {row.channels:8d}  {row.products:8s}  {figures}", flush=True)
        rows.append(row)
    if options.json:
        table = {"outputs": options.outputs, "channel_block": BLOCK, "rows": [asdict(row) for row in rows]}
        write_atomically(options.json, (json.dumps(table, indent=2, allow_nan=False) + "\n").encode())


def measured_rows(outputs: int) -> Iterator[Row]:
    """Yield a row for every form, number of channels and precision."""
    for form in FORMS:
        nested = nest(*(toom_cook(m, 3) for m in form))
        for channels in CHANNELS:
            for products in Products:
                yield measured_row(nested, channels, products, max(8, -(-outputs // prod(form))))


def measured_row(nested: NestedAlgorithm, channels: int, products: Products, trials: int) -> Row:
    """Return the figures of one layer."""
    summed = {"channels": channels, "channel_block": BLOCK if products.is_blocked else None}
    emulated = measure_product_error(nested, products, **summed, trials=trials)
    return Row(nested.label, channels, products.value, emulated, predict_product_error(nested, products, **summed))


if __name__ == "__main__":
    main()
