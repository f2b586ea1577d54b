"""The shape of a generated Python file: what is the same whatever holds the numbers.

In: a request and a `Language`, the parts in which NumPy and torch differ. Out: the file: header, docstring,
transforms that the stage needs, the convolution if it is asked for, shape guards, one function per axis, a self-test.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import isfinite
from string import Template
from typing import Final

from winograd.codegen.targets import python_parts as parts
from winograd.codegen.targets.contract import Request, Stage
from winograd.codegen.targets.python_transforms import TRANSFORMS, Transform, transforms
from winograd.codegen.targets.straight_line import Dialect
from winograd.codegen.tolerance import float64_tolerance

_LAW: Final = "y = inverse_transform(filter_transform(w) * data_transform(d)), products summed over channels."
_FRACTIONS: Final = "from fractions import Fraction"
_MAGNITUDE: Final = 9
"""Largest integer that `Language.agrees` draws."""
_CHANNELS: Final = 4
"""Channels of the self-test's convolutions, and one for the bias, which adds no more than a channel does."""


@dataclass(frozen=True, slots=True)
class Language:
    """What a library of arrays is called and how it does what the common text leaves to it.

    Parameters
    ----------
    title, library : str
        In prose, and as the name that it is imported under.
    imports : str
        Import statement of the library.
    standard : tuple of str
        Import statements of the standard library for what is in every file.
    numbers : str
        Lines of the docstring: which dtypes the file takes and how they round.
    convolution : str
        Lines of the docstring of ``convolve``: the dtype of the result.
    integers : str
        The types of an integer, for ``isinstance``.
    permute, cast : str
        The function that permutes axes, and the method that returns an array in another dtype.
    transform : str
        Text of ``_transform(name, x, sizes, passes)``, which calls ``_check_sizes``, and of what it needs.
    parts : str
        Text of what the convolution needs: ``_operands``, ``_padded``, ``_windows`` and ``_summed``.
    agrees : str
        Text of ``_integers(seed, *shape)``, from -9 to 9, and of ``_agrees(label, expected, limits, function,
        *arguments)``; expected are pairs, the right value and the scale of its error; limits are the error
        that is allowed in float64, and by how much a wrong result is off at least.
    dialect : Dialect
    """

    title: str
    library: str
    imports: str
    standard: tuple[str, ...]
    numbers: str
    convolution: str
    integers: str
    permute: str
    cast: str
    transform: str
    parts: str
    agrees: str
    dialect: Dialect


def python_source(request: Request, language: Language) -> str:
    """Return the text of the module for a request."""
    chosen = transforms(request)
    convolves = request.stage is Stage.CONV
    by_definition = request.stage not in TRANSFORMS and not request.lowering.transposed
    blocks = [
        _opening(request, language, chosen, by_definition=by_definition),
        *(transform.definition() for transform in chosen),
        *([_filled(parts.CONVOLVE, language), _filled(parts.GEOMETRY, language)] if convolves else []),
        language.transform + parts.CHECK_SIZES,
        *(text for transform in chosen for text in transform.functions(language.dialect)),
        *(_by_definition(request, language) if by_definition else _by_matrices(chosen)),
        language.agrees,
        parts.SELF_TEST,
    ]
    return "\n\n".join(blocks)


def _opening(request: Request, language: Language, chosen: list[Transform], *, by_definition: bool) -> str:
    nested = request.algorithm
    # Reversed, so that plain imports come first.
    imports = sorted({*language.standard, "import itertools" if by_definition else _FRACTIONS}, reverse=True)
    comments = "".join(f"# {line}\n" for line in request.header)
    constants = {"NAME": f'"{request.name}"', "M": nested.m, "R": nested.r, "TILE": nested.tile, "RANKS": nested.ranks}
    return "\n".join(
        [
            f'{comments}"""{_summary(request, chosen)} for {language.title}, generated.',
            "",
            *([_LAW, ""] if by_definition else []),
            f'{language.numbers}"""',
            "",
            *imports,
            "",
            language.imports,
            "",
            *(f"{name} = {value}" for name, value in constants.items()),
            "",
        ]
    )


def _summary(request: Request, chosen: list[Transform]) -> str:
    label = request.algorithm.label
    if request.stage is Stage.CONV:
        return f"Convolution by {label}"
    transposed = "transposed " if request.lowering.transposed else ""
    what = "transforms" if len(chosen) > 1 else f"{request.stage} transform"
    return f"{(transposed + what).capitalize()} of {label}"


def _filled(template: str, language: Language) -> str:
    return Template(template).substitute(
        library=language.library,
        integers=language.integers,
        permute=language.permute,
        cast=language.cast,
        convolution=language.convolution,
        parts=language.parts,
    )


def _by_definition(request: Request, language: Language) -> list[str]:
    lowering = replace(request.lowering, fma=False)  # neither library fuses
    allowed = float64_tolerance(request.algorithm, _MAGNITUDE, _CHANNELS, lowering)
    cases = parts.CONVOLVE_CASES if request.stage is Stage.CONV else parts.TILE_CASES
    return [_filled(parts.DIRECT, language), f"_LIMITS = {_limits(allowed, Fraction(1))}\n\n\n{cases}"]


def _by_matrices(chosen: list[Transform]) -> list[str]:
    rows = [
        f"    ({transform.name}, {transform.sizes}, {limits}, {transform.matrices_name}),\n"
        for transform in chosen
        for limits in [_limits(transform.tolerance(_MAGNITUDE), transform.smallest)]
    ]
    matrices = "\n".join(transform.matrices_definition() for transform in chosen)
    return [f"{matrices}\n_TRANSFORMS = (\n{''.join(rows)})\n\n\n{parts.MATRIX_CASES}"]


def _limits(allowed: float, step: Fraction) -> str:
    return f"({_spelled(allowed)}, {_spelled(float(step))})"


def _spelled(number: float) -> str:
    return repr(number) if isfinite(number) else 'float("inf")'
