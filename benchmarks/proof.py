"""Construction and exact proof of F(14,3) and of a tile of 32, F(14,3) against wincnn 2.0.1, interleaved.

    pip install -e ".[bench]"
    python benchmarks/proof.py [--repeats N] [--json FILE]

wincnn constructs by symbolic products and verifies by simplifying the outputs; here every tensor entry is proved.
Both take the same points. Caches of the package are bypassed.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from statistics import median

import sympy
import wincnn

from winograd import INFINITY, __version__
from winograd.algebra.points import as_points, default_points
from winograd.algebra.toom_cook import _toom_cook
from winograd.conv.measuring.timing import measured_on


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    points = default_points(16)
    finite = [point for point in points if point is not INFINITY]
    ours, theirs, ratios = [], [], []
    for _ in range(options.repeats):
        ours.append(_seconds(lambda: _toom_cook.__wrapped__(14, 3, points)))
        theirs.append(_seconds(lambda: _wincnn(finite)))
        ratios.append(theirs[-1] / ours[-1])
    tiles = {
        f"F({m},{33 - m})": _seconds(lambda m=m: _toom_cook.__wrapped__(m, 33 - m, default_points(32)))
        for m in (30, 17, 16)
    }
    result = {
        "F(14,3)": {"seconds": median(ours), "wincnn_seconds": median(theirs), "median_ratio": median(ratios)},
        "tile of 32, seconds": tiles,
        "repeats": options.repeats,
        "points": [str(point) for point in as_points(points)],
        "versions": {
            "python": platform.python_version(),
            "sympy": sympy.__version__,
            "wincnn": "2.0.1",
            "winograd": __version__,
        },
        "machine": measured_on()["processor"],
        "date": date.today().isoformat(),
    }
    text = json.dumps(result, indent=2) + "\n"
    print(text, end="")
    if options.json:
        options.json.write_text(text, encoding="ascii")
    return 0


def _wincnn(finite: list[sympy.Expr]) -> None:
    at, g, bt, _ = wincnn.cookToomFilter(finite, 14, 3)
    outputs = wincnn.filterVerify(14, 3, at, g, bt)
    d, w = sympy.IndexedBase("d"), sympy.IndexedBase("g")
    expected = sympy.Matrix([sum(w[k] * d[i + k] for k in range(3)) for i in range(14)])
    assert sympy.simplify(outputs - expected).is_zero_matrix


def _seconds(action: Callable[[], object]) -> float:
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


if __name__ == "__main__":
    raise SystemExit(main())
