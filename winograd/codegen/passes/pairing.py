"""Pairing: the even and odd parts that the points +a and -a share.

In: a program. Out: the cheapest of its matrix written with paired outputs, paired inputs, both or neither, if that is
cheaper than the program; an `Arithmetic` says what is cheap. Two rows (outputs) or two columns (inputs) with the same
absolute values, entry by entry, form a pair: with e the entries that agree in sign and o those that differ, rows e + o
and e - o need each of e and o once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from winograd.codegen.forms import Form, matrix_of
from winograd.codegen.passes.factoring import normalised
from winograd.codegen.passes.repetition import repeated
from winograd.codegen.program import Arithmetic, Program
from winograd.codegen.sums import Sum, Sums, cost_under, is_fused, program_of


@dataclass(frozen=True, slots=True)
class Pair:
    """Two rows or columns, ``first < second``, of the same absolute values."""

    first: int
    second: int


@repeated
def pair(program: Program, arithmetic: Arithmetic = Arithmetic.FUSED) -> Program | None:
    """Return the program with its inputs and outputs paired where that saves instructions.

    Examples
    --------
    >>> from winograd.algebra.bilinear import fraction_rows
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> from winograd.codegen.lower import row_by_row
    >>> rows = row_by_row(fraction_rows(toom_cook(4, 3, "0,1,-1,2,-2,inf").bt))
    >>> rows.counts.instructions, pair(rows).counts.instructions
    (23, 18)
    """
    if not program.outputs:
        return None
    forms = _paired_forms(matrix_of(program))
    best = min((normalised(sums, arithmetic) for sums in forms), key=lambda sums: sums.cost_under(arithmetic))
    paired = program_of(best, fused=is_fused(program))
    return paired if cost_under(paired, arithmetic)[0] < cost_under(program, arithmetic)[0] else None


def find_pairs(rows: Sequence[Form]) -> tuple[Pair, ...]:
    """Return disjoint pairs of rows with equal absolute values, in order, where pairing saves an instruction.

    A pair with k nonzeros a row takes k instructions instead of 2 (k - 1), so k of at least 3 is asked for.

    Examples
    --------
    >>> one, four = Fraction(1), Fraction(4)
    >>> find_pairs([(one, -four, one), (one, four, one), (one, one, one)])
    (Pair(first=0, second=1),)
    """
    pairs = []
    waiting: dict[Form, int] = {}
    for number, row in enumerate(rows):
        key = tuple(abs(entry) for entry in row)
        if sum(entry != 0 for entry in row) < 3:
            continue
        if key in waiting:
            pairs.append(Pair(waiting.pop(key), number))
        else:
            waiting[key] = number
    return tuple(pairs)


def split(first: Form, second: Form) -> tuple[Form, Form]:
    """Return the part of ``first`` that agrees with ``second`` and the part that is its negative.

    Examples
    --------
    >>> split((Fraction(1), Fraction(2)), (Fraction(1), Fraction(-2)))
    ((Fraction(1, 1), Fraction(0, 1)), (Fraction(0, 1), Fraction(2, 1)))
    """
    zero = Fraction(0)
    even = tuple(a if a == b else zero for a, b in zip(first, second, strict=True))
    odd = tuple(a if a != b else zero for a, b in zip(first, second, strict=True))
    return even, odd


def transpose(rows: Sequence[Form]) -> tuple[Form, ...]:
    """Return the transposed matrix."""
    return tuple(zip(*rows, strict=True))


def _paired_forms(rows: Sequence[Form]) -> list[Sums]:
    chosen = find_pairs(transpose(rows))
    return [_paired(rows, pairs, rows_too) for pairs in ((), chosen) for rows_too in (False, True)]


def _paired(rows: Sequence[Form], column_pairs: Sequence[Pair], rows_too: bool) -> Sums:
    collected = _Collected(len(rows[0]))
    columns, values = list(transpose(rows)), list(range(len(rows[0])))
    one = Fraction(1)
    for found in column_pairs:
        columns[found.first], columns[found.second] = split(columns[found.first], columns[found.second])
        values[found.first] = collected.add(((one, found.first), (one, found.second)))
        values[found.second] = collected.add(((one, found.first), (-one, found.second)))
    core = transpose(columns)
    outputs: dict[int, int] = {}
    for found in find_pairs(core) if rows_too else ():  # paired columns may tell apart what was a pair of rows
        parts = [
            collected.add(_terms(part, values)) for part in split(core[found.first], core[found.second]) if any(part)
        ]
        outputs[found.first] = collected.add(tuple((one, part) for part in parts))
        signs = (one, -one) if len(parts) == 2 else (one if core[found.first] == core[found.second] else -one,)
        outputs[found.second] = collected.add(tuple(zip(signs, parts, strict=True)))
    for number, row in enumerate(core):
        if number not in outputs:
            outputs[number] = collected.add(_terms(row, values))
    return Sums(len(rows[0]), tuple(collected.sums), tuple(outputs[number] for number in range(len(rows))))


class _Collected:
    """Sums that are added one by one, each once; a value alone with coefficient 1 is no new sum."""

    def __init__(self, inputs: int) -> None:
        self._inputs = inputs
        self._numbers: dict[Sum, int] = {}

    @property
    def sums(self) -> tuple[Sum, ...]:
        return tuple(self._numbers)

    def add(self, terms: Sum) -> int:
        if len(terms) == 1 and terms[0][0] == 1:
            return terms[0][1]
        return self._numbers.setdefault(terms, self._inputs + len(self._numbers))


def _terms(row: Form, values: Sequence[int]) -> Sum:
    return tuple((entry, value) for entry, value in zip(row, values, strict=True) if entry)
