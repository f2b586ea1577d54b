"""`ConvShape`: everything a plan needs to know about one convolution, in integers.

In: sizes of batch, channels, axes and taps, stride, padding, dilation, groups. Out: output sizes, operation counts.
Refused: sequences of unequal lengths, sizes out of range, a padded input smaller than the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from winograd.conv.gpu.card import Card

_TRIPLES = ("taps", "stride", "dilation", "padding")


@dataclass(frozen=True, slots=True)
class ConvShape:
    """The shape of one convolution over one to three axes.

    Parameters
    ----------
    batch, channels : int
        Images and input channels, at least 0.
    outputs : int
        Output channels, at least 1.
    sizes : tuple of int
        Inputs per axis, at least 1, without padding.
    taps, stride, dilation : tuple of int
        Per axis, at least 1.
    padding : tuple of (int, int)
        Zeros before the first and after the last input of each axis, at least 0.
    groups : int
        Divides ``channels`` and ``outputs``.
    dtype : str
        Name of the dtype, such as "float32" or "object".
    card : Card or None
        The GPU that computes it; None for the CPU.

    Raises
    ------
    ValueError
        If a value is out of range; one line that names it.

    Examples
    --------
    >>> shape = ConvShape(1, 64, 128, sizes=(16, 56, 56), taps=(3, 3, 3), stride=(1, 1, 1), dilation=(1, 1, 1),
    ...                   padding=((1, 1),) * 3, groups=1, dtype="float32")
    >>> shape.output, shape.macs
    ((16, 56, 56), 11098128384)
    """

    batch: int
    channels: int
    outputs: int
    sizes: tuple[int, ...]
    taps: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    groups: int
    dtype: str
    card: Card | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.ndim <= 3:
            raise ValueError(f"sizes {self.sizes} have {self.ndim} axes, 1 to 3 are allowed")
        for name in _TRIPLES:
            if len(getattr(self, name)) != self.ndim:
                raise ValueError(f"{name} is {getattr(self, name)}, sizes {self.sizes} need {self.ndim} entries")
        self._check_ranges()
        if self.channels % self.groups or self.outputs % self.groups:
            raise ValueError(f"groups is {self.groups}, must divide channels {self.channels}, outputs {self.outputs}")
        if min(self.output) < 1:
            raise ValueError(f"padded sizes {self._padded} are smaller than the kernel extent {self._extent}")

    def _check_ranges(self) -> None:
        flat_padding = tuple(side for pair in self.padding for side in pair)
        for name, least, values in (
            ("batch", 0, (self.batch,)),
            ("channels", 0, (self.channels,)),
            ("outputs", 1, (self.outputs,)),
            ("groups", 1, (self.groups,)),
            ("sizes", 1, self.sizes),
            ("taps", 1, self.taps),
            ("stride", 1, self.stride),
            ("dilation", 1, self.dilation),
            ("padding", 0, flat_padding),
        ):
            if min(values) < least:
                raise ValueError(f"{name} is {getattr(self, name)}, must be at least {least}")

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.sizes)

    @property
    def _padded(self) -> tuple[int, ...]:
        return tuple(size + low + high for size, (low, high) in zip(self.sizes, self.padding, strict=True))

    @property
    def _extent(self) -> tuple[int, ...]:
        return tuple((taps - 1) * step + 1 for taps, step in zip(self.taps, self.dilation, strict=True))

    @property
    def output(self) -> tuple[int, ...]:
        """Outputs per axis."""
        return tuple(
            (padded - extent) // step + 1
            for padded, extent, step in zip(self._padded, self._extent, self.stride, strict=True)
        )

    @property
    def macs(self) -> int:
        """Multiply-accumulates of direct convolution, those with padding included."""
        return self.batch * self.outputs * prod(self.output) * prod(self.taps) * (self.channels // self.groups)

    @property
    def is_empty(self) -> bool:
        """True if there is nothing to multiply: no image or no channel."""
        return 0 in (self.batch, self.channels)

    @property
    def weight_sizes(self) -> tuple[int, ...]:
        """Sizes of the weight, (outputs, channels per group, taps...)."""
        return (self.outputs, self.channels // self.groups, *self.taps)
