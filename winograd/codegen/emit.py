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
from winograd.codegen.command import DEFAULT_NAME, option_words
from winograd.codegen.header import header_lines
from winograd.codegen.kernel import Kernel
from winograd.codegen.literals import check_range
from winograd.codegen.lower import DEFAULT_LOWERING, Lowering
from winograd.codegen.names import checked_name
from winograd.codegen.targets import c, json, latex, numpy, torch, triton
from winograd.codegen.targets.contract import Request, Stage, Target
from winograd.quoting import quote

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

ARITHMETIC: Final = MappingProxyType(
    {"float64": "float64", "float32": "float32", "float16": "float32", "bfloat16": "float32"}
)
"""In which dtype code for a dtype computes: 16 bits are for what is stored."""


def emit(
    algorithm: BilinearAlgorithm | NestedAlgorithm,
    target: str = "c",
    *,
    stage: str | None = None,
    dtype: str | None = None,
    schedule: str | None = None,
    lowering: Lowering = DEFAULT_LOWERING,
    name: str = DEFAULT_NAME,
    notes: Sequence[str] = (),
    chosen: str = "",
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
    schedule : str, optional
        How a whole convolution is divided into kernels, one of the target's schedules; None takes its first.
    lowering : Lowering
        How the programs are made.
    name : str
        An identifier of C and Python, at most 64 characters, that names in the code are derived from.
    notes : sequence of str
        Lines for the end of the header, printable ASCII.
    chosen : str
        Words of the command that chose the algorithm, such as ``--best float16``: for the header of an algorithm that
        no points and no moduli give again.

    Returns
    -------
    Kernel
        ``kernel.source`` is the text; constants in it survive being read back exactly.

    Raises
    ------
    TypeError, ValueError
        If the algorithm, the target, what is asked of it, the name or the notes are not as above, or a constant is out
        of range.
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
    if not isinstance(lowering, Lowering):
        raise TypeError(f"lowering is a {type(lowering).__name__}, must be a Lowering")
    known = find_target(target)
    part = checked_stage(target, stage, lowering)
    number = checked_dtype(target, dtype)
    plan = checked_schedule(target, schedule, part)
    if known.range_dtype is not None:
        check_range(nested, ARITHMETIC.get(number, known.range_dtype), part, lowering)
    words = option_words(
        target,
        name,
        stage="" if part is known.stages[0] else part,
        dtype="" if number == checked_dtype(target, None) else number,
        schedule="" if plan == checked_schedule(target, None) else plan,
        lowering=lowering,
    )
    header = header_lines(nested, words, notes, stage=part, lowering=lowering, unfused=known.unfused, chosen=chosen)
    request = Request(nested, name, header, part, number, lowering, known.unfused, plan)
    return Kernel(target=target, name=name, source=known.source(request), algorithm=nested)


def find_target(name: str) -> Target:
    """Return the target of a name.

    Raises
    ------
    ValueError
        If there is none.
    """
    if not isinstance(name, str) or name not in TARGETS:
        raise ValueError(f"target {quote(name)} is unknown; {', '.join(TARGETS)} are allowed")
    return TARGETS[name]


def checked_stage(target: str, stage: str | None, lowering: Lowering = DEFAULT_LOWERING) -> Stage:
    """Return a stage that a target has, its first for None.

    Raises
    ------
    ValueError
        For another one, and for a whole convolution with transposed matrices.

    Examples
    --------
    >>> checked_stage("json", None)
    <Stage.ALL: 'all'>
    >>> checked_stage("latex", "conv")
    Traceback (most recent call last):
    ...
    ValueError: stage 'conv' is not for target latex; allowed: all, data, filter, inverse
    """
    stages = find_target(target).stages
    chosen = stages[0] if stage is None else stage
    if chosen not in stages:
        raise ValueError(f"stage {quote(chosen)} is not for target {target}; allowed: {', '.join(stages)}")
    if lowering.transposed and chosen == Stage.CONV:
        others = ", ".join(one for one in stages if one is not Stage.CONV) or "none"
        raise ValueError(f"stage 'conv' is not for transposed matrices, only transforms are; allowed: {others}")
    return Stage(chosen)


def checked_dtype(target: str, dtype: str | None) -> str:
    """Return a dtype that a target has, its first for None, or "" where it has none.

    Raises
    ------
    ValueError
        For another one.

    Examples
    --------
    >>> checked_dtype("c", None), checked_dtype("json", None)
    ('float32', '')
    >>> checked_dtype("json", "float32")
    Traceback (most recent call last):
    ...
    ValueError: dtype 'float32' is not for target json, whose code has none
    """
    return _checked("dtype", dtype, find_target(target).dtypes, target)


def checked_schedule(target: str, schedule: str | None, stage: str = Stage.CONV) -> str:
    """Return a schedule that a target has, its first for None, or "" where it has none.

    Raises
    ------
    ValueError
        For another one, and for code that is not a whole convolution.

    Examples
    --------
    >>> checked_schedule("triton", None), checked_schedule("c", None)
    ('staged', '')
    >>> checked_schedule("c", "fused")
    Traceback (most recent call last):
    ...
    ValueError: schedule 'fused' is not for target c, whose code has none
    """
    checked = _checked("schedule", schedule, find_target(target).schedules, target)
    if schedule is not None and stage != Stage.CONV:
        raise ValueError(f"schedule {quote(schedule)} is for stage 'conv', not for {str(stage)!r}")
    return checked


def _checked(what: str, given: str | None, allowed: Sequence[str], target: str) -> str:
    """Return what is given, the first that is allowed for None; "" where a target has none."""
    if given is None:
        return allowed[0] if allowed else ""
    if not allowed:
        raise ValueError(f"{what} {quote(given)} is not for target {target}, whose code has none")
    if given not in allowed:
        raise ValueError(f"{what} {quote(given)} is not for target {target}; allowed: {', '.join(allowed)}")
    return given
