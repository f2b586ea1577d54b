"""Moving shapes: clips are functions of seed and number, their class is the motion, and no frame gives it away."""

from __future__ import annotations

import cmath
import doctest
import math
import random
import runpy
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

SCRIPT = Path(__file__).parent.parent / "examples" / "training" / "moving_shapes.py"

FLOAT32 = 1e-4
"""Positions of up to 100 pixels in float32 are off by 4e-6, coverage likewise, and colours differ by less than 2."""


@pytest.fixture(scope="module")
def shapes() -> Any:
    name = "moving_shapes_under_test"  # a dataclass looks for its module
    module = type(sys)(name)
    sys.modules[name] = module
    vars(module).update(runpy.run_path(str(SCRIPT), run_name=name))
    yield module
    del sys.modules[name]


def scene(shapes: Any, label: int, seed: int = 0, size: int = 24) -> Any:
    return shapes.Scene.draw(label, size, torch.Generator().manual_seed(seed))


def test_examples_run(shapes: Any) -> None:
    finder = doctest.DocTestFinder().find(shapes.MovingShapes, globs=vars(shapes))
    assert sum(doctest.DocTestRunner().run(test).failed for test in finder) == 0
    assert any(test.examples for test in finder)


def test_clips_are_the_same_in_any_order(shapes: Any) -> None:
    first, second = (shapes.MovingShapes(40, seed=3) for _ in range(2))
    numbers = list(range(40))
    kept = {number: first[number] for number in numbers}
    random.Random(0).shuffle(numbers)
    for number in numbers:
        clip, label = second[number]
        assert torch.equal(clip, kept[number][0])
        assert label == kept[number][1] == number % 8
        assert clip.shape == (3, 8, 24, 24)
        assert clip.dtype == torch.float32


def test_other_seeds_give_other_clips(shapes: Any) -> None:
    clips = [shapes.MovingShapes(16, seed=seed)[number][0] for seed in range(2) for number in range(16)]
    assert not any(torch.equal(one, other) for at, one in enumerate(clips) for other in clips[:at])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"count": 0}, "count is 0, must be from 1 to 999999"),
        ({"count": 10**6}, "count is 1000000, must be from 1 to 999999"),
        ({"seed": -1}, "seed is -1, must not be negative"),
        ({"frames": 1}, "frames is 1, must be at least 2"),
        ({"size": 13}, "size is 13, must be at least 14, or shapes meet themselves"),
    ],
)
def test_sets_that_cannot_be_are_refused(shapes: Any, given: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        shapes.MovingShapes(**{"count": 8, "seed": 0, **given})


def test_clips_end_where_the_set_ends(shapes: Any) -> None:
    clips = shapes.MovingShapes(8, seed=0)
    assert len(list(clips)) == len(clips) == 8
    with pytest.raises(IndexError, match="clip -1 of 8"):
        clips[-1]


@pytest.mark.parametrize("label", range(8))
def test_a_clip_played_backwards_is_one_of_the_opposite_motion(shapes: Any, label: int) -> None:
    seen, opposite = scene(shapes, label), scene(shapes, (label + 4) % 8)
    turned = replace(seen, velocity=tuple(-each for each in seen.velocity))
    assert opposite.velocity == pytest.approx(turned.velocity, abs=1e-12)
    assert torch.equal(seen.clip(8, 24).flip(1), turned.clip(8, 24))
    assert not torch.equal(seen.clip(8, 24).flip(1), seen.clip(8, 24))


@pytest.mark.parametrize("label", range(8))
def test_each_frame_is_that_of_a_clip_at_rest_so_that_none_tells_the_motion(shapes: Any, label: int) -> None:
    # Places are equally likely all over a picture without edges, and so are places moved by a fixed step.
    seen = scene(shapes, label, seed=label)
    for frame, picture in enumerate(seen.clip(8, 24).unbind(1)):
        time = frame - 3.5
        centre = tuple(at + pace * time for at, pace in zip(seen.centre, seen.velocity, strict=True))
        rest = replace(seen, centre=centre, velocity=(0.0, 0.0)).clip(8, 24)[:, 0]
        assert (rest - picture).abs().max() <= FLOAT32


def moved(clip: torch.Tensor, axis: int) -> float:
    """Return by how many pixels the first channel's brightness moves along an axis of the frames, frame by frame."""
    size = clip.shape[-1]
    bright = (clip[0] - clip[0].amin()).sum(2 - axis)
    turns = torch.exp(2j * math.pi * torch.arange(size) / size)
    phases = [cmath.phase(complex(value)) for value in (bright * turns).sum(1)]
    steps = [(later - sooner + math.pi) % math.tau - math.pi for sooner, later in pairwise(phases)]
    return sum(steps) / len(steps) * size / math.tau


def told(shapes: Any, clip: torch.Tensor) -> int:
    angle = math.atan2(moved(clip, 0), moved(clip, 1))
    return round(angle / math.tau * 8) % 8


@pytest.mark.parametrize("label", range(8))
def test_the_class_is_the_way_of_the_shape(shapes: Any, label: int) -> None:
    # Shapes are the same from left and right and from above and below, so that the brightness moves as they do.
    # Another class is 15 degrees off at least, 0.39 of a pixel at the slowest pace: less than half of that is allowed.
    for seed in range(12):
        seen = scene(shapes, label, seed)
        clip = seen.clip(8, 24)
        for axis in range(2):
            assert moved(clip, axis) == pytest.approx(seen.velocity[axis], abs=0.15)
        assert told(shapes, clip) == label
        assert told(shapes, clip.flip(1)) == (label + 4) % 8


def test_shapes_have_about_the_same_area_and_stand_out(shapes: Any) -> None:
    for label in range(64):
        seen = scene(shapes, label % 8, seed=label)
        assert (seen.colour - seen.background).min() >= 1 - 1e-6
        clip = seen.clip(8, 24)
        covered = ((clip[0] - seen.background[0]) / (seen.colour[0] - seen.background[0])).sum((1, 2))
        assert covered.min() > 0.5 * math.pi * seen.radius**2
        assert covered.max() < 1.2 * math.pi * seen.radius**2
