"""Phases: a convolution with stride, dilation and groups as dense convolutions of stride 1. Integers only.

In: a `ConvShape`. Out: `Phases`, whose core is the dense convolution that is run once for every group, and where every
sample of its input, tap of its filter and output of it comes from. Refused: shapes that are dense already.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd, prod
from typing import Final

from winograd.conv.geometry.shape import ConvShape
from winograd.conv.memory import whole_lines
from winograd.conv.wording import counted

ELEMENT_BYTES: Final = {"float16": 2, "bfloat16": 2, "float64": 8}
"""Bytes of a number in memory; 4 for every other dtype that the native backend has."""


@dataclass(frozen=True, slots=True)
class AxisPhases:
    r"""One axis, y[o] = sum_k w[k] x[stride o + dilation k], as a sum of dense convolutions of stride 1.

    With g = gcd(stride, dilation), outputs o = (dilation / g) o' + p and taps k = (stride / g) q + t meet samples that
    are a period apart: for every p there is y_p[o'] = sum_t sum_q w_t[q] x_pt[o' + q], where
    x_pt[i] = x[period i + stride p + dilation t].

    Parameters
    ----------
    taps, stride, dilation : int
        Of the axis, at least 1.
    size, low, high : int
        Samples without padding, and zeros before and after.

    Examples
    --------
    >>> stem = AxisPhases(taps=7, stride=2, dilation=1, size=64, low=2, high=3)
    >>> stem.tap_phases, stem.core_taps, stem.core_size, stem.sample(0, 0, 1), stem.tap(1, 2)
    (2, 4, 35, 0, 5)
    """

    taps: int
    stride: int
    dilation: int
    size: int
    low: int
    high: int

    @property
    def output_phases(self) -> int:
        """Number of p: which outputs share their samples."""
        return min(self.dilation // gcd(self.stride, self.dilation), self.output)

    @property
    def tap_phases(self) -> int:
        """Number of t, those without a tap left out."""
        return min(self._tap_step, self.taps)

    @property
    def period(self) -> int:
        """Samples from one that a dense convolution reads to the next, the least common multiple."""
        return self.stride * self.dilation // gcd(self.stride, self.dilation)

    @property
    def is_dense(self) -> bool:
        """True where there is nothing to do: samples and their padding are taken as they are."""
        return self.stride == self.dilation == 1

    @property
    def output(self) -> int:
        """Outputs of the axis."""
        return (self.low + self.size + self.high - self.dilation * (self.taps - 1) - 1) // self.stride + 1

    @property
    def core_taps(self) -> int:
        """Taps of a dense convolution; phases with fewer are filled up with a zero."""
        return -(-self.taps // self._tap_step)

    @property
    def core_output(self) -> int:
        """Outputs of a dense convolution; phases with fewer compute one that is dropped."""
        return -(-self.output // self.output_phases)

    @property
    def core_size(self) -> int:
        """Samples of a dense convolution, the padding among them unless the axis is dense."""
        return self.size if self.is_dense else self.core_output + self.core_taps - 1

    @property
    def core_padding(self) -> tuple[int, int]:
        """Zeros that the dense convolution adds itself: those of an axis that is dense already."""
        return (self.low, self.high) if self.is_dense else (0, 0)

    def sample(self, p: int, t: int, i: int) -> int:
        """Return the place in x of sample i of phases p and t; outside of 0 ... size - 1 it is a zero."""
        return self.period * i + self.stride * p + self.dilation * t - (0 if self.is_dense else self.low)

    def tap(self, t: int, q: int) -> int:
        """Return the place in w of tap q of phase t; beyond the last tap it is a zero."""
        return self._tap_step * q + t

    def output_place(self, p: int, o: int) -> int:
        """Return the place in y of output o of phase p; beyond the last output it is dropped."""
        return self.output_phases * o + p

    @property
    def _tap_step(self) -> int:
        return self.stride // gcd(self.stride, self.dilation)


@dataclass(frozen=True, slots=True)
class Phases:
    """A convolution as dense convolutions of stride 1, one for each group and each part of the batch.

    Parameters
    ----------
    shape : ConvShape
        With a stride, a dilation or groups other than 1.
    images : int
        Of the batch that are taken at a time, at least 1; what is copied is held for so many.

    Raises
    ------
    ValueError
        If the shape is dense already, or images is below 1.

    Examples
    --------
    >>> from winograd.conv.arguments import ConvArguments
    >>> stem = ConvArguments(stride=2, padding=3).shape((1, 3, 64, 224, 224), (64, 3, 7, 7, 7), dtype="float32")
    >>> phases = phases_of(stem)
    >>> phases.core.channels, phases.core.sizes, phases.core.taps, phases.label
    (24, (35, 115, 115), (4, 4, 4), 'stride (2, 2, 2) by 8 phases')
    """

    shape: ConvShape
    images: int

    def __post_init__(self) -> None:
        if self.shape.groups == 1 and all(axis.is_dense for axis in self.axes):
            raise ValueError("stride, dilation and groups are 1, one of them must not be")
        if self.images < 1:
            raise ValueError(f"images is {self.images}, must be at least 1")

    @property
    def axes(self) -> tuple[AxisPhases, ...]:
        """The phases of every axis."""
        shape = self.shape
        steps = zip(shape.taps, shape.stride, shape.dilation, strict=True)
        places = zip(shape.sizes, shape.padding, strict=True)
        return tuple(
            AxisPhases(taps, stride, dilation, size, low, high)
            for (taps, stride, dilation), (size, (low, high)) in zip(steps, places, strict=True)
        )

    @property
    def groups(self) -> int:
        """How often the core runs for a part of the batch."""
        return self.shape.groups

    @property
    def runs(self) -> int:
        """How often the core runs in all."""
        return self.groups * -(-self.shape.batch // self.images)

    @property
    def tap_phases(self) -> int:
        """Input channels of the core for each of the shape."""
        return prod(axis.tap_phases for axis in self.axes)

    @property
    def output_phases(self) -> int:
        """Images of the core for each of the shape."""
        return prod(axis.output_phases for axis in self.axes)

    @property
    def core(self) -> ConvShape:
        """The dense convolution of stride 1; its channels are those of a group for one phase after the other."""
        shape = self.shape
        return ConvShape(
            batch=min(self.images, shape.batch) * self.output_phases,
            channels=shape.channels // shape.groups * self.tap_phases,
            outputs=shape.outputs // shape.groups,
            sizes=tuple(axis.core_size for axis in self.axes),
            taps=tuple(axis.core_taps for axis in self.axes),
            stride=(1,) * shape.ndim,
            dilation=(1,) * shape.ndim,
            padding=tuple(axis.core_padding for axis in self.axes),
            groups=1,
            dtype=shape.dtype,
        )

    @property
    def joins(self) -> bool:
        """Whether outputs of the core are copied to where they belong."""
        return self.groups > 1 or self.output_phases > 1

    @property
    def copies_bytes(self) -> tuple[int, int]:
        """Bytes that one run of the core reads instead of the input, and that it writes instead of the output."""
        core = self.core
        element = ELEMENT_BYTES.get(core.dtype, 4) * core.batch
        written = core.outputs * prod(core.output) if self.joins else 0
        return element * core.channels * prod(core.sizes), element * written

    @property
    def held_bytes(self) -> int:
        """Bytes that copies hold at a time; what is written starts at a cache line."""
        read, written = self.copies_bytes
        return whole_lines(read) + written

    @property
    def copied_bytes(self) -> int:
        """Bytes that copying reads and writes in all: as many are read as are written."""
        return 2 * self.runs * sum(self.copies_bytes)

    @property
    def label(self) -> str:
        """What is taken by how many phases, such as "stride (2, 2, 2) by 8 phases"."""
        named = []
        stride = tuple(axis.stride if axis.tap_phases > 1 else 1 for axis in self.axes)
        dilation = tuple(axis.dilation if axis.output_phases > 1 else 1 for axis in self.axes)
        for name, value, count in (("stride", stride, self.tap_phases), ("dilation", dilation, self.output_phases)):
            named += [f"{name} {value} by {counted(count, 'phase')}"] if count > 1 else []
        if not named and not all(axis.is_dense for axis in self.axes):
            named.append(_every(tuple(axis.period for axis in self.axes)))
        return ", ".join(named + ([f"{self.groups} groups one by one"] if self.groups > 1 else []))


def _every(periods: tuple[int, ...]) -> str:
    """Return in words that single inputs are taken, and nothing else is to be done.

    Examples
    --------
    >>> _every((2, 2)), _every((1, 4))
    ('every second input', 'one input of (1, 4)')
    """
    return "every second input" if set(periods) == {2} else f"one input of {periods}"


def phases_of(shape: ConvShape, images: int | None = None) -> Phases | None:
    """Return how a convolution becomes dense ones of stride 1, or None where it is one or there is nothing to compute.

    Parameters
    ----------
    shape : ConvShape
    images : int, optional
        Taken at a time; None takes the whole batch.

    Examples
    --------
    >>> from winograd.conv.arguments import ConvArguments
    >>> phases_of(ConvArguments(padding=1).shape((1, 3, 9), (8, 3, 3), dtype="float32"))
    """
    if shape.is_empty or (shape.groups == 1 and set(shape.stride + shape.dilation) == {1}):
        return None
    return Phases(shape, images or shape.batch)
