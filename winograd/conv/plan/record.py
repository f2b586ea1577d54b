"""`Plan`: what was chosen for one shape, why, and what it is predicted to cost, as data.

In: the choice, made elsewhere. Out: a record that says all of it. Refused: direct convolution with an algorithm, others
without one, and schedules for other backends than the native one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from enum import Enum
from typing import TYPE_CHECKING

from winograd.algebra.nesting import NestedAlgorithm
from winograd.conv import roofline
from winograd.conv.choosing.candidates import Candidate
from winograd.conv.choosing.selection import Filters
from winograd.conv.choosing.task import Terms
from winograd.conv.geometry.phases import Phases
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.gpu.schedule import GpuSchedule
from winograd.conv.native.schedule import Schedule

if TYPE_CHECKING:
    from winograd.conv.planning.explanation import Explanation

Measured = tuple[tuple[str, float], ...]
"""Labels and milliseconds of what was run and timed."""


class Backend(Enum):
    """Who computes: torch's own convolution, generated C, generated Triton, plain torch operations, or NumPy."""

    DIRECT = "direct"
    NATIVE = "native"
    GPU = "gpu"
    COMPOSED = "composed"
    REFERENCE = "reference"


@dataclass(frozen=True, slots=True)
class Plan:
    """What was chosen for one shape, and why.

    Parameters
    ----------
    shape : ConvShape
    backend : Backend
    algorithm : NestedAlgorithm or None
        None for direct convolution.
    reason : str
        One line.
    predicted_error : float or None
        Relative L2 error predicted for independent zero-mean inputs; None for direct convolution.
    filter_bytes, workspace_bytes : int
        Memory of the transformed filter of all groups, and of what a call holds beside it, input and output apart, the
        copies of phases among it; for the native backend to the byte with AVX-512 and channels first; elsewhere it
        takes no more, see `winograd.conv.native.footprint`.
    predicted_ms, direct_ms : float or None
        Predicted milliseconds of this plan and of direct convolution on the nominal machine; None where the model
        does not apply.
    schedule : Schedule or None
        In which order the native backend works, None where the kernel chooses; None for the others.
    filters : Filters
        FROZEN if the transformed filter is to be kept from call to call.
    phases : Phases or None
        How stride, dilation and groups become dense convolutions of stride 1, which the algorithm computes; None where
        the shape is one, and for direct convolution.
    terms : Terms or None
        What was asked for: tolerance, limits, threads, whether filters are kept; None for plans made without them.
    measured : tuple of (str, float)
        Labels and median milliseconds of the candidates that were timed on this machine; empty where none were.
    gpu : GpuSchedule or None
        How the GPU works: by which kernels, with which products, in which blocks; None for the other backends.
    """

    shape: ConvShape
    backend: Backend
    algorithm: NestedAlgorithm | None
    reason: str
    predicted_error: float | None = None
    filter_bytes: int = 0
    workspace_bytes: int = 0
    predicted_ms: float | None = None
    direct_ms: float | None = None
    schedule: Schedule | None = None
    filters: Filters = Filters.LIVE
    phases: Phases | None = None
    terms: Terms | None = None
    measured: Measured = ()
    gpu: GpuSchedule | None = None

    def __post_init__(self) -> None:
        if (self.backend is Backend.DIRECT) != (self.algorithm is None):
            raise ValueError(f"backend {self.backend.value} with algorithm {self.algorithm}, only direct has none")
        if self.schedule is not None and self.backend is not Backend.NATIVE:
            raise ValueError(f"backend {self.backend.value} with schedule {self.schedule}, only native has one")
        if (self.backend is Backend.GPU) != (self.gpu is not None):
            raise ValueError(f"backend {self.backend.value} with GPU schedule {self.gpu}, only gpu has one")
        if self.phases is not None and self.backend not in {Backend.NATIVE, Backend.REFERENCE}:
            raise ValueError(f"backend {self.backend.value} with {self.phases.label}, native and reference have phases")

    @property
    def core(self) -> ConvShape:
        """The shape that the algorithm computes: that of the dense convolution of stride 1."""
        return self.shape if self.phases is None else self.phases.core

    @property
    def runs(self) -> int:
        """How often the core is computed in a call."""
        return 1 if self.phases is None else self.phases.runs

    @property
    def multiplications(self) -> int:
        """Multiplications that are executed: of the transformed tiles, ragged ones whole, or of direct convolution."""
        if self.algorithm is None:
            return self.shape.macs
        return self.runs * roofline.multiplications(self.core, self.algorithm)

    @property
    def digest(self) -> str:
        """SHA-256 of the fields as hexadecimal text, the same in every process."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        named["algorithm"] = self.algorithm and self.algorithm.digest
        return hashlib.sha256(repr(sorted(named.items())).encode()).hexdigest()

    @property
    def algorithm_label(self) -> str:
        """Backend and algorithm, such as "native F(4x4x4,3x3x3)", with its products where they are not the least."""
        return self.backend.value if self.algorithm is None else f"{self.backend.value} {label_of(self.algorithm)}"

    @property
    def schedule_label(self) -> str:
        """Schedule and tiles at a time, such as "fused blocks of 9 tiles"; empty where there is no schedule."""
        if self.gpu is not None:
            return self.gpu.label
        return "" if self.schedule is None else schedule_label_of(self.schedule)

    @property
    def label(self) -> str:
        """Backend, algorithm and schedule, such as "native F(4x4x4,3x3x3), fused blocks of 9 tiles"."""
        return ", ".join(filter(None, (self.algorithm_label, self.schedule_label)))

    @property
    def measured_ms(self) -> float | None:
        """Median milliseconds of what was chosen, or None where nothing was timed."""
        return dict(self.measured).get(self.label)

    @property
    def filter_form(self) -> tuple[str, str] | None:
        """What decides how a GPU's transformed filter lies in memory, beside the algorithm; None without one."""
        return None if self.gpu is None else self.gpu.filter_form

    def explain(self) -> Explanation:
        """Return what was asked for, what was chosen, and what was rejected and why.

        Examples
        --------
        >>> import winograd
        >>> plan = winograd.plan_conv((1, 64, 16, 56, 56), (128, 64, 3, 3, 3), padding=1, threads=2)
        >>> plan.explain().candidates[-1].label
        'direct'
        """
        from winograd.conv.planning.explanation import explain_plan

        return explain_plan(self)

    def __repr__(self) -> str:
        memory = (("U", self.filter_bytes), ("workspace", self.workspace_bytes))
        stated = "".join(f", {name} {count / 2**20:.1f} MiB" for name, count in memory if count)
        return f"<Plan {self.label}: {self.reason}{stated}>"


def label_of(algorithm: NestedAlgorithm | Candidate) -> str:
    """Return the label of an algorithm, with its products where they are not the least."""
    if algorithm.ranks == algorithm.tile:
        return algorithm.label
    return f"{algorithm.label} of {'x'.join(map(str, algorithm.ranks))} products"


def schedule_label_of(schedule: Schedule) -> str:
    """Return schedule and tiles at a time in words.

    Examples
    --------
    >>> from winograd.conv.native.schedule import ScheduleKind
    >>> schedule_label_of(Schedule(ScheduleKind.FUSED, 9))
    'fused blocks of 9 tiles'
    """
    tiles = "1 tile" if schedule.block == 1 else f"{schedule.block} tiles"
    return f"{schedule.kind.name.lower()} blocks of {tiles}"
