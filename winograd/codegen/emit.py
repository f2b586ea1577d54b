"""`emit`: an algorithm becomes code in one of the target languages.

In: an algorithm, a target, a name, notes for the header. Out: a `Kernel`, the same bytes on any machine.
Refused: unknown targets, names that are no identifiers, symbols, constants out of range.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Final

from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import NestedAlgorithm, as_nested
from winograd.codegen.command import DEFAULT_NAME
from winograd.codegen.header import header_lines
from winograd.codegen.kernel import Kernel
from winograd.codegen.literals import check_range
from winograd.codegen.names import checked_name
from winograd.codegen.targets import c, json, latex, numpy, torch

Source = Callable[[NestedAlgorithm, str, Sequence[str]], str]
"""What a target is: algorithm, name and header lines become text."""

TARGETS: Final = MappingProxyType[str, Source](
    {
        "c": c.source,
        "numpy": numpy.source,
        "torch": torch.source,
        "triton": triton.source,
        "latex": latex.source,
        "json": json.source,
    }
)
"""The printer of every target language."""

COMMENT_MARKERS: Final = MappingProxyType({"c": "//", "numpy": "#", "torch": "#", "triton": "#", "latex": "%"})
"""What begins a comment line in a target language; JSON has no comments."""

_DATA_DTYPES: Final = MappingProxyType({"c": "float32", "numpy": "float64", "torch": "float64", "triton": "float32"})
"""In which constants of the data and inverse transforms must be normal numbers; targets left out print them exactly."""


def emit(
    algorithm: BilinearAlgorithm | NestedAlgorithm,
    target: str = "c",
    *,
    name: str = DEFAULT_NAME,
    notes: Sequence[str] = (),
) -> Kernel:
    """Return the code of an algorithm in a target language.

    Parameters
    ----------
    algorithm : BilinearAlgorithm or NestedAlgorithm
        With rational matrices.
    target : str
        A key of `TARGETS`: "c", "numpy", "torch", "latex" or "json".
    name : str
        An identifier of C and Python, at most 64 characters, that names in the code are derived from.
    notes : sequence of str
        Lines for the end of the header, printable ASCII.

    Returns
    -------
    Kernel
        ``kernel.source`` is the text; constants in it survive being read back exactly.

    Raises
    ------
    TypeError, ValueError
        If the algorithm, the target, the name or the notes are not as above, or a constant is out of range.
    NotImplementedError
        If an entry of a matrix is not rational.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> emit(toom_cook(2, 3), "torch").source.splitlines()[0]
    '# F(2,3): 4 multiplications for 2 outputs.'
    >>> emit(toom_cook(2, 3), "fortran")
    Traceback (most recent call last):
    ...
    ValueError: target 'fortran' is unknown; c, numpy, torch, latex, json are allowed
    """
    nested = as_nested(algorithm)
    checked_name(name)
    if target not in TARGETS:
        raise ValueError(f"target {target!r:.80} is unknown; {', '.join(TARGETS)} are allowed")
    if target in _DATA_DTYPES:
        check_range(nested, _DATA_DTYPES[target])
    header = header_lines(nested, target, name, notes)
    return Kernel(target=target, name=name, source=TARGETS[target](nested, name, header), algorithm=nested)
