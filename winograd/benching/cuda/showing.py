"""A benchmark of a GPU as text. In: a `CudaBenchmark`. Out: a table, with how it was made above and the sums below."""

from __future__ import annotations

from math import isfinite
from typing import Final

from winograd.benching.cuda.published import LAN_2017
from winograd.benching.cuda.result import LAN, CudaBenchmark, CudaLayer, Timed
from winograd.nn.table import scientific, text_table

_HEADER: Final = (
    "layer", "shape", "ours", "ours ms", "float32 ms", "ratio", "tf32 ms", "ratio",
    "error", "float32's", "tf32's", "TFLOP/s",
)  # fmt: skip
_LEFT: Final = 3

_WIDE_HEADER: Final = ("layer", "computed by", "ms", "least", "most", "error", "peak MiB")

_NAMES: Final = ("ours", "exact", "tf32")


def cuda_text(benchmark: CudaBenchmark, *, wide: bool = False) -> str:
    """Return heading, table and sums; every way of computing of every layer if ``wide``."""
    if not benchmark.layers:
        return "\n".join([*_heading(benchmark), "", *_left_out(benchmark)])
    table = text_table(_HEADER, [_cells(layer) for layer in benchmark.layers], left=_LEFT)
    parts = [*_heading(benchmark), "", table, "", *_sums(benchmark), *_left_out(benchmark), "", *_limits(benchmark)]
    if benchmark.suite == LAN:
        parts += ["", *_published(benchmark)]
    if wide:
        parts += ["", text_table(_WIDE_HEADER, [row for layer in benchmark.layers for row in _wide(layer)], left=2)]
    return "\n".join(parts)


def _heading(benchmark: CudaBenchmark) -> list[str]:
    around = benchmark.surroundings
    versions = ", ".join(f"{name} {around[name]}" for name in ("torch", "triton", "cuda", "cudnn") if name in around)
    return [
        f"{benchmark.suite}, batch {benchmark.batch}, {benchmark.dtype}, tolerance {benchmark.tolerance:g}, "
        f"filters transformed beforehand, plans by {benchmark.tuning}",
        f"{around.get('card', around.get('processor', ''))}; {versions}; {around.get('date', '')}, "
        f"seed {benchmark.seed}",
        f"medians of {benchmark.rounds} interleaved rounds, events around back-to-back calls, "
        f"{_rotated(benchmark)} MiB of inputs in turns",
        "float32, tf32: the fastest of the library's direct convolution without and with "
        "torch.backends.cudnn.allow_tf32; cudnn.benchmark on, benchmark_limit "
        f"{around.get('cudnn_benchmark_limit', '-')}, both memory formats, eager and compiled",
        f"NVIDIA_TF32_OVERRIDE is {around.get('NVIDIA_TF32_OVERRIDE', '-')}",
        "errors: relative L2 of up to three images against float64, independent zero-mean inputs, verified before "
        "timing",
    ]


def _rotated(benchmark: CudaBenchmark) -> str:
    found = sorted({round(layer.rotated_bytes / 2**20) for layer in benchmark.layers})
    return " to ".join(str(one) for one in sorted({*found[:1], *found[-1:]})) or "no"


def _cells(layer: CudaLayer) -> tuple[str, ...]:
    ours, exact, tf32 = (getattr(layer, name) for name in _NAMES)
    return (
        layer.layer + (f" x{layer.count}" if layer.count > 1 else ""),
        f"{layer.weight[1]}->{layer.weight[0]} @{'x'.join(map(str, layer.input[2:]))}",
        layer.plan.partition(",")[0],
        _milliseconds(ours),
        _milliseconds(exact),
        _ratio(exact.median_ms, ours.median_ms),
        _milliseconds(tf32),
        _ratio(tf32.median_ms, ours.median_ms),
        scientific(ours.error),
        scientific(exact.error),
        scientific(tf32.error),
        f"{layer.effective_tflops:.3g}",
    )


