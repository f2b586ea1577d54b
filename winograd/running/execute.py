"""A network of the registry on clips of a video: weights, normalisations, clips, and the comparison of both networks.

In: `RunSettings`. Out: a `NetworkRun`. Refused: unknown networks, sizes that the network cannot take, files that are no
clip or no checkpoint, and outputs that are not finite.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from winograd.conv.choosing.prediction import default_tolerance
from winograd.conv.measuring.timing import measured_on
from winograd.networks import create, initialise_he
from winograd.networks.checkpoints import pretrained
from winograd.networks.norms import damp_residuals, initialise_norms, residual_blocks
from winograd.networks.streams import read_inputs
from winograd.networks.video_network import VideoNetwork
from winograd.nn.compare import compare
from winograd.running.result import NetworkRun
from winograd.running.settings import RunSettings

Progress = Callable[[str], None]


class ShapeError(ValueError):
    """The network cannot take clips of the frames and size that are asked for."""


def run_network(settings: RunSettings, progress: Progress = lambda _: None) -> NetworkRun:
    """Run a network directly and converted, and compare both with direct convolution in float64.

    Parameters
    ----------
    settings : RunSettings
    progress : callable
        Called with a line of text before each step.

    Raises
    ------
    UnknownNetworkError
        If no network has that name.
    OSError, ImportError
        If a file cannot be read, or PyAV is not installed.
    ShapeError
        If the network cannot take the frames and the size.
    ValueError
        If a file is no clip or no checkpoint that fits, or outputs are not finite.
    """
    network = _loaded_or_outlined(settings, progress)
    shape = input_shape(network, settings.frames, settings.size)
    check_shape(network, settings.network, shape)
    progress("frames of the video")
    clips = read_inputs(settings.clip, shape, count=settings.clips, other=settings.other_clip)
    if settings.weights is None:
        progress("weights")
        model, weights = _initialised(settings, clips)
    else:
        model, weights = network, f"weights from {settings.weights}"
    dtype = getattr(torch, settings.dtype)
    tolerance = default_tolerance(settings.dtype) if settings.tolerance is None else settings.tolerance
    comparison = compare(
        model.to(dtype),
        clips.to(dtype),
        batch=settings.batch,
        tolerance=tolerance,
        repeats=settings.repeats,
        stack=network.stack,
        progress=progress,
    )
    return NetworkRun(
        settings=settings,
        input_shape=shape,
        own_shape=network.input_shape,
        weights=weights,
        tolerance=tolerance,
        threads=torch.get_num_threads(),
        machine=measured_on(),
        comparison=comparison,
    )


def outlined(name: str, **options: Any) -> VideoNetwork:
    """Return the network of that name without memory for its weights: it computes sizes only."""
    with torch.device("meta"):
        return create(name, **options).eval()


def input_shape(network: VideoNetwork, frames: int | None, size: int | None) -> tuple[int, int, int, int]:
    """Return the input shape of a network with other frames and another size, where they are not None."""
    channels, own_frames, own_size, _ = network.input_shape
    side = own_size if size is None else size
    return channels, own_frames if frames is None else frames, side, side


def check_shape(network: VideoNetwork, name: str, shape: Sequence[int]) -> None:
    """Refuse a shape that the network cannot take; sizes are computed only, whether it has memory for weights or not.

    Raises
    ------
    ShapeError
        Naming the network and the shape, with the reason and the shape of its own.

    Examples
    --------
    >>> check_shape(outlined("c3d"), "c3d", (3, 16, 64, 64))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    winograd.running.execute.ShapeError: c3d cannot take clips of 3x16x64x64 (its own are 3x16x112x112): ...
    """
    named = chain(network.named_parameters(), network.named_buffers())
    sizes = {key: tensor.detach().to("meta") for key, tensor in named}
    try:
        with torch.no_grad():
            functional_call(network, sizes, (torch.empty(1, *shape, device="meta"),))
    except (IndexError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ShapeError(
            f"{name} cannot take clips of {spelled(shape)} (its own are {spelled(network.input_shape)}): {reason}"
        ) from None


def spelled(shape: Sequence[int]) -> str:
    """Write a shape, such as 3x16x112x112."""
    return "x".join(map(str, shape))


def _loaded_or_outlined(settings: RunSettings, progress: Progress) -> VideoNetwork:
    """Return the network with the weights of its file, which decide on its form, or without memory for any."""
    options: dict[str, Any] = dict(settings.options)
    if settings.weights is None:
        return outlined(settings.network, **options)
    progress("weights")
    return pretrained(settings.network, settings.weights, **options)


def _initialised(settings: RunSettings, clips: Tensor) -> tuple[nn.Module, str]:
    """Return the network with initial values, and a line on them."""
    options: dict[str, Any] = dict(settings.options)
    model = initialise_he(create(settings.network, **options), settings.seed).eval()
    line = f"He-initialised weights, seed {settings.seed}, not trained"
    if not any(name.endswith("running_mean") for name, _ in model.named_buffers()):
        return model, line
    line = f"{line}; normalisations from the first clip"
    if residual_blocks(model) and not settings.undamped:
        damp_residuals(model)
        line = f"{line}; residual branches scaled by 1/sqrt(n)"
    return initialise_norms(model, clips[:1]), line
