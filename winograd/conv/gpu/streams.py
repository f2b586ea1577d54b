"""Streams of a GPU: what one stream has made is read by another only when it is there, and freed when that is done.

In: a tensor that kernels were launched to fill. Out: a mark, for whoever reads the tensor later. Refused: nothing;
tensors on the CPU are ready at once and have no mark. While a stream is captured for a CUDA graph, what is launched is
recorded and not computed: nothing that is made then may be kept, and nothing is waited for, since what is kept was made
before the capture, which begins by waiting for the whole card.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class Mark:
    """The place in a stream behind which a tensor is filled.

    Parameters
    ----------
    stream : torch.cuda.Stream
    event : torch.cuda.Event
    """

    stream: torch.cuda.Stream
    event: torch.cuda.Event

    def wait(self, tensor: Tensor) -> None:
        """Let the current stream of the tensor's card wait for the tensor, and hold its memory until that is read."""
        reader = torch.cuda.current_stream(tensor.device)
        if reader == self.stream or torch.cuda.is_current_stream_capturing():
            return
        reader.wait_event(self.event)
        tensor.record_stream(reader)


def mark_of(tensor: Tensor) -> Mark | None:
    """Return the place in the current stream behind which a tensor is filled, None on the CPU and in a capture."""
    if not tensor.is_cuda or torch.cuda.is_current_stream_capturing():
        return None
    stream = torch.cuda.current_stream(tensor.device)
    return Mark(stream, stream.record_event())


def may_be_kept(source: Tensor) -> bool:
    """Return whether what is made of a tensor now is computed now: not while a CUDA graph is captured."""
    return not (source.is_cuda and torch.cuda.is_current_stream_capturing())
