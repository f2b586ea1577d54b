"""Figures of the second-moment model for many algorithms at once, batched over candidates of one program shape.

In: recipes or sets of points. Out: the predicted errors of `winograd.accuracy.model`: hundreds of times as fast where
programs have few shapes, as for points in pairs +-a, or are added in a given order; a few times where lowering finds
another shape for nearly every candidate, as for points without symmetry.
"""

from __future__ import annotations

from winograd.accuracy.batch.predict import predict_batch, predict_toom_cook

__all__ = ["predict_batch", "predict_toom_cook"]
