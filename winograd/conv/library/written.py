"""Algorithms as text: how an operator is told which algorithm is forced, in recorded programs, too.

In: an algorithm, or the text. Out: the text, which is the JSON of `winograd.algebra.serialise`, or the algorithm, which
is proved when it is read for the first time. Refused: what has no such text, and text that is none.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from winograd.algebra.nesting import NestedAlgorithm, as_nested
from winograd.algebra.serialise import from_json, to_json
from winograd.conv.arguments import Algorithm
from winograd.conv.switch import DIRECT, Direct

_MOST: Final = 256


def algorithm_text(algorithm: Algorithm | None) -> str | None:
    """Return the text of an algorithm; None and "direct" are their own. torch's compiler takes it for a constant.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> text = algorithm_text(toom_cook(2, 3))
    >>> text[:30], read_algorithm(text)
    ('{"format":"winograd algorithm"', <F(2,3), 4 multiplications>)
    """
    return algorithm if algorithm is None or isinstance(algorithm, str) else _write(as_nested(algorithm))


# What torch.compiler.assume_constant_result sets, which would import the compiler.
algorithm_text._dynamo_marked_constant = True  # type: ignore[attr-defined]


@lru_cache(maxsize=_MOST)
def read_algorithm(text: str | None) -> NestedAlgorithm | Direct | None:
    """Return the algorithm of a text.

    Raises
    ------
    ValueError
        As `winograd.algebra.serialise.from_json` does.
    """
    if text is None or text == DIRECT:
        return None if text is None else DIRECT
    return as_nested(from_json(text))


@lru_cache(maxsize=_MOST)
def _write(algorithm: NestedAlgorithm) -> str:
    return to_json(algorithm)
