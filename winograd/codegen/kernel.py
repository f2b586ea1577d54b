"""`Kernel`: generated code as text, with the algorithm that it computes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from winograd.algebra.nesting import NestedAlgorithm
from winograd.codegen.names import checked_name


@dataclass(frozen=True, slots=True)
class Kernel:
    """Generated code.

    Parameters
    ----------
    target : str
        Language of the code, a key of `winograd.codegen.emit.TARGETS`.
    name : str
        What names in the code are derived from.
    source : str
        The code, ASCII, ending in a newline.
    algorithm : NestedAlgorithm
        What the code computes.

    Raises
    ------
    ValueError
        If the name is no identifier, or the source is not ASCII text that ends in a newline.
    """

    target: str
    name: str
    source: str
    algorithm: NestedAlgorithm

    def __post_init__(self) -> None:
        checked_name(self.name)
        if not (self.source.isascii() and self.source.endswith("\n")):
            raise ValueError("source must be ASCII text that ends in a newline")

    @property
    def digest(self) -> str:
        """SHA-256 of the source as hexadecimal text."""
        return hashlib.sha256(self.source.encode("ascii")).hexdigest()

    def __repr__(self) -> str:
        lines = self.source.count("\n")
        return f"<Kernel {self.name} in {self.target}, {self.algorithm.label}, {lines} lines>"
