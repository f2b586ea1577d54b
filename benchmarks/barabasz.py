"""The published errors of F(m x m, 3 x 3) again: Barabasz et al., arXiv 1803.10986, best points in 2D.

    python benchmarks/barabasz.py [--trials N] [--seed N] [--json FILE]

Mean absolute error of the standard experiment in Huffman order, as published, and with rows summed from left to right.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from winograd import __version__, measure_error, nest, toom_cook
from winograd.conv.measuring.timing import measured_on

ROWS = {
    2: ("0,-1,1,inf", 7.65e-8),
    3: ("0,-1,1,1/2,inf", 2.35e-7),
    4: ("0,-1,1,1/2,-2,inf", 3.29e-7),
    6: ("0,-1,1,1/2,-1/2,2,-2,inf", 8.79e-7),
    8: ("0,-1,1,1/2,-1/2,2,-2,-1/4,4,inf", 7.35e-6),
    10: ("0,-1,1,1/2,-1/2,2,-2,-1/4,4,3/4,-4/3,inf", 3.22e-5),
}
"""Points and published mean absolute errors, as quoted in apache/tvm, python/tvm/topi/nn/winograd_util.py."""


def measured(m: int, order: str, trials: int, seed: int) -> tuple[float, float]:
    """Return the mean absolute error, and half of its 95 % interval relative to it."""
    axis = toom_cook(m, 3, ROWS[m][0])
    report = measure_error(nest(axis, axis), "float32", "standard", trials, order, seed)
    low, high = report.mean_abs_interval
    return report.mean_abs, (high - low) / (2 * report.mean_abs)


def row(m: int, trials: int, seed: int) -> dict[str, Any]:
    """Return one row of the table."""
    points, published = ROWS[m]
    found = {order: measured(m, order, trials, seed) for order in ("huffman", "sequential")}
    figures = {order: figure for order, (figure, _) in found.items()}
    return {
        "m": m,
        "points": points,
        "published": published,
        **figures,
        "ratio": figures["huffman"] / published,
        "half_interval": max(half for _, half in found.values()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10**6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    begun, rows = time.perf_counter(), []
    for m in ROWS:
        rows.append(row(m, options.trials, options.seed))
        print(json.dumps(rows[-1]), flush=True)
    result = {
        "machine": measured_on()["processor"],
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "winograd": __version__},
        "date": date.today().isoformat(),
        "seconds": round(time.perf_counter() - begun),
        "trials": options.trials,
        "seed": options.seed,
        "rows": rows,
    }
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
