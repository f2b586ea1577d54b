"""A program as a graph: who reads what, what belongs to an output alone, and replacing values.

In: a `Program`. Out: sets of value numbers, and a new program with some values computed otherwise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from winograd.codegen.program import Node, Program


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes by number, and how often each value is read, by the caller too."""

    program: Program
    nodes: Mapping[int, Node]
    readers: Mapping[int, int]

    @classmethod
    def of(cls, program: Program) -> Graph:
        """Return the graph of a program."""
        nodes = dict(enumerate(program.nodes, start=program.inputs))
        readers = Counter(argument for node in program.nodes for argument in node.args)
        readers.update(program.outputs)
        return cls(program, nodes, readers)

    @property
    def next_number(self) -> int:
        """A number that no value has."""
        return self.program.inputs + len(self.nodes)

    def is_kept(self, number: int) -> bool:
        """Say whether a value is an output or is read more than once."""
        return number in self.program.outputs or self.readers[number] > 1

    def own(self, targets: Sequence[int]) -> frozenset[int]:
        """Return the targets and the values that nobody else needs."""
        found = set(targets)
        unread = Counter({number: self.readers[number] for number in self.nodes})
        for number in range(max(targets), self.program.inputs - 1, -1):
            if number in targets or (number not in self.program.outputs and unread[number] == 0):
                found.add(number)
                for argument in self.nodes[number].args:
                    unread[argument] -= 1
        return frozenset(number for number in found if number in targets or unread[number] == 0)

    def available(self, own: frozenset[int]) -> list[int]:
        """Return the values that neither belong to a set nor depend on it."""
        blocked = set(own)
        for number, node in self.nodes.items():
            if not blocked.isdisjoint(node.args):
                blocked.add(number)
        return [number for number in range(self.next_number) if number not in blocked]

    def replaced(self, nodes: Mapping[int, Node]) -> Program:
        """Return the program with some values computed by other nodes, without those that nobody needs any more."""
        changed = {**self.nodes, **nodes}
        return self._renumbered(list(_in_order(changed, self.program)), changed)

    def reordered(self, order: Sequence[int]) -> Program:
        """Return the program with its instructions in another order, each after its arguments."""
        return self._renumbered(order, self.nodes)

    def _renumbered(self, order: Sequence[int], nodes: Mapping[int, Node]) -> Program:
        names = {number: number for number in range(self.program.inputs)}
        names.update({number: self.program.inputs + place for place, number in enumerate(order)})
        return Program(
            inputs=self.program.inputs,
            nodes=tuple(
                replace(nodes[number], args=tuple(names[argument] for argument in nodes[number].args))
                for number in order
            ),
            outputs=tuple(names[output] for output in self.program.outputs),
        )


def _in_order(nodes: Mapping[int, Node], program: Program) -> Iterator[int]:
    """Yield the numbers of the values that the outputs need, each after its arguments."""
    done = set(range(program.inputs))
    for output in program.outputs:
        waiting = [output]
        while waiting:
            number = waiting[-1]
            missing = [] if number in done else [a for a in reversed(nodes[number].args) if a not in done]
            if missing:
                waiting += missing
                continue
            waiting.pop()
            if number not in done:
                done.add(number)
                yield number
