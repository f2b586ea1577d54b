"""winograd.nn.ConvTranspose1d, 2d and 3d: torch's modules, by plan; converted, frozen, reverted, reported."""

from __future__ import annotations

import copy
import pickle
import warnings

import pytest
import torch
from torch import Tensor, nn

import winograd
from winograd.algebra.nesting import NestedAlgorithm, nest
from winograd.algebra.toom_cook import toom_cook
from winograd.conv.plan.record import Backend
from winograd.nn.compare import compare_layer, relative_l2

CLASSES = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


def algorithm(ndim: int, taps: int) -> NestedAlgorithm:
    return nest(*[toom_cook(2, taps)] * ndim)


def pair(ndim: int = 3, stride: int = 2, **options: object) -> tuple[nn.Module, winograd.nn.ConvTranspose3d]:
    """Return torch's layer of four taps and a planned one with the same parameters, by F(2, taps of a phase)."""
    torch.manual_seed(0)
    arguments = (8, 16, 4, stride, 1)
    plain = CLASSES[ndim](*arguments, **options)
    forced = algorithm(ndim, 4 // stride)
    planned = getattr(winograd.nn, f"ConvTranspose{ndim}d")(*arguments, algorithm=forced, **options)
    planned.load_state_dict(plain.state_dict(), strict=True)
    return plain, planned


def image(ndim: int = 3, *, batch: int | None = 2, size: int = 9) -> Tensor:
    lead = () if batch is None else (batch,)
    return torch.randn(*lead, 8, *range(size, size + ndim), generator=torch.Generator().manual_seed(1))


def assert_close(planned: nn.Module, plain: nn.Module, x: Tensor, **options: object) -> None:
    """Compare with float64; F(2,4) on three axes is predicted below 5e-7, and a factor of four is allowed."""
    exact = copy.deepcopy(plain).double()(x.double(), **options)
    output = planned(x, **options)
    assert output.shape == exact.shape
    assert relative_l2(output, exact) < 2e-6


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("batch", [2, None])
def test_a_forced_algorithm_computes_the_transposed_convolution(ndim: int, stride: int, batch: int | None) -> None:
    plain, planned = pair(ndim, stride)
    with torch.inference_mode():
        assert_close(planned, plain, image(ndim, batch=batch))
    assert [plan.backend for plan in planned.plans] == [Backend.NATIVE]


def test_a_wrong_weight_is_noticed_by_the_comparison() -> None:
    plain, planned = pair()
    with torch.no_grad():
        planned.weight[0, 0, 0, 0, 0] += 1e-2
        with pytest.raises(AssertionError):
            assert_close(planned, plain, image())


def test_the_output_size_may_be_asked_for() -> None:
    plain, planned = pair(2)
    with torch.inference_mode():
        for size in ([18, 20], [19, 21], [2, 16, 18, 21]):
            assert_close(planned, plain, image(2), output_size=size)
        for layer in (plain, planned):
            with pytest.raises(ValueError, match="requested an output size of"):
                layer(image(2), output_size=[30, 30])
    assert len(planned.plans) == 3


def test_padding_modes_are_refused_as_in_torch() -> None:
    for room in (nn, winograd.nn):
        with pytest.raises(ValueError, match='Only "zeros" padding mode is supported for ConvTranspose3d'):
            room.ConvTranspose3d(8, 8, 3, padding_mode="reflect")


def test_what_torch_refuses_is_refused_in_its_words() -> None:
    plain, planned = pair()
    for x in (image()[:, :7], image(2), image().double()):
        messages = []
        for layer in (plain, planned):
            with pytest.raises(RuntimeError) as caught:
                layer(x)
            messages.append(str(caught.value))
        assert messages[0] == messages[1]


def test_gradients_are_torchs_own_and_a_forced_algorithm_is_differentiable() -> None:
    plain, forced = pair(1)
    planned = winograd.nn.ConvTranspose1d(8, 16, 4, 2, 1)
    planned.load_state_dict(plain.state_dict())
    x = image(1, batch=1, size=3).requires_grad_()
    gradients = [torch.autograd.grad(layer(x).square().sum(), [x, *layer.parameters()]) for layer in (plain, planned)]
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))
    assert planned.plans[-1].reason.startswith("a gradient is required")
    forced.double()
    assert torch.autograd.gradcheck(forced, (image(1, batch=1, size=3).double().requires_grad_(),))
    assert forced.plans[-1].backend is Backend.COMPOSED


