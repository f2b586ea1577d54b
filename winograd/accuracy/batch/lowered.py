"""Transforms as the generated code evaluates them: candidates of one program shape are replayed together.

In: matrices. Out: a `Transform`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from winograd.accuracy.batch.entry import Place
from winograd.accuracy.batch.equality import equal_classes, grouped
from winograd.accuracy.batch.matrices import MatrixBatch
from winograd.accuracy.batch.replay import Replay, signature
from winograd.accuracy.batch.shape import Case, is_shared, program_of, ratios_of
from winograd.accuracy.batch.transform import rounded_twice_over
from winograd.accuracy.formats import FloatFormat
from winograd.accuracy.linear import Matrix
from winograd.accuracy.modelling.rounding import PHI
from winograd.accuracy.protocol import Inputs
from winograd.codegen.interpret import Contraction
from winograd.codegen.lower import lower_rows
from winograd.codegen.program import Program

Numbers = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class LoweredTransform:
    """The programs of `winograd.codegen.lower`."""

    replays: tuple[tuple[Numbers, Replay], ...]
    contraction: Contraction
    count: int

    @classmethod
    def of(cls, matrix: MatrixBatch, contraction: Contraction) -> LoweredTransform:
        """Return the transform; ``contraction`` says how fused instructions round."""
        found: dict[object, tuple[Program, list[Numbers]]] = {}
        for numbers, program in _programs(matrix):
            found.setdefault(signature(program), (program, []))[1].append(numbers)
        joined = ((program, np.concatenate(parts)) for program, parts in found.values())
        replays = tuple((numbers, Replay(program, matrix.values[numbers])) for program, numbers in joined)
        return cls(replays, contraction, len(matrix.values))

    def covariances(self, inputs: Inputs) -> tuple[Matrix, Matrix]:
        """See `Transform`."""

        def found(replay: Replay) -> Matrix:
            rounded = replay.roundings(self.contraction)
            squares, fourths = (rounded.forms**2).sum(axis=2), (rounded.forms**4).sum(axis=2)
            columns, ratios = rounded.responses.swapaxes(1, 2), rounded.ratios
            variances = rounded_twice_over(squares, fourths, inputs)
            return np.stack([columns @ (part[:, :, None] * (ratios @ rounded.responses)) for part in variances], axis=1)

        both = self._joined(found)
        return both[:, 0], both[:, 1]

    def variances(self, covariance: Matrix) -> Matrix:
        """See `Transform`."""

        def found(replay: Replay, inside: Matrix) -> Matrix:
            rounded = replay.roundings(self.contraction)
            squares = ((rounded.forms @ inside) * rounded.forms).sum(axis=2)
            passed = (rounded.responses * (rounded.ratios @ rounded.responses)).mean(axis=2)
            return np.asarray(PHI * (squares * passed).sum(axis=1))

        parts = [(numbers, found(replay, covariance[numbers])) for numbers, replay in self.replays]
        return _in_order(parts, self.count)

    def change(self, fmt: FloatFormat) -> Matrix:
        """See `Transform`."""
        return self._joined(lambda replay: replay.change(fmt))

    def _joined(self, found: Callable[[Replay], Matrix]) -> Matrix:
        return _in_order([(numbers, found(replay)) for numbers, replay in self.replays], self.count)


def _in_order(parts: list[tuple[Numbers, Matrix]], count: int) -> Matrix:
    joined = np.empty((count, *parts[0][1].shape[1:]))
    for numbers, part in parts:
        joined[numbers] = part
    return joined


def _programs(matrix: MatrixBatch) -> Iterator[tuple[Numbers, Program]]:
    """Yield the candidates of each shape with their program; its constants are places of the matrix.

    Where values are shared further, every candidate comes alone, with its own constants.
    """
    count = len(matrix.values)
    entries = matrix.values.reshape(count, -1)
    sizes = np.concatenate([np.ones((count, 1)), np.abs(entries)], axis=1)
    patterns = np.concatenate([equal_classes(sizes), np.sign(entries).astype(np.int16)], axis=1)
    for pattern, numbers in grouped(patterns).items():
        ratios = ratios_of(_case(matrix, pattern, numbers[0]))
        quotients = [_quotient(matrix.values[numbers], *ratio) for ratio in ratios]
        finer = equal_classes(np.stack([*sizes[numbers].T, *quotients], axis=1))
        for key, places in grouped(finer).items():
            case = _case(matrix, pattern + key, numbers[places[0]])
            if not is_shared(case):
                yield numbers[places], program_of(case)
                continue
            for number in numbers[places]:
                yield np.array([number]), lower_rows(matrix.exact(int(number)))


def _case(matrix: MatrixBatch, pattern: bytes, number: np.intp) -> Case:
    return Case(matrix.values.shape[2], pattern, partial(matrix.exact, int(number)))


def _quotient(values: Matrix, above: Place, below: Place) -> Matrix:
    return np.abs(values[:, *above] / values[:, *below])
