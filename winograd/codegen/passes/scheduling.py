"""Scheduling: the same instructions in an order in which fewer values wait for their readers.

In: a program. Out: one with no more live values at any time, and the same instructions.
"""

from __future__ import annotations

from collections import Counter

from winograd.codegen.graph import Graph
from winograd.codegen.passes.repetition import repeated
from winograd.codegen.program import Program


@repeated
def schedule(program: Program) -> Program | None:
    """Return the program in an order with fewer live values.

    Always next is the instruction that is ready and leaves the fewest values alive, of equal ones the earlier.

    Examples
    --------
    >>> from winograd.codegen.program import Op, ProgramBuilder
    >>> builder = ProgramBuilder(inputs=4)
    >>> sums = [builder.emit(Op.ADD, 0, 1), builder.emit(Op.ADD, 2, 3), builder.emit(Op.SUB, 0, 1)]
    >>> differences = [builder.emit(Op.SUB, sums[0], sums[2])]
    >>> program = builder.build([sums[1], *differences])
    >>> live_values(program) >= live_values(schedule(program))
    True
    """
    ordered = _greedy(program)
    return ordered if live_values(ordered) < live_values(program) else None


def live_values(program: Program) -> int:
    """Return how many values are alive at once at most: inputs from their first reader on, outputs when written leave.

    That is the number of registers which a machine needs that loads inputs when they are first read and stores outputs
    that nobody reads any more.

    Examples
    --------
    >>> from winograd.codegen.program import Op, ProgramBuilder
    >>> builder = ProgramBuilder(inputs=3)
    >>> live_values(builder.build([builder.emit(Op.ADD, builder.emit(Op.ADD, 0, 1), 2)]))
    2
    """
    unread = Counter(argument for node in program.nodes for argument in node.args)
    alive: set[int] = set()
    most = 0
    for number, node in enumerate(program.nodes, start=program.inputs):
        alive.update(node.args)
        most = max(most, len(alive))
        unread.subtract(node.args)
        alive = {value for value in alive if unread[value] > 0}
        if unread[number] > 0:
            alive.add(number)
            most = max(most, len(alive))
    return most


def _greedy(program: Program) -> Program:
    graph = Graph.of(program)
    unread = Counter(argument for node in program.nodes for argument in node.args)
    missing, readers = _dependencies(graph)
    alive: set[int] = set()
    ready = {number for number, count in missing.items() if count == 0}
    order: list[int] = []
    while ready:
        best = min((_growth(graph, number, alive, unread), number) for number in ready)[1]
        ready.remove(best)
        order.append(best)
        for reader in readers.get(best, ()):
            missing[reader] -= 1
            if missing[reader] == 0:
                ready.add(reader)
        arguments = graph.nodes[best].args
        unread.subtract(arguments)
        alive.update(arguments)
        alive.difference_update(value for value in arguments if unread[value] == 0)
        if unread[best] > 0:
            alive.add(best)
    return graph.reordered(order)


def _dependencies(graph: Graph) -> tuple[dict[int, int], dict[int, list[int]]]:
    """Return how many values every instruction waits for, and which instructions wait for a value."""
    missing: dict[int, int] = {}
    readers: dict[int, list[int]] = {}
    for number, node in graph.nodes.items():
        awaited = {argument for argument in node.args if argument in graph.nodes}
        missing[number] = len(awaited)
        for argument in awaited:
            readers.setdefault(argument, []).append(number)
    return missing, readers


def _growth(graph: Graph, number: int, alive: set[int], unread: Counter[int]) -> int:
    """Return by how much an instruction that is next raises the number of live values."""
    arguments = graph.nodes[number].args
    if len(arguments) == 2 and arguments[0] == arguments[1]:
        change = _change(arguments[0], 2, alive, unread)
    else:
        change = 0
        for argument in arguments:
            change += _change(argument, 1, alive, unread)
    return change + (unread[number] > 0)


def _change(value: int, times: int, alive: set[int], unread: Counter[int]) -> int:
    """Return by how much reading a value so many times changes the number of live values."""
    ends = unread[value] == times
    return -ends if value in alive else not ends
