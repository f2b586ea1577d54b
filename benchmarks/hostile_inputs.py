"""Inputs that the error model does not describe: measured over predicted relative L2 error.

    python benchmarks/hostile_inputs.py [--trials N] [--seed N] [--json FILE]

Tiles of 64 channels as the generated kernels compute them, in float32. The prediction is the one of plans: for
independent zero-mean data and filters. Rows are kinds of data, columns kinds of filters. "outputs" is the norm of the
outputs over that of independent inputs of the same sizes: small where outputs cancel, and no relative figure holds.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winograd import NestedAlgorithm, __version__, measure_error, nest, toom_cook
from winograd.accuracy.model import predict_relative_l2
from winograd.accuracy.reference import direct_ref
from winograd.conv.measuring.timing import measured_on

Array = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, ...]], Array]

CHANNELS, IMAGES, FILTERS, MORE = 64, 8, 32, 6
"""Images are MORE longer than a tile on every axis: tiles lie anywhere in them."""


def smooth(values: Array, passes: int) -> Array:
    """Average neighbours, around the edges, on all spatial axes."""
    for axis in range(2, values.ndim):
        for _ in range(passes):
            values = (np.roll(values, 1, axis) + 2 * values + np.roll(values, -1, axis)) / 4
    return values


def image(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw something smooth between 0 and 1."""
    values = smooth(rng.standard_normal(shape), 5)
    return (values - values.min()) / np.ptp(values)


DATA: dict[str, Draw] = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "normal, 1e-30": lambda rng, shape: 1e-30 * rng.standard_normal(shape),
    "normal, 1e30": lambda rng, shape: 1e30 * rng.standard_normal(shape),
    "Student, 3 degrees": lambda rng, shape: rng.standard_t(3, shape),
    "19 of 20 are 0": lambda rng, shape: rng.standard_normal(shape) * (rng.random(shape) < 1 / 20),
    "channels 1e-4 to 1e4": lambda rng, shape: (
        rng.standard_normal(shape) * 10 ** rng.uniform(-4, 4, (1, shape[1], *(1,) * (len(shape) - 2)))
    ),
    "rectified": lambda rng, shape: np.maximum(rng.standard_normal(shape), 0),
    "image, 0 to 1": image,
    "mean 1, deviation 1": lambda rng, shape: 1 + rng.standard_normal(shape),
    "mean 10, deviation 1": lambda rng, shape: 10 + rng.standard_normal(shape),
    "mean 1000, deviation 1": lambda rng, shape: 1000 + rng.standard_normal(shape),
}

WEIGHTS: dict[str, Draw] = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "positive": lambda rng, shape: rng.uniform(0, 1, shape),
    "averages": lambda rng, shape: np.broadcast_to(
        rng.standard_normal((*shape[:2], *(1,) * (len(shape) - 2))), shape
    ).copy(),
    "sum 0": lambda rng, shape: (
        (drawn := rng.standard_normal(shape)) - drawn.mean(axis=tuple(range(2, len(shape))), keepdims=True)
    ),
}

ALGORITHMS = {"F(4x4,3x3)": nest(*[toom_cook(4, 3)] * 2), "F(4x4x4,3x3x3)": nest(*[toom_cook(4, 3)] * 3)}


def compared(nested: NestedAlgorithm, data: str, weights: str, trials: int, seed: int) -> dict[str, Any]:
    """Return measured over predicted error, and the size of the outputs."""
    rng = np.random.default_rng(seed)
    sizes = tuple(size + MORE for size in nested.tile)
    x = DATA[data](rng, (IMAGES, CHANNELS, *sizes)).astype(np.float32)
    w = WEIGHTS[weights](rng, (FILTERS, CHANNELS, *nested.r)).astype(np.float32)
    report = measure_error(nested, "float32", "layer", trials, "lowered", seed, data=x, weights=w)
    predicted = predict_relative_l2(nested, channels=CHANNELS, channel_block=CHANNELS)
    # Every image with every filter, at one place, in float64.
    tiles = x[(..., *(slice(0, size) for size in nested.tile))].astype(np.float64)
    pairs = [np.moveaxis(part, (0, 1), (-1, -2)) for part in (tiles, w.astype(np.float64))]
    outputs = direct_ref(pairs[0].repeat(FILTERS, axis=-1), np.tile(pairs[1], IMAGES))
    terms = CHANNELS * math.prod(nested.r)
    usual = math.sqrt(terms * float((tiles**2).mean()) * float((pairs[1] ** 2).mean()))
    return {
        "ratio": report.relative_l2 / predicted,
        "outputs": math.sqrt(float((outputs**2).mean())) / usual,
        "absolute": report.rms / (predicted * usual),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Return measured over predicted errors as a table of docs/error-model.md: 2D / 3D, and the size of the outputs."""
    found = {(row["data"], row["weights"], row["algorithm"]): row for row in rows}

    def cell(data: str, weights: str) -> str:
        ratios = " / ".join(f"{found[data, weights, label]['ratio']:.2f}" for label in ALGORITHMS)
        outputs = " / ".join(f"{found[data, weights, label]['outputs']:.2g}" for label in ALGORITHMS)
        return f"{ratios} ({outputs})"

    lines = [f"| data | {' | '.join(f'filters: {name}' for name in WEIGHTS)} |", "|---" * (len(WEIGHTS) + 1) + "|"]
    lines += [f"| {data} | {' | '.join(cell(data, weights) for weights in WEIGHTS)} |" for data in DATA]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    begun, rows = time.perf_counter(), []
    for label, nested in ALGORITHMS.items():
        for data in DATA:
            for weights in WEIGHTS:
                found = compared(nested, data, weights, options.trials, options.seed)
                rows.append({"algorithm": label, "data": data, "weights": weights, **found})
                print(label, data, "|", weights, {name: f"{value:.2g}" for name, value in found.items()}, flush=True)
    result = {
        "machine": measured_on()["processor"],
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "winograd": __version__},
        "date": date.today().isoformat(),
        "seconds": round(time.perf_counter() - begun),
        "channels": CHANNELS,
        "trials": options.trials,
        "seed": options.seed,
        "rows": rows,
    }
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
