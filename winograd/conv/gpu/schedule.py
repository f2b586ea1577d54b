"""`GpuSchedule`: how a GPU computes a convolution: by which kernels, with which products, in which blocks.

In: the name of the emitted schedule, of the products, and what the kernels are set to. Out: a record that compares by
value. Refused: unknown names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

Products = Literal["ieee", "tf32x3", "tf32", "float16", "bfloat16"]
"""How products of transformed numbers are taken: as they are; each number in two parts of TF32, three products of
which are added up; rounded to TF32; stored in 16 bits. Sums are of float32 always."""

STAGED: Final = "staged"
FUSED: Final = "fused"

Config = tuple[tuple[str, int], ...]
"""Settings of emitted kernels by name, sorted; what is not named stays what the file says."""


@dataclass(frozen=True, slots=True)
class GpuSchedule:
    """How a GPU computes a convolution.

    Parameters
    ----------
    kind : str
        "staged": transforms and products are launched one after the other, V and M go through memory; "fused": one
        launch does all.
    products : str
        How products are taken, see `Products`.
    config : tuple of (str, int)
        Settings of the kernels.

    Raises
    ------
    ValueError
        For other words.

    Examples
    --------
    >>> GpuSchedule("staged", "tf32x3", (("workspace_bytes", 1 << 25),)).label
    'tf32x3 products, staged in 32.0 MiB'
    """

    kind: str
    products: Products
    config: Config = ()

    def __post_init__(self) -> None:
        if self.kind not in (STAGED, FUSED):
            raise ValueError(f"kind is {self.kind!r}, must be {STAGED!r} or {FUSED!r}")
        if self.products not in get_args(Products):
            raise ValueError(f"products is {self.products!r}, must be one of {', '.join(get_args(Products))}")

    @property
    def label(self) -> str:
        """Products, kernels and, where it is set, the memory that V and M take at most."""
        settings = dict(self.config)
        cap = settings.pop("workspace_bytes", None)
        words = self.kind if cap is None else f"{self.kind} in {cap / 2**20:.1f} MiB"
        blocks = "".join(f", {name} {value}" for name, value in settings.items())
        return f"{self.products} products, {words}{blocks}"

    @property
    def filter_form(self) -> tuple[str, str]:
        """What decides how the transformed filter lies in memory."""
        return self.kind, self.products
