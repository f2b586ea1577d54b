"""Fit what kernels attain of a card's peaks to the stages that the benchmark of a GPU has measured.

    python -m winograd.bench --device cuda --suite c3d_stack --batch 32 --tolerance 5e-6 --json c3d.json
    python benchmarks/gpu_fit.py c3d.json [MORE.json ...] [--json FILE]

Prints every share of `winograd.conv.gpu.stage.Attained` as it is and as it fits, how many times it decides, and by how
much these are off; then the fitted `Attained` as Python; then, for every layer, predicted and measured milliseconds of
each stage and of a call. A share that decides no time stays what it is. Files of different cards are not for one fit.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from math import fsum, inf, log, sqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from winograd.accuracy.showing.table import text_table
from winograd.artefact import write_atomically
from winograd.benching.cuda.reading import MeasuredLayer, read_layers
from winograd.conv.gpu.roofline import library_ms
from winograd.conv.gpu.stage import ATTAINED, Attained, GpuStage

FITTED = ("memory", "cache", "plain", "tensor", "transforms", "library_float32", "library_tensor")
"""Shares that are fitted; ``cache_held`` is taken from a grid, ``launch_us`` from what calls took to return."""

HELD = tuple(number / 10 for number in range(2, 11))
"""Values of ``cache_held`` that are tried."""

STARTS = tuple((memory, cache, 1, 1, transforms, 1, 1) for memory, cache, transforms in product((1, 0.5), repeat=3))
"""Each fit begins at so many times what the shares are: one that decides nothing at first may decide later."""

SWEEPS = 30
"""Over all shares, at most."""

MOST = 5.0
"""A share beyond this decides nothing."""

PRIOR = 1e-3
"""How much a share is held to what it is: only where nothing else says what it should be."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Time:
    """A measured time: its name, what it is predicted to be the largest of, and which share decides."""

    name: str
    milliseconds: float
    parts: Callable[[Attained], tuple[float, ...]]
    share: Callable[[Attained], str]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="that python -m winograd.bench wrote")
    parser.add_argument("--json", type=Path, metavar="FILE", help="what was fitted")
    options = parser.parse_args()
    try:
        layers = read_layers({str(path): path.read_bytes() for path in options.files})
    except (ValueError, OSError) as error:
        sys.exit(f"{parser.prog}: error: {error}")
    times = times_of(layers)
    fitted = fit(layers)
    print("\n".join([shares_text(times, fitted), "", spelled(fitted), "", layers_text(layers, fitted)]))
    if options.json:
        found = {"attained": asdict(fitted), "residuals": {one.name: residual(one, fitted) for one in times}}
        write_atomically(options.json, (json.dumps(found, indent=2) + "\n").encode())
    return 0


def times_of(layers: Sequence[MeasuredLayer]) -> list[Time]:
    """Return all times that shares are fitted to: stages on the card, and the library's.

    Not the filter's: what torch does around its kernels is no part of the model.
    """
    found = []
    for layer in layers:
        found += [_stage_time(layer, stage, ms) for stage, ms in layer.stages.items() if stage != "filter"]
        library = (("library_float32", False, layer.float32_ms), ("library_tensor", True, layer.tf32_ms))
        found += [_library_time(layer, share, tf32, ms) for share, tf32, ms in library if ms is not None]
    return found


def _stage_time(layer: MeasuredLayer, name: str, milliseconds: float) -> Time:
    def stage(attained: Attained) -> GpuStage:
        return layer.predicted(attained)[name]

    def parts(attained: Attained) -> tuple[float, ...]:
        found = stage(attained)
        return found.arithmetic_ms, found.memory_ms, found.cache_ms

    return Time(f"{layer.name} {name}", milliseconds, parts, lambda attained: _deciding(layer, stage(attained)))


def _library_time(layer: MeasuredLayer, share: str, tf32: bool, milliseconds: float) -> Time:
    """Return a time of the library, whose operations and traffic the model tells apart by shares alone."""

    def parts(attained: Attained) -> tuple[float, ...]:
        without = replace(attained, launch_us=0.0)
        computing, moving = replace(without, memory=1e30), replace(without, library_float32=1e30, library_tensor=1e30)
        return (
            library_ms(layer.shape, tf32=tf32, attained=computing),
            0.0,
            library_ms(layer.shape, tf32=tf32, attained=moving),
        )

    def decides(attained: Attained) -> str:
        computing, _, moving = parts(attained)
        return share if computing >= moving else "memory"

    return Time(f"{layer.name} {share}", milliseconds, parts, decides)


def _deciding(layer: MeasuredLayer, stage: GpuStage) -> str:
    """Return the share that decides the time of a stage."""
    if stage.limit != "arithmetic":
        return stage.limit
    if stage.name in ("products", "fused"):
        assert layer.form is not None
        return "plain" if layer.form.products == "ieee" else "tensor"
    return "transforms"


def residual(time: Time, attained: Attained) -> float:
    """Return the logarithm of predicted over measured."""
    return log(max(*time.parts(attained), 1e-12) / time.milliseconds)


