"""The precisions of the products: how a generated kernel for GPUs multiplies numbers of float32.

In: the name of one. Out: a `Products`. Refused: other names.
"""

from __future__ import annotations

from enum import Enum
from typing import Final


class Products(Enum):
    """How U and V are multiplied and summed over the channels; every sum is held in float32.

    What Triton makes of ``tl.dot`` on compute capability 9.0 was read in its compiled code: "tf32x3" rounds the
    leading parts itself (``cvt.rna.tf32.f32``) and adds the sum of every block in float32; "tf32" hands float32 numbers
    to the tensor cores, which ignore what tf32 has no room for.
    """

    IEEE = "ieee"
    """Fused multiply-adds of float32, without tensor cores."""
    TF32X3 = "tf32x3"
    """Each number split in two of 11 digits; the product of the two small parts is left out."""
    TF32 = "tf32"
    """Each number cut off after 11 digits."""
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
