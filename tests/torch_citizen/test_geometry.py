"""Strides, dilations, groups, taps and padding of every kind: torch's values and gradients; plans that say how."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import winograd
from tests.torch_citizen.pairs import (
    NDIMS,
    OUR_MODULES,
    OURS,
    TORCHS,
    VARIANTS,
    algorithm,
    allowed,
    assert_same,
    core_taps,
    distance,
    f2,
    module_pair,
    normal,
)
from winograd.conv.plan.record import Backend

every_ndim = pytest.mark.parametrize("ndim", NDIMS)


@pytest.fixture(autouse=True)
def _no_warning_of_torch_on_even_taps() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Using padding='same'")
        yield


GEOMETRIES: dict[str, dict[str, Any]] = {
    "plain": {"taps": 3},
    "stride 2": {"taps": 3, "stride": 2, "padding": 1},
    "stride 3": {"taps": 3, "stride": 3, "padding": 2},
    "a stride larger than the kernel": {"taps": 2, "stride": 3},
    "dilation 2": {"taps": 3, "dilation": 2, "padding": 2},
    "dilation 3": {"taps": 2, "dilation": 3, "padding": 3},
    "stride 2 and dilation 2": {"taps": 2, "stride": 2, "dilation": 2, "padding": 1},
    "stride 2 and dilation 3": {"taps": 2, "stride": 2, "dilation": 3, "padding": 2},
    "two groups": {"taps": 3, "groups": 2, "padding": 1},
    "depthwise": {"taps": 3, "groups": 4, "padding": 1},
    "groups with a stride": {"taps": 3, "groups": 2, "stride": 2, "padding": 1},
    "one tap": {"taps": 1},
    "one tap with a stride": {"taps": 1, "stride": 2},
    "one tap with padding": {"taps": 1, "padding": 2},
    "two taps": {"taps": 2},
    "four taps": {"taps": 4, "padding": 2},
    "five taps": {"taps": 5, "padding": 2},
    "seven taps, stride 2": {"taps": 7, "stride": 2, "padding": 3},
    "'same'": {"taps": 3, "padding": "same"},
    "'same', even": {"taps": 4, "padding": "same"},
    "'same', dilated": {"taps": 3, "padding": "same", "dilation": 2},
    "'same', even and dilated": {"taps": 2, "padding": "same", "dilation": 3},
    "'valid'": {"taps": 3, "padding": "valid"},
    "padding of the kernel": {"taps": 3, "padding": 3},
    "padding larger than the kernel": {"taps": 3, "padding": 5},
    "padding larger than the input": {"taps": 3, "padding": 9},
    "a kernel as large as the padded input": {"taps": 5, "padding": 0},
}


def tensors_of(ndim: int, taps: int, groups: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    input, weight = normal(2, 4, *(7, 6, 5)[:ndim]), normal(8, 4 // groups, *(taps,) * ndim, seed=1)
    return input, weight, normal(8, seed=2)


def forced(variant: str, ndim: int, taps: int, options: dict[str, Any]) -> Any:
    return algorithm(variant, core_taps((taps,) * ndim, options.get("stride", 1), options.get("dilation", 1)))


FORCED_IN_3D = {"plain", "stride 2", "dilation 2", "two groups", "two taps", "'same'", "padding larger than the kernel"}
"""Composed from torch operations, three axes take long; one and two have all geometries."""

LARGE = {"four taps", "five taps", "seven taps, stride 2"}
"""Kernels that take long to compile for three axes."""

WAYS = [
    (case, ndim, variant)
    for case, ndim, variant in product(GEOMETRIES, NDIMS, VARIANTS)
    if ndim < 3 or (case not in LARGE if variant == "planned" else case in FORCED_IN_3D)
]


@pytest.mark.parametrize(("case", "ndim", "variant"), WAYS)
def test_values_and_gradients_are_torchs(case: str, ndim: int, variant: str) -> None:
    options = dict(GEOMETRIES[case])
    taps = options.pop("taps")
    tensors = tensors_of(ndim, taps, options.get("groups", 1))
    chosen = forced(variant, ndim, taps, options)
    expected = TORCHS[ndim](*tensors, **options)
    assert_same(OURS[ndim](*tensors, **options, algorithm=chosen), expected)
    results = []
    for convolve, more in ((OURS[ndim], {"algorithm": chosen}), (TORCHS[ndim], {})):
        leaves = [tensor.clone().requires_grad_() for tensor in tensors]
        output = convolve(*leaves, **options, **more)
        results.append([output, *torch.autograd.grad(output, leaves, normal(*output.shape, seed=3))])
    for ours, torchs in zip(*results, strict=True):
        assert_same(ours, torchs)


@every_ndim
@pytest.mark.parametrize("case", [name for name, options in GEOMETRIES.items() if "groups" not in options])
def test_modules_have_torchs_values_and_say_which_way_they_took(case: str, ndim: int) -> None:
    options = dict(GEOMETRIES[case])
    taps = options.pop("taps")
    ours, torchs = module_pair(ndim, 4, 8, taps, dtype=torch.float64, **options)
    input = tensors_of(ndim, taps)[0]
    with torch.no_grad():
        assert_same(ours(input), torchs(input))
    assert ours.plans[-1].backend in Backend
    assert ours.plans[-1].reason
    assert ours.plans[-1].reason in repr(ours) or "plan=" in repr(ours)


def test_a_wide_layer_says_that_winograd_runs_it() -> None:
    with torch.no_grad():
        layer = winograd.nn.Conv3d(64, 64, 3, padding=1)
        layer(torch.zeros(1, 64, 8, 20, 20))
    assert layer.plans[-1].backend is Backend.NATIVE
    assert "native F(" in repr(layer)


MIXED: list[dict[str, Any]] = [
    {"taps": (1, 3, 3), "padding": (0, 1, 1)},
    {"taps": (3, 1, 1), "padding": (1, 0, 0)},
    {"taps": (2, 3, 4), "padding": "same"},
    {"taps": (3, 3, 3), "stride": (1, 2, 2), "padding": 1},
    {"taps": (1, 3, 3), "stride": (1, 2, 2), "padding": (0, 1, 1)},
    {"taps": (3, 3, 3), "dilation": (2, 1, 1), "padding": (2, 0, 1)},
    {"taps": (3, 5, 2), "stride": (2, 1, 1), "dilation": (1, 1, 3), "padding": (1, 2, 3)},
    {"taps": (3, 3, 3), "padding": (0, 9, 1)},
    {"taps": (9, 9, 9), "padding": 4},
]


@pytest.mark.parametrize("options", MIXED, ids=str)
def test_axes_may_differ(options: dict[str, Any]) -> None:
    options = dict(options)
    taps = options.pop("taps")
    ours, torchs = module_pair(3, 4, 8, taps, dtype=torch.float64, **options)
    input = normal(2, 4, 7, 8, 9)
    outputs = [layer(input) for layer in (ours, torchs)]
    assert_same(*outputs)
    for mine, theirs in zip(
        torch.autograd.grad(outputs[0].square().sum(), list(ours.parameters())),
        torch.autograd.grad(outputs[1].square().sum(), list(torchs.parameters())),
        strict=True,
    ):
        assert_same(mine, theirs)
    with torch.no_grad():
        assert_same(ours(input), torchs(input))


MODES = ("zeros", "reflect", "replicate", "circular")


@pytest.mark.parametrize(("ndim", "variant"), [*product((1, 2), VARIANTS), (3, "planned")])
@pytest.mark.parametrize("padding", [1, 2, "same", "valid"])
@pytest.mark.parametrize("mode", MODES)
def test_padding_modes_have_torchs_values_and_gradients(mode: str, padding: Any, ndim: int, variant: str) -> None:
    ours, torchs = module_pair(ndim, 4, 8, 3, padding=padding, padding_mode=mode, variant=variant, dtype=torch.float64)
    inputs = [tensors_of(ndim, 3)[0].requires_grad_() for _ in range(2)]
    outputs = [layer(input) for layer, input in zip((ours, torchs), inputs, strict=True)]
    assert_same(*outputs)
    gradients = [torch.autograd.grad(y.square().sum(), x) for x, y in zip(inputs, outputs, strict=True)]
    assert_same(*(gradient[0] for gradient in gradients))
    with torch.no_grad():
        assert_same(ours(inputs[0]), torchs(inputs[1]))
        assert_same(ours(inputs[0][0]), torchs(inputs[1][0]))


@pytest.mark.parametrize("mode", ["reflect", "circular"])
def test_a_padding_mode_refuses_what_torchs_refuses(mode: str) -> None:
    ours, torchs = (kind(4, 8, 3, padding=7, padding_mode=mode) for kind in (OUR_MODULES[2], nn.Conv2d))
    messages = []
    for layer in (ours, torchs):
        with pytest.raises(RuntimeError) as caught:
            layer(torch.zeros(1, 4, 5, 5))
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


@pytest.mark.parametrize("outputs", list(product(range(1, 6), repeat=2)), ids=str)
@pytest.mark.parametrize("asks", [False, True], ids=["inference", "training"])
def test_outputs_that_no_tile_divides_are_right_to_the_last(outputs: tuple[int, int], asks: bool) -> None:
    sizes = tuple(count + 2 for count in outputs)
    leaves = [normal(2, 8, *sizes).requires_grad_(asks), normal(8, 8, 3, 3, seed=1).requires_grad_(asks)]
    ours, torchs = OURS[2](*leaves, algorithm=f2((3, 3))), torch.conv2d(*leaves)
    assert ours.shape[2:] == outputs
    assert_same(ours, torchs)
    if asks:
        cotangent = normal(*ours.shape, seed=2)
        pairs = zip(*(torch.autograd.grad(output, leaves, cotangent) for output in (ours, torchs)), strict=True)
        assert all(distance(mine, theirs) <= allowed(torch.float64) for mine, theirs in pairs)


@pytest.mark.parametrize("asks", [False, True], ids=["inference", "training"])
def test_nothing_beyond_a_view_is_read(asks: bool) -> None:
    """Whatever surrounds the tensors in memory is NaN; outputs and gradients stay finite."""
    surrounded = []
    for seed, sizes in enumerate([(2, 8, 5, 7, 6), (8, 8, 3, 3, 3)]):
        memory = torch.full([size + 2 for size in sizes], float("nan"))
        inner = memory[tuple(slice(1, -1) for _ in sizes)]
        inner.copy_(normal(*sizes, seed=seed))
        surrounded.append(inner.requires_grad_(asks))
    output = winograd.conv3d(*surrounded, padding=1, algorithm=f2((3, 3, 3)))
    assert output.isfinite().all()
    if asks:
        gradients = torch.autograd.grad(output, surrounded, torch.ones_like(output))
        assert all(gradient.isfinite().all() for gradient in gradients)


def test_a_wrong_tap_is_noticed() -> None:
    input, weight, bias = tensors_of(2, 3)
    torchs = torch.conv2d(input, weight, bias)
    weight[0, 0, 0, 0] += 1e-9
    with pytest.raises(AssertionError):
        assert_same(OURS[2](input, weight, bias, algorithm=f2((3, 3))), torchs)
