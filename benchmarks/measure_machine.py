"""Measured peaks of this machine: FMA, and reading from a core's own cache, the shared cache and memory.

    python benchmarks/measure_machine.py [--json FILE]

A C probe is compiled with the flags of the kernels. All cores run it at once, each on memory of its own; the best of
some rounds counts. The JSON is what `Machine.from_json` reads: peaks, to which the fitted constants are scaled.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from winograd.algebra.nesting import nest
from winograd.algebra.toom_cook import toom_cook
from winograd.artefact import write_atomically
from winograd.codegen.build import load
from winograd.codegen.kernel import Kernel
from winograd.conv.machine import NOMINAL
from winograd.conv.machine.speeds import Peaks

ROUNDS = 20
CHAINS = 12
FMA_STEPS = 5_000_000
READ_BYTES = 256 << 20
PROBE = """
#include <stdint.h>
#ifdef __AVX512F__
enum { WIDTH = 16 };
#elif defined __AVX__
enum { WIDTH = 8 };
#else
enum { WIDTH = 4 };
#endif
typedef float vector __attribute__((vector_size(WIDTH * sizeof(float)), aligned(4), may_alias));

int64_t probe_width(void) { return WIDTH; }

#if defined __AVX512F__ || defined __FMA__
#define FMA(i) __asm__ volatile("vfmadd213ps %2, %1, %0" : "+v"(s##i) : "v"(factor), "v"(rest));
#else
#define FMA(i) s##i = s##i * factor + rest;
#endif
#define EVERY(do) do(0) do(1) do(2) do(3) do(4) do(5) do(6) do(7) do(8) do(9) do(10) do(11)
#define START(i) vector s##i = rest * (float)i;
#define SUM(i) total += s##i[0];

/* 12 independent chains of FMA: more than latency times units. */
float probe_fma(int64_t steps)
{
    const vector factor = (vector){0} + 0.999f, rest = (vector){0} + 0.001f;
    EVERY(START)
    for (int64_t step = 0; step < steps; ++step) {
        EVERY(FMA)
    }
    float total = 0;
    EVERY(SUM)
    return total;
}

float probe_read(const float *x, int64_t count, int64_t repeats)
{
    vector sums[8] = {{0}};
    for (int64_t repeat = 0; repeat < repeats; ++repeat) {
        for (int64_t i = 0; i + 8 * WIDTH <= count; i += 8 * WIDTH)
#pragma GCC unroll 8
            for (int j = 0; j < 8; ++j)
                sums[j] += *(const vector *)(x + i + j * WIDTH);
        __asm__ volatile("" ::: "memory");
    }
    float total = 0;
    for (int j = 0; j < 8; ++j)
        total += sums[j][0];
    return total;
}
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the peaks (default: standard output)")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    text = json.dumps({"peaks": asdict(measured(options.cores))}, indent=2) + "\n"
    if options.json:
        write_atomically(options.json, text.encode())
    else:
        print(text, end="")
    return 0


def measured(cores: int) -> Peaks:
    """Return the peaks of this machine with so many cores busy."""
    unused = nest(toom_cook(2, 3))  # a kernel has an algorithm, the probe has none
    probe = load(Kernel("c", "probe", PROBE.lstrip(), unused))
    probe.probe_width.restype = ctypes.c_int64
    probe.probe_fma.argtypes = (ctypes.c_int64,)
    probe.probe_read.argtypes = (ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
    own, shared = cache_bytes(2, NOMINAL.peaks.own_bytes), cache_bytes(3, NOMINAL.peaks.shared_bytes)
    operations = 2 * CHAINS * probe.probe_width() * FMA_STEPS
    return Peaks(
        core_gflops=operations / _seconds(lambda _: probe.probe_fma(FMA_STEPS), cores) / 1e9,
        own_bytes=own,
        own_gbs=_read_gbs(probe, own / 2, cores),
        shared_bytes=shared,
        shared_gbs=_read_gbs(probe, shared / 2 / cores, cores),
        memory_gbs=cores * _read_gbs(probe, 8 * shared / cores, cores),
    )


def cache_bytes(level: int, otherwise: float) -> float:
    """Return the size of the first core's cache of a level, as Linux says it."""
    try:
        text = Path(f"/sys/devices/system/cpu/cpu0/cache/index{level}/size").read_text().strip()
    except OSError:
        return otherwise
    return float(text[:-1]) * {"K": 2**10, "M": 2**20}[text[-1]]


def _read_gbs(probe: ctypes.CDLL, size: float, cores: int) -> float:
    """Return 10^9 bytes per second at which each core reads so many bytes of its own again and again."""
    count = int(size) // 4
    repeats = max(READ_BYTES // (4 * count), 2)
    arrays = [np.ones(count, dtype=np.float32) for _ in range(cores)]
    taken = _seconds(lambda core: probe.probe_read(arrays[core].ctypes.data, count, repeats), cores)
    return 4 * count * repeats / taken / 1e9


def _seconds(run: Callable[[int], object], cores: int) -> float:
    """Return the least seconds of some rounds in which all cores run at once."""
    return min(_round(run, cores) for _ in range(ROUNDS))


def _round(run: Callable[[int], object], cores: int) -> float:
    spent, ready = [0.0] * cores, threading.Barrier(cores)

    def once(core: int) -> None:
        ready.wait()
        start = time.perf_counter()
        run(core)
        spent[core] = time.perf_counter() - start

    threads = [threading.Thread(target=once, args=(core,)) for core in range(cores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return max(spent)


if __name__ == "__main__":
    sys.exit(main())
