"""The memory that convolutions add to a process, in bytes: a program for a fresh one; it prints JSON.

Arguments, as JSON: sizes (channels, outputs, depth, height, width), outputs of a tile per axis, "first" or "last" for
the channels of the input, and a schedule (kind, block), or null for a run of the plan as users get it; then, perhaps,
stride, dilation, groups and images of the batch.
"""

from __future__ import annotations

import json
import sys
from math import prod
from pathlib import Path

import torch

from winograd import nest, toom_cook
from winograd.algebra.nesting import NestedAlgorithm
from winograd.algebra.tiling import tile_axes
from winograd.conv.arguments import ConvArguments
from winograd.conv.choosing.selection import Filters
from winograd.conv.geometry.phases import phases_of
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.native.copying import copies_library
from winograd.conv.native.kernel import native_convolution
from winograd.conv.native.schedule import Schedule, ScheduleKind
from winograd.conv.planning.make import make_plan
from winograd.conv.running.packing import pack_for_plan
from winograd.conv.running.run import run_plan
from winograd.conv.scratch import release_workspace


def resident(name: str) -> int:
    """Return VmRSS, what is resident now, or VmHWM, the most that was since the last reset."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name))


class Peak:
    """The most memory since this was made, beyond what there was."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the most from now on
        self._before = resident("VmRSS")

    @property
    def bytes(self) -> int:
        """Bytes of it."""
        return resident("VmHWM") - self._before


def filled(channels: int, sizes: tuple[int, ...], place: str, batch: int = 1) -> torch.Tensor:
    """Return an input written in place, so that making it takes no more than it does."""
    if place == "last":
        return torch.empty(batch, *sizes, channels).normal_().movedim(-1, 1)
    return torch.empty(batch, channels, *sizes).normal_()


def warm(algorithm: NestedAlgorithm, arguments: ConvArguments, groups: int) -> None:
    """Start the threads, load and make what a process does once: by a small convolution of the same kind."""
    convolution = native_convolution(algorithm)
    convolution.convolve(torch.zeros(1, 16, 9, 9, 9), convolution.pack(torch.zeros(16, 16, *algorithm.r)))
    copies_library()
    small = arguments.shape((1, 16 * groups, 9, 9, 9), (16 * groups, 16, 3, 3, 3), dtype="float32")
    by_plan(algorithm, small, "first")
    release_workspace()


def by_schedule(algorithm: NestedAlgorithm, shape: ConvShape, place: str, schedule: Schedule) -> dict[str, int]:
    """Run one convolution by a schedule; return what it took and what the kernel states."""
    convolution = native_convolution(algorithm)
    weight, input = torch.zeros(shape.weight_sizes), filled(shape.channels, shape.sizes, place)
    packing = Peak()
    packed = convolution.pack(weight)
    packed_bytes, convolving = packing.bytes, Peak()
    output = convolution.convolve(input, packed, padding=shape.padding, schedule=schedule)
    tiling = tile_axes(shape.sizes, algorithm.m, algorithm.r, shape.padding)
    return {
        "packing": packed_bytes,
        "filter": convolution.filter_bytes(shape.channels, shape.outputs),
        "convolving": convolving.bytes,
        "workspace": convolution.workspace_bytes(tiling, shape.batch, shape.channels, shape.outputs, schedule),
        "output": output.nbytes,
    }


def by_plan(algorithm: NestedAlgorithm, shape: ConvShape, place: str) -> dict[str, int]:
    """Run the plan of a forced algorithm; return what it took and what the plan states.

    Where it goes by phases, torch slices the weight first: a copy, with zeros in it.
    """
    plan = make_plan(shape, algorithm=algorithm, filters=Filters.FROZEN)
    weight, input = torch.zeros(shape.weight_sizes), filled(shape.channels, shape.sizes, place, shape.batch)
    packing = Peak()
    packed = pack_for_plan(plan, weight)
    packed_bytes, convolving = packing.bytes, Peak()
    output = run_plan(plan, input, weight, packed=packed)
    return {
        "packing": packed_bytes,
        "filter": plan.filter_bytes,
        "sliced": 0 if plan.phases is None else shape.groups * prod(plan.phases.core.weight_sizes) * weight.itemsize,
        "convolving": convolving.bytes,
        "workspace": plan.workspace_bytes,
        "output": output.nbytes,
    }


def main() -> None:
    """Run what the argument says."""
    (channels, outputs, *sizes), outputs_of_tile, place, schedule, *rest = json.loads(sys.argv[1])
    torch.set_num_threads(2)
    stride, dilation, groups, batch = rest or (1, 1, 1, 1)
    arguments = ConvArguments(stride=stride, padding=1, dilation=dilation, groups=groups)
    shape = arguments.shape((batch, channels, *sizes), (outputs, channels // groups, 3, 3, 3), dtype="float32")
    phases = phases_of(shape)
    core = shape if phases is None else phases.core
    algorithm = nest(*map(toom_cook, outputs_of_tile, core.taps))
    warm(algorithm, arguments, groups)
    if schedule is None:
        found = by_plan(algorithm, shape, place)
    else:
        kind, block = schedule
        found = by_schedule(algorithm, shape, place, Schedule(ScheduleKind(kind), block))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
