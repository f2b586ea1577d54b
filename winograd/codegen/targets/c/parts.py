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
_END: Final = "#endif /* WINOGRAD_DECLARATIONS_ONLY */\n"


@dataclass(frozen=True, slots=True)
class Dtype:
    """What a dtype means in C.

    Parameters
    ----------
    arithmetic : str
        float32 or float64.
    real : str
        The same in C.
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
    real: str
    unit: Fraction
    stored: str = ""
    stored_unit: float = 0.0
    smallest: float = 0.0
    largest: float = 1.0


DTYPES: Final = MappingProxyType[str, Dtype](
    {
        "float32": Dtype("float32", "float", _FLOAT32_UNIT, largest=2.0**127),
        "float64": Dtype("float64", "double", Fraction(1, 2**53), largest=2.0**1023),
        "float16": Dtype("float32", "float", _FLOAT32_UNIT, "float16", 2.0**-11, 2.0**-25, 2.0**15),
        "bfloat16": Dtype("float32", "float", _FLOAT32_UNIT, "bfloat16", 2.0**-8, 2.0**-134, 2.0**127),
    }
)
"""Every dtype, the default first."""


def part(file: str) -> str:
    """Return the text of a part, a .c file of this folder."""
    return (resources.files(__package__) / file).read_text(encoding="ascii")


def declarations(dtype: str, prototypes: str = "") -> str:
    """Return the part that other files include: types, and what the file exports."""
    meaning = DTYPES[dtype]
    words = {"REAL_TYPE": meaning.real, "STORED_TYPE": "uint16_t" if meaning.stored else "NAME_real"}
    text = part("declarations.c")
    for word, what in (words | {"PROTOTYPES": prototypes}).items():
        text = text.replace(word, what)
    return text


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


def assembled(header: Sequence[str], usage: str, parts: Sequence[str], name: str) -> str:
    """Return the whole file: header, usage and the parts, the first of which are declarations, under their name."""
    comment = "\n".join(["/*", *(f" * {line}".rstrip() for line in header), " */", ""])
    return comment + "\n".join([usage, *parts, _END]).replace("NAME_", f"{name}_")
