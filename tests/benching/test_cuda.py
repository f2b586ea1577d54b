"""Layers on a GPU, with tensors on the CPU taken for those of a card: all of the benchmark but the card's own speed."""

from __future__ import annotations

import json
import math
import platform
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
    pytest.skip("triton has wheels for Linux on x86-64 and 64-bit Arm alone", allow_module_level=True)

from winograd import bench
from winograd.benching import runs
from winograd.benching.cuda import contenders, measurement, stages, suite
from winograd.benching.cuda.clock import EventClock, ProcessClock, clock_of, take_turns
from winograd.benching.cuda.contenders import buffers_of, bytes_of_input, library_set
from winograd.benching.cuda.graphs import Graphed
from winograd.benching.cuda.measurement import cuda_surroundings, measure_on_card
from winograd.benching.cuda.published import LAN_2017
from winograd.benching.cuda.reading import read_layers
from winograd.benching.cuda.result import CudaBenchmark, CudaLayer
from winograd.benching.cuda.showing import cuda_text
from winograd.benching.layers import BenchLayer, Suite
from winograd.benching.suites import make_suite
from winograd.conv.arguments import ConvArguments
from winograd.conv.gpu.card import card_named
from winograd.conv.gpu.device import pretending
from winograd.conv.gpu.run import module_of

pytestmark = pytest.mark.usefixtures("settable_flags")

H100 = card_named("h100")
CPU = torch.device("cpu")


class SteadyClock:
    """Every call takes a millisecond and a bit, less from one to the next."""

    def __init__(self) -> None:
        self.calls = 0

    def milliseconds(self, calls: object) -> float:
        calls()
        self.calls += 1
        return 1 + 1 / self.calls


@pytest.fixture(scope="module")
def measured() -> CudaLayer:
    shape = ConvArguments(padding=1).shape((2, 8, 2, 3), (8, 8, 3, 3), dtype="float32")
    with pytest.MonkeyPatch.context() as patch, pretending(H100):
        patch.setattr(measurement, "_planned", planned)
        patch.setattr(contenders, "MOST_BUFFERS", 2)
        patch.setattr(stages, "CALLS", 1)
        return measure_on_card(
            BenchLayer("conv2", shape, has_bias=True),
            card=H100,
            device=CPU,
            clock=SteadyClock(),
            tolerance=1e-5,
            rounds=3,
            compiled=False,
            round_ms=0.1,
        )


def planned(shape: object, tolerance: float, tuning: str) -> object:
    from winograd import nest, toom_cook
    from winograd.conv.choosing.selection import Filters
    from winograd.conv.planning.make import make_plan

    return make_plan(shape, algorithm=nest(toom_cook(2, 3), toom_cook(2, 3)), filters=Filters.FROZEN)


def benchmark_of(layer: CudaLayer) -> CudaBenchmark:
    return CudaBenchmark("lan2017", (layer,), 2, 3, 0, 1e-5, "float32", "model", cuda_surroundings(CPU), H100)


def test_every_way_of_computing_is_verified_and_timed(measured: CudaLayer) -> None:
    names = {
        f"{who} {layout}"
        for who in ("ours", "cudnn float32", "cudnn tf32")
        for layout in ("contiguous", "channels_last")
    }
    assert {one.name for one in measured.timed} == names
    assert all(one.error < 1e-6 and len(one.times_ms) == 3 for one in measured.timed)
    assert measured.plan.startswith("gpu F(2x2,3x3)")
    fastest = (measured.ours, measured.exact, measured.tf32)
    assert [one.name.rpartition(" ")[0] for one in fastest] == ["ours", "cudnn float32", "cudnn tf32"]
    assert measured.stages


def test_text_and_json_have_all_figures(measured: CudaLayer) -> None:
    benchmark = benchmark_of(measured)
    text = cuda_text(benchmark, wide=True)
    rates, ways = ("Lan et al. 2017", "1.28"), ("cudnn tf32 channels_last", "peak MiB")
    for words in ("conv2", "F(2x2,3x3)", "slower than tf32", *rates, *ways):
        assert words in text
    read = json.loads(json.dumps(benchmark.as_dict(), allow_nan=False))
    assert read["layers"][0]["ours_ms"] == measured.ours.median_ms
    assert read["published"]["conv4"] == {"library_tflops": 2.4, "winograd_tflops": 4.72}
    assert read["surroundings"]["torch"] == torch.__version__


