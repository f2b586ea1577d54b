"""The front of products per output against error in 3D, each point searched, and U and V stored in float16.

    python benchmarks/front_3d.py [--budget N] [--seed N] [--trials N] [--only NAME] [--json FILE]

Layer of 64 channels, float32, generated programs, relative L2. One algorithm on all three axes, found with the model as
objective; the best of the 16 that are measured is measured again, with more and other tiles.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import time
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from winograd import __version__, measure_error, search_points
from winograd.accuracy.protocol import LAYER
from winograd.conv.measuring.timing import measured_on

ALLOWED = 1.03


@dataclass(frozen=True)
class Place:
    """Sizes and products of one axis, and the error that the front asks for."""

    m: int
    products: int
    target: float
    storage: str | None = None

    @property
    def name(self) -> str:
        stored = f", {self.storage} U and V" if self.storage else ""
        return f"F({self.m},3; {self.products}){stored}"


FRONT = (
    Place(2, 4, 3.4e-7),
    Place(4, 7, 2.95e-7),
    Place(6, 10, 2.95e-7),
    Place(6, 9, 6.8e-7),
    Place(7, 10, 1.5e-6),
    Place(8, 11, 3.9e-6),
    Place(6, 8, 1.42e-5),
    Place(4, 6, 3.0e-3, "float16"),
    Place(6, 9, 1.25e-3, "float16"),
    Place(6, 10, 5.0e-4, "float16"),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=int, default=300_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--only", help="the place of this name alone, such as 'F(4,3; 7)'")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result: dict[str, Any] = {
        "command": f"python benchmarks/front_3d.py --budget {options.budget} --seed {options.seed} "
        f"--trials {options.trials}",
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "winograd": __version__,
        },
        "machine": measured_on()["processor"],
        "date": date.today().isoformat(),
        "places": [],
    }
    for place in FRONT:
        if options.only in (None, place.name):
            result["places"].append(searched(place, options.budget, options.seed, options.trials))
            if options.json:
                options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="ascii")
    reached = sum(found["ratio"] <= ALLOWED for found in result["places"])
    print(f"{reached} of {len(result['places'])} within 3 % of the front")
    return 0 if reached == len(result["places"]) else 1


def searched(place: Place, budget: int, seed: int, trials: int) -> dict[str, Any]:
    begun = time.perf_counter()
    experiment = replace(LAYER, storage=place.storage) if place.storage else LAYER
    found = search_points(
        place.m,
        3,
        3,
        budget=budget,
        seed=seed,
        products=place.products,
        experiment=experiment,
        order="lowered",
        objective="model",
        norm="relative_l2",
    )
    best = min(found.ranking, key=lambda one: one.report.relative_l2 if one.report else math.inf)
    report = measure_error(best.algorithm, "float32", experiment, trials, "lowered", seed + 1)
    seconds = time.perf_counter() - begun
    ratio = report.relative_l2 / place.target
    print(
        f"{place.name:26} {report.relative_l2:.3e} / {place.target:.3e} = {ratio:.3f}  {best.recipe.text}", flush=True
    )
    return {
        "name": place.name,
        "m": place.m,
        "products": place.products,
        "products_per_output": (place.products / place.m) ** 3,
        "storage": place.storage,
        "relative_l2": report.relative_l2,
        "interval": list(report.relative_l2_interval),
        "target": place.target,
        "ratio": round(ratio, 4),
        "recipe": best.recipe.text,
        "kappa": best.kappa ** (1 / 3),
        "operations": best.operations,
        "predicted_relative_l2": best.predicted,
        "trials": report.trials,
        "seed": report.seed,
        "seconds": round(seconds, 1),
    }


if __name__ == "__main__":
    raise SystemExit(main())
