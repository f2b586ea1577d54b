"""How much memory the tensors of a forward take, counted on the meta device, where none of it is allocated.

In: what runs while a `Living` is entered. Out: bytes that were alive at most, and that were made in all. What the
kernels of a device hold for themselves is not among them.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Living(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the tensors that live at a time, views and what is changed in place only once.

    Parameters
    ----------
    known : iterable of Tensor
        That do not count: the parameters.

    Attributes
    ----------
    peak_bytes, made_bytes : int
        Alive at most, and made in all.

    Examples
    --------
    >>> import torch
    >>> with Living() as living:
    ...     x = torch.zeros(256, device="meta")
    ...     x = x.relu_().reshape(16, 16) + 1  # both are there for a moment
    >>> living.peak_bytes, living.made_bytes
    (2048, 2048)
    """

    def __init__(self, known: Iterable[Tensor] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak_bytes = self.made_bytes = 0
        self._now = 0
        self._known = [tensor.untyped_storage() for tensor in known]  # kept, so that no id comes again
        self._alive: dict[int, int] = {id(storage): 0 for storage in self._known}

    def count(self, tensor: Tensor) -> None:
        """Let a tensor that was made before count from now on, such as the input."""
        storage = tensor.untyped_storage()
        if id(storage) in self._alive:
            return
        size = storage.nbytes()
        self._alive[id(storage)] = size
        self._now += size
        self.made_bytes += size
        self.peak_bytes = max(self.peak_bytes, self._now)
        weakref.finalize(storage, self._forget, id(storage))

    def _forget(self, key: int) -> None:
        self._now -= self._alive.pop(key)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        for value in tree_leaves(made):
            if isinstance(value, Tensor):
                self.count(value)
        return made
