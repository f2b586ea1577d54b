"""Windows of tensors in C: the stage that reads what a tile needs, in either layout, and transforms it.

In: which windows of which tensor. Out: parts of a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from winograd.codegen.targets.c.parts import part


@dataclass(frozen=True, slots=True)
class Window:
    """The windows of one tensor.

    Parameters
    ----------
    stage : str
        Names the functions, and the transform of a window that they call, ``NAME_<stage>_tile``.
    caption : str
        What is cut into windows.
    extent : str
        The constants with the extents of a window: N of inputs, M of outputs.
    block : str
        The constant with the channels of a block of what is written.
    lanes : str
        A C expression: how many channels the transform of the last vector reads, `c` being the first of them.
    """

    stage: str
    caption: str
    extent: str
    block: str
    lanes: str

    def filled(self, file: str) -> str:
        """Return a part for windows with what its words in capitals stand for."""
        words = {
            "WINDOW": self.stage,
            "UPPER": self.stage.upper(),
            "CAPTION": self.caption,
            "EXTENT": self.extent,
            "NAME_BLOCK": f"NAME_{self.block}",
            "LANES": self.lanes,
        }
        text = part(file)
        for word, meaning in words.items():
            text = text.replace(word, meaning)
        return text


INPUTS: Final = Window("data", "x", "N", "CHANNEL_BLOCK", "x->channels - c")
"""Inputs, with halo; all columns are channels."""


def windows(*kinds: Window) -> list[str]:
    """Return the parts for windows of so many tensors."""
    return [
        part("transpose.c"),
        part("windows.c"),
        *(kind.filled("window_sizes.c") for kind in kinds),
        *(kind.filled("window.c") for kind in kinds),
    ]
