"""One shape of program, run for many candidates at once: forms, responses and roundings of all its values.

In: a program whose constants are `Entry`, or numbers that all candidates have, and float64 matrices. Out: arrays that
begin with the values of the program.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from winograd.accuracy.batch.constants import rounding_change
from winograd.accuracy.batch.entry import Entry
from winograd.accuracy.batch.equality import Labels, equal_classes, mantissas, powers_of_two
from winograd.accuracy.batch.names import Names, mixed, product_names, same_error, sum_names
from winograd.accuracy.formats import FloatFormat
from winograd.accuracy.linear import Matrix
from winograd.codegen.interpret import Contraction
from winograd.codegen.program import Node, Op, Program

_SIGNS = {Op.ZERO: (), Op.NEG: (-1,), Op.ADD: (1, 1), Op.SUB: (1, -1), Op.SCALE: (1,), Op.FMA: (1, 1), Op.FMS: (1, -1)}
"""Signs of the arguments of each operation; the first of those with a constant is multiplied by it besides."""


@dataclass(frozen=True, slots=True, eq=False)
class Roundings:
    """What is rounded in a program.

    Parameters
    ----------
    forms : ndarray of shape (candidates, roundings, columns)
        0 for candidates that do not round it.
    summands : ndarray of shape (2, candidates, roundings, columns)
        The forms whose unfused sum it is; 0 where it is none.
    responses : ndarray of shape (candidates, roundings, rows)
    names, factors : ndarray of shape (candidates, roundings)
        What has one name in a candidate has one relative error.
    """

    forms: Matrix
    summands: Matrix
    responses: Matrix
    names: Names
    factors: Matrix

    @property
    def ratios(self) -> Matrix:
        """The ratio of the errors of every two, the second by the first; 0 where they are independent."""
        return same_error(self.names, self.factors, self.names, self.factors)


@dataclass(frozen=True, eq=False)
class Replay:
    """A program with the constants of every candidate.

    Parameters
    ----------
    program : Program
    values : ndarray of shape (candidates, rows, columns)
        The matrices that it multiplies by.
    """

    program: Program
    values: Matrix

    @cached_property
    def constants(self) -> dict[int, Matrix]:
        """The constant of every node that has one, by its place among the nodes, of shape (candidates, 1)."""
        nodes = enumerate(self.program.nodes)
        return {place: self._constant(node.constant) for place, node in nodes if node.constant is not None}

    def _constant(self, entry: Fraction) -> Matrix:
        if not isinstance(entry, Entry):
            return np.full((len(self.values), 1), float(entry))
        above, below = entry.source
        found = entry.sign * self.values[:, above[0], above[1]]
        return np.asarray(found if below is None else found / self.values[:, below[0], below[1]])[:, None]

    @cached_property
    def forms(self) -> Matrix:
        """The linear form of every value, of shape (values, candidates, columns)."""
        count, _, columns = self.values.shape
        found = np.zeros((columns + len(self.program.nodes), count, columns))
        found[np.arange(columns), :, np.arange(columns)] = 1.0
        for place, node in enumerate(self.program.nodes):
            found[columns + place] = self._combined(place, node, found)
        return found

    def _combined(self, place: int, node: Node, values: Matrix) -> Matrix:
        terms = [sign * values[argument] for argument, sign in zip(node.args, _SIGNS[node.op], strict=True)]
        if place in self.constants:
            terms[0] = self.constants[place] * terms[0]
        return np.asarray(sum(terms, start=np.zeros(values.shape[1:])))

    @cached_property
    def responses(self) -> Matrix:
        """How much every output changes with every value, of shape (values, candidates, rows)."""
        count, rows, columns = self.values.shape
        found = np.zeros((columns + len(self.program.nodes), count, rows))
        for row, output in enumerate(self.program.outputs):
            found[output, :, row] += 1
        for place in range(len(self.program.nodes) - 1, -1, -1):
            node, response = self.program.nodes[place], found[columns + place]
            for number, (argument, sign) in enumerate(zip(node.args, _SIGNS[node.op], strict=True)):
                passed = self.constants[place] * response if number == 0 and place in self.constants else response
                found[argument] += sign * passed
        return found

    @cached_property
    def names(self) -> tuple[list[tuple[Names, Matrix]], list[tuple[Names, Matrix]]]:
        """Names and factors of the product of every node, and of every value, of shape (candidates,) each."""
        count = len(self.values)
        places = mixed(np.arange(self.program.inputs, dtype=np.uint64))
        values = [(np.full(count, place), np.ones(count)) for place in places]
        products = []
        labels = self._constant_labels()
        for number, node in enumerate(self.program.nodes):
            signs = _SIGNS[node.op]
            arguments = [(values[a][0], sign * values[a][1]) for a, sign in zip(node.args, signs, strict=True)]
            product = arguments[0] if arguments else (np.zeros(count, dtype=np.uint64), np.ones(count))
            if number in labels:
                label, factor = labels[number]
                named = np.where(label == 0, product[0], product_names(label, product[0]))
                product = (named, factor * product[1])
            products.append(product)
            values.append(sum_names(product, arguments[1]) if len(arguments) == 2 else product)
        return products, values

    def _constant_labels(self) -> dict[int, tuple[Labels, Matrix]]:
        """Return label and factor of every constant; label 0 is that of powers of two."""
        constants = self.constants
        if not constants:
            return {}
        sizes, factors = mantissas(np.concatenate(list(constants.values()), axis=1))
        labels = equal_classes(np.concatenate([np.ones((len(sizes), 1)), sizes], axis=1))[:, 1:]
        return {place: (labels[:, column], factors[:, column]) for column, place in enumerate(constants)}

    def roundings(self, contraction: Contraction) -> Roundings:
        """Return every value that is rounded, products of unfused instructions included."""
        columns, count = self.program.inputs, len(self.values)
        products, values = self.names
        parts, numbers, names = [], [], []
        for place, node in enumerate(self.program.nodes):
            constant = self.constants.get(place, np.ones((count, 1)))
            exact = powers_of_two(constant)
            separate = node.op is Op.SCALE or contraction is Contraction.SEPARATE
            if place in self.constants and separate:
                form = np.where(exact, 0.0, constant) * self.forms[node.args[0]]
                parts.append((form, np.zeros_like(form), np.zeros_like(form)))
                numbers.append(columns + place)
                names.append((np.where(exact[:, 0], np.uint64(0), products[place][0]), products[place][1]))
            if len(node.args) == 2:
                unfused = separate | exact
                summands = (constant * self.forms[node.args[0]] * unfused, self.forms[node.args[1]] * unfused)
                parts.append((self.forms[columns + place], *summands))
                numbers.append(columns + place)
                names.append(values[columns + place])
        forms, *summed = np.array(parts).reshape(-1, 3, count, columns).transpose(1, 2, 0, 3)
        return Roundings(
            forms=forms,
            summands=np.stack(summed),
            responses=self.responses[np.array(numbers, dtype=int)].transpose(1, 0, 2),
            names=np.array([name for name, _ in names], dtype=np.uint64).reshape(-1, count).T,
            factors=np.array([factor for _, factor in names]).reshape(-1, count).T,
        )

    def change(self, fmt: FloatFormat) -> Matrix:
        """Return what rounding the constants to a format adds to the matrices, of shape (candidates, rows, columns)."""
        columns = self.values.shape[2]
        changes = np.zeros_like(self.forms)
        for place, node in enumerate(self.program.nodes):
            changes[columns + place] = self._combined(place, node, changes)
            if place in self.constants:
                argument = node.args[0]
                rounding = rounding_change(self.constants[place], fmt)
                changes[columns + place] += rounding * (self.forms[argument] + changes[argument])
        return np.ascontiguousarray(changes[list(self.program.outputs)].swapaxes(0, 1))


def signature(program: Program) -> tuple[object, ...]:
    """Return what two programs have in common when they are replayed in the same way."""
    nodes = ((node.op, node.args, _identity(node.constant)) for node in program.nodes)
    return (program.inputs, program.outputs, *nodes)


def _identity(constant: Fraction | None) -> object:
    return (constant.source, constant.sign) if isinstance(constant, Entry) else constant
