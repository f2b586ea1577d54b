"""What a target is and what it is asked for: the contract of every module in this folder.

In: nothing but types. A target gets a `Request` and returns text; `Target` says what requests it takes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from winograd.algebra.nesting import NestedAlgorithm
from winograd.codegen.cost import MACHINES
from winograd.codegen.lower import Lowering
from winograd.codegen.nested import NestedPrograms, lower_nested


class Stage(StrEnum):
    """Which part of a convolution is emitted."""

    DATA = "data"
    """The data transform of a tile."""
    FILTER = "filter"
    """The filter transform."""
    INVERSE = "inverse"
    """The inverse transform of a tile."""
    ALL = "all"
    """All three transforms."""
    CONV = "conv"
    """A whole tiled convolution, its transforms included."""

    @property
    def transforms(self) -> tuple[Stage, ...]:
        """The transforms that code of this stage has.

        Examples
        --------
        >>> [str(stage) for stage in Stage.CONV.transforms]
        ['data', 'filter', 'inverse']
        """
        return (self,) if self in TRANSFORMS else TRANSFORMS


TRANSFORMS: Final = (Stage.DATA, Stage.FILTER, Stage.INVERSE)
"""The stages that are one transform."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be emitted.

    Parameters
    ----------
    algorithm : NestedAlgorithm
        With rational matrices.
    name : str
        An identifier of C and Python that names in the code are derived from.
    header : tuple of str
        Lines of the comment at the top.
    stage : Stage
        One of the target's stages.
    dtype : str
        One of the target's dtypes; "" where it has none.
    lowering : Lowering
        How programs are made from matrices.
    unfused : tuple of Stage
        The target's: transforms whose programs are made without fused multiply-add whatever the lowering says.
    schedule : str
        One of the target's schedules; "" where it has none.
    """

    algorithm: NestedAlgorithm
    name: str
    header: tuple[str, ...]
    stage: Stage
    dtype: str
    lowering: Lowering
    unfused: tuple[Stage, ...] = ()
    schedule: str = ""

    @property
    def programs(self) -> NestedPrograms:
        """The passes of the three transforms of a tile, as the code executes them."""
        return lower_nested(self.algorithm, self.lowering, self.unfused)


@dataclass(frozen=True, slots=True)
class Target:
    """A target language.

    Parameters
    ----------
    source : callable
        Returns the text, ASCII that ends in a newline, for a request whose stage and dtype are among those below.
    comment : str or None
        What begins a comment line; None where the language has no comments.
    dtypes : tuple of str
        Floating dtypes the code can be made for, the default first; none where the code is exact or any dtype will do.
    range_dtype : str or None
        In which constants of the data and inverse transforms must be normal numbers; None where they are exact.
    stages : tuple of Stage
        What can be emitted, the default first.
    unfused : tuple of Stage
        Transforms that the code computes without fused multiply-add: their programs are made, and counted, without it.
    machines : tuple of str
        Names of `winograd.codegen.cost.MACHINES` that the code runs on; none where values are kept in memory.
    schedules : tuple of str
        Ways to divide a whole convolution into kernels, the default first; none where there is one way.
    """

    source: Callable[[Request], str]
    comment: str | None
    dtypes: tuple[str, ...] = ()
    range_dtype: str | None = None
    stages: tuple[Stage, ...] = (Stage.CONV, Stage.ALL, Stage.DATA, Stage.FILTER, Stage.INVERSE)
    unfused: tuple[Stage, ...] = ()
    machines: tuple[str, ...] = tuple(MACHINES)
    schedules: tuple[str, ...] = ()
