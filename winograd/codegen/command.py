"""The generator's command as data: which of its arguments make an algorithm.

In: an algorithm, and what code is wanted. Out: points, moduli or recipes, and the command line that gives it again.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sympy

from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.moduli import Modulus, as_moduli
from winograd.algebra.nesting import NestedAlgorithm
from winograd.algebra.nests import PointLists, nested_algorithm
from winograd.algebra.origin import DIRECT, recipe_of
from winograd.algebra.points import INFINITY, Point, as_points, spell
from winograd.codegen.lower import DEFAULT_LOWERING, Lowering

DEFAULT_NAME = "winograd"
"""Name of a kernel when none is given."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Lists of points, or of moduli, or else recipes, one for all axes or one per axis, and the algorithm they make."""

    algorithm: NestedAlgorithm
    points: tuple[tuple[Point, ...], ...] = ()
    moduli: tuple[tuple[Modulus, ...], ...] = ()
    recipes: tuple[str, ...] = ()

    @property
    def words(self) -> list[str]:
        """What chooses the algorithm on the command's line, quoted for a shell."""
        return [
            *(f"--points={spell(points) or DIRECT}" for points in self.points),
            *(f"--moduli={spell_moduli(moduli)}" for moduli in self.moduli),
            *recipe_words(self.recipes),
        ]


def recipe_words(recipes: Sequence[str]) -> list[str]:
    """Return the words of the command that ask for recipes, quoted for a shell.

    Examples
    --------
    >>> recipe_words(["outputs 1:3 + 3:6", "direct"])
    ["'--recipe=outputs 1:3 + 3:6'", '--recipe=direct']
    """
    return [shlex.quote(f"--recipe={recipe}") for recipe in recipes]


def find_recipe(nested: NestedAlgorithm) -> Recipe | None:
    """Return what gives an algorithm again, or None for matrices that nothing gives.

    What an algorithm says that it was made from is believed only where that makes the same matrices. Points are
    preferred to moduli, these to no list at all, which means something else as soon as better default points are
    found, and all to recipes, which tell how residues are multiplied and where scales stand.

    Examples
    --------
    >>> from winograd.algebra.crt import crt
    >>> from winograd.algebra.nests import nested_toom_cook
    >>> from winograd.algebra.nesting import nest
    >>> find_recipe(nested_toom_cook((2, 1), (3, 3))).points
    ((0, 1, -1, INFINITY),)
    >>> find_recipe(nest(crt(2, 3, "x,x^2+1,inf"))).words
    ['--moduli=x,x^2+1,inf']
    >>> find_recipe(nest(crt(2, 3, "x,x^2+1,inf", [None, "schoolbook", None]))).words
    ["'--recipe=x,x^2+1{schoolbook},inf filter'"]
    """
    for points, axes in _candidates(nested):
        try:
            moduli = tuple(map(_moduli_of, axes))
            made = nested_algorithm(nested.m, nested.r, points, moduli)
        except (TypeError, ValueError):
            continue
        if made == nested:
            return Recipe(made, tuple(map(as_points, points)), moduli)
    found = [recipe_of(axis) for axis in nested.axes]
    recipes = tuple(recipe for recipe in found if recipe is not None)
    if len(recipes) < nested.ndim:
        return None
    return Recipe(nested, recipes=recipes[:1] if len(set(recipes)) == 1 else recipes)


def option_words(
    target: str,
    name: str = DEFAULT_NAME,
    stage: str = "",
    dtype: str = "",
    lowering: Lowering = DEFAULT_LOWERING,
    schedule: str = "",
) -> tuple[str, ...]:
    """Return the words of the command that say what code to make; empty text is the target's own choice.

    Examples
    --------
    >>> option_words("c", "fast", stage="data", lowering=Lowering(fma=False))
    ('--target c', '--stage data', '--no-fma', '--name fast')
    """
    words = {
        f"--target {target}": True,
        f"--stage {stage}": bool(stage),
        f"--dtype {dtype}": bool(dtype),
        f"--schedule {schedule}": bool(schedule),
        f"--order {lowering.order}": lowering.order is not DEFAULT_LOWERING.order,
        "--no-fma": not lowering.fma,
        "--transposed": lowering.transposed,
        f"--name {name}": name != DEFAULT_NAME,
    }
    return tuple(word for word, is_needed in words.items() if is_needed)


def command_line(recipe: Recipe, words: Sequence[str]) -> str:
    """Return the command that emits the algorithm of a recipe, with the words of `option_words`.

    Examples
    --------
    >>> from winograd.algebra.nests import nested_toom_cook
    >>> command_line(find_recipe(nested_toom_cook((2, 2), (3, 3))), option_words("torch"))
    'python -m winograd.gen --m 2 --r 3 --ndim 2 --points=0,1,-1,inf --target torch'
    """
    nested = recipe.algorithm
    return generator_command(nested.m, nested.r, [*recipe.words, *words])


def generator_command(m: Sequence[int], r: Sequence[int], words: Sequence[str]) -> str:
    """Return the command for these sizes and further words.

    Examples
    --------
    >>> generator_command((4, 4), (3, 3), ["--best float16", "--target c"])
    'python -m winograd.gen --m 4 --r 3 --ndim 2 --best float16 --target c'
    """
    sizes = [f"--{letter} {_per_axis(sizes)}" for letter, sizes in (("m", m), ("r", r))]
    if len(m) > 1 and len(set(m)) == len(set(r)) == 1:
        sizes.append(f"--ndim {len(m)}")
    return " ".join(["python -m winograd.gen", *sizes, *words])


def spell_moduli(moduli: Sequence[Modulus]) -> str:
    """Return moduli as the text that `winograd.algebra.moduli.parse_moduli` reads.

    Examples
    --------
    >>> spell_moduli(as_moduli("x,x^2+1,inf"))
    'x,x^2+1,inf'
    """
    return ",".join(map(str, moduli))


def _candidates(nested: NestedAlgorithm) -> Iterator[tuple[PointLists, Sequence[BilinearAlgorithm]]]:
    """Yield lists of points, or the axes whose moduli to take, that may have made an algorithm, the shortest first."""
    points = [axis.points for axis in nested.axes]
    if any(points):
        yield [max(points, key=len)], []
        yield points, []
    if any(axis.moduli for axis in nested.axes):
        yield [], [max(nested.axes, key=lambda axis: len(axis.moduli))]
        yield [], nested.axes
    yield [], []


def _moduli_of(axis: BilinearAlgorithm) -> tuple[Modulus, ...]:
    """Return the moduli of an axis; a point is a linear one."""
    if axis.moduli:
        return as_moduli(axis.moduli)
    x = sympy.Symbol("x")
    return as_moduli([point if point is INFINITY else x - point for point in as_points(axis.points)])


def _per_axis(sizes: Sequence[int]) -> str:
    return str(sizes[0]) if len(set(sizes)) == 1 else ",".join(map(str, sizes))
