"""Hooks, which see or change what goes into a module and comes out of it. In: a module. Out: whether it has any."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.module import _has_any_global_hook


def has_hooks(module: nn.Module) -> bool:
    """Return whether something looks at the calls of a module.

    Examples
    --------
    >>> layer = nn.ReLU()
    >>> hook = layer.register_forward_hook(print)
    >>> has_hooks(layer), hook.remove(), has_hooks(layer)
    (True, None, False)
    """
    own = module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks
    return bool(own)


def has_global_hooks() -> bool:
    """Return whether something looks at the calls of all modules."""
    return bool(_has_any_global_hook())  # type: ignore[no-untyped-call]
