"""Transposed convolutions in integers: one dense convolution of stride 1, whose output channels hold all phases.

In: sizes, taps, stride, dilation, padding. Out: a `TransposedShape`, whose core is a `ConvShape`, and where each output
of the core belongs. Refused: sizes out of range, padding that leaves no output.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from winograd.conv.geometry.phases import ELEMENT_BYTES
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.wording import counted


@dataclass(frozen=True, slots=True)
class TransposedAxis:
    r"""One axis, y[j] = sum of w[k] x[i] over all stride i + dilation k = j + padding, as convolutions of stride 1.

    With j + padding = stride o + q, every phase q reads the same samples: y_q[o] = sum_t w[stride t + q] x[o - t]. The
    taps are those of the filter with the zeros of a dilation between them; with stride 1 the dilation stays.

    Parameters
    ----------
    taps, stride, dilation, size : int
        At least 1.
    padding, output_padding : int
        At least 0; torch's: zeros that are not computed at both ends, and further outputs at the end.

    Examples
    --------
    >>> axis = TransposedAxis(taps=4, stride=2, dilation=1, size=28, padding=1, output_padding=0)
    >>> axis.output, axis.core_taps, axis.margins, axis.core_output, axis.outputs_of(0)
    (56, 2, (1, 1), 29, (1, 1, 28))
    """

    taps: int
    stride: int
    dilation: int
    size: int
    padding: int
    output_padding: int

    @property
    def extent(self) -> int:
        """Taps with the zeros of the dilation between them."""
        return self.dilation * (self.taps - 1) + 1

    @property
    def output(self) -> int:
        """Outputs of the axis."""
        return (self.size - 1) * self.stride - 2 * self.padding + self.extent + self.output_padding

    @property
    def spreads(self) -> bool:
        """Whether zeros are put between the taps: with a stride and a dilation."""
        return self.stride > 1 and self.extent > self.taps

    @property
    def core_taps(self) -> int:
        """Taps of the convolution; phases with fewer are filled up with zeros."""
        return self.taps if self.stride == 1 else -(-self.extent // self.stride)

    @property
    def core_dilation(self) -> int:
        """Dilation of the convolution."""
        return self.dilation if self.stride == 1 and self.taps > 1 else 1

    @property
    def core_output(self) -> int:
        """Outputs of the convolution for every phase; those before the first and beyond the last are dropped."""
        return (self.output - 1 + self.padding) // self.stride - self._first + 1

    @property
    def margins(self) -> tuple[int, int]:
        """Zeros before and after the samples; samples are left out where it is negative."""
        low = self.core_dilation * (self.core_taps - 1) - self._first
        return low, self._first + self.core_output - self.size

    @property
    def crops(self) -> bool:
        """Whether samples are left out, which the convolution cannot do itself."""
        return min(self.margins) < 0

    @property
    def skipped(self) -> int:
        """Outputs before the first, where all phases are put side by side."""
        return self.padding % self.stride

    def outputs_of(self, q: int) -> tuple[int, int, int]:
        """Return of a phase its first output, its place in y, and how many there are."""
        place = q - self.skipped
        first = 1 if place < 0 else 0
        place += first * self.stride
        return first, place, max(-(-(self.output - place) // self.stride), 0)

    @property
    def _first(self) -> int:
        return self.padding // self.stride


@dataclass(frozen=True, slots=True)
class TransposedShape:
    """The shape of one transposed convolution over one to three axes.

    Parameters
    ----------
    batch, channels, outputs : int
        Images, input channels and output channels.
    axes : tuple of TransposedAxis
    groups : int
        Divides channels and outputs.
    dtype : str

    Raises
    ------
    ValueError
        If a value is out of range; one line that names it.

    Examples
    --------
    >>> from winograd.conv.transposed.arguments import TransposedArguments
    >>> shape = TransposedArguments(stride=2, padding=1).shape((1, 128, 28, 28), (128, 64, 4, 4), dtype="float32")
    >>> shape.output, shape.phases, shape.core.outputs, shape.core.taps, shape.label
    ((56, 56), 4, 256, (2, 2), 'transposed with stride (2, 2) by 4 phases')
    """

    batch: int
    channels: int
    outputs: int
    axes: tuple[TransposedAxis, ...]
    groups: int
    dtype: str

    def __post_init__(self) -> None:
        for name in ("taps", "stride", "dilation", "size", "padding", "output_padding"):
            least = 0 if name.endswith("padding") else 1
            if min(self.along(name)) < least:
                raise ValueError(f"{name} is {self.along(name)}, must be at least {least}")
        if self.outputs < 1:
            raise ValueError(f"outputs is {self.outputs}, must be at least 1")
        for axis in self.axes:
            if axis.output_padding >= max(axis.stride, axis.dilation):
                allowed = f"must be below the stride {axis.stride} or the dilation {axis.dilation}"
                raise ValueError(f"output_padding is {axis.output_padding}, {allowed}")
        if min(self.output) < 1:
            raise ValueError(f"output sizes are {self.output}, must be at least 1: padding leaves none")

    def along(self, name: str) -> tuple[Any, ...]:
        """Return one property of all axes, such as "core_taps"."""
        return tuple(getattr(axis, name) for axis in self.axes)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.axes)

    @property
    def output(self) -> tuple[int, ...]:
        """Outputs per axis."""
        return self.along("output")

    @property
    def phases(self) -> int:
        """Output channels of the core for each of the shape."""
        return prod(self.along("stride"))

    @property
    def joins(self) -> bool:
        """Whether outputs of the core are copied to where they belong."""
        return self.phases > 1

    @property
    def macs(self) -> int:
        """Multiply-accumulates of direct computation: each sample with each tap."""
        counts: tuple[int, ...] = (self.outputs // self.groups, *self.along("taps"), *self.along("size"))
        return self.batch * self.channels * prod(counts)

    @property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """Zeros, or with a minus samples to leave out, at the ends of the axes before the core is computed."""
        return tuple(axis.margins if axis.crops else (0, 0) for axis in self.axes)

    @property
    def core(self) -> ConvShape:
        """The convolution of stride 1; the outputs of a group are those of one phase after the other."""
        return ConvShape(
            batch=self.batch,
            channels=self.channels,
            outputs=self.outputs * self.phases,
            sizes=tuple(axis.size + sum(edge) for axis, edge in zip(self.axes, self.edges, strict=True)),
            taps=self.along("core_taps"),
            stride=(1,) * self.ndim,
            dilation=self.along("core_dilation"),
            padding=tuple((0, 0) if axis.crops else axis.margins for axis in self.axes),
            groups=self.groups,
            dtype=self.dtype,
        )

    @property
    def joined_bytes(self) -> int:
        """Bytes of the outputs of the core of one image, which a call holds until they are where they belong."""
        count: int = self.outputs * self.phases * prod(self.along("core_output"))
        return ELEMENT_BYTES.get(self.dtype, 4) * count if self.joins else 0

    @property
    def label(self) -> str:
        """How it is taken, such as "transposed with stride (2, 2) by 4 phases"."""
        if not self.joins:
            return "transposed"
        zeros = ", zeros between taps" if any(self.along("spreads")) else ""
        return f"transposed with stride {self.along('stride')} by {counted(self.phases, 'phase')}{zeros}"
