"""Products of a GPU: in which precision they may be taken, how fast, and how wrong the convolution is then.

In: a `ConvShape`, an algorithm, a precision. Out: the predicted error, as `winograd.conv.prediction` has it for the
CPU. Refused: nothing; a precision that a dtype of tensors does not have is not offered.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final, Literal

from winograd.accuracy.model import PHI, kappa, predict_relative_l2
from winograd.algebra.nesting import NestedAlgorithm
from winograd.conv.edges import edge_factor
from winograd.conv.shape import ConvShape

Products = Literal["ieee", "tf32x3", "tf32", "float16", "bfloat16"]

OFFERED: Final[Mapping[str, tuple[Products, ...]]] = MappingProxyType(
    {
        "float32": ("ieee", "tf32x3", "tf32"),
        "float16": ("tf32x3", "tf32", "float16"),
        "bfloat16": ("tf32x3", "tf32", "bfloat16"),
    }
)
"""Products that a plan may take by the dtype of the tensors, those with the least error first.

Tensors of float32 get no products of 16 bits, and those of TF32 only where their predicted error is tolerated."""

STORED_BYTES: Final[Mapping[str, int]] = MappingProxyType({"float16": 2, "bfloat16": 2})
"""Bytes of a number of U and V with products of 16 bits; 4 with the others."""
