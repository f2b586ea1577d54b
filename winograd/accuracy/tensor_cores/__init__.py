"""Products on tensor cores: how their operands are rounded, how their sums are cut off, what that does to an error.

In: an algorithm and a precision of the products. Out: the error to expect, or that of an emulated layer.
"""

from __future__ import annotations

from winograd.accuracy.tensor_cores.layers import measure_product_error
from winograd.accuracy.tensor_cores.prediction import predict_product_error
from winograd.accuracy.tensor_cores.products import Products, as_products

__all__ = ["Products", "as_products", "measure_product_error", "predict_product_error"]
