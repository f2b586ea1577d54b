"""A network as a few stages: runs of blocks that give tensors of the same sizes.

In: a description. Out: stages in the order of execution, the clip first. A pooling is a stage of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from winograd.networks.description.record import Description


@dataclass(frozen=True, slots=True)
class Stage:
    """What some blocks, one after the other, give.

    Parameters
    ----------
    names : tuple of str
        Of the blocks; none for the clip.
    type : str
        Class of the first block, or ``"clip"``.
    channels : int
    time, height, width : int
        Sizes for one clip: frames that are folded into the batch count as time, and what has no such axis has size 1.
    """

    names: tuple[str, ...]
    type: str
    channels: int
    time: int
    height: int
    width: int

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """Channels, time, height and width."""
        return self.channels, self.time, self.height, self.width

    @property
    def is_pooling(self) -> bool:
        """Whether nothing is multiplied."""
        return "Pool" in self.type

    @property
    def label(self) -> str:
        """The sizes, or the number of features alone where there is one place."""
        return "x".join(map(str, self.sizes if self.sizes[1:] != (1, 1, 1) else self.sizes[:1]))


def stages(description: Description) -> tuple[Stage, ...]:
    """Return the stages of a network.

    Examples
    --------
    >>> from winograd.networks import describe
    >>> for stage in stages(describe("r3d_18"))[:3]:
    ...     print(stage.label, *stage.names)
    3x16x112x112
    64x16x56x56 stem.0 layer1.0 layer1.1
    128x8x28x28 layer2.0 layer2.1
    """
    batch = description.input[0]
    clip = Stage((), "clip", *_sizes(description.input, batch))
    found = [clip]
    for (sizes, _), group in groupby(
        description.blocks, lambda block: (_sizes(block.output, batch), "Pool" in block.type)
    ):
        blocks = list(group)
        found.append(Stage(tuple(block.name for block in blocks), blocks[0].type, *sizes))
    return tuple(found)


def _sizes(tensor: tuple[int, ...], batch: int) -> tuple[int, int, int, int]:
    frames, channels, *axes = tensor
    folded = frames // batch if len(axes) == 2 else 1
    time, height, width = (1, 1, 1) if not axes else (folded, *axes) if len(axes) == 2 else (*axes, 1, 1)[:3]
    return channels, time, height, width
