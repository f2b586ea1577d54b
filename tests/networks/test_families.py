"""What the definitions of the families say beyond counts, on small inputs with real numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from winograd.networks import VideoNetwork, create, initialise_he
from winograd.networks.builder import Builder
from winograd.networks.convolutions import convolutions
from winograd.networks.inception import SameMaxPool3d, Unit, inception_body, same_zeros
from winograd.networks.lightweight import FullySeparable, TemporalGradient
from winograd.networks.p3d_blocks import WIRINGS, Block


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        yield


def built(name: str, **options: Any) -> VideoNetwork:
    return initialise_he(create(name, num_classes=5, **options)).eval()


def shapes(name: str) -> dict[str, Any]:
    return {call.name: call.shape for call in convolutions(name)}


def test_frame_by_frame_networks_give_the_mean_over_frames() -> None:
    model, clip = built("fr2d_18"), torch.randn(1, 3, 3, 32, 32)
    frames = torch.cat([model(clip[:, :, index : index + 1]) for index in range(3)])
    torch.testing.assert_close(model(clip)[0], frames.mean(dim=0))


def test_networks_over_time_do_not_give_the_mean_over_frames() -> None:
    model, clip = built("r3d_10"), torch.randn(1, 3, 3, 32, 32)
    frames = torch.cat([model(clip[:, :, index : index + 1]) for index in range(3)])
    assert not torch.allclose(model(clip)[0], frames.mean(dim=0), rtol=1e-2)


@pytest.mark.parametrize(
    ("name", "times"),
    [
        ("mc2_18", (16, 16, 16, 16)), ("mc3_18", (16, 16, 16, 16)), ("mc4_18", (16, 8, 8, 8)),
        ("mc5_18", (16, 8, 4, 4)), ("rmc2_18", (16, 8, 4, 2)), ("rmc3_18", (16, 8, 4, 2)),
        ("rmc4_18", (16, 16, 8, 4)), ("rmc5_18", (16, 16, 16, 8)), ("r3d_18", (16, 8, 4, 2)),
        ("r2d_18", (1, 1, 1, 1)), ("fr2d_18", (16, 16, 16, 16)),
    ],
)  # fmt: skip
def test_only_convolutions_over_time_step_in_time(name: str, times: tuple[int, ...]) -> None:
    found = shapes(name)
    assert tuple(found[f"layer{layer}.1.conv2.0"].output[0] for layer in range(1, 5)) == times
    assert [found[f"layer{layer}.1.conv2.0"].output[1:] for layer in range(1, 5)] == [
        (56, 56),
        (28, 28),
        (14, 14),
        (7, 7),
    ]


def test_depthwise_convolutions_are_recorded_with_their_groups() -> None:
    middle = shapes("ip_csn_50")["layer2.0.conv2.0.2"]
    assert (middle.groups, middle.channels, middle.outputs, middle.stride) == (128, 128, 128, (2, 2, 2))
    assert middle.output == (4, 28, 28)


@pytest.mark.parametrize("taps", [1, 2, 3, 7])
@pytest.mark.parametrize("step", [1, 2])
def test_zeros_are_those_of_the_public_port(taps: int, step: int) -> None:
    for size in range(1, 20):
        total = max(taps - (size % step or step), 0)
        ((low, high),) = same_zeros((size,), (taps,), (step,))
        assert (low, high) == (total // 2, total - total // 2)
        assert (size + low + high - taps) // step + 1 == -(-size // step) or taps < step


@pytest.mark.parametrize(
    ("taps", "stride"), [((1, 3, 3), (1, 2, 2)), ((3, 3, 3), (2, 2, 2)), ((2, 2, 2), (2, 2, 2)), ((3, 3, 3), (1, 1, 1))]
)
@pytest.mark.parametrize("sizes", [(6, 8, 10), (7, 9, 11), (5, 8, 9)])
def test_pooling_is_that_of_an_input_with_zeros_around(
    taps: tuple[int, int, int], stride: tuple[int, int, int], sizes: tuple[int, ...]
) -> None:
    x = torch.randn(2, 3, *sizes).relu()
    padded = with_zeros(x, taps, stride)
    torch.testing.assert_close(SameMaxPool3d(taps, stride)(x), nn.functional.max_pool3d(padded, taps, stride))


@pytest.mark.parametrize(("taps", "stride"), [((7, 7, 7), (2, 2, 2)), ((3, 3, 3), (1, 1, 1)), ((1, 1, 1), (1, 1, 1))])
@pytest.mark.parametrize("sizes", [(6, 8, 10), (7, 9, 11)])
def test_units_convolve_an_input_with_zeros_around(
    taps: tuple[int, int, int], stride: tuple[int, int, int], sizes: tuple[int, ...]
) -> None:
    unit = Unit(Builder(nn.Conv3d), 2, 4, taps, () if stride == (1, 1, 1) else stride).eval()
    x = torch.randn(1, 2, *sizes)
    expected = nn.functional.conv3d(with_zeros(x, taps, stride), unit.conv3d.weight, stride=stride)
    torch.testing.assert_close(unit(x), unit.bn(expected).relu())


def with_zeros(x: Tensor, taps: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    zeros = same_zeros(x.shape[2:], taps, stride)
    return nn.functional.pad(x, [side for pair in reversed(zeros) for side in pair])


def test_the_padding_of_i3d_s_stem_is_seen_as_its_own_and_is_not_the_same_on_both_sides() -> None:
    stem = shapes("i3d_rgb")["Conv3d_1a_7x7.conv3d"]
    assert (stem.sizes, stem.padding, stem.output) == ((64, 224, 224), ((2, 3),) * 3, (32, 112, 112))
    picture = shapes("fused_two_stream")["flow.Conv3d_1a_7x7.conv3d"]
    assert (picture.channels, picture.padding, picture.output) == (20, ((0, 0), (2, 3), (2, 3)), (5, 112, 112))


def test_the_body_for_pictures_takes_each_frame_by_itself() -> None:
    body = initialise_he(nn.Sequential(*inception_body(Builder(nn.Conv3d), 3, single_frames=True).values())).eval()
    clip = torch.randn(1, 3, 2, 32, 32)
    alone = [body(clip[:, :, index : index + 1]) for index in range(2)]
    torch.testing.assert_close(body(clip), torch.cat(alone, dim=2))


class Mean(nn.Module):
    """Stands for a stream."""

    def forward(self, clips: Tensor) -> Tensor:
        return clips.mean(dim=(2, 3, 4)).sum(dim=1, keepdim=True) ** clips.shape[1]


def test_two_streams_see_their_channels_and_add_their_scores() -> None:
    with torch.device("meta"):
        model = create("i3d_two_stream")
    model.rgb, model.flow = Mean(), Mean()
    clip = torch.rand(2, 5, 3, 4, 4)
    colour, flow = clip[:, :3], clip[:, 3:]
    expected = colour.mean(dim=(2, 3, 4)).sum(dim=1) ** 3 + flow.mean(dim=(2, 3, 4)).sum(dim=1) ** 2
    torch.testing.assert_close(model(clip)[:, 0], expected)


@pytest.mark.parametrize(("name", "channels"), [("i3d_flow", 2), ("i3d_two_stream", 5), ("fused_two_stream", 23)])
def test_clips_with_other_channels_are_refused(name: str, channels: int) -> None:
    with torch.device("meta"):
        model = create(name)
    with pytest.raises(
        ValueError, match=rf"clips have shape \(1, 3, 9, 8, 8\), must be \(N, {channels}, frames, height"
    ):
        model(torch.empty(1, 3, 9, 8, 8))


def layers_over_space_and_time() -> tuple[nn.Module, nn.Module, Tensor]:
    return (
        nn.Conv3d(2, 2, (1, 3, 3), padding=(0, 1, 1)),
        nn.Conv3d(2, 2, (3, 1, 1), padding=(1, 0, 0)),
        torch.randn(1, 2, 3, 4, 4),
    )


def test_p3d_s_wirings_are_those_of_both_public_forms() -> None:
    s, t, x = layers_over_space_and_time()
    first = s(x).relu()
    expected = {
        "official": (t(first).relu(), (first + t(x)).relu(), (0.5 * first + 0.5 * t(first)).relu()),
        "port": (t(first).relu(), first + t(x).relu(), first + t(first).relu()),
    }
    for form, results in expected.items():
        for wiring, result in zip(WIRINGS[form], results, strict=True):
            torch.testing.assert_close(wiring(s, t, nn.ReLU(), x), result)
    assert not torch.allclose(expected["official"][1], expected["port"][1])


@pytest.mark.parametrize("wiring", range(3))
@pytest.mark.parametrize("form", WIRINGS)
def test_p3d_s_blocks_add_alike_with_and_without_gradients(form: str, wiring: int) -> None:
    block = Block(Builder(nn.Conv3d), WIRINGS[form][wiring], 8, 2, (1, 1, 1), shortcut=False).eval()
    x = torch.randn(1, 8, 3, 4, 4)
    before = x.clone()
    without = block(x)
    assert torch.equal(x, before)
    with torch.enable_grad():
        recorded = block(x.requires_grad_())
        recorded.sum().backward()
    assert torch.equal(recorded, without)
    assert x.grad is not None


def test_p3d_s_blocks_take_the_wirings_in_turn_and_its_forms_share_weights() -> None:
    official, port = built("p3d_63"), built("p3d_63", form="port")
    wirings = [block.wiring for layer in (1, 2, 3) for block in official.get_submodule(f"layer{layer}")]
    assert wirings == [WIRINGS["official"][number % 3] for number in range(13)]
    port.load_state_dict(official.state_dict())
    clip = torch.randn(1, 3, 16, 32, 32)
    assert not torch.allclose(official(clip), port(clip), rtol=0.1)
    only_a = built("p3d_63", wirings="A")
    assert {block.wiring for block in only_a.get_submodule("layer2")} == {WIRINGS["official"][0]}


def test_p3d_takes_the_mean_over_the_moments_that_longer_clips_leave() -> None:
    model = built("p3d_63")
    assert model(torch.randn(1, 3, 32, 32, 32)).shape == (1, 5)


def test_a_fully_separable_block_is_a_convolution_whose_kernel_is_a_product() -> None:
    block, x = FullySeparable(3, 4, kernel_size=3, padding=1), torch.randn(1, 3, 4, 6, 6)
    time, space, mix = (layer.weight for layer in (block.time, block.space, block.mix))
    kernel = torch.einsum("om,mrs,mct->octrs", mix[:, :, 0, 0, 0], space[:, 0, 0], time[..., 0, 0])
    torch.testing.assert_close(block(x), nn.functional.conv3d(x, kernel, block.mix.bias, padding=1))


def test_the_gradient_of_equal_frames_is_zero_but_for_their_mean() -> None:
    frame = torch.randn(2, 3, 1, 4, 4)
    changes = TemporalGradient()(frame.expand(-1, -1, 5, -1, -1))
    assert changes.shape == (2, 3, 5, 4, 4)
    assert not changes[:, :, :4].any()
    torch.testing.assert_close(changes[:, :, 4:], frame)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("r3d_18", {"depth": 18}, "depth"),
        ("r2plus1d_18", {"mid_channels": "mine"}, "mid_channels is 'mine', must be one of paper, torchvision"),
        ("r2d_18", {"frames": 0}, "frames is 0, must be at least 1"),
        ("p3d_63", {"form": "other"}, "form is 'other', must be one of official, port"),
        ("p3d_63", {"wirings": "AD"}, "wirings is 'AD', must be of the letters A, B and C"),
        ("eco_lite_add", {"sampling": "x"}, "sampling is 'x', must be one of flat, grid"),
        ("eco_lite_add", {"tensors": "3d"}, "tensors is '3d', must be one of 4d, 5d"),
        ("lightweight_c3d", {"width": 0.0}, "width is 0.0, must be above 0"),
        ("r3d_18", {"nonsense": 1}, "nonsense"),
    ],
)
def test_options_that_are_none_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message), torch.device("meta"):
        create(name, **options)
