"""Pictures of what train.py, infer.py and speed.py wrote.

    python examples/training/plots.py [--dir DIR]

In: DIR/seed-N.json and, if they are there, DIR/inference.json and DIR/speed.json. Out: DIR/losses.svg, accuracies.svg,
confusion.svg, inference.svg, speed.svg, and clips.png, a look at the data. Needs matplotlib.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from statistics import mean
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from moving_shapes import MOTIONS, MovingShapes

from winograd.artefact import write_atomically

SIDES = {"direct": ("tab:orange", "torch's own"), "winograd": ("tab:blue", "Winograd")}
"""Colour and label of each side, the same in all pictures."""

SMOOTHED = 10
"""Steps over which losses are averaged; those of a single batch jump."""


def main(words: list[str] | None = None) -> int:
    """Draw what there is."""
    folder = _parser().parse_args(words).dir
    logs = [json.loads(path.read_text()) for path in sorted(folder.glob("seed-*.json"))]
    if not logs:
        raise SystemExit(f"{folder} has no seed-N.json; train.py writes them")
    save(draw_clips(logs[0]), folder / "clips.png")
    save(draw_losses(logs), folder / "losses.svg")
    save(draw_accuracies(logs), folder / "accuracies.svg")
    for name, draw in {"inference": draw_inference, "speed": draw_speed}.items():
        path = folder / f"{name}.json"
        if path.exists():
            told = json.loads(path.read_text())
            save(draw(told), path.with_suffix(".svg"))
            if name == "inference":
                save(draw_confusion(told), folder / "confusion.svg")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, default=Path("moving-shapes"), help="(default: %(default)s)")
    return parser


def save(figure: Figure, path: Path) -> None:
    """Write a figure; the same figure gives the same bytes."""
    FigureCanvasAgg(figure)
    target = BytesIO()
    with rc_context({"svg.hashsalt": "winograd"}):
        undated = {"Date": None} if path.suffix == ".svg" else None
        figure.savefig(target, format=path.suffix[1:], dpi=70, metadata=undated)  # an SVG has no dots
    write_atomically(path, target.getvalue())
    print(f"wrote {path}")


def draw_clips(log: dict[str, Any]) -> Figure:
    """Draw one clip of each class, a frame a column."""
    frames, size = log["settings"]["frames"], log["settings"]["size"]
    clips = MovingShapes(len(MOTIONS), log["seed"] + 1, frames=frames, size=size)
    figure = Figure(figsize=(0.62 * frames + 1.2, 0.62 * len(MOTIONS)))
    panels = figure.subplots(len(MOTIONS), frames)
    for row, number in zip(panels, range(len(clips)), strict=True):
        clip, label = clips[number]
        for frame, panel in enumerate(row):
            panel.imshow((0.5 + clip[:, frame].permute(1, 2, 0) / 2.5).clamp(0, 1).numpy())
            panel.set_axis_off()
        row[0].text(-0.15, 0.5, MOTIONS[label], ha="right", va="center", transform=row[0].transAxes)
    figure.subplots_adjust(left=0.2, right=0.99, top=0.99, bottom=0.01, wspace=0.06, hspace=0.06)
    return figure


def draw_losses(logs: list[dict[str, Any]]) -> Figure:
    """Draw the mean loss of all seeds over the steps, and the range of seeds around it."""
    figure, panel = _figure(f"loss of training, means of {SMOOTHED} steps", "step", "cross entropy")
    for side, (colour, label) in SIDES.items():
        curves = [smooth(log["sides"][side]["losses"]) for log in logs]
        middle, lowest, highest = (_across(curves, of) for of in (mean, min, max))
        steps = range(SMOOTHED, SMOOTHED + len(middle))
        panel.plot(steps, middle, color=colour, label=f"{label}, mean of {len(logs)} seeds")
        panel.fill_between(steps, lowest, highest, color=colour, alpha=0.2, label=f"{label}, lowest to highest")
    panel.set_ylim(bottom=0)
    panel.legend()
    return figure


def draw_accuracies(logs: list[dict[str, Any]]) -> Figure:
    """Draw test accuracy over the steps for each seed, and that at the end."""
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    panel, last = figure.subplots(1, 2, sharey=True, width_ratios=[2, 1])
    for side, (colour, label) in SIDES.items():
        for number, log in enumerate(logs):
            points = {int(step): 100 * right for step, right in log["sides"][side]["accuracies"].items()}
            panel.plot(
                list(points), list(points.values()), ".-", color=colour, alpha=0.6, label=label if not number else None
            )
        finals = [100 * final(log, side) for log in logs]
        last.plot([str(log["seed"]) for log in logs], finals, "o", color=colour, alpha=0.7)
        last.axhline(mean(finals), color=colour, linewidth=1, linestyle="--", label=f"mean {mean(finals):.1f} %")
    panel.set(title="tested halfway and at the end, a line each seed", xlabel="step", ylabel="test clips told right, %")
    last.set(title="at the end", xlabel="seed")
    panel.legend()
    last.legend(loc="lower right")
    return figure


def draw_confusion(inference: dict[str, Any]) -> Figure:
    """Draw which classes the converted networks trained with Winograd take for which, all seeds together."""
    dtypes = list(dict.fromkeys(row["dtype"] for row in inference["rows"]))
    figure = Figure(figsize=(4.2 * len(dtypes) + 0.6, 4.8), layout="constrained")
    panels = figure.subplots(1, len(dtypes), sharey=True, squeeze=False)[0]
    for panel, dtype in zip(panels, dtypes, strict=True):
        rows = [
            row
            for row in inference["rows"]
            if (row["dtype"], row["runs"], row["trained"]) == (dtype, *["winograd"] * 2)
        ]
        counts = [
            [sum(cells) for cells in zip(*lines, strict=True)]
            for lines in zip(*(row["confusion"] for row in rows), strict=True)
        ]
        panel.imshow(counts, cmap="Blues")
        for down, line in enumerate(counts):
            for right, count in enumerate(line):
                if count:
                    colour = "white" if down == right else "black"
                    panel.text(right, down, count, ha="center", va="center", fontsize="x-small", color=colour)
        panel.set_xticks(range(len(MOTIONS)), MOTIONS, rotation=90)
        panel.set_yticks(range(len(MOTIONS)), MOTIONS)
        panel.set(title=dtype, xlabel="taken for")
    panels[0].set_ylabel("clip shows")
    seeds = len({row["seed"] for row in inference["rows"]})
    figure.suptitle(f"trained with Winograd and run with it: test clips of {seeds} networks", fontsize="medium")
    return figure


def draw_inference(inference: dict[str, Any]) -> Figure:
    """Draw, for each dtype, what every trained network tells right of all test clips."""
    whole = max(row["clips"] for row in inference["rows"])
    rows = [row for row in inference["rows"] if row["clips"] == whole]
    dtypes = list(dict.fromkeys(row["dtype"] for row in rows))
    figure, panel = _figure(f"inference: every trained network, {whole} clips", "", "test clips told right, %")
    for shift, (side, (colour, label)) in zip((-0.15, 0.15), SIDES.items(), strict=True):
        some = [row for row in rows if row["runs"] == side]
        networks = sorted({(row["seed"], row["trained"]) for row in some})
        spread = {network: (place / max(1, len(networks) - 1) - 0.5) / 5 for place, network in enumerate(networks)}
        places = [dtypes.index(row["dtype"]) + shift + spread[row["seed"], row["trained"]] for row in some]
        panel.plot(places, [100 * row["right"] for row in some], "o", color=colour, alpha=0.6, label=f"runs {label}")
    panel.set_xticks(range(len(dtypes)), dtypes)
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def draw_speed(speed: dict[str, Any]) -> Figure:
    """Draw the time of a clip in training and in inference."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = figure.subplots(1, 2, width_ratios=[1, 2])
    parts = {"a training step": speed["step_ms"], "inference": speed["inference_ms"]}
    for panel, (title, times) in zip(panels, parts.items(), strict=True):
        for place, (name, milliseconds) in enumerate(times.items()):
            each = milliseconds / speed["batch"]
            panel.bar(place, each, color=SIDES["winograd" if "winograd" in name else "direct"][0])
            panel.text(place, each, f"{each:.3g}", ha="center", va="bottom", fontsize="small")
        panel.set_xticks(range(len(times)), map(_named, times), fontsize="small")
        panel.set(title=title, ylabel="ms a clip, lower is better")
        panel.margins(y=0.12)
    if max(parts["inference"].values()) > 20 * min(parts["inference"].values()):
        panels[1].set_yscale("log")
        panels[1].set_ylim(bottom=1)
    threads = "one thread" if speed["threads"] == 1 else f"{speed['threads']} threads"
    figure.suptitle(f"batches of {speed['batch']} clips, {threads}", fontsize="medium")
    return figure


def _named(what: str) -> str:
    """Return the label of a bar, such as "float32 direct" or "direct, channels last", with the name of its side."""
    lines = what.replace(", ", ",\n") if ", " in what else what.replace(" ", "\n")
    return lines.replace("direct", SIDES["direct"][1]).replace("winograd", SIDES["winograd"][1])


def final(log: dict[str, Any], side: str) -> float:
    """Return the part of the test clips that a side tells right at the end of its training."""
    return float(list(log["sides"][side]["accuracies"].values())[-1])


def smooth(values: Sequence[float]) -> list[float]:
    """Return the means of `SMOOTHED` values in a row."""
    return [mean(values[start : start + SMOOTHED]) for start in range(len(values) - SMOOTHED + 1)]


def _across(curves: list[list[float]], of: Callable[[Sequence[float]], float]) -> list[float]:
    return [of(values) for values in zip(*curves, strict=True)]


def _figure(title: str, along: str, up: str) -> tuple[Figure, Any]:
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    panel = figure.subplots()
    panel.set(title=title, xlabel=along, ylabel=up)
    return figure, panel


if __name__ == "__main__":
    raise SystemExit(main())
