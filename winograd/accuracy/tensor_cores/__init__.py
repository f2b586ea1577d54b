"""Products on tensor cores: how their operands are cut, how their sums round, and what that adds to an error.

In: numbers of float32, or an algorithm. Out: the numbers that an NVIDIA GPU multiplies and sums, or an error to expect.
"""

from __future__ import annotations

from winograd.accuracy.tensor_cores.prediction import predict_product_error
from winograd.accuracy.tensor_cores.products import Products, as_products

__all__ = ["Products", "as_products", "predict_product_error"]
