"""What the top of every generated file says: the command, points or moduli, operation counts, the version, and notes.

In: an algorithm and lines from above. Out: lines of text without comment markers; no time, host, user or path.
Refused: notes that could end a comment or break its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from math import prod
from typing import Final

from winograd import __version__
from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.nesting import NestedAlgorithm
from winograd.algebra.origin import recipe_of
from winograd.algebra.points import spell
from winograd.codegen.command import Recipe, command_line, find_recipe, generator_command, spell_moduli
from winograd.codegen.lower import DEFAULT_LOWERING, Lowering
from winograd.codegen.nested import count_passes, lower_nested
from winograd.codegen.targets.contract import TRANSFORMS, Stage
from winograd.quoting import quote

MAX_NOTE_LENGTH: Final = 200
"""Longest line of a note, in characters."""

_MAX_CHOSEN_LENGTH: Final = 3 * 4200
"""Longest words that chose the algorithm, in characters: a recipe per axis."""

_COUNTED: Final = (
    "Instructions per tile, an addition, a multiplication or a fused multiply-add being one (made without fusion):"
)
_COUNTED_UNFUSED: Final = "Instructions per tile, an addition or a multiplication being one:"
_TRANSPOSED: Final = (
    "Transposed, for gradients: data maps products to a tile, filter products to taps, inverse outputs to products."
)

# In C a line that ends in a backslash (or its trigraph ??/) goes on in the next, and */ ends a comment.
_COMMENT_BREAKING = re.compile(r"\\|\?\?/|\*/|/\*")


def header_lines(
    nested: NestedAlgorithm,
    words: Sequence[str],
    notes: Sequence[str] = (),
    *,
    stage: Stage = Stage.ALL,
    lowering: Lowering = DEFAULT_LOWERING,
    unfused: Sequence[Stage] = (),
    chosen: str = "",
) -> tuple[str, ...]:
    r"""Return the comment lines at the top of a generated file, the same on any machine.

    Parameters
    ----------
    nested : NestedAlgorithm
    words : sequence of str
        What the command says of the code, see `winograd.codegen.command.option_words`.
    notes : sequence of str
        More lines: printable ASCII, at most `MAX_NOTE_LENGTH` characters, no ``/*``, ``*/``, backslash or ``??/``.
    stage : Stage
        Which transforms are counted.
    lowering : Lowering
        How their programs are made.
    unfused : sequence of Stage
        Transforms that the code computes without fused multiply-add, see `winograd.codegen.targets.contract.Target`.
    chosen : str
        Words of the command that chose the algorithm, for one that no points and no moduli give again.

    Raises
    ------
    TypeError, ValueError
        For other notes or chosen words.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> print(*header_lines(NestedAlgorithm((toom_cook(2, 3),)), ["--target c"]), sep="\n")
    F(2,3): 4 multiplications for 2 outputs.
    Made by winograd 0.1.0: python -m winograd.gen --m 2 --r 3 --points=0,1,-1,inf --target c
    Points: 0,1,-1,inf
    Instructions per tile, an addition, a multiplication or a fused multiply-add being one (made without fusion):
      data 4 (4), filter 4 (4), inverse 4 (4)
    """
    _checked_line("chosen", chosen, longest=_MAX_CHOSEN_LENGTH)
    recipe = find_recipe(nested)
    return (
        f"{nested.label}: {nested.rank} multiplications for {prod(nested.m)} outputs.",
        f"Made by winograd {__version__}{_origin(nested, recipe, words, chosen)}",
        *_origin_lines(nested, recipe),
        *((_TRANSPOSED,) if lowering.transposed else ()),
        *_counts(nested, stage, lowering, unfused),
        *checked_notes(notes),
    )


def checked_notes(notes: Sequence[str]) -> tuple[str, ...]:
    """Return notes that a comment of any target can carry; see `header_lines` for what is raised."""
    if isinstance(notes, str):
        raise TypeError("notes is one text, must be a sequence of lines")
    if not isinstance(notes, Sequence):
        raise TypeError(f"notes is a {type(notes).__name__}, must be a sequence of lines")
    return tuple(_checked_line("note", note) for note in notes)


def _checked_line(what: str, line: str, longest: int = MAX_NOTE_LENGTH) -> str:
    """Return a line that a comment of any target can carry."""
    if not isinstance(line, str):
        raise TypeError(f"{what} {quote(line)} is a {type(line).__name__}, must be text")
    if not (line.isascii() and line.isprintable()) or len(line) > longest or _COMMENT_BREAKING.search(line):
        raise ValueError(
            f"{what} {line[:40]!a} must be one line of printable ASCII, at most {longest} characters, "
            "without comment marks and backslashes"
        )
    return line


def _origin(nested: NestedAlgorithm, recipe: Recipe | None, words: Sequence[str], chosen: str) -> str:
    if recipe:
        return f": {command_line(recipe, words)}"
    if chosen:
        return f": {generator_command(nested.m, nested.r, [chosen, *words])}"
    return " from matrices that were handed in"


def _counts(nested: NestedAlgorithm, stage: Stage, lowering: Lowering, unfused: Sequence[Stage]) -> Iterator[str]:
    """Yield what the code executes; in brackets, behind what fuses, what it would execute if nothing did."""
    fused = [one for one in stage.transforms if lowering.fma and one not in unfused]
    programs, separate = (lower_nested(nested, lowering, left_out) for left_out in (unfused, TRANSFORMS))
    counts = {
        one: tuple(count_passes(made.of(one)).instructions for made in (programs, separate)) for one in stage.transforms
    }
    yield _COUNTED if fused else _COUNTED_UNFUSED
    shown = (("{} {} ({})" if one in fused else "{} {}").format(one, *pair) for one, pair in counts.items())
    yield f"  {', '.join(shown)}"


def _origin_lines(nested: NestedAlgorithm, recipe: Recipe | None) -> Iterator[str]:
    """Yield points, moduli or recipe, once for all axes or axis by axis, as far as they are known to be true."""
    axes = nested.axes if recipe is None else recipe.algorithm.axes
    described = [_from_recipe(axis) if recipe is None or recipe.recipes else _described(axis) for axis in axes]
    if len(set(described)) == 1:
        yield from (": ".join(one) for one in described[:1] if one)
        return
    for number, one in enumerate(described):
        yield "{} of axis {}: {}".format(*one[:1] or ["Matrices"], number, *one[1:] or ["handed in"])


def _from_recipe(axis: BilinearAlgorithm) -> tuple[str, ...]:
    text = recipe_of(axis)
    return () if text is None else ("Recipe", text)


def _described(axis: BilinearAlgorithm) -> tuple[str, ...]:
    if axis.moduli:
        return "Moduli", spell_moduli(axis.moduli)
    return "Points", spell(axis.points) if axis.points else "none (the direct algorithm)"
