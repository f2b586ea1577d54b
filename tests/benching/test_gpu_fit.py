"""The fit of what kernels attain on a GPU: from times that were made of known shares it finds these shares."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from math import isfinite
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from winograd.benching.cuda.reading import MeasuredLayer, read_layers
from winograd.benching.layers import BenchLayer
from winograd.benching.suites import make_suite
from winograd.conv.choosing.selection import Filters
from winograd.conv.gpu.card import Card, card_named
from winograd.conv.gpu.explained import form_of, stages_of
from winograd.conv.gpu.roofline import gpu_stages, library_ms
from winograd.conv.gpu.selection import instructions_of
from winograd.conv.gpu.stage import ATTAINED, Attained
from winograd.conv.planning.make import make_plan

H200 = card_named("h200")

SHARES = Attained(
    memory=0.8, cache=1.7, cache_held=0.6, library_float32=0.7, library_tensor=0.45, tensor=0.35, transforms=0.1,
    launch_us=12.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def gpu_fit() -> Iterator[ModuleType]:
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu_fit.py"
    spec = importlib.util.spec_from_file_location("gpu_fit", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["gpu_fit"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["gpu_fit"]


def entry_of(layer: BenchLayer, attained: Attained, card: Card = H200) -> dict[str, Any]:
    """Return what the benchmark would write of a layer on a card whose kernels attain this."""
    shape = replace(layer.shape, card=card)
    plan = make_plan(shape, tolerance=5e-6, filters=Filters.FROZEN)
    form, instructions = form_of(plan), instructions_of(plan.algorithm)
    stages = gpu_stages(shape, form, instructions, live=True, attained=replace(attained, launch_us=0.0))
    launches = sum(stage.launches_ms for stage in stages_of(plan)) / ATTAINED.launch_us
    return {
        "layer": layer.name,
        "input": list(layer.input),
        "weight": list(shape.weight_sizes),
        "padding": [list(pair) for pair in shape.padding],
        "form": {**asdict(form), "instructions": asdict(instructions)},
        "measured_stages": [[stage.name, stage.milliseconds] for stage in stages],
        "host_ms": launches * attained.launch_us,
        "ours_ms": sum(stage.milliseconds for stage in stages if stage.name != "filter"),
        "float32_ms": library_ms(shape, attained=attained),
        "tf32_ms": library_ms(shape, tf32=True, attained=attained),
    }


def written(attained: Attained, *suites: str, card: Card = H200) -> dict[str, Any]:
    layers = [layer for name in suites for layer in make_suite(name, 32).layers if layer.shape.channels >= 64]
    strideless = [layer for layer in layers if set(layer.shape.stride) == {1} and max(layer.shape.taps) == 3]
    entries = [entry_of(layer, attained, card) for layer in strideless]
    return json.loads(json.dumps({"card": asdict(card), "dtype": "float32", "layers": entries}))


def read(*files: dict[str, Any]) -> list[MeasuredLayer]:
    return read_layers({f"{number}.json": json.dumps(file).encode() for number, file in enumerate(files)})


def test_the_shares_of_made_up_times_are_found(gpu_fit: ModuleType) -> None:
    layers = read(written(SHARES, "c3d_stack"))
    found = gpu_fit.fit(layers)
    times = gpu_fit.times_of(layers)
    assert all(abs(gpu_fit.residual(time, found)) < 0.01 for time in times)
    deciding = {time.share(found) for time in times}
    assert {"memory", "tensor", "transforms", "library_float32", "library_tensor"} <= deciding
    for name in {*deciding, "launch_us"}:
        assert getattr(found, name) == pytest.approx(getattr(SHARES, name), rel=0.02), name
    assert found.plain == ATTAINED.plain  # no time has products in float32
    assert not any("filter" in time.name for time in times)
    off = max(abs(gpu_fit.residual(time, ATTAINED)) for time in times)
    assert off > 0.3  # what was there before the fit is noticed


def test_times_that_no_shares_explain_are_off(gpu_fit: ModuleType) -> None:
    file = written(SHARES, "c3d_stack")
    stages = file["layers"][0]["measured_stages"]
    stages[1][1] *= 3
    layers = read(file)
    times = gpu_fit.times_of(layers)
    found = gpu_fit.fit(layers)
    assert max(abs(gpu_fit.residual(time, found)) for time in times) > 0.3


def test_the_command_prints_shares_and_layers(
    gpu_fit: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.json").write_text(json.dumps(written(ATTAINED, "c3d_stack")))
    monkeypatch.setattr(sys, "argv", ["gpu_fit.py", str(tmp_path / "a.json"), "--json", str(tmp_path / "b.json")])
    assert gpu_fit.main() == 0
    told = capsys.readouterr().out
    assert "Attained(memory=0.9, cache=1.8, cache_held=0.6, " in told
    assert "conv2 products" in told
    assert "conv4b call" in told
    fitted = json.loads((tmp_path / "b.json").read_text())
    assert max(map(abs, fitted["residuals"].values())) < 0.01


def test_what_is_no_measurement_of_one_card_is_refused() -> None:
    one, other = (written(ATTAINED, "lan2017", card=card_named(name)) for name in ("h100", "h200"))
    with pytest.raises(ValueError, match="of NVIDIA H100 80GB HBM3 and NVIDIA H200, must be of one"):
        read(one, other)
    for layer in one["layers"]:
        layer["measured_stages"] = []
    with pytest.raises(ValueError, match=r"0\.json: no stage of any layer was timed"):
        read(one)


def changed(value: Any) -> Iterator[Any]:
    """Yield copies of what is in a file with one thing in it gone, or another in its place."""
    places = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in places:
        rest = value.copy()
        del rest[key]
        yield rest
        for other in (*changed(one), None, "x", [], [[]], {}, -1, 0, True, 1.5, 3, float("nan"), 1e300, 10**400):
            rest = value.copy()
            rest[key] = other
            yield rest


def told(file: dict[str, Any]) -> str:
    """Return the line that refuses a file, empty where it is read."""
    try:
        read(file)
    except ValueError as error:
        return str(error)
    return ""


def test_a_file_with_one_thing_wrong_is_refused_in_one_line_or_fitted(gpu_fit: ModuleType) -> None:
    file = written(ATTAINED, "c3d_stack")
    del file["layers"][1:]
    files = list(changed(file))
    lines = [told(other) for other in files]
    assert all(line.startswith("0.json: ") and "\n" not in line for line in lines if line)
    taken = [other for other, line in zip(files, lines, strict=True) if not line]
    assert len(files) > 2 * len(taken) > 0
    for other in taken:
        layers = read(other)
        assert all(isfinite(gpu_fit.residual(time, ATTAINED)) for time in gpu_fit.times_of(layers))
        assert gpu_fit.layers_text(layers, ATTAINED)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "a.json: not as the benchmark of a GPU wrote it: Expecting property name"),
        ("[]", "a.json: not as the benchmark of a GPU wrote it: list indices must be"),
        ('{"layers": []}', "a.json: 'card' is missing, must be as the benchmark"),
        ("[" * 100_000, "a.json: not as"),
        ("\N{SNOWMAN}", "a.json: not as"),
        (None, "No such file"),
    ],
)
def test_the_command_refuses_in_one_line(
    gpu_fit: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, message: str
) -> None:
    if text is not None:
        (tmp_path / "a.json").write_text(text, encoding="utf-16" if text == "\N{SNOWMAN}" else "utf-8")
    monkeypatch.setattr(sys, "argv", ["gpu_fit.py", str(tmp_path / "a.json")])
    with pytest.raises(SystemExit) as ended:
        gpu_fit.main()
    assert message in str(ended.value)
    assert str(ended.value).count("\n") == 0
