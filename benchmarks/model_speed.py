"""Candidates a second on one core: kappa of Toom-Cook F(m, 3), and its full second-moment model in two dimensions.

    pip install -e .
    OMP_NUM_THREADS=1 python benchmarks/model_speed.py [--json FILE]

Rates are per second of processor time. Candidates are 0, infinity and pairs +-a of fractions up to 20 / 20, drawn at
random. "first" times a run that lowers every shape of program, "again" one that knows them, as most
batches of a search do; for sets of random points without symmetry, hardly two of which have one shape, there is
"first" only. "one by one" is `predict_error` on a few of them, algorithms built beforehand.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import time
from collections.abc import Callable
from datetime import date
from fractions import Fraction
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from winograd import __version__, nest
from winograd.accuracy.batch import predict_toom_cook
from winograd.accuracy.model import predict_error
from winograd.accuracy.recipe import Recipe
from winograd.accuracy.searching.families import Family
from winograd.accuracy.searching.kappa_objective import knob_kappas
from winograd.algebra.points import INFINITY
from winograd.conv.measuring.timing import measured_on

SEED, CANDIDATES, ASYMMETRIC, REPEATS = 0, 8000, 500, 5
SIZES = [(4, 3), (6, 3)]
PROTOCOLS = [("layer", "lowered"), ("standard", "huffman")]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rng = random.Random(SEED)
    result: dict[str, Any] = {"per_second": {f"F({m},{r})": _rates(m, r, rng) for m, r in SIZES}}
    result |= {
        "candidates": CANDIDATES,
        "asymmetric candidates": ASYMMETRIC,
        "repeats": REPEATS,
        "seed": SEED,
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "winograd": __version__},
        "machine": measured_on()["processor"],
        "date": date.today().isoformat(),
    }
    text = json.dumps(result, indent=2) + "\n"
    print(text, end="")
    if options.json:
        options.json.write_text(text, encoding="ascii")
    return 0


def _rates(m: int, r: int, rng: random.Random) -> dict[str, Any]:
    family = Family(pairs=(m + r - 3) // 2, zero=1, infinity=1)
    chosen = _magnitudes(family.pairs, rng)
    sets = [(Fraction(0), *(sign * size for size in sizes for sign in (1, -1)), INFINITY) for sizes in chosen]
    knobs = np.array([[float(size) for size in sizes] for sizes in chosen])
    kappas = [_seconds(lambda: knob_kappas(m, r, family, knobs)) for _ in range(REPEATS)]
    rates: dict[str, Any] = {"kappa": round(CANDIDATES / median(kappas))}
    asymmetric = [[Fraction(0), *_fractions(m + r - 3, rng), INFINITY] for _ in range(ASYMMETRIC)]
    for experiment, order in PROTOCOLS:
        rates[f"{experiment}, {order}, float32, 2D"] = _model(m, r, sets, experiment, order)
        predict = partial(predict_toom_cook, m, r, asymmetric, ndim=2, experiment=experiment, order=order)
        rates[f"asymmetric, {experiment}, {order}, float32, 2D"] = {"first": round(ASYMMETRIC / _seconds(predict))}
    return rates


def _model(m: int, r: int, sets: list[Any], experiment: str, order: str) -> dict[str, int]:
    def predict() -> None:
        predict_toom_cook(m, r, sets, ndim=2, experiment=experiment, order=order)

    axes = [Recipe.from_points(points).build(m, r) for points in sets[:50]]
    alone = _seconds(lambda: [predict_error(nest(axis, axis), "float32", experiment, order) for axis in axes])
    first, *again = [_seconds(predict) for _ in range(REPEATS + 1)]
    return {
        "first": round(len(sets) / first),
        "again": round(len(sets) / median(again)),
        "one by one": round(len(axes) / alone),
    }


def _fractions(count: int, rng: random.Random) -> list[Fraction]:
    """Return points of either sign, no two of one size."""
    return [rng.choice((1, -1)) * size for size in rng.sample(_sizes(), count)]


def _sizes() -> list[Fraction]:
    return sorted({Fraction(n, d) for n in range(1, 21) for d in range(1, 21) if d < 8 * n < 64 * d})


def _magnitudes(pairs: int, rng: random.Random) -> list[tuple[Fraction, ...]]:
    sizes = _sizes()
    return [tuple(sorted(rng.sample(sizes, pairs))) for _ in range(CANDIDATES)]


def _seconds(action: Callable[[], object]) -> float:
    begun = time.process_time()
    action()
    return time.process_time() - begun


if __name__ == "__main__":
    raise SystemExit(main())
