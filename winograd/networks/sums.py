"""Sums in the memory of one of both: whether they can be taken.

In: nothing but what is at work. Out: yes or no.
"""

from __future__ import annotations

import torch


def can_add_in_place() -> bool:
    """Return whether a tensor may be added to another in the memory of that.

    Under `torch.func` that other one may have no room: of what is batched, for example, only the one that is added.
    Compilers choose the memory themselves.

    Examples
    --------
    >>> can_add_in_place()
    True
    >>> bool(torch.vmap(lambda x: x + can_add_in_place())(torch.zeros(1)))
    False
    """
    return not torch.compiler.is_compiling() and torch._C._functorch.peek_interpreter_stack() is None
