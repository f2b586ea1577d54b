from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import winograd
from winograd.conv.tensors.layout import as_channels_last
from winograd.networks import C3D, VideoNetwork, create, initialise_he, list_networks
from winograd.networks.clip import read_clips
from winograd.networks.registry import UnknownNetworkError, network_options
from winograd.nn.compare import compare_outputs, relative_l2
from winograd.nn.depth import record_inputs

CLIP = Path(winograd.__file__).parents[1] / "examples" / "clips" / "bigbuckbunny.mp4"
MAX_LAYER_ERROR = 3e-6

LAYERS = ["conv1", "conv2", "conv3a", "conv3b", "conv4a", "conv4b", "conv5a", "conv5b", "fc6", "fc7", "fc8"]


def outline(**options: object) -> VideoNetwork:
    with torch.device("meta"):
        return create("c3d", **options)


@pytest.mark.parametrize(("classes", "count"), [(101, 78_409_573), (400, 79_634_576), (487, 79_991_015)])
def test_parameters_are_as_counted_from_the_paper(classes: int, count: int) -> None:
    assert sum(parameter.numel() for parameter in outline(num_classes=classes).parameters()) == count


def test_convolution_weights_and_macs_are_as_counted_from_the_paper() -> None:
    model = outline(num_classes=487).eval()
    assert sum(layer.weight.numel() for layer in model.modules() if isinstance(layer, nn.Conv3d)) == 27_653_184
    with FlopCounterMode(display=False) as counter:
        model(torch.empty(1, *C3D.input_shape, device="meta"))
    assert round(counter.get_total_flops() / 2e9, 3) == 38.549


def test_names_are_those_of_the_public_checkpoint() -> None:
    expected = [f"{layer}.{part}" for layer in LAYERS for part in ("weight", "bias")]
    assert list(outline().state_dict()) == expected


def test_sizes_at_the_convolutions_are_those_of_the_paper() -> None:
    model = outline().eval()
    sizes: dict[str, tuple[int, ...]] = {}
    for name in LAYERS[:8]:
        model.get_submodule(name).register_forward_hook(
            lambda _layer, _inputs, output, name=name: sizes.update({name: tuple(output.shape[1:])})
        )
    assert model(torch.empty(2, *C3D.input_shape, device="meta")).shape == (2, 400)
    assert sizes == {
        "conv1": (64, 16, 112, 112),
        "conv2": (128, 16, 56, 56),
        "conv3a": (256, 8, 28, 28),
        "conv3b": (256, 8, 28, 28),
        "conv4a": (512, 4, 14, 14),
        "conv4b": (512, 4, 14, 14),
        "conv5a": (512, 2, 7, 7),
        "conv5b": (512, 2, 7, 7),
    }


def test_every_convolution_comes_from_the_builder() -> None:
    built = []

    def conv(*args: int, **kwargs: int) -> nn.Conv3d:
        built.append(nn.Conv3d(*args, **kwargs))
        return built[-1]

    model = outline(conv=conv)
    assert [layer for layer in model.modules() if isinstance(layer, nn.Conv3d)] == built
    assert len(built) == 8


def test_dropout_acts_in_training_only() -> None:
    model = outline(dropout=0.25)
    assert model.get_submodule("dropout").p == 0.25
    assert [name for name, layer in model.named_modules() if isinstance(layer, nn.Dropout)] == ["dropout"]


def test_stack_and_classifier_name_layers() -> None:
    model = outline(num_classes=7)
    assert all(isinstance(model.get_submodule(name), nn.Conv3d) for name in model.stack)
    assert model.get_parameter(f"{model.classifier}.weight").shape[0] == 7


def test_networks_are_listed_by_pattern() -> None:
    assert "c3d" in list_networks()
    assert list_networks("c3?") == ["c3d"]
    assert list_networks("nothing*") == []
    assert list_networks() == sorted(list_networks())


@pytest.mark.parametrize(
    ("name", "known"),
    [("c3", "c3d"), ("", "c3d"), ("resnet", "resnet3d_50"), ("r21d_18", "r2plus1d_18"), ("?", "r3d_18")],
)
def test_an_unknown_name_is_refused_in_one_line_that_names_known_ones(name: str, known: str) -> None:
    with pytest.raises(UnknownNetworkError, match=rf"(nearest|known): .*{known}") as caught:
        create(name)
    assert "\n" not in str(caught.value)
    with pytest.raises(UnknownNetworkError, match=rf"(nearest|known): .*{known}"):
        network_options(name)


@pytest.mark.parametrize(("classes", "error"), [(0, ValueError), (-3, ValueError), (2.0, TypeError), (True, TypeError)])
def test_a_wrong_number_of_classes_is_refused(classes: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="num_classes is"):
        create("c3d", num_classes=classes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def model() -> VideoNetwork:
    return initialise_he(create("c3d"), seed=0).eval()


@pytest.fixture(scope="module")
def converted(model: VideoNetwork) -> VideoNetwork:
    shared = copy.deepcopy(model, {id(parameter): parameter for parameter in model.parameters()})
    winograd.convert_(shared)
    return winograd.freeze(shared)


@pytest.fixture(scope="module")
def clips() -> list[Tensor]:
    pytest.importorskip("av", reason="PyAV is not installed")
    return [as_channels_last(clip[None]) for clip in read_clips(CLIP)]


def layer_error(direct: nn.Module, converted: nn.Module, input: Tensor) -> float:
    return relative_l2(converted(input), copy.deepcopy(direct).double()(input.double()))


@torch.inference_mode()
def test_every_layer_on_a_real_clip_is_close_to_float64(
    model: VideoNetwork, converted: VideoNetwork, clips: list[Tensor]
) -> None:
    inputs = record_inputs(model, LAYERS[:8], clips[0])
    errors = {
        name: layer_error(model.get_submodule(name), converted.get_submodule(name), input)
        for name, input in inputs.items()
    }
    assert list(errors) == LAYERS[:8]
    assert {name: error for name, error in errors.items() if not error <= MAX_LAYER_ERROR} == {}
    chosen = {name: converted.get_submodule(name).plans[-1].backend.value for name in LAYERS[1:6]}
    assert set(chosen.values()) == {"native"}, chosen


@torch.inference_mode()
def test_a_tap_that_is_off_by_a_per_cent_is_above_the_limit(
    model: VideoNetwork, converted: VideoNetwork, clips: list[Tensor]
) -> None:
    wrong = copy.deepcopy(model.get_submodule("conv4a"))
    wrong.weight[:, :, 0, 0, 0] *= 1.01
    (input,) = record_inputs(model, ["conv4a"], clips[0]).values()
    assert layer_error(wrong, converted.get_submodule("conv4a"), input) > 10 * MAX_LAYER_ERROR


@torch.inference_mode()
def test_outputs_depend_on_the_clip_and_agree_with_float64(
    model: VideoNetwork, converted: VideoNetwork, clips: list[Tensor]
) -> None:
    wide = copy.deepcopy(model).double()
    exact = [wide(clip.double())[0] for clip in clips]
    assert relative_l2(exact[1], exact[0]) > 0.1
    for clip, row in zip(clips, exact, strict=True):
        output = compare_outputs(row, model(clip)[0], converted(clip)[0])
        assert output.agreement == "order"
        assert output.margin is not None
        assert output.margin > 1  # the sixth output is further away than anything has moved
