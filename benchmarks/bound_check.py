"""A million tiles against the worst-case bound, and tiles of 64 channels against the model's quantiles.

    pip install -e ".[search]"
    python benchmarks/bound_check.py [--runs N] [--seed N] [--json FILE]

Algorithms at random points, in one to three dimensions; float16, bfloat16 and float32; all orders, channel sums,
storage and transform dtypes; uniform, adversarial, subnormal and cancelling data. Five minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import time
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from winograd import NestedAlgorithm, __version__, crt, error_bound, nest, toom_cook
from winograd.accuracy.bounding.adversarial import adversarial_signs
from winograd.accuracy.experiment import sample_errors
from winograd.accuracy.formats import float_format
from winograd.accuracy.measuring.pipeline import run_tiles
from winograd.accuracy.model import predict_error
from winograd.accuracy.orders import Order
from winograd.accuracy.protocol import LAYER, ChannelSum, Experiment, FilterRounding
from winograd.accuracy.reference import direct_ref, float64_error
from winograd.codegen.interpret import Contraction
from winograd.conv.measuring.timing import measured_on

POINTS = ["0", "1", "-1", "2", "-2", "1/2", "-1/2", "3/2", "-3/2", "5/8", "-5/8", "3", "-1/3", "4/3", "inf"]
SUPERLINEAR = [(4, 3, "x,x-1,x+1,x^2+1,inf"), (3, 3, "x,x-1,x^2+1,inf"), (2, 3, "x,x^2+x+1,inf")]
SIZES = {1: (6, 5), 2: (4, 3), 3: (3, 3)}
"""Most outputs and taps of one axis."""

KINDS = ("uniform", "adversarial", "subnormal", "cancelling")
SHARES = (0.9, 0.99, 0.999)


def random_nest(rng: np.random.Generator) -> NestedAlgorithm:
    ndim = int(rng.choice([1, 2, 3], p=[0.5, 0.3, 0.2]))
    axes = []
    for _ in range(ndim):
        m, r = (int(rng.integers(1, most + 1)) for most in SIZES[ndim])
        if rng.random() < 0.15:
            axes.append(crt(*SUPERLINEAR[rng.integers(len(SUPERLINEAR))]))
        else:
            axes.append(toom_cook(m, r, [str(point) for point in rng.permutation(POINTS)[: m + r - 1]]))
    return nest(*axes)


def random_experiment(rng: np.random.Generator, dtype: str) -> Experiment:
    channels = int(rng.choice([1, 2, 5, 16]))
    wide = dtype == "float32"
    return Experiment(
        "drawn",
        channels=channels,
        channel_block=[None, 1, 3][rng.integers(3)],
        contraction=list(Contraction)[rng.integers(2)],
        filter_rounding=list(FilterRounding)[rng.integers(2)],
        channel_sum=list(ChannelSum)[rng.integers(2)],
        storage=[None, "float16", "bfloat16", "tf32"][rng.integers(4)] if wide else None,
        transforms=None if wide else [None, "float32"][rng.integers(2)],
        interface=[None, "float16", "bfloat16"][rng.integers(3)] if wide else None,
    )


def drawn(rng: np.random.Generator, nested: NestedAlgorithm, kind: str, channels: int, runs: int) -> list[Any]:
    """Return data and filters in float64, at most 1 in absolute value."""
    shapes = [(*sizes, channels, runs) for sizes in (nested.tile, nested.r)]
    if kind == "adversarial":
        signs = adversarial_signs(nested)
        return [x[..., None, None] * rng.uniform(0.5, 1, shape) for x, shape in zip(signs, shapes, strict=True)]
    found = [rng.uniform(-1, 1, shape) for shape in shapes]
    if kind == "subnormal":
        return [x * 2.0 ** rng.integers(-26, 1, shape) for x, shape in zip(found, shapes, strict=True)]
    if kind == "cancelling":
        found[0] = np.broadcast_to(rng.uniform(0.5, 1, (channels, runs)), shapes[0])
        found[1] -= found[1].mean(axis=tuple(range(nested.ndim)), keepdims=True)
        found[1] /= 2
    return found


def checked(rng: np.random.Generator, runs: int) -> dict[str, Any]:
    """Run tiles of one random algorithm, experiment and order; return the largest error over bound."""
    while True:
        nested, dtype = random_nest(rng), str(rng.choice(["float32", "float16", "bfloat16"], p=[0.5, 0.3, 0.2]))
        experiment, order = random_experiment(rng, dtype), list(Order)[rng.integers(3)]
        kind = KINDS[rng.integers(len(KINDS))]
        fmt = float_format(dtype)
        grid = float_format(experiment.interface or dtype)
        data, filters = (grid.round(x).astype(fmt.dtype) for x in drawn(rng, nested, kind, experiment.channels, runs))
        bound = error_bound(nested, dtype, order=order, experiment=experiment)
        with np.errstate(all="ignore"):
            result = run_tiles(nested, data, filters, order, experiment).astype(np.float64)
        finite = np.isfinite(result).all(axis=tuple(range(nested.ndim)))  # the bound assumes no overflow
        if finite.all():
            break
    wide = data.astype(np.float64), filters.astype(np.float64)
    errors = np.abs(result - direct_ref(*wide)) - float64_error(*wide)
    allowed = bound.componentwise(data, filters)
    ratios = np.divide(errors, allowed, out=np.zeros_like(errors), where=errors > 0)
    axes = tuple(range(nested.ndim + 1))
    norms = math.prod(np.sqrt((x**2).sum(axis=axes)) for x in wide)
    largest = errors.reshape(-1, runs).max(axis=0)
    beyond = int((ratios > 1).any(axis=tuple(range(nested.ndim))).sum() + (largest > bound.max_abs).sum())
    if kind in ("uniform", "adversarial") and dtype != "float16" and "float16" not in (grid.name, experiment.storage):
        beyond += int((largest > bound.norm_factor * norms).sum())  # nothing underflows
    return {
        "ndim": nested.ndim,
        "channels": experiment.channels,
        "kind": kind,
        "dtype": dtype,
        "violations": beyond,
        "worst": float(ratios.max()),
    }


def coverage(axis_m: int, ndim: int, storage: str | None, tiles: int, seed: int) -> dict[str, Any]:
    """Return which shares of tiles of 64 channels stay under the model's quantiles, with z scores of the counts."""
    nested = nest(*[toom_cook(axis_m, 3)] * ndim)
    experiment = LAYER if storage is None else replace(LAYER, name=f"layer, {storage} storage", storage=storage)
    errors = sample_errors(nested, "float32", experiment, tiles, "lowered", seed)
    largest = np.abs(errors).reshape(tiles, -1).max(axis=1)
    predicted = predict_error(nested, "float32", experiment, "lowered")
    covered = [float((largest <= predicted.quantile(share)).mean()) for share in SHARES]
    scores = [
        (got - share) / math.sqrt(share * (1 - share) / tiles) for got, share in zip(covered, SHARES, strict=True)
    ]
    return {"algorithm": nested.label, "experiment": experiment.name, "tiles": tiles, "covered": covered, "z": scores}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10**6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    begun, rng, each = time.perf_counter(), np.random.default_rng(options.seed), 2000
    found = [checked(rng, each) for _ in range(-(-options.runs // each))]
    worst: dict[str, float] = {}
    for row in found:
        for key in (f"{row['ndim']}D, {row['kind']}", row["dtype"], f"{row['channels']} channels"):
            worst[key] = max(worst.get(key, 0.0), row["worst"])
    covered = [
        coverage(m, ndim, storage, 4000 if ndim < 3 else 2000, options.seed)
        for m, ndim in ((2, 1), (4, 1), (6, 1), (2, 2), (4, 2), (6, 2), (2, 3), (4, 3))
        for storage in (None, "float16")
    ]
    violations = sum(row["violations"] for row in found)
    result = {
        "machine": measured_on()["processor"],
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "ml_dtypes": ml_dtypes.__version__,
            "winograd": __version__,
        },
        "date": date.today().isoformat(),
        "seconds": round(time.perf_counter() - begun),
        "seed": options.seed,
        "runs": each * len(found),
        "configurations": len(found),
        "violations": violations,
        "worst_error_over_bound": dict(sorted(worst.items())),
        "quantiles": {"shares": list(SHARES), "rows": covered},
    }
    text = json.dumps(result, indent=1) + "\n"
    print(text, end="")
    if options.json:
        options.json.write_text(text, encoding="ascii")
    within = all(abs(score) <= 4 for row in covered for score in row["z"])
    return 0 if violations == 0 and within else 1


if __name__ == "__main__":
    raise SystemExit(main())
