"""Times of direct convolution, by the best of its variants, of every convolution of eight networks.

    python benchmarks/direct_times.py FILE [--seconds 0.3] [--seed 0]

Each distinct shape once, at batch 1, all variants interleaved, warm. Shapes that FILE has already are left as they are,
so that it can be done in pieces. `roofline_fit.py` fits direct convolution to these times.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from roofline_study import direct_times

from winograd.artefact import write_atomically
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.measuring.timing import measured_on

NETWORKS = ("c3d", "i3d_rgb", "r3d_18", "mc3_18", "r2plus1d_18", "ip_csn_50", "p3d_63", "eco_lite_conv3d")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--seconds", type=float, default=0.3, help="timing of a shape (default: 0.3)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found = json.loads(options.file.read_text()) if options.file.exists() else {"layers": []}
    known = {json.dumps(row["shape"], sort_keys=True) for row in found["layers"]}
    for name, shape in shapes():
        spelt = json.loads(json.dumps(asdict(shape)))
        if json.dumps(spelt, sort_keys=True) in known:
            continue
        print(name, file=sys.stderr, flush=True)
        found |= {"machine": measured_on(), "threads": torch.get_num_threads(), "seed": options.seed}
        found["layers"].append({"name": name, "shape": spelt, **_timed(shape, options)})
        write_atomically(options.file, (json.dumps(found, indent=1, allow_nan=False) + "\n").encode())
    return 0


def shapes() -> Iterator[tuple[str, ConvShape]]:
    """Yield every distinct shape of the networks under the name of the first layer that has it."""
    from winograd.networks.convolutions import convolutions

    seen = set()
    for network in NETWORKS:
        for layer in convolutions(network):
            if layer.shape not in seen:
                seen.add(layer.shape)
                yield f"{network} {layer.name}", layer.shape


def _timed(shape: ConvShape, options: argparse.Namespace) -> dict[str, Any]:
    torch.manual_seed(options.seed)
    with torch.inference_mode():
        input, weight = torch.randn(shape.batch, shape.channels, *shape.sizes), torch.randn(shape.weight_sizes)
        times = direct_times(input, weight, shape, options.seconds)
    best = min(times, key=times.__getitem__)
    return {"variant": best, "ms": times[best]}


if __name__ == "__main__":
    sys.exit(main())
