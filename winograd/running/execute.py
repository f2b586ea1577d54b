"""A network of the registry on clips of a video: weights, normalisations, clips, and the comparison of both networks.

In: `RunSettings`. Out: a `NetworkRun`. Refused: unknown networks, sizes that the network cannot take, files that are no
clip or no checkpoint, and outputs that are not finite.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from winograd.conv.prediction import default_tolerance
from winograd.conv.timing import measured_on
from winograd.networks import create, initialise_he
from winograd.networks.checkpoints import pretrained
from winograd.networks.norms import damp_residuals, initialise_norms
from winograd.networks.streams import read_inputs
from winograd.networks.video_network import VideoNetwork
from winograd.nn.compare import compare
from winograd.running.result import NetworkRun
from winograd.running.settings import RunSettings

Progress = Callable[[str], None]


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
    ValueError
        If a file is no clip or no checkpoint that fits, the network cannot take the size, or outputs are not finite.
    """
    options: dict[str, Any] = dict(settings.options)
    outline = outlined(settings.network, **options)
    shape = input_shape(outline, settings.frames, settings.size)
    check_shape(outline, settings.network, shape)
    progress("frames of the video")
    clips = read_inputs(settings.clip, shape, count=settings.clips, other=settings.other_clip)
    progress("weights")
    model, weights = _weighted(settings, outline, clips)
    dtype = getattr(torch, settings.dtype)
    tolerance = default_tolerance(settings.dtype) if settings.tolerance is None else settings.tolerance
    comparison = compare(
        model.to(dtype),
        clips.to(dtype),
        batch=settings.batch,
        tolerance=tolerance,
        repeats=settings.repeats,
        stack=outline.stack,
        progress=progress,
    )
    return NetworkRun(
        settings=settings,
        input_shape=shape,
        own_shape=outline.input_shape,
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


def input_shape(outline: VideoNetwork, frames: int | None, size: int | None) -> tuple[int, int, int, int]:
    """Return the input shape of a network with other frames and another size, where they are not None."""
    channels, own_frames, own_size, _ = outline.input_shape
    side = own_size if size is None else size
    return channels, own_frames if frames is None else frames, side, side


def check_shape(outline: VideoNetwork, name: str, shape: Sequence[int]) -> None:
    """Refuse a shape that the network cannot take.

    Raises
    ------
    ValueError
        Naming the network and the shape, with the reason and the shape of its own.

    Examples
    --------
    >>> check_shape(outlined("c3d"), "c3d", (3, 16, 64, 64))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    ValueError: c3d cannot take clips of 3x16x64x64 (its own are 3x16x112x112): ...
    """
    try:
        with torch.no_grad():
            outline(torch.empty(1, *shape, device="meta"))
    except (IndexError, RuntimeError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"{name} cannot take clips of {spelled(shape)} (its own are {spelled(outline.input_shape)}): {reason}"
        ) from None


def spelled(shape: Sequence[int]) -> str:
    """Write a shape, such as 3x16x112x112."""
    return "x".join(map(str, shape))


def _weighted(settings: RunSettings, outline: VideoNetwork, clips: Tensor) -> tuple[nn.Module, str]:
    """Return the network and a line on where its weights are from; the outputs of a checkpoint decide on its size."""
    options: dict[str, Any] = dict(settings.options)
    if settings.weights is not None:
        return pretrained(settings.network, settings.weights, **options), f"weights from {settings.weights}"
    model = initialise_he(create(settings.network, **options), settings.seed).eval()
    line = f"He-initialised weights, seed {settings.seed}, not trained"
    if not any(name.endswith("running_mean") for name, _ in outline.named_buffers()):
        return model, line
    return initialise_norms(damp_residuals(model), clips[:1]), f"{line}; normalisations from the first clip"