def _wide(layer: CudaLayer) -> list[tuple[str, ...]]:
    return [
        (
            layer.layer,
            one.name,
            _milliseconds(one),
            *(f"{which(one.times_ms):.3g}" if one.times_ms else "-" for which in (min, max)),
            scientific(one.error),
            f"{one.peak_bytes / 2**20:.1f}",
        )
        for one in layer.timed
    ]


def _sums(benchmark: CudaBenchmark) -> list[str]:
    ours, exact, tf32 = (benchmark.total_ms(name) for name in _NAMES)
    lines = [
        f"all layers: ours {ours:.3g} ms, float32 {exact:.3g} ms ({_ratio(exact, ours)} times ours), "
        f"tf32 {tf32:.3g} ms ({_ratio(tf32, ours)} times ours)"
    ]
    graphs = [benchmark.total_ms(f"graph_{name}") for name in _NAMES]
    if any(isfinite(one) for one in graphs):
        ours, exact, tf32 = graphs
        lines.append(
            f"in CUDA graphs, without launches from Python: ours {ours:.3g} ms, float32 {exact:.3g} ms "
            f"({_ratio(exact, ours)} times ours), tf32 {tf32:.3g} ms ({_ratio(tf32, ours)} times ours)"
        )
    slower = [one.layer for one in benchmark.layers if one.tf32.median_ms < one.ours.median_ms]
    lines.append(f"slower than tf32: {', '.join(slower) if slower else 'none'}")
    if benchmark.above_tolerance:
        lines.append(f"above the tolerance: {', '.join(benchmark.above_tolerance)}")
    return lines


def _left_out(benchmark: CudaBenchmark) -> list[str]:
    """Return a line for each layer and each way of computing that is no part of the table, and why."""
    lines = [f"{name} could not be measured: {failure}" for name, failure in benchmark.failures.items()]
    for layer in benchmark.layers:
        lines += [f"{layer.layer}: {one.name} did not run: {one.failure}" for one in layer.failed]
        lines += [f"{layer.layer}: stages could not be timed: {layer.stage_failure}"] if layer.stage_failure else []
        lines += [
            f"{layer.layer}: {one.name} is left out: its error of {scientific(one.error)} is above "
            f"{scientific(one.most_error)}"
            for one in layer.wrong
        ]
    return lines


def _limits(benchmark: CudaBenchmark) -> list[str]:
    """Return the predicted stages of every layer, what limits each, and what they took."""
    return [
        f"{layer.layer}: {layer.plan}; predicted "
        + ", ".join(f"{name} {milliseconds:.3g} ms by {limit}" for name, milliseconds, limit in layer.stages)
        + _took(layer)
        for layer in benchmark.layers
    ]


def _took(layer: CudaLayer) -> str:
    if layer.host_ms is None:
        return ""
    stages = ", ".join(f"{name} {milliseconds:.3g} ms" for name, milliseconds in layer.measured_stages)
    return f"; measured {stages}, Python {layer.host_ms:.3g} ms a call"


def _published(benchmark: CudaBenchmark) -> list[str]:
    rows = []
    for layer in benchmark.layers:
        theirs = LAN_2017.get(layer.layer)
        if theirs is not None:
            exact, ours = layer.exact.median_ms, layer.ours.median_ms
            here = f"{2 * layer.macs / exact / 1e9:.3g}", f"{layer.effective_tflops:.3g}", _ratio(exact, ours)
            there = f"{theirs.library_tflops:g}", f"{theirs.winograd_tflops:g}", f"{theirs.ratio:.2f}"
            rows.append((layer.layer, *there, *here))
    header = ("layer", "cuDNN 2017", "Winograd 2017", "ratio", "cuDNN float32", "ours", "ratio")
    return ["effective TFLOP/s beside those of Lan et al. 2017 on a GPU of that time:", text_table(header, rows)]


def _milliseconds(one: Timed) -> str:
    return f"{one.median_ms:.3g}" if one.times_ms else "-"


def _ratio(slower: float, faster: float) -> str:
    return "-" if float("inf") in (slower, faster) else f"{slower / faster:.2f}"
