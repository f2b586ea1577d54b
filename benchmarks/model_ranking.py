"""How well the model ranks good candidates: Spearman's correlation of predicted and measured relative L2 error.

    pip install -e ".[search]"
    OMP_NUM_THREADS=1 python benchmarks/model_ranking.py [--tiles N] [--json FILE]

All sets 0, +-a, +-b (, +-c), infinity of fractions up to 12 / 12 are predicted in two dimensions. Of those within 12 %
of the best prediction, 40 evenly spread ones are measured, all on the same random tiles, so that the differences are
known better than the figures. "spread" is the standard deviation of measured figures over their mean, "uncertainty"
the half width of the 95 % interval of one figure, relatively.
"""

from __future__ import annotations

import argparse
import json
import platform
from datetime import date
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import scipy
from scipy.stats import spearmanr

from winograd import __version__, measure_error, nest
from winograd.accuracy.batch import predict_toom_cook
from winograd.accuracy.recipe import Recipe
from winograd.algebra.points import INFINITY
from winograd.conv.measuring.timing import measured_on

SEED, HEIGHT, WITHIN, CANDIDATES = 0, 12, 1.12, 40
CASES = [(m, 3, *protocol) for m in (4, 6) for protocol in (("layer", "lowered"), ("standard", "huffman"))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiles", type=int, default=600_000, help="tiles times channels measured for each candidate")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result: dict[str, Any] = {
        "cases": [_case(*case, options.tiles) for case in CASES],
        "seed": SEED,
        "height": HEIGHT,
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scipy": scipy.__version__,
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


def _case(m: int, r: int, experiment: str, order: str, tiles: int) -> dict[str, Any]:
    recipes, predicted = _close_to_the_best(m, r, experiment, order)
    trials = tiles // (64 if experiment == "layer" else 1)
    measured, uncertainty = [], 0.0
    for recipe in recipes:
        axis = recipe.build(m, r)
        report = measure_error(nest(axis, axis), "float32", experiment, trials, order, SEED)
        measured.append(report.relative_l2)
        low, high = report.relative_l2_interval
        uncertainty = max(uncertainty, (high - low) / 2 / report.relative_l2)
    ratios = predicted / np.array(measured)
    return {
        "algorithm": f"F({m}x{m},{r}x{r})",
        "experiment": experiment,
        "order": order,
        "dtype": "float32",
        "trials": trials,
        "candidates": len(recipes),
        "spearman": round(float(spearmanr(predicted, measured).statistic), 4),
        "spread": round(float(np.std(measured) / np.mean(measured)), 4),
        "uncertainty": round(uncertainty, 4),
        "predicted / measured": [round(float(ratios.min()), 4), round(float(ratios.max()), 4)],
        "sets": [recipe.text for recipe in recipes],
        "predicted": [float(f"{value:.4e}") for value in predicted],
        "measured": [float(f"{value:.4e}") for value in measured],
    }


def _close_to_the_best(m: int, r: int, experiment: str, order: str) -> tuple[list[Recipe], np.ndarray]:
    pairs = (m + r - 3) // 2
    sizes = sorted({Fraction(n, d) for n in range(1, HEIGHT + 1) for d in range(1, HEIGHT + 1) if d < 4 * n < 16 * d})
    sets = [
        (Fraction(0), *(sign * size for size in chosen for sign in (1, -1)), INFINITY)
        for chosen in combinations(sizes, pairs)
    ]
    predicted = predict_toom_cook(m, r, sets, ndim=2, experiment=experiment, order=order)
    ranking = np.argsort(predicted)
    close = ranking[predicted[ranking] <= WITHIN * predicted[ranking[0]]]
    levels = np.linspace(predicted[close[0]], predicted[close[-1]], CANDIDATES)
    chosen = close[np.unique(np.searchsorted(predicted[close], levels).clip(max=len(close) - 1))]
    return [Recipe.from_points(sets[number]) for number in chosen], predicted[chosen]


if __name__ == "__main__":
    raise SystemExit(main())