def test_what_is_written_can_be_read_again(measured: CudaLayer) -> None:
    text = json.dumps(benchmark_of(measured).as_dict())
    (layer,) = read_layers({"a.json": text.encode()})
    assert tuple(layer.stages.items()) == measured.measured_stages
    assert (layer.host_ms, layer.ours_ms) == (measured.host_ms, measured.ours.median_ms)
    assert (layer.shape.card, layer.shape.padding, layer.form.kind) == (H100, ((1, 1), (1, 1)), "fused")


def test_stages_are_timed_by_themselves(measured: CudaLayer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [name for name, _ in measured.measured_stages] == ["fused", "filter"]
    assert measured.host_ms > 0
    text = cuda_text(benchmark_of(measured))
    assert re.search(r"; measured fused \S+ ms, filter \S+ ms, Python \S+ ms a call", text)
    monkeypatch.setattr(measurement, "stage_times", fail)
    broken = measured_with(monkeypatch)
    assert (broken.measured_stages, broken.stage_failure) == ((), "no C compiler")
    assert math.isfinite(broken.ours.median_ms)
    assert "conv2: stages could not be timed: no C compiler" in cuda_text(benchmark_of(broken))


def test_what_is_no_number_is_not_timed(monkeypatch: pytest.MonkeyPatch, measured: CudaLayer) -> None:
    untimed = {"error": float("nan"), "times_ms": ()}
    broken = tuple(replace(one, **untimed) if "tf32" in one.name else one for one in measured.timed)
    benchmark = benchmark_of(replace(measured, timed=broken))
    assert json.loads(json.dumps(benchmark.as_dict()["tf32_ms"])) is None
    assert "nan" in cuda_text(benchmark)


def measured_with(patch: pytest.MonkeyPatch, *, compiled: bool = False, **options: object) -> CudaLayer:
    shape = ConvArguments(padding=1).shape((3, 8, 2, 3), (8, 8, 3, 3), dtype="float32")
    patch.setattr(measurement, "_planned", planned)
    patch.setattr(contenders, "MOST_BUFFERS", 2)
    patch.setattr(stages, "CALLS", 1)
    given = {"card": H100, "device": CPU, "clock": SteadyClock(), "tolerance": 1e-5, "rounds": 1, "round_ms": 0.1}
    with pretending(H100):
        return measure_on_card(BenchLayer("conv2", shape, has_bias=True), compiled=compiled, **given, **options)


def fail(*_: object, **__: object) -> torch.Tensor:
    raise RuntimeError("no C compiler\n  in many lines")


def test_compilers_that_fail_cost_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contenders, "_compiled", lambda *_: fail)
    layer = measured_with(monkeypatch, compiled=True)
    assert [one.name for one in layer.failed] == [f"compiled {which} channels_last" for which in ("float32", "tf32")]
    assert math.isfinite(layer.ours.median_ms + layer.exact.median_ms + layer.tf32.median_ms)
    benchmark = benchmark_of(layer)
    read = json.loads(json.dumps(benchmark.as_dict(), allow_nan=False))
    last = read["layers"][0]["timed"][-1]
    assert (last["error"], last["times_ms"], last["failure"]) == (None, [], "no C compiler")
    assert "compiled tf32 channels_last did not run: no C compiler" in cuda_text(benchmark)


