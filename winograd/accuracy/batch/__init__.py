"""Figures of the second-moment model for many algorithms at once, batched over candidates of one program shape.

In: recipes or sets of points. Out: the predicted errors of `winograd.accuracy.model`, hundreds of times as fast.
"""

from __future__ import annotations

from winograd.accuracy.batch.predict import predict_batch, predict_toom_cook

__all__ = ["predict_batch", "predict_toom_cook"]
