"""Casting: what `torch.autocast` does with torch's operator for our convolution, as with torch's own.

In: tensors under autocast. Out: the convolution in autocast's dtype of that device; float64 and integers stay as they
are. `torch.library.register_autocast` knows one dtype for good, autocast has the one it was entered with.
"""

from __future__ import annotations

from typing import Any, Final

import torch

_KEYS: Final = {"cpu": torch._C.DispatchKey.AutocastCPU, "cuda": torch._C.DispatchKey.AutocastCUDA}

_library: Final = torch.library.Library("winograd", "FRAGMENT")  # type: ignore[no-untyped-call]


def register_casting(operator: torch._ops.OpOverload[..., Any]) -> None:
    """Have autocast narrow the tensors of an operator, on all devices that our convolution knows."""
    for kind, key in _KEYS.items():
        keys = torch._C.DispatchKeySet(key)

        def narrowed(*given: Any, kind: str = kind, keys: Any = keys) -> Any:
            with torch._C._ExcludeDispatchKeyGuard(keys):
                return operator(*(_narrowed(one, kind) for one in given))

        operator.py_impl(key)(narrowed)
        _library.impl(operator._schema.name, narrowed, key.name)  # type: ignore[no-untyped-call]


def _narrowed(value: Any, kind: str) -> Any:
    if not isinstance(value, torch.Tensor) or value.device.type != kind:
        return value
    wide = value.is_floating_point() and value.dtype is not torch.float64
    return value.to(torch.get_autocast_dtype(kind)) if wide else value