def test_a_frozen_weight_is_transformed_once_and_follows_writes() -> None:
    plain, planned = pair()
    winograd.freeze(planned)
    with torch.no_grad():
        for size in (9, 10, 9):
            assert_close(planned, plain, image(size=size))
        kept = {id(use.packed) for use in planned._winograd._uses}
        assert len(kept) == 1
        assert planned._winograd.packed_bytes >= 4 * 27 * 8 * 16 * 8
        for layer in (plain, planned):
            layer.weight.mul_(-3)
        assert_close(planned, plain, image())
        winograd.thaw(planned)
        assert planned._winograd.packed_bytes == 0


def test_a_transformed_weight_is_not_shared_between_unlike_strides() -> None:
    layer = winograd.nn.ConvTranspose1d(8, 8, 5, stride=3, algorithm=algorithm(1, 2))
    winograd.freeze(layer)
    x = torch.randn(2, 8, 61, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        for stride in (3, 4):
            layer.stride = (stride,)
            exact = torch.conv_transpose1d(x.double(), layer.weight.double(), layer.bias.double(), stride)
            assert relative_l2(layer(x), exact) < 2e-6


def test_models_are_converted_reverted_and_reported() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.ConvTranspose3d(48, 48, 3, 1, 1), nn.ReLU(), nn.ConvTranspose3d(48, 24, 4, 2, 1)).eval()
    x = torch.randn(1, 48, 8, 28, 28, generator=torch.Generator().manual_seed(1))
    keys = list(model.state_dict())
    with torch.inference_mode():
        before = model(x)
        report = winograd.convert_(model)
        assert (report.converted, report.skipped) == (2, 0)
        winograd.freeze(model)
        assert relative_l2(model(x), before) < 2e-5
        assert list(model.state_dict()) == keys
        rows = report.rows
        assert [row.kind for row in rows] == ["ConvTranspose3d"] * 2
        assert rows[0].algorithm.startswith("native F(")
        assert rows[0].reason.endswith("; transposed")
        assert "transposed with stride (2, 2, 2) by 8 phases" in rows[1].reason
        compared = compare_layer("0", nn.ConvTranspose3d(48, 48, 3, 1, 1), model[0], x, 1)
        assert compared.times.direct_variant in {"contiguous", "channels_last"}
        winograd.revert_(model)
        assert [type(layer) for layer in model] == [nn.ConvTranspose3d, nn.ReLU, nn.ConvTranspose3d]
        assert torch.equal(model(x), before)


class Upsampling(nn.ConvTranspose2d):
    """Another constructor, the same transposed convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 2, 2)
        self.note = "mine"


def test_subclasses_are_converted_copied_and_pickled() -> None:
    model = nn.Sequential(Upsampling(8))
    winograd.convert_(model, tolerance=1e-6)
    for layer in (model[0], copy.deepcopy(model)[0], pickle.loads(pickle.dumps(model))[0]):
        assert isinstance(layer, Upsampling)
        assert isinstance(layer, winograd.nn.transposed.PlannedTransposed)
        assert (layer.tolerance, layer.note) == (1e-6, "mine")
        torch.testing.assert_close(layer(image(2)), model[0](image(2)))
    assert type(winograd.revert_(model)[0]) is Upsampling


def test_traces_and_compilers_see_torchs_own() -> None:
    plain, planned = pair(2)
    winograd.freeze(planned)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        expected = plain(image(2))
        for recorded in (
            torch.jit.trace(planned, image(2)),
            torch.compile(planned, backend="eager", fullgraph=True),
        ):
            assert torch.equal(recorded(image(2)), expected)  # Winograd would differ in the last bits


def test_torchs_memory_format_is_kept() -> None:
    plain, planned = pair()
    with torch.inference_mode():
        for x in (image(), image().contiguous(memory_format=torch.channels_last_3d)):
            assert planned(x).stride() == plain(x).stride()
