"""`emit`: an algorithm becomes code in one of the target languages.

In: an algorithm, a target, what of it and how, a name, notes for the header. Out: a `Kernel`, the same bytes on any
machine. Refused: unknown targets, what a target cannot do, names that are no identifiers, symbols, constants out of
range.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import NestedAlgorithm, as_nested
from winograd.codegen.command import DEFAULT_NAME
from winograd.codegen.header import header_lines
from winograd.codegen.kernel import Kernel
from winograd.codegen.literals import check_range
from winograd.codegen.lower import DEFAULT_LOWERING, Lowering
from winograd.codegen.names import checked_name
from winograd.codegen.targets import c, json, latex, numpy, torch, triton
from winograd.codegen.targets.contract import Request, Stage, Target

TARGETS: Final = MappingProxyType[str, Target](
    {
        "c": c.TARGET,
        "numpy": numpy.TARGET,
        "torch": torch.TARGET,
        "triton": triton.TARGET,
        "latex": latex.TARGET,
        "json": json.TARGET,
    }
)
"""Every target language."""


def emit(
    algorithm: BilinearAlgorithm | NestedAlgorithm,
    target: str = "c",
    *,
    stage: str | None = None,
    dtype: str | None = None,
    lowering: Lowering = DEFAULT_LOWERING,
    name: str = DEFAULT_NAME,
    notes: Sequence[str] = (),
) -> Kernel:
    """Return the code of an algorithm in a target language.

    Parameters
    ----------
    algorithm : BilinearAlgorithm or NestedAlgorithm
        With rational matrices.
    target : str
        A key of `TARGETS`: "c", "numpy", "torch", "triton", "latex" or "json".
    stage, dtype : str, optional
        One of the stages and of the dtypes of the target; None takes its first.
    lowering : Lowering
        How the programs are made.
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
    ValueError: target 'fortran' is unknown; c, numpy, torch, triton, latex, json are allowed
    """
    nested = as_nested(algorithm)
    checked_name(name)
    known = find_target(target)
    stage = _chosen("stage", target, stage, known.stages)
    dtype = _chosen("dtype", target, dtype, known.dtypes)
    if known.range_dtype is not None:
        check_range(nested, dtype or known.range_dtype)
    header = header_lines(nested, target, name, notes)
    request = Request(nested, name, header, Stage(stage), dtype, lowering)
    return Kernel(target=target, name=name, source=known.source(request), algorithm=nested)


def find_target(name: str) -> Target:
    """Return the target of a name.

    Raises
    ------
    ValueError
        If there is none.
    """
    if name not in TARGETS:
        raise ValueError(f"target {name!r:.80} is unknown; {', '.join(TARGETS)} are allowed")
    return TARGETS[name]


def _chosen(what: str, target: str, value: str | None, allowed: Sequence[str]) -> str:
    if value is None:
        return allowed[0] if allowed else ""
    if value not in allowed:
        listed = ", ".join(allowed) or "none"
        raise ValueError(f"{what} {value!r:.80} is not for target {target}; allowed: {listed}")
    return value
