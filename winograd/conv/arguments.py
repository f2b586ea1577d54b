"""Arguments of a convolution, as torch takes them, become a `ConvShape`. Knows no torch: sizes, integers and text.

In: sizes of input and weight, stride, dilation and groups, padding as integers, one per axis, 'same' or 'valid'.
Refused, with ValueError or TypeError: whatever torch refuses; torch's own wording is left to those who have torch.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import NestedAlgorithm
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.gpu.card import Card
from winograd.conv.switch import Direct
from winograd.conv.wording import counted
from winograd.quoting import quote

IntOrSequence = int | Sequence[int]
Padding = str | IntOrSequence

Algorithm = BilinearAlgorithm | NestedAlgorithm | Direct
"""What ``algorithm`` may be, beside None."""

_MOST: Final = 2**63
"""Larger integers are none to torch."""


@dataclass(frozen=True, slots=True)
class ConvArguments:
    """Stride, padding, dilation and groups, as the caller gave them.

    Parameters
    ----------
    stride, dilation : int or sequence of int
        One for all axes or one per axis.
    padding : int, sequence of int, 'same' or 'valid'
        'same' puts the odd zero, where there is one, after the last input.
    groups : int
        At least 1.
    """

    stride: IntOrSequence = 1
    padding: Padding = 0
    dilation: IntOrSequence = 1
    groups: int = 1

    def shape(
        self, input_sizes: Sequence[int], weight_sizes: Sequence[int], *, dtype: str, card: Card | None = None
    ) -> ConvShape:
        """Return the shape of a convolution of (N, C, sizes...) or (C, sizes...) with (K, C / groups, taps...).

        Parameters
        ----------
        input_sizes, weight_sizes : sequence of int
            Of the input, batched or not, and of the weight.
        dtype : str
            Name of the dtype.
        card : Card, optional
            The GPU that is to compute it.

        Raises
        ------
        TypeError
            If an entry is not an integer.
        ValueError
            If a length, a size or a name is not allowed; one line that names it.

        Examples
        --------
        >>> shape = ConvArguments(padding="same").shape((2, 5, 9, 9), (8, 5, 4, 3), dtype="float32")
        >>> shape.padding, shape.output
        (((1, 2), (1, 1)), (9, 9))
        """
        ndim = len(weight_sizes) - 2
        if len(input_sizes) not in (ndim + 1, ndim + 2):
            raise ValueError(f"input has {len(input_sizes)} axes, must have {ndim + 1} (unbatched) or {ndim + 2}")
        batch, channels, *sizes = (1, *input_sizes) if len(input_sizes) == ndim + 1 else tuple(input_sizes)
        outputs, group_channels, *taps = weight_sizes
        groups = read_groups(self.groups)
        if groups * group_channels != channels:
            needed = f"must have {groups * group_channels}: {counted(groups, 'group')} of {group_channels}"
            raise ValueError(f"input has {counted(channels, 'channel')}, {needed}")
        stride, dilation = per_axis("stride", self.stride, ndim), per_axis("dilation", self.dilation, ndim)
        return ConvShape(
            batch=batch,
            channels=channels,
            outputs=outputs,
            sizes=tuple(sizes),
            taps=tuple(taps),
            stride=stride,
            dilation=dilation,
            padding=read_padding(self.padding, taps=taps, stride=stride, dilation=dilation),
            groups=groups,
            dtype=dtype,
            card=card,
        )


def read_groups(groups: int) -> int:
    """Return the number of groups as an int.

    Raises
    ------
    TypeError
        If it is none; True, which is 1, is refused as torch does.
    """
    if isinstance(groups, bool):
        raise TypeError(f"groups is {groups}, must be an integer")
    return operator.index(groups)


def per_axis(name: str, value: IntOrSequence, ndim: int) -> tuple[int, ...]:
    """Return one integer per axis from an integer for all, or a sequence of one or of ``ndim``.

    Raises
    ------
    TypeError, ValueError
        For anything else; one line that names the argument.

    Examples
    --------
    >>> per_axis("stride", 2, 3), per_axis("stride", (1, 2), 2)
    ((2, 2, 2), (1, 2))
    """
    try:
        values = tuple(map(operator.index, value)) if isinstance(value, Sequence) else (operator.index(value),)
    except TypeError:
        raise TypeError(f"{name} is {quote(value)}, must be one integer or {ndim}") from None
    if len(values) not in (1, ndim):
        raise ValueError(f"{name} is {quote(value)}, must be one integer or {ndim}")
    if max(map(abs, values)) >= _MOST:
        raise ValueError(f"{name} is {quote(value)}, must be below 2**63")
    return values * ndim if len(values) == 1 else values


def read_padding(
    padding: Padding, *, taps: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> tuple[tuple[int, int], ...]:
    """Return the zeros before and after each axis.

    Raises
    ------
    ValueError
        For text other than 'same' and 'valid', and for 'same' with a stride.
    """
    if not isinstance(padding, str):
        return tuple((side, side) for side in per_axis("padding", padding, len(taps)))
    if padding == "valid":
        return ((0, 0),) * len(taps)
    if padding != "same":
        raise ValueError(f"padding is {quote(padding)}, must be 'same', 'valid' or integers")
    if any(step != 1 for step in stride):
        raise ValueError(f"padding 'same' with stride {tuple(stride)}, stride must be 1")
    totals = [gap * (count - 1) for gap, count in zip(dilation, taps, strict=True)]
    return tuple((total // 2, total - total // 2) for total in totals)
