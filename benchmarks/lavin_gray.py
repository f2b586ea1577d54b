"""Lavin and Gray's Table 4: the largest error of VGG-E's layers, measured on random tiles of the same shapes.

    python benchmarks/lavin_gray.py [--seed N] [--json FILE]

Data and filters uniform on (-1, 1); float32 throughout, every step of the filter transform too, one running sum over
the channels with fused multiply-adds; float16 is the format of inputs and outputs. Published: arXiv 1509.09308.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from winograd import __version__, measure_error, nest, toom_cook
from winograd.accuracy.formats import float_format
from winograd.accuracy.protocol import Experiment
from winograd.codegen.interpret import Contraction, multiply_add
from winograd.conv.measuring.timing import measured_on

POINTS = {"F(2x2,3x3)": (2, "0,1,-1,inf"), "F(4x4,3x3)": (4, "0,1,-1,2,-2,inf")}

# Layer: channels, then the published largest errors: direct, F(2x2,3x3) and F(4x4,3x3) in float32, all in float16.
PUBLISHED = {
    "1.2": (64, 4.01e-5, 1.53e-5, 2.84e-4, 1.14e-2),
    "2.2": (128, 8.01e-5, 2.86e-5, 5.41e-4, 1.45e-2),
    "3.2": (256, 1.53e-4, 5.34e-5, 9.06e-4, 1.99e-2),
    "4.2": (512, 3.20e-4, 5.34e-5, 1.04e-3, 3.17e-2),
    "5": (512, 3.43e-4, 4.20e-5, 1.08e-3, 2.61e-2),
}

OUTPUTS = 2**23
"""Outputs of a measurement, times channels."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    begun = time.perf_counter()
    layers = {name: _layer(channels, figures, options.seed) for name, (channels, *figures) in PUBLISHED.items()}
    result = {
        "layers": layers,
        "seed": options.seed,
        "seconds": round(time.perf_counter() - begun, 1),
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "winograd": __version__},
        "machine": measured_on()["processor"],
        "date": date.today().isoformat(),
    }
    text = json.dumps(result, indent=2) + "\n"
    print(text, end="")
    if options.json:
        options.json.write_text(text, encoding="ascii")
    return 0


def _layer(channels: int, published: list[float], seed: int) -> dict[str, Any]:
    rows = {}
    for name, figure in zip(("direct", *POINTS), published[:3], strict=True):
        rows[name] = {
            "float32": {"published": figure, **_measured(name, channels, None, seed)},
            "float16": {"published": published[3], **_measured(name, channels, "float16", seed)},
        }
    return {"channels": channels, **rows}


def _measured(name: str, channels: int, interface: str | None, seed: int) -> dict[str, float]:
    m, points = POINTS.get(name, POINTS["F(4x4,3x3)"])
    axis = toom_cook(m, 3, points)
    experiment = Experiment("VGG-E", channels, contraction=Contraction.FUSED, interface=interface)
    order: Any = direct(interface) if name == "direct" else "lowered"
    report = measure_error(nest(axis, axis), "float32", experiment, OUTPUTS // channels // m**2, order, seed)
    return {"max_abs": report.max_abs, "rms": report.rms, "outputs": report.trials * m**2}


def direct(interface: str | None) -> Callable[[Any, Any], Any]:
    """Return direct convolution: one running sum over channels and taps with fused multiply-adds."""

    def convolve(data: Any, filters: Any) -> Any:
        m = [size - taps + 1 for size, taps in zip(data.shape[:2], filters.shape[:2], strict=True)]
        total = np.zeros((*m, data.shape[-1]), dtype=data.dtype)
        for channel, i, j in product(range(data.shape[2]), *map(range, filters.shape[:2])):
            window = data[i : i + m[0], j : j + m[1], channel]
            total = multiply_add(window, filters[i, j, channel], total)
        return total if interface is None else float_format(interface).round(total).astype(total.dtype)

    return convolve


if __name__ == "__main__":
    raise SystemExit(main())