@pytest.mark.parametrize("what", ["transform_filter", "run"])
def test_the_library_never_stands_for_ours(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.setattr(module_of_kernels(), what, fail)
    layer = measured_with(monkeypatch)
    assert layer.ours.failure == "no C compiler"
    assert math.isinf(layer.ours.median_ms)
    assert math.isfinite(layer.exact.median_ms)
    assert benchmark_of(layer).above_tolerance == ("conv2",)
    json.dumps(benchmark_of(layer).as_dict(), allow_nan=False)


def module_of_kernels() -> object:
    with pretending(H100):
        shape = ConvArguments(padding=1).shape((3, 8, 2, 3), (8, 8, 3, 3), dtype="float32", card=H100)
        return module_of(planned(shape, 1e-5, "model"))


def test_a_library_that_is_wrong_does_not_count(measured: CudaLayer) -> None:
    """A kernel that is fast and wrong, and TF32 where float32 was asked for, as NVIDIA_TF32_OVERRIDE=1 has it."""
    bad = {"cudnn float32 contiguous": 3e-4, "cudnn tf32 contiguous": 0.02}
    timed = tuple(
        replace(one, error=bad.get(one.name, one.error), times_ms=(1e-6,) if one.name in bad else one.times_ms)
        for one in measured.timed
    )
    layer = replace(measured, timed=timed)
    assert layer.exact.name == "cudnn float32 channels_last"
    assert layer.tf32.name == "cudnn tf32 channels_last"
    assert layer.as_dict()["wrong"] == list(bad)
    assert "cudnn tf32 contiguous is left out: its error of 2.0e-02 is above 3.0e-03" in cuda_text(benchmark_of(layer))
    everything = replace(measured, timed=tuple(replace(one, error=0.1) for one in timed))
    assert math.isinf(everything.exact.median_ms)


class FakeGraph:
    """Replays what was called while it was captured."""

    captured: FakeGraph | None = None

    def __init__(self) -> None:
        self.calls: list[int] = []

    def pool(self) -> tuple[int, int]:
        return (0, 1)

    def replay(self) -> None:
        LOG.append(("replay", *self.calls))


LOG: list[tuple[object, ...]] = []


@contextmanager
def capture(graph: FakeGraph, pool: object = None) -> Iterator[None]:
    FakeGraph.captured = graph
    LOG.append(("capture", pool))
    yield
    FakeGraph.captured = None


@pytest.fixture
def _graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    LOG.clear()
    monkeypatch.setattr(torch.cuda, "CUDAGraph", FakeGraph)
    monkeypatch.setattr(torch.cuda, "graph", capture)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: LOG.append(("idle",)))


@pytest.mark.usefixtures("_graphs")
def test_graphs_are_captured_once_for_each_buffer() -> None:
    def call(number: int) -> torch.Tensor:
        if FakeGraph.captured is None:
            LOG.append(("warm", number))
        else:
            FakeGraph.captured.calls.append(number)
        return torch.full((1,), float(number))

    made = Graphed(call)
    outputs = [made(number) for number in (0, 1, 0)]
    assert outputs[0] is outputs[2]
    assert (float(outputs[0]), outputs[1]) == (0.0, None)
    first = [("warm", 0), ("idle",), ("capture", None), ("replay", 0)]
    assert [*first, ("warm", 1), ("idle",), ("capture", (0, 1)), ("replay", 1), ("replay", 0)] == LOG


def test_graphs_have_rows_of_their_own(measured: CudaLayer) -> None:
    rows = tuple(replace(one, name=f"graph {one.name}", times_ms=(0.25,)) for one in measured.timed)
    layer = replace(measured, timed=(*measured.timed, *rows))
    assert (layer.ours, layer.exact, layer.tf32) == (measured.ours, measured.exact, measured.tf32)
    assert [one.median_ms for one in (layer.graph_ours, layer.graph_exact, layer.graph_tf32)] == [0.25] * 3
    assert layer.as_dict()["graph_ours_ms"] == 0.25
    assert measured.as_dict()["graph_ours_ms"] is None
    assert "in CUDA graphs, without launches from Python: ours 0.25 ms" in cuda_text(benchmark_of(layer))
    assert "CUDA graphs" not in cuda_text(benchmark_of(measured))


def test_three_images_are_verified() -> None:
    assert [measurement._images(batch) for batch in (1, 2, 32)] == [[0], [0, 1], [0, 16, 31]]


