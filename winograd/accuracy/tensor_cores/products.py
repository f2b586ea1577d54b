"""The precisions of the products: how a generated kernel for GPUs multiplies numbers of float32.

In: the name of one. Out: a `Products`. Refused: other names.
"""

from __future__ import annotations

from enum import Enum
from typing import Final


class Products(Enum):
    """How U and V are multiplied and summed over the channels; every sum is held in float32.

    So the emitted kernels do it. Triton itself only cuts operands of "tf32" off (read in code compiled for compute
    capability 9.0), which makes all outputs too small by 7e-4.
    """

    IEEE = "ieee"
    """Fused multiply-adds of float32, without tensor cores."""
    TF32X3 = "tf32x3"
    """Each number split in two of 11 digits; the product of the two small parts is left out."""
    TF32 = "tf32"
    """Each number rounded to 11 digits."""
    FLOAT16 = "float16"
    """Each number rounded to float16."""
    BFLOAT16 = "bfloat16"
    """Each number rounded to bfloat16."""

    @property
    def step(self) -> int:
        """Products that a tensor core adds to a sum before it cuts the sum off; 1 without tensor cores."""
        return _STEPS[self]

    @property
    def is_blocked(self) -> bool:
        """Whether the sum of every block of channels is added to the others by an addition of float32."""
        return self is Products.TF32X3


_STEPS: Final = {
    Products.IEEE: 1,
    Products.TF32X3: 8,
    Products.TF32: 8,
    Products.FLOAT16: 16,
    Products.BFLOAT16: 16,
}


def as_products(value: object) -> Products:
    """Return `Products` from its name or itself.

    Raises
    ------
    ValueError
        If there is no such precision.

    Examples
    --------
    >>> as_products("tf32x3").step
    8
    >>> as_products("fp8")
    Traceback (most recent call last):
    ...
    ValueError: products is 'fp8', must be one of ieee, tf32x3, tf32, float16, bfloat16
    """
    try:
        return Products(value)
    except ValueError:
        allowed = ", ".join(member.value for member in Products)
        raise ValueError(f"products is {value!r}, must be one of {allowed}") from None
