"""Failures of kernels on a GPU: which of them leave the card as it was, so that torch's own convolution can run.

In: an exception. Out: whether another computation can take the place of what raised it. Refused: nothing. Errors after
which a card computes nothing more in this process are not among them, nor are wrong arguments.
"""

from __future__ import annotations

import importlib
import subprocess
from typing import Any, Final

import torch

_STICKY: Final = (
    "CUDA error", "illegal memory access", "illegal instruction", "misaligned address", "unspecified launch failure",
    "device-side assert", "hardware exception", "uncorrectable", "captur",
)  # fmt: skip
"""Words of errors after which neither the card nor a capture goes on."""


def is_passed_over(error: Exception) -> bool:
    """Return whether kernels did not compile or had too little memory, and nothing else is lost.

    Triton raises its own errors where a card has too few registers or too little shared memory, and others where there
    is no C compiler for its launcher, where its passes fail or where its cache cannot be written.

    Examples
    --------
    >>> is_passed_over(RuntimeError("Failed to find C compiler")), is_passed_over(RuntimeError("CUDA error: an"))
    (True, False)
    """
    if is_out_of_memory(error) or isinstance(error, (triton_error(), subprocess.SubprocessError, OSError)):
        return True
    if not isinstance(error, RuntimeError) or isinstance(
        error, (getattr(torch, "AcceleratorError", ()), NotImplementedError)
    ):
        return False
    said = str(error)
    return not any(word in said for word in _STICKY)


def is_out_of_memory(error: Exception) -> bool:
    """Return whether there was too little memory, of which there may be enough another time."""
    return isinstance(error, torch.OutOfMemoryError)


def triton_error() -> type[Exception]:
    """Return what Triton raises where it cannot compile, or where a card has too few registers or shared memory."""
    found: Any = importlib.import_module("triton.runtime.errors")
    errors: type[Exception] = found.TritonError
    return errors