def test_plans_are_made_without_tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tuning times direct convolution as the flags stand: with TF32 it would win, and run in float32 as ours."""
    seen = []
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)

    def tuned(*_: object, **__: object) -> None:
        seen.append((torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark))

    monkeypatch.setattr("winograd.conv.tuning.tuned_plan", tuned)
    measurement._planned(None, 1e-5, "measure")
    assert seen == [(False, True)]
    assert torch.backends.cudnn.allow_tf32


def test_errors_above_the_tolerance_are_named(measured: CudaLayer) -> None:
    wrong = tuple(replace(one, error=1e-3) if one.name.startswith("ours") else one for one in measured.timed)
    assert benchmark_of(measured).above_tolerance == ()
    assert benchmark_of(replace(measured, timed=wrong)).above_tolerance == ("conv2",)
    assert "above the tolerance: conv2" in cuda_text(benchmark_of(replace(measured, timed=wrong)))


def test_turns_are_taken_with_all_buffers() -> None:
    seen: dict[str, list[int]] = {"one": [], "other": []}
    calls = {name: seen[name].append for name in seen}
    times = take_turns(calls, 4, 3, SteadyClock(), round_ms=9.0)
    assert {name: len(each) for name, each in times.items()} == {"one": 4, "other": 4}
    assert all(set(numbers) == {0, 1, 2} for numbers in seen.values())
    with pytest.raises(ValueError, match="rounds is 0"):
        take_turns(calls, 0, 3, SteadyClock())


def test_every_callable_is_warm_when_the_first_round_begins() -> None:
    log: list[str] = []
    take_turns({name: lambda _, name=name: log.append(name) for name in "ab"}, 1, 1, SteadyClock(), round_ms=1e-9)
    assert log[-5:] == ["b", "a", "b", "a", "b"]  # the warm-up of b, then both once, then a round of both


def test_events_are_recorded_around_the_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []

    class Event:
        def __init__(self, enable_timing: bool) -> None:
            assert enable_timing

        def record(self) -> None:
            log.append("record")

        def synchronize(self) -> None:
            log.append("wait")

        def elapsed_time(self, other: object) -> float:
            return 2.5

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: log.append("idle"))
    assert EventClock().milliseconds(lambda: log.append("call")) == 2.5
    assert log == ["idle", "record", "call", "record", "wait"]
    assert isinstance(clock_of(torch.device("cuda")), EventClock)
    assert isinstance(clock_of(CPU), ProcessClock)


def test_the_library_is_set_and_put_back() -> None:
    before = torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark
    for tf32 in (True, False):
        with library_set(tf32=tf32):
            assert (torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark) == (tf32, True)
    assert (torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark) == before


@pytest.mark.parametrize("limit", [10, None])
def test_the_library_tries_out_all_of_its_algorithms(monkeypatch: pytest.MonkeyPatch, limit: int | None) -> None:
    cudnn = SimpleNamespace(allow_tf32=True, benchmark=False, benchmark_limit=limit)
    monkeypatch.setattr(torch.backends, "cudnn", cudnn)
    with library_set(tf32=False):
        assert cudnn.benchmark_limit == (None if limit is None else 0)
    assert cudnn == SimpleNamespace(allow_tf32=True, benchmark=False, benchmark_limit=limit)


def test_inputs_that_take_turns_are_larger_than_the_cache() -> None:
    for layer in make_suite("lan2017", 32).layers:
        count = buffers_of(layer.shape, H100.l2_bytes)
        assert count < contenders.MOST_BUFFERS
        assert count * bytes_of_input(layer.shape) >= 3 * H100.l2_bytes
    tiny = ConvArguments(padding=1).shape((1, 8, 2, 3), (8, 8, 3, 3), dtype="float16")
    assert bytes_of_input(tiny) == 8 * 2 * 3 * 2
    assert buffers_of(tiny, H100.l2_bytes) == contenders.MOST_BUFFERS


def test_the_published_layers_are_those_of_the_suite() -> None:
    layers = make_suite("lan2017", 32).layers
    assert [layer.name for layer in layers] == list(LAN_2017)
    # Table 2 counts a multiply-add as one operation, and has 88.8, 88.8, 44.4, 5.55.
    assert [round(layer.macs / 1e9, 2) for layer in layers] == [88.79, 88.79, 44.39, 5.55]
    assert [round(one.ratio, 2) for one in LAN_2017.values()] == [1.06, 1.39, 1.97, 1.45]


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """A command that measures two tiny layers; the last word is its file."""
    shape = ConvArguments(padding=1).shape((1, 8, 2, 3), (8, 8, 3, 3), dtype="float32")
    layers = tuple(BenchLayer(name, shape, False) for name in ("conv1", "conv2"))
    monkeypatch.setattr(bench, "make_suite", lambda *_, **__: Suite("tiny", layers))
    monkeypatch.setattr(runs, "current_card", lambda: (CPU, H100))
    monkeypatch.setattr(measurement, "_planned", planned)
    monkeypatch.setattr(contenders, "MOST_BUFFERS", 2)
    monkeypatch.setattr(stages, "CALLS", 1)
    monkeypatch.setattr(runs, "clock_of", lambda _: SteadyClock())
    monkeypatch.setattr("winograd.benching.cuda.clock.MOST_CALLS", 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    start = ["--suite", "tiny", "--device", "cuda", "--without-compiled", "--repeats", "1", "--wide", "--json"]
    with pretending(H100):
        yield [*start, str(tmp_path / "tiny.json")]


def test_the_command_measures_a_suite(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(words) == 0
    told = capsys.readouterr()
    assert "conv2 (2 of 2): verifying" in told.err
    assert "F(2x2,3x3)" in told.out
    read = json.loads(Path(words[-1]).read_text())
    assert [layer["layer"] for layer in read["layers"]] == ["conv1", "conv2"]
    assert (read["complete"], read["failures"]) == (True, {})


@pytest.fixture
def made_up(measured: CudaLayer, monkeypatch: pytest.MonkeyPatch) -> dict[str, BaseException]:
    """Let all layers be like one that was measured, but those that are to fail."""
    failing: dict[str, BaseException] = {}

    def measure(layer: BenchLayer, **_: object) -> CudaLayer:
        if layer.name in failing:
            raise failing[layer.name]
        return replace(measured, layer=layer.name)

    monkeypatch.setattr(suite, "measure_on_card", measure)
    return failing


@pytest.mark.parametrize("name", ["conv1", "conv2"])
def test_a_layer_that_fails_costs_no_other(
    words: list[str], name: str, made_up: dict[str, BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    made_up[name] = RuntimeError("CUDA error: an illegal memory access\nmore")
    assert bench.main(words) == 1
    told, read = capsys.readouterr(), json.loads(Path(words[-1]).read_text())
    assert f"{name} could not be measured: CUDA error: an illegal memory access" in told.out
    assert f"error: could not be measured: {name}" in told.err
    assert {name, *(layer["layer"] for layer in read["layers"])} == {"conv1", "conv2"}
    assert (read["complete"], read["failures"]) == (True, {name: "CUDA error: an illegal memory access"})


def test_what_an_interrupt_leaves_is_in_the_file(
    words: list[str], made_up: dict[str, BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    made_up["conv2"] = KeyboardInterrupt()
    assert bench.main(words) == 1
    assert "interrupted; the table is of what was measured until then" in capsys.readouterr().err
    read = json.loads(Path(words[-1]).read_text())
    assert [layer["layer"] for layer in read["layers"]] == ["conv1"]
    assert read["complete"] is False


def test_nothing_that_could_be_measured_has_a_text(measured: CudaLayer) -> None:
    nothing = replace(benchmark_of(measured), layers=(), failures={"conv2": "no memory"})
    assert "conv2 could not be measured: no memory" in cuda_text(nothing, wide=True)
    json.dumps(nothing.as_dict(), allow_nan=False)


@pytest.mark.usefixtures("made_up")
def test_an_error_above_the_tolerance_is_no_success(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main([*words, "--tolerance", "1e-12"]) == 1
    assert "above the tolerance 1e-12: conv1, conv2" in capsys.readouterr().err
    assert json.loads(Path(words[-1]).read_text())["above_tolerance"] == ["conv1", "conv2"]


def test_the_command_refuses_what_is_not_for_a_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    for words, why in (
        (["--suite", "lan2017", "--device", "cuda"], "torch finds no GPU"),
        (["--suite", "lan2017", "--device", "cuda", "--live"], "argument --live: is for --device cpu"),
        (["--suite", "lan2017", "--tuning", "model"], "argument --tuning: is for --device cuda"),
        (["--network", "c3d", "--device", "cuda"], "argument --device: is for --suite"),
    ):
        if why == "torch finds no GPU" and torch.cuda.is_available():
            continue
        assert bench.main(words) == 2
        assert why in capsys.readouterr().err
