"""The generator's command as data: which algorithm its arguments mean, and which arguments make an algorithm.

In: sizes and lists of points per axis. Out: a `NestedAlgorithm`, or the command line that gives one again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from winograd.algebra.nesting import NestedAlgorithm
from winograd.algebra.points import Point, as_points, spell
from winograd.algebra.toom_cook import toom_cook

DEFAULT_NAME = "winograd"
"""Name of a kernel when none is given."""

PointLists = Sequence[Sequence[object]]


def nested_toom_cook(m: Sequence[int], r: Sequence[int], points: PointLists = ()) -> NestedAlgorithm:
    """Return the nest of one Toom-Cook algorithm per axis.

    Parameters
    ----------
    m, r : sequence of int
        Outputs and taps per axis.
    points : sequence of lists of points
        No list: the default points. One list: for every axis, except that an axis with one output or one tap, where
        nothing can be saved, takes the direct algorithm if the list is not of its tile's size. Else one list per axis.

    Raises
    ------
    TypeError, ValueError
        As `toom_cook` does, and for a number of lists that fits no axis.

    Examples
    --------
    >>> nested_toom_cook((2, 4, 1), (3, 1, 3), [[0, 1, -1, 2]])
    <F(2x4x1,3x1x3), 48 multiplications>
    """
    if len(points) not in {0, 1, len(m)}:
        raise ValueError(f"{len(points)} lists of points for {len(m)} axes, give one for all axes or one per axis")
    sizes = list(zip(m, r, strict=True))
    if not points:
        return NestedAlgorithm(tuple(toom_cook(outputs, taps) for outputs, taps in sizes))
    if len(points) == len(sizes):
        return NestedAlgorithm(tuple(toom_cook(*size, chosen) for size, chosen in zip(sizes, points, strict=True)))
    [chosen] = points
    taking = [1 not in size or len(chosen) == sum(size) - 1 for size in sizes]
    if not any(taking):
        raise ValueError(f"{len(chosen)} points fit no axis: with one output or one tap leave the points out")
    return NestedAlgorithm(
        tuple(toom_cook(*size, chosen if takes else None) for size, takes in zip(sizes, taking, strict=True))
    )


@dataclass(frozen=True, slots=True)
class Recipe:
    """Lists of points, and the algorithm that `nested_toom_cook` makes of them."""

    points: tuple[tuple[Point, ...], ...]
    algorithm: NestedAlgorithm


def find_recipe(nested: NestedAlgorithm) -> Recipe | None:
    """Return lists of points that give an algorithm again, or None for matrices that no points give.

    The points that an algorithm carries are believed only where they make the same matrices. They are preferred to no
    list at all, which means something else as soon as better default points are found.

    Examples
    --------
    >>> find_recipe(nested_toom_cook((2, 1), (3, 3))).points
    ((0, 1, -1, INFINITY),)
    """
    lists = [axis.points for axis in nested.axes]
    for points in ([max(lists, key=len)], lists, []):
        try:
            made = nested_toom_cook(nested.m, nested.r, points)
        except (TypeError, ValueError):
            continue
        if made == nested:
            return Recipe(tuple(map(as_points, points)), made)
    return None


def command_line(recipe: Recipe, target: str, name: str) -> str:
    """Return the command that emits the algorithm of a recipe.

    Examples
    --------
    >>> command_line(find_recipe(nested_toom_cook((2, 2), (3, 3))), "torch", "winograd")
    'python -m winograd.gen --m 2 --r 3 --ndim 2 --points=0,1,-1,inf --target torch'
    """
    nested = recipe.algorithm
    words = ["python -m winograd.gen"]
    words += [f"--{letter} {_per_axis(sizes)}" for letter, sizes in (("m", nested.m), ("r", nested.r))]
    if nested.ndim > 1 and len(set(nested.m)) == len(set(nested.r)) == 1:
        words.append(f"--ndim {nested.ndim}")
    words += [f"--points={spell(chosen)}" for chosen in recipe.points]
    words.append(f"--target {target}")
    if name != DEFAULT_NAME:
        words.append(f"--name {name}")
    return " ".join(words)


def _per_axis(sizes: Sequence[int]) -> str:
    return str(sizes[0]) if len(set(sizes)) == 1 else ",".join(map(str, sizes))
