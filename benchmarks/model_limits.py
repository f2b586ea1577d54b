"""Where the error model is known to be off: prediction over measurement outside of what it covers.

    python benchmarks/model_limits.py [--trials N] [--seed N] [--json FILE]

Normal inputs of 16 bits, whose sums may be exact, and the mean absolute error of outputs that are rounded to 16 bits.
Inputs with a mean are held to their range by tests/accuracy/test_model.py.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path

from winograd import Experiment, __version__, measure_error, nest, predict_error, toom_cook
from winograd.accuracy.protocol import LAYER, STANDARD, Inputs
from winograd.conv.measuring.timing import measured_on

NETWORK = replace(LAYER, name="float16 inputs, storage and outputs", storage="float16", interface="float16")
BETWEEN = replace(LAYER, name="float16 inputs and outputs", interface="float16")
NORMAL = replace(NETWORK, name="normal float16 inputs, storage and outputs", inputs=Inputs.NORMAL)
ONE = replace(STANDARD, name="normal inputs, one channel, unfused", inputs=Inputs.NORMAL)
STORED = replace(ONE, name="normal inputs, one channel, stored in float16", storage="float16")


@dataclass(frozen=True)
class Case:
    m: int
    r: int
    ndim: int
    dtype: str
    experiment: Experiment
    figure: str


def cases() -> Iterator[Case]:
    """Yield what the page on the model names."""
    for m, r in ((2, 2), (3, 2), (2, 3), (4, 3)):
        yield Case(m, r, 1, "float32", NORMAL, "relative_l2")
        yield Case(m, r, 1, "float32", replace(NORMAL, channels=1, name=f"{NORMAL.name}, one channel"), "relative_l2")
        yield Case(m, r, 1, "float16", STORED, "relative_l2")
    for ndim in (2, 3):
        for dtype in ("float16", "bfloat16"):
            yield Case(2, 3, ndim, dtype, ONE, "relative_l2")
    for m in (2, 4, 6):
        for ndim in (1, 2, 3):
            yield Case(m, 3, ndim, "float32", NETWORK, "mean_abs")
            yield Case(m, 3, ndim, "float32", BETWEEN, "mean_abs")


def compared(case: Case, trials: int, seed: int) -> dict[str, object]:
    """Return prediction over measurement of one figure, with half of its 95 % interval."""
    nested = nest(*[toom_cook(case.m, case.r)] * case.ndim)
    predicted = getattr(predict_error(nested, case.dtype, case.experiment), case.figure)
    report = measure_error(nested, case.dtype, case.experiment, trials, "lowered", seed)
    measured, (low, high) = getattr(report, case.figure), getattr(report, f"{case.figure}_interval")
    ratio = predicted / measured
    return {"ratio": ratio, "half_interval": ratio * (high - low) / (2 * measured)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    for case in cases():
        found = compared(case, options.trials, options.seed)
        named = {**asdict(case), "experiment": case.experiment.name}
        rows.append({**named, **found})
        size = f"F({case.m},{case.r}) {case.ndim}D {case.dtype}"
        print(f"{size:19} {case.experiment.name}: {case.figure} {found['ratio']:.3f} +- {found['half_interval']:.3f}")
    if options.json:
        about = {"machine": measured_on()["processor"], "winograd": __version__, "date": date.today().isoformat()}
        settings = {"trials": options.trials, "seed": options.seed}
        options.json.write_text(json.dumps({**about, **settings, "rows": rows}, indent=1) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
