"""Arguments of a transposed convolution, as torch takes them, become a `TransposedShape`. Knows no torch.

In: sizes of input and weight, stride, padding, output padding, groups and dilation. Out: the shape.
Refused, with ValueError or TypeError: whatever torch refuses; torch's own wording is left to those who have torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from winograd.conv.arguments import IntOrSequence, per_axis, read_groups
from winograd.conv.transposed.shape import TransposedAxis, TransposedShape
from winograd.conv.wording import counted


@dataclass(frozen=True, slots=True)
class TransposedArguments:
    """The arguments of a transposed convolution, as the caller gave them, in torch's order.

    Parameters
    ----------
    stride, padding, output_padding, dilation : int or sequence of int
        One for all axes or one per axis.
    groups : int
        At least 1.
    """

    stride: IntOrSequence = 1
    padding: IntOrSequence = 0
    output_padding: IntOrSequence = 0
    groups: int = 1
    dilation: IntOrSequence = 1

    @property
    def given(self) -> tuple[Any, ...]:
        """All of them, in torch's order."""
        return self.stride, self.padding, self.output_padding, self.groups, self.dilation

    def shape(self, input_sizes: Sequence[int], weight_sizes: Sequence[int], *, dtype: str) -> TransposedShape:
        """Return the shape for an input (N, C, sizes...) or (C, sizes...) and a weight (C, K / groups, taps...).

        Raises
        ------
        TypeError
            If an entry is not an integer.
        ValueError
            If a length or a size is not allowed; one line that names it.
        """
        ndim = len(weight_sizes) - 2
        if len(input_sizes) not in (ndim + 1, ndim + 2):
            raise ValueError(f"input has {len(input_sizes)} axes, must have {ndim + 1} (unbatched) or {ndim + 2}")
        batch, channels, *sizes = (1, *input_sizes) if len(input_sizes) == ndim + 1 else tuple(input_sizes)
        groups = read_groups(self.groups)
        if groups < 1 or channels % groups or channels != weight_sizes[0]:
            needed = f"must have {weight_sizes[0]}, a multiple of groups {groups}"
            raise ValueError(f"input has {counted(channels, 'channel')}, {needed}")
        names = ("stride", "dilation", "padding", "output_padding")
        stride, dilation, padding, more = (per_axis(name, getattr(self, name), ndim) for name in names)
        return TransposedShape(
            batch=batch,
            channels=channels,
            outputs=weight_sizes[1] * groups,
            axes=tuple(
                TransposedAxis(*values)
                for values in zip(weight_sizes[2:], stride, dilation, sizes, padding, more, strict=True)
            ),
            groups=groups,
            dtype=dtype,
        )
