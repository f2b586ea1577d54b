"""Hooks, which see or change what goes into a module and comes out of it. In: a module. Out: whether it has any."""

from __future__ import annotations

from collections.abc import Mapping

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
    return any(_hooks_of(module))


def hook_names(module: nn.Module) -> list[str]:
    """Return the names of what looks at the calls of a module, of functions or of classes, each once.

    Examples
    --------
    >>> hook_names(nn.utils.spectral_norm(nn.Conv3d(1, 1, 1)))
    ['SpectralNorm']
    """
    hooks = (hook for of_kind in _hooks_of(module) for hook in of_kind.values())
    return list(dict.fromkeys(getattr(hook, "__name__", type(hook).__name__) for hook in hooks))


def _hooks_of(module: nn.Module) -> tuple[Mapping[int, object], ...]:
    return module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks


def has_global_hooks() -> bool:
    """Return whether something looks at the calls of all modules."""
    return bool(_has_any_global_hook())  # type: ignore[no-untyped-call]
