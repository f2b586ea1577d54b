"""What every C file begins with: the compiler, the type of the arithmetic, vectors, and the type that is stored.

In: a dtype and whether multiply-add is fused. Out: C text in which NAME_ stands for the chosen name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib import resources
from types import MappingProxyType
from typing import Final

from winograd.codegen.interpret import Contraction
from winograd.codegen.lower import Lowering

_FLOAT32_UNIT = Fraction(1, 2**24)


@dataclass(frozen=True, slots=True)
class Dtype:
    """What a dtype means in C.

    Parameters
    ----------
    arithmetic : str
        float32 or float64.
    unit : Fraction
        Half the distance from 1 to the next number of the arithmetic.
    stored : str
        What inputs, filters and outputs are stored in: float16, bfloat16, or "" for the arithmetic's.
    stored_unit, smallest : float
        Half the distance from 1 to the next stored number, and half the smallest one; zeros where nothing is rounded.
    largest : float
        A power of two that the stored type holds.
    """

    arithmetic: str
    unit: Fraction
    stored: str = ""
    stored_unit: float = 0.0
    smallest: float = 0.0
    largest: float = 1.0


DTYPES: Final = MappingProxyType[str, Dtype](
    {
        "float32": Dtype("float32", _FLOAT32_UNIT, largest=2.0**127),
        "float64": Dtype("float64", Fraction(1, 2**53), largest=2.0**1023),
        "float16": Dtype("float32", _FLOAT32_UNIT, "float16", 2.0**-11, 2.0**-25, 2.0**15),
        "bfloat16": Dtype("float32", _FLOAT32_UNIT, "bfloat16", 2.0**-8, 2.0**-134, 2.0**127),
    }
)
"""Every dtype, the default first."""


def part(file: str) -> str:
    """Return the text of a part, a .c file of this folder."""
    return (resources.files(__package__) / file).read_text(encoding="ascii")


def foundation(dtype: str, contraction: Contraction) -> list[str]:
    """Return the parts up to the reading and writing of vectors."""
    meaning = DTYPES[dtype]
    fused = contraction is Contraction.FUSED
    stored = (f"stored_{meaning.stored}.c", "stored_partial.c") if meaning.stored else ("stored_same.c",)
    files = (f"{meaning.arithmetic}.c", "vector.c", *stored)
    setting = f"/* Whether multiply-add rounds once, where the target has it. */\n#define NAME_FUSED {int(fused)}\n"
    return [part("compiler.c"), setting, *map(part, files)]


def contraction_of(lowering: Lowering) -> Contraction:
    """Return how multiply-add rounds in code that is made in this way."""
    return Contraction.FUSED if lowering.fma else Contraction.SEPARATE


def assembled(header: Sequence[str], usage: str, body: Sequence[str], name: str) -> str:
    """Return the whole file: the header and how to use it as a comment, and the parts with the name filled in."""
    comment = "\n".join(["/*", *(f" * {line}".rstrip() for line in header), " */", ""])
    return comment + "\n".join([usage, *body]).replace("NAME_", f"{name}_")
