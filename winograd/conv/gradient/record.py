"""`GradientPlan`: what was chosen for one gradient of a convolution, why, and what it is predicted to cost, as data.

In: the choice, made elsewhere. Out: a record that says all of it. Refused: direct computation with an algorithm, others
without one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from enum import Enum

from winograd.algebra.nesting import NestedAlgorithm
from winograd.conv.choosing.task import Terms
from winograd.conv.geometry.phases import Phases
from winograd.conv.geometry.shape import ConvShape
from winograd.conv.plan.record import Backend, Plan, label_of
from winograd.conv.wording import size_of


class Gradient(Enum):
    """What a convolution is differentiated by; the gradient of a bias is a sum, which needs no plan."""

    INPUT = "input"
    WEIGHT = "weight"


@dataclass(frozen=True, slots=True)
class GradientPlan:
    """What was chosen for one gradient of one convolution, and why.

    Parameters
    ----------
    shape : ConvShape
        Of the convolution whose gradient it is.
    wanted : Gradient
    backend : Backend
        DIRECT for torch's own.
    algorithm : NestedAlgorithm or None
        For a convolution of these taps; the gradient of the weight runs its transposed transforms. None for torch's
        own.
    reason : str
        One line.
    predicted_error : float or None
        Relative L2 error predicted for independent zero-mean inputs; None for torch's own.
    direct_error : float or None
        That of torch's own gradient of the weight; None where it was not compared.
    filter_bytes, workspace_bytes : int
        Memory of the transformed filter, or of the gradient of it, and of what a call holds beside it, of the gradient
        of the weight V and M of a block of tiles; results apart.
    predicted_ms, direct_ms : float or None
        Predicted milliseconds of this plan and of torch's own on the nominal machine; None where the model does not
        apply.
    convolution : Plan or None
        Of the convolution that the gradient of the input is, where it is computed as one.
    block : int or None
        Tiles that native code of the gradient of the weight holds at a time.
    phases : Phases or None
        By which native code of the gradient of the weight takes stride, dilation and groups apart, in the dtype that is
        computed with.
    terms : Terms or None
        What was asked for.
    """

    shape: ConvShape
    wanted: Gradient
    backend: Backend
    algorithm: NestedAlgorithm | None
    reason: str
    predicted_error: float | None = None
    direct_error: float | None = None
    filter_bytes: int = 0
    workspace_bytes: int = 0
    predicted_ms: float | None = None
    direct_ms: float | None = None
    convolution: Plan | None = None
    block: int | None = None
    phases: Phases | None = None
    terms: Terms | None = None

    def __post_init__(self) -> None:
        if (self.backend is Backend.DIRECT) != (self.algorithm is None):
            raise ValueError(f"backend {self.backend.value} with algorithm {self.algorithm}, only direct has none")

    @property
    def label(self) -> str:
        """Backend and algorithm, such as "native F(4x4x4,3x3x3)"."""
        return self.backend.value if self.algorithm is None else f"{self.backend.value} {label_of(self.algorithm)}"

    @property
    def is_needed(self) -> bool:
        """Whether torch's own is predicted to have an error above the tolerance, and this has not."""
        if self.backend is Backend.DIRECT or self.direct_error is None or self.terms is None:
            return False
        return self.direct_error > self.terms.tolerance

    @property
    def digest(self) -> str:
        """SHA-256 of the fields as hexadecimal text, the same in every process."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        named["algorithm"] = self.algorithm and self.algorithm.digest
        named["convolution"] = self.convolution and self.convolution.digest
        return hashlib.sha256(repr(sorted(named.items())).encode()).hexdigest()

    def explain(self) -> str:
        """Return what was asked for, what was chosen and why, as lines of text.

        Examples
        --------
        >>> from winograd.conv.arguments import ConvArguments
        >>> from winograd.conv.gradient.plan import plan_gradient
        >>> shape = ConvArguments().shape((1, 4, 8), (4, 4, 1), dtype="float32")
        >>> print(plan_gradient(Gradient.WEIGHT, shape).explain())
        gradient of the weight of a convolution of (1, 4, 8) with (4, 4, 1), float32
        direct: taps (1,), algorithms are known for 2 to 7 (and 1 on some axes)
        """
        shape = self.shape
        sizes = f"{(shape.batch, shape.channels, *shape.sizes)} with {shape.weight_sizes}, {shape.dtype}"
        asked = f"gradient of the {self.wanted.value} of a convolution of {sizes}"
        memory = (("U", self.filter_bytes), ("workspace", self.workspace_bytes))
        stated = "".join(f"; {name} {size_of(count)}" for name, count in memory if count)
        within = "" if self.terms is None or self.algorithm is None else f"; tolerance {self.terms.tolerance:.2g}"
        return f"{asked}\n{self.label}: {self.reason}{within}{stated}"

    def __repr__(self) -> str:
        return f"<GradientPlan of {self.wanted.value}, {self.label}: {self.reason}>"
