"""The C code that copies samples and outputs between a tensor and its phases, and the structure that it is called with.

In: nothing. Out: `Copies`, code that `winograd.codegen.build.load` compiles once for this machine.
"""

from __future__ import annotations

import ctypes
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from winograd.codegen.kernel_shape import Triple
from winograd.codegen.targets.c.parts import part

_WIDTHS: Final = ("uint16_t", "uint32_t", "uint64_t")


class CopyShape(ctypes.Structure):
    """Sizes and steps of a copy; the C structure ``winograd_copy``, where each is described."""

    _fields_ = (
        ("element", ctypes.c_int64),
        ("images", ctypes.c_int64),
        ("channels", ctypes.c_int64),
        ("stride", ctypes.c_int64),
        ("size", Triple),
        ("core", Triple),
        ("low", Triple),
        ("period", Triple),
        ("output_step", Triple),
        ("tap_step", Triple),
        ("output_phases", Triple),
        ("tap_phases", Triple),
        ("channels_first", ctypes.c_int64),
    )


@dataclass(frozen=True, slots=True)
class Copies:
    """C code with the functions ``winograd_split`` and ``winograd_join``.

    Parameters
    ----------
    source : str
        ASCII text that ends in a newline.
    target : str
        "c".
    """

    source: str
    target: str = "c"

    @property
    def digest(self) -> str:
        """SHA-256 of the source as hexadecimal text."""
        return hashlib.sha256(self.source.encode("ascii")).hexdigest()


@lru_cache(maxsize=1)
def copies() -> Copies:
    """Return the code.

    Examples
    --------
    >>> copies().source.count("winograd_split_uint32_t(")
    2
    """
    element = part("copies_element.c")
    texts = (part("copies_shape.c"), *(element.replace("ELEMENT", width) for width in _WIDTHS), part("copies.c"))
    return Copies("\n".join(texts).replace("NAME_", "winograd_"))
