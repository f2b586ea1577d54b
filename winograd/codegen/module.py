"""Emitted Python code as a module that can be called.

In: a `Kernel` of a Python target. Out: a module made from its text alone. Refused: kernels of other languages.
"""

from __future__ import annotations

from functools import lru_cache
from types import ModuleType

from winograd.codegen.kernel import Kernel


@lru_cache(maxsize=128)
def python_module(kernel: Kernel) -> ModuleType:
    """Return the module that a kernel's source defines; what the source imports must be installed.

    Raises
    ------
    ValueError
        If the kernel is not Python code.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> from winograd.codegen.emit import emit
    >>> python_module(emit(toom_cook(2, 3), "numpy")).filter_transform([4, 0, 0]).tolist()
    [4, Fraction(2, 1), Fraction(2, 1), 0]
    """
    if kernel.target not in {"numpy", "torch"}:
        raise ValueError(f"kernel is {kernel.target} code; emit it for numpy or torch")
    module = ModuleType(kernel.name, doc=kernel.algorithm.label)
    code = compile(kernel.source, f"<winograd kernel {kernel.name}>", "exec", dont_inherit=True)
    exec(code, module.__dict__)
    return module
