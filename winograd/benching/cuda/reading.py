"""What the benchmark of a GPU has measured, read again: layers with all that the cost model predicts them from.

In: the JSON of ``python -m winograd.bench --device cuda``. Out: a `MeasuredLayer` for each layer. Refused, in one line
that names the file: what is no such JSON, times that are no numbers above 0, files of different cards.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from math import fsum
from typing import Any

from winograd.codegen.targets.triton.fused import MOST_POSITIONS
from winograd.conv.arguments import ConvArguments
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.gpu.card import Card
from winograd.conv.gpu.form import Form, extent_of
from winograd.conv.gpu.roofline import Instructions, gpu_stages
from winograd.conv.gpu.schedule import FUSED, GpuSchedule
from winograd.conv.gpu.stage import ATTAINED, Attained, GpuStage


@dataclass(frozen=True, slots=True)
class MeasuredLayer:
    """A layer that was measured, and all that the model predicts it from.

    Parameters
    ----------
    name : str
    shape : ConvShape
        With its card.
    form : Form or None
        None where the plan was direct.
    instructions : Instructions
    stages : mapping of str to float
        Milliseconds on the card, the filter's among them.
    host_ms : float or None
        What a call took to return.
    ours_ms, float32_ms, tf32_ms : float or None
        Of a call, and of the library's; None where it did not run.
    """

    name: str
    shape: ConvShape
    form: Form | None
    instructions: Instructions
    stages: Mapping[str, float]
    host_ms: float | None
    ours_ms: float | None
    float32_ms: float | None
    tf32_ms: float | None

    def predicted(self, attained: Attained) -> dict[str, GpuStage]:
        """Return the stages by name, the filter's among them; without launches, which events do not see."""
        assert self.form is not None
        without = replace(attained, launch_us=0.0)
        stages = gpu_stages(self.shape, self.form, self.instructions, live=True, attained=without)
        return {stage.name: stage for stage in stages}

    def call_ms(self, attained: Attained) -> float:
        """Return the predicted time of a call, as plans have it: with launches, the filter transformed beforehand."""
        assert self.form is not None
        stages = gpu_stages(self.shape, self.form, self.instructions, live=False, attained=attained)
        return fsum(stage.milliseconds for stage in stages)

    @property
    def launches(self) -> int:
        """Of a call."""
        assert self.form is not None
        return 1 if self.form.kind == FUSED else 3 * extent_of(self.shape, self.form).batches(self.form.batch_bytes)


def read_layers(files: Mapping[str, bytes]) -> list[MeasuredLayer]:
    """Return the layers of what the benchmark wrote, from the texts of files by their names.

    Raises
    ------
    ValueError
        If a file is none of these, no stages were measured, or the cards differ.
    """
    found: list[MeasuredLayer] = []
    cards: dict[str, Card] = {}
    for name, text in files.items():
        try:
            file = json.loads(text)
            card = cards[name] = _card(file["card"])
            found += [_layer(entry, file["dtype"], card) for entry in file["layers"]]
        except KeyError as error:
            raise ValueError(f"{name}: {error} is missing, must be as the benchmark of a GPU wrote it") from None
        except (AttributeError, TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"{name}: not as the benchmark of a GPU wrote it: {error}") from None
    if len(set(cards.values())) > 1:
        raise ValueError(f"files are of {' and '.join(sorted({card.name for card in cards.values()}))}, must be of one")
    if not any(layer.stages for layer in found):
        raise ValueError(f"{', '.join(files)}: no stage of any layer was timed")
    return found


def _card(given: Mapping[str, Any]) -> Card:
    for field in fields(Card)[2:]:
        _number(given[field.name], field.name)
    return Card(**{**given, "name": str(given["name"]), "capability": _sizes(given["capability"], "capability", 2)})


def _layer(entry: Mapping[str, Any], dtype: str, card: Card) -> MeasuredLayer:
    padding = tuple(_sizes(pair, "padding", 2) for pair in entry["padding"])
    sizes = (_sizes(entry[name], name, len(padding) + 2) for name in ("input", "weight"))
    shape = ConvArguments(padding=tuple(low for low, _ in padding)).shape(*sizes, dtype=dtype, card=card)
    shape = replace(shape, padding=padding)
    form, instructions = None, Instructions(0, 0)
    if entry["form"] is not None:
        form, instructions = _form(entry["form"], shape)
    stages = {name: _number(ms, name) for name, ms in dict(entry["measured_stages"]).items()}
    rest = {name: _number_or_none(entry[name], name) for name in ("host_ms", "ours_ms", "float32_ms", "tf32_ms")}
    layer = MeasuredLayer(str(entry["layer"]), shape, form, instructions, stages, **rest)
    known = () if form is None else layer.predicted(ATTAINED)
    if not stages.keys() <= set(known):
        raise ValueError(f"stages of {layer.name} are {', '.join(stages)}, must be among {', '.join(known) or 'none'}")
    return layer


def _form(given: Mapping[str, Any], shape: ConvShape) -> tuple[Form, Instructions]:
    schedule = GpuSchedule(given["kind"], given["products"])  # which refuses other words
    m, r, ranks = (_sizes(given[name], name, len(shape.taps)) for name in ("m", "r", "ranks"))
    form = Form(m, r, ranks, schedule.products, schedule.kind, int(_number(given["batch_bytes"], "batch_bytes")))
    if form.r != shape.taps or (form.kind == FUSED and form.positions > MOST_POSITIONS):
        raise ValueError(f"form has {form.positions} positions and taps {form.r}, layer has taps {shape.taps}")
    counts = (int(_number(given["instructions"][name], name)) for name in ("data", "inverse"))
    return form, Instructions(*counts)


def _sizes(given: Any, name: str, count: int) -> tuple[Any, ...]:
    if not isinstance(given, list) or [type(one) is int and 0 <= one < 2**31 for one in given] != [True] * count:
        raise ValueError(f"{name} is {given!r:.40}, must be {count} integers from 0 to 2^31 - 1")
    return tuple(given)


def _number_or_none(given: Any, name: str) -> float | None:
    return None if given is None else _number(given, name)


def _number(given: Any, name: str) -> float:
    if not isinstance(given, int | float) or not 0 < given < 2**62:
        raise ValueError(f"{name} is {given!r:.40}, must be a number above 0")
    return given