def fit(layers: Sequence[MeasuredLayer], start: Attained = ATTAINED) -> Attained:
    """Return the shares that fit the times best."""
    times = times_of(layers)
    measured = np.array([time.milliseconds for time in times])
    before = np.array([getattr(start, name) for name in FITTED])
    best, least = start, inf
    for held in HELD:
        parts = _parts(times, replace(start, cache_held=held))
        for factors in STARTS:
            shares, cost = _descended(parts, measured, before, before * np.array(factors))
            cost += PRIOR * abs(held - start.cache_held)  # of equally good ones what it was
            if cost < least:
                best = replace(start, cache_held=held, **dict(zip(FITTED, shares.tolist(), strict=True)))
                least = cost
    return replace(best, launch_us=_launch_us(layers, start))


def _parts(times: Sequence[Time], attained: Attained) -> Array:
    """Return what every time is the largest of: milliseconds by time, part and share, where the share is 1.

    A part, such as the arithmetic of a fused stage, is a sum over shares.
    """
    none = replace(attained, **dict.fromkeys(FITTED, 1e30))
    alone = [replace(none, **{name: 1.0}) for name in FITTED]
    return np.array([[time.parts(one) for one in alone] for time in times]).transpose(0, 2, 1)


def _predicted(parts: Array, shares: Array) -> Array:
    """Return the times for shares, of which there may be several sets."""
    return np.asarray((parts @ (1 / shares).T).max(axis=1))


def _descended(parts: Array, measured: Array, before: Array, shares: Array) -> tuple[Array, float]:
    """Return shares of less and less error, one changed after the other, and the error: the sum of all logarithms."""

    def cost(sets: Array) -> Array:
        off = np.abs(np.log(np.maximum(_predicted(parts, sets), 1e-12) / measured[:, None])).sum(axis=0)
        return np.asarray(off + PRIOR * np.abs(np.log(sets / before)).sum(axis=1))

    least = float(cost(shares[None])[0])
    for _ in range(SWEEPS):
        former = least
        for number in range(len(FITTED)):
            exact = parts[:, :, number] / measured[:, None]  # by which this share alone explains a time
            tried = np.concatenate([shares[number : number + 1], before[number : number + 1], exact[exact > 1e-6]])
            sets = np.repeat(shares[None], len(tried), axis=0)
            sets[:, number] = np.minimum(tried, MOST)
            costs = cost(sets)
            shares, least = sets[costs.argmin()], float(costs.min())
        if least >= former - 1e-9:
            break
    return shares, least


def _launch_us(layers: Sequence[MeasuredLayer], start: Attained) -> float:
    """Return what calls took to return, per launch, all together: what each call takes beside counts little so."""
    timed = [layer for layer in layers if layer.form and layer.host_ms]
    if not timed:
        return start.launch_us
    return 1e3 * fsum(layer.host_ms or 0.0 for layer in timed) / sum(layer.launches for layer in timed)


def shares_text(times: Sequence[Time], fitted: Attained) -> str:
    """Return a line for each share: before, fitted, how many times it decides, and by how much those are off."""
    rows = []
    for name in FITTED:
        own = [residual(time, fitted) for time in times if time.share(fitted) == name]
        off = f"{sqrt(fsum(one**2 for one in own) / len(own)):.1%}" if own else "-"
        rows.append((name, f"{getattr(ATTAINED, name):.3g}", f"{getattr(fitted, name):.3g}", str(len(own)), off))
    for name in ("cache_held", "launch_us"):
        rows.append((name, f"{getattr(ATTAINED, name):.3g}", f"{getattr(fitted, name):.3g}", "", ""))
    return text_table(("share", "before", "fitted", "decides", "off by"), rows)


def spelled(attained: Attained) -> str:
    """Return the shares as Python."""
    return f"Attained({', '.join(f'{name}={value:.3g}' for name, value in asdict(attained).items())})"


def layers_text(layers: Sequence[MeasuredLayer], fitted: Attained) -> str:
    """Return a line for each stage of each layer, and one for the call."""
    rows = []
    for layer in layers:
        if layer.form is None:
            continue
        before, after = layer.predicted(ATTAINED), layer.predicted(fitted)
        for name, measured in layer.stages.items():
            stages = before[name].milliseconds, after[name].milliseconds
            rows.append(_row(f"{layer.name} {name}", *stages, measured, _deciding(layer, after[name])))
        if layer.ours_ms is not None:
            rows.append(_row(f"{layer.name} call", layer.call_ms(ATTAINED), layer.call_ms(fitted), layer.ours_ms, ""))
    header = ("layer", "predicted ms", "fitted ms", "measured ms", "fitted / measured", "decided by")
    return text_table(header, rows, left=(0, len(header) - 1))


def _row(name: str, before: float, after: float, measured: float, share: str) -> tuple[str, ...]:
    return (name, *(f"{one:.3g}" for one in (before, after, measured)), f"{after / measured:.2f}", share)


if __name__ == "__main__":
    sys.exit(main())
