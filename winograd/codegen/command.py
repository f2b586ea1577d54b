"""The generator's command as data: which algorithm its arguments mean, and which arguments make an algorithm.

In: sizes and lists of points or moduli per axis. Out: a `NestedAlgorithm`, or the command line that gives one again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sympy

from winograd.algebra.bilinear import BilinearAlgorithm
from winograd.algebra.crt import crt
from winograd.algebra.moduli import Modulus, as_moduli
from winograd.algebra.nesting import NestedAlgorithm
from winograd.algebra.points import INFINITY, Point, as_points, spell
from winograd.algebra.toom_cook import toom_cook
from winograd.codegen.lower import DEFAULT_LOWERING, Lowering

DEFAULT_NAME = "winograd"
"""Name of a kernel when none is given."""

PointLists = Sequence[Sequence[object]]
ModuliLists = Sequence[Sequence[Modulus]]


def nested_algorithm(
    m: Sequence[int], r: Sequence[int], points: PointLists = (), moduli: ModuliLists = ()
) -> NestedAlgorithm:
    """Return the nest that sizes with lists of points, or of moduli if there are any, mean.

    Raises
    ------
    TypeError, ValueError
        As `nested_toom_cook` and `nested_crt` do.

    Examples
    --------
    >>> nested_algorithm((4, 4), (3, 3), moduli=[as_moduli("x,x-1,x+1,x^2+1,inf")])
    <F(4x4,3x3), 49 multiplications>
    """
    return nested_crt(m, r, moduli) if moduli else nested_toom_cook(m, r, points)


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


def nested_crt(m: Sequence[int], r: Sequence[int], moduli: ModuliLists) -> NestedAlgorithm:
    """Return the nest of one algorithm over moduli per axis.

    Parameters
    ----------
    m, r : sequence of int
        Outputs and taps per axis.
    moduli : sequence of lists of Modulus
        One list for every axis, except that an axis with one output or one tap, where nothing can be saved, takes the
        direct algorithm if the list is not for its tile. Else one list per axis.

    Raises
    ------
    TypeError, ValueError
        As `winograd.crt` does, and for a number of lists that fits no axis.

    Examples
    --------
    >>> nested_crt((4, 1), (3, 3), [as_moduli("x,x-1,x+1,x^2+1,inf")])
    <F(4x1,3x3), 21 multiplications>
    """
    if len(moduli) not in {1, len(m)}:
        raise ValueError(f"{len(moduli)} lists of moduli for {len(m)} axes, give one for all axes or one per axis")
    sizes = list(zip(m, r, strict=True))
    if len(moduli) == len(sizes):
        return NestedAlgorithm(tuple(crt(*size, chosen) for size, chosen in zip(sizes, moduli, strict=True)))
    [chosen] = moduli
    degree = _degree(chosen)
    return NestedAlgorithm(
        tuple(toom_cook(*size) if 1 in size and degree != sum(size) - 1 else crt(*size, chosen) for size in sizes)
    )


@dataclass(frozen=True, slots=True)
class Recipe:
    """Lists of points, or else of moduli, and the algorithm that `nested_toom_cook` or `nested_crt` makes of them."""

    algorithm: NestedAlgorithm
    points: tuple[tuple[Point, ...], ...] = ()
    moduli: tuple[tuple[Modulus, ...], ...] = ()


def find_recipe(nested: NestedAlgorithm) -> Recipe | None:
    """Return lists of points or moduli that give an algorithm again, or None for matrices that no lists give.

    What an algorithm says that it was made from is believed only where that makes the same matrices. Points are
    preferred to moduli, and both to no list at all, which means something else as soon as better default points are
    found.

    Examples
    --------
    >>> find_recipe(nested_toom_cook((2, 1), (3, 3))).points
    ((0, 1, -1, INFINITY),)
    >>> find_recipe(nested_crt((4,), (3,), [as_moduli("x,x-1,x+1,x^2+1,inf")])).moduli
    ((<Modulus x>, <Modulus x-1>, <Modulus x+1>, <Modulus x^2+1>, <Modulus inf>),)
    """
    for points, axes in _candidates(nested):
        try:
            moduli = tuple(map(_moduli_of, axes))
            made = nested_algorithm(nested.m, nested.r, points, moduli)
        except (TypeError, ValueError):
            continue
        if made == nested:
            return Recipe(made, tuple(map(as_points, points)), moduli)
    return None


def option_words(
    target: str, name: str = DEFAULT_NAME, stage: str = "", dtype: str = "", lowering: Lowering = DEFAULT_LOWERING
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
    >>> command_line(find_recipe(nested_toom_cook((2, 2), (3, 3))), option_words("torch"))
    'python -m winograd.gen --m 2 --r 3 --ndim 2 --points=0,1,-1,inf --target torch'
    """
    nested = recipe.algorithm
    chosen = [f"--points={spell(points)}" for points in recipe.points]
    chosen += [f"--moduli={spell_moduli(moduli)}" for moduli in recipe.moduli]
    return generator_command(nested.m, nested.r, [*chosen, *words])


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


def _degree(moduli: Sequence[Modulus]) -> int:
    return sum(modulus.degree for modulus in moduli)


def _per_axis(sizes: Sequence[int]) -> str:
    return str(sizes[0]) if len(set(sizes)) == 1 else ",".join(map(str, sizes))
