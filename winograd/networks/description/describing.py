"""`describe`: a network in numbers, without any of its weights in memory.

In: a name of the registry, or a network. Out: a `Description`. Refused: what `create` refuses, batches and tiles below
1, and sizes of clips that the network cannot take.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any, Final

from torch import nn

from winograd.networks.description.parameters import count_parameters
from winograd.networks.description.record import Description
from winograd.networks.description.recording import record
from winograd.networks.outline import outline, refusal

TILES: Final = (2, 4, 6)
"""Outputs per axis of the tiles that tables show."""


def describe(
    network: str | nn.Module,
    *,
    batch: int = 1,
    input_shape: Sequence[int] | None = None,
    tiles: Sequence[int] = TILES,
    **options: Any,
) -> Description:
    """Count what a network has and does: parameters, multiplications by kind of layer and by tile, memory.

    Parameters
    ----------
    network : str or Module
        One of `list_networks`; or any network that takes one tensor, of which only the sizes are looked at.
    batch : int
        Clips, at least 1.
    input_shape : sequence of int, optional
        Channels, frames, height and width of a clip; those of the network for None, which a `VideoNetwork` has.
    tiles : sequence of int
        Outputs per axis of the tiles that are shown, at least 1; any others may be asked for afterwards.
    **options
        Of `create`, for a name: ``num_classes`` and what the network knows.

    Returns
    -------
    Description
        Exact counts; shows itself as text and in a notebook.

    Raises
    ------
    TypeError
        If options come with a network, or one is unknown.
    UnknownNetworkError
        If the name is unknown: a ValueError that gives the nearest names.
    ValueError
        If batch or a tile is below 1, or the network cannot take the clips, or says not which it takes.

    Examples
    --------
    >>> described = describe("c3d", num_classes=487)
    >>> described
    <c3d: 79,991,015 parameters, 38.549 GMACs>
    >>> [round(described.reduction(m), 2) for m in (2, 4)]
    [3.33, 7.06]
    """
    if batch < 1:
        raise ValueError(f"batch is {batch}, must be at least 1")
    if not tiles or min(tiles) < 1:
        raise ValueError(f"tiles are {tuple(tiles)}, must be at least one integer, each at least 1")
    if isinstance(network, str):
        model: nn.Module = outline(network, **options)
    elif options:
        raise TypeError(f"options {', '.join(options)} are for a name of a network, {type(network).__name__} is built")
    else:
        model = _copied(network)
    clip = getattr(model, "input_shape", None) if input_shape is None else input_shape
    if clip is None:
        raise ValueError(f"input_shape is None, must be given for {type(network).__name__}, which says none itself")
    input = (batch, *clip)
    try:
        recorded = record(model, input)
    except RuntimeError as error:
        reason = refusal(model, input) or str(error).partition("\n")[0]
        raise ValueError(f"input_shape is {input[1:]}, which the network cannot take: {reason}") from None
    return Description(
        network if isinstance(network, str) else type(network).__name__,
        input,
        recorded.output,
        count_parameters(model),
        recorded.layers,
        recorded.blocks,
        recorded.peak_bytes,
        recorded.made_bytes,
        tuple(tiles),
    )


def _copied(network: nn.Module) -> nn.Module:
    """Return a network on the meta device in evaluation mode that is like one that was given; nothing is allocated."""
    sizes: dict[int, Any] = {id(buffer): buffer.to("meta") for buffer in network.buffers()}
    for parameter in network.parameters():
        sizes[id(parameter)] = nn.Parameter(parameter.detach().to("meta"), requires_grad=False)
    return deepcopy(network, sizes).eval()
