"""CUDA graphs of calls: what a GPU does for them, launched at once.

In: a callable that takes the number of a buffer. Out: the same one, which replays what was captured for that number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class Graphed:
    """Captures a call for each buffer when it is first made, and replays it from then on.

    Graphs share their memory, since they are replayed one after the other, and all outputs but the first are
    overwritten.

    Parameters
    ----------
    call : callable
        Computes with the buffers of a number, and returns the output.
    """

    def __init__(self, call: Callable[[int], Tensor | None]) -> None:
        self._call = call
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}
        self._first: dict[int, Tensor | None] = {}

    def __call__(self, number: int) -> Tensor | None:
        """Compute with the buffers of a number; the output is that of the first number that came, None for others."""
        graph = self._graphs.get(number)
        if graph is None:
            graph = self._capture(number)
        graph.replay()
        return self._first.get(number)

    def _capture(self, number: int) -> torch.cuda.CUDAGraph:
        self._call(number)  # compiles, and lets the library choose, which no graph can hold
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        shared: dict[str, Any] = {"pool": next(iter(self._graphs.values())).pool()} if self._graphs else {}
        with torch.cuda.graph(graph, **shared):
            output = self._call(number)
        if not self._graphs:
            self._first[number] = output
        self._graphs[number] = graph
        return graph
