from __future__ import annotations

import subprocess
import sys

import pytest

from winograd.benching.layers import Part, part_of
from winograd.benching.random_layers import RANDOM_LAYERS, random_layers

LAYERS = random_layers()


def test_as_many_as_asked_for_each_once_and_none_heavy() -> None:
    assert len(LAYERS) == len({layer.shape for layer in LAYERS}) == len({layer.name for layer in LAYERS}) == 300
    assert RANDOM_LAYERS == 300
    assert all(2e5 <= layer.macs <= 4.5e9 for layer in LAYERS)
    assert sum(layer.macs for layer in LAYERS) < 100e9


def test_all_kinds_come() -> None:
    shapes = [layer.shape for layer in LAYERS]
    assert {part_of(shape) for shape in shapes} == set(Part)
    assert {shape.ndim for shape in shapes} == {1, 2, 3}
    assert {taps for shape in shapes for taps in shape.taps} == set(range(1, 8))
    assert {2, 3} <= {step for shape in shapes for step in shape.stride}
    assert max(step for shape in shapes for step in shape.dilation) > 1
    assert any(1 < shape.groups < shape.channels for shape in shapes)
    assert any(shape.groups == shape.channels > 1 for shape in shapes)
    assert any(low != high for shape in shapes for low, high in shape.padding)
    assert any(shape.batch > 1 for shape in shapes)
    assert {layer.has_bias for layer in LAYERS} == {False, True}


def test_there_are_not_too_many_kernels_to_compile() -> None:
    assert len({layer.shape.taps for layer in LAYERS}) < 50


def test_a_seed_tells_them_apart_and_a_batch_multiplies() -> None:
    assert random_layers(5) == LAYERS[:5]
    assert random_layers(5, seed=1) != LAYERS[:5]
    twice = random_layers(5, batch=2)
    assert [layer.shape.batch for layer in twice] == [2 * layer.shape.batch for layer in LAYERS[:5]]


@pytest.mark.parametrize("hash_seed", ["0", "1"])
def test_they_are_the_same_in_every_process(hash_seed: str) -> None:
    code = "from winograd.benching.random_layers import random_layers; print(random_layers(20))"
    environment = {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == repr(LAYERS[:20])
