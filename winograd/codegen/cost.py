"""The cost model: what a program costs on a machine, its instructions, and what its registers cannot hold.

In: programs, and a `Machine`. Out: figures to choose by and to print; estimates, no measurement.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from winograd.codegen.passes.scheduling import live_values
from winograd.codegen.program import Arithmetic, Node, Program


@dataclass(frozen=True, slots=True)
class Machine:
    """What a cost depends on.

    Parameters
    ----------
    name : str
    arithmetic : Arithmetic
        Whether it has fused multiply-add.
    registers : int
        Values that it holds at once, at least 3.
    """

    name: str
    arithmetic: Arithmetic
    registers: int

    def __post_init__(self) -> None:
        if self.registers < 3:
            raise ValueError(f"registers is {self.registers}, must be at least 3: two arguments and a result")


MACHINES: Final = MappingProxyType[str, Machine](
    {
        machine.name: machine
        for machine in (
            Machine("SSE2", Arithmetic.SEPARATE, 16),
            Machine("AVX2", Arithmetic.FUSED, 16),
            Machine("AVX-512", Arithmetic.FUSED, 32),
            Machine("GPU thread", Arithmetic.FUSED, 255),
        )
    }
)
"""Machines that the targets run on, by name; NumPy and torch keep every value in memory and fuse nothing."""

FEWEST_REGISTERS: Final = MACHINES["AVX2"]
"""The machine that decides where instructions do not."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a program, or several runs of some, cost on a machine.

    Parameters
    ----------
    instructions : int
        Of arithmetic.
    loads, stores : int
        Inputs that are read, and outputs.
    live : int
        Values that are alive at once at most; see `live_values`.
    spills : int
        Estimated stores and loads more than those, of values that found no register.
    """

    instructions: int
    loads: int
    stores: int
    live: int
    spills: int

    def times(self, runs: int) -> Cost:
        """Return the cost of several runs."""
        return Cost(self.instructions * runs, self.loads * runs, self.stores * runs, self.live, self.spills * runs)


def cost_of(program: Program, machine: Machine) -> Cost:
    """Return what one run of a program costs.

    Examples
    --------
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> from winograd.codegen.lower import lower_axis
    >>> cost_of(lower_axis(toom_cook(4, 3, "0,1,-1,2,-2,inf")).data, MACHINES["AVX2"])
    Cost(instructions=12, loads=6, stores=6, live=5, spills=0)
    """
    read = {argument for node in program.nodes for argument in node.args}.union(program.outputs)
    return Cost(
        instructions=program.counts.under(machine.arithmetic),
        loads=sum(number < program.inputs for number in read),
        stores=len(program.outputs),
        live=live_values(program),
        spills=spills(program, machine.registers),
    )


def total_cost(costs: Iterable[Cost]) -> Cost:
    """Return the cost of one program after another: sums, and the most live values."""
    listed = list(costs)
    return Cost(
        instructions=sum(cost.instructions for cost in listed),
        loads=sum(cost.loads for cost in listed),
        stores=sum(cost.stores for cost in listed),
        live=max((cost.live for cost in listed), default=0),
        spills=sum(cost.spills for cost in listed),
    )


def spills(program: Program, registers: int) -> int:
    """Return how many values are stored and loaded again for want of registers, each store and each load being one.

    An allocator that knows the whole program is assumed: when registers are short, the value that is read again last
    gives up its own (Belady). An input is loaded again from where it was, and an output was stored anyway.

    Examples
    --------
    >>> from winograd.codegen.program import Op, ProgramBuilder
    >>> builder = ProgramBuilder(inputs=4)
    >>> sums = [builder.emit(Op.ADD, a, b) for a, b in ((0, 1), (2, 3), (0, 2), (1, 3))]
    >>> program = builder.build(sums)
    >>> spills(program, 5), spills(program, 3)
    (0, 1)
    """
    return _Registers(program, registers).run()


class _Registers:
    """Registers while a program runs."""

    def __init__(self, program: Program, registers: int) -> None:
        self._program = program
        self._free = registers
        self._held: set[int] = set()
        self._seen: set[int] = set()
        self._in_memory = {*range(program.inputs), *program.outputs}
        self._reads = _reads(program)

    def run(self) -> int:
        return sum(
            self._step(time, number, node)
            for time, (number, node) in enumerate(enumerate(self._program.nodes, start=self._program.inputs))
        )

    def _step(self, time: int, number: int, node: Node) -> int:
        arguments = set(node.args)
        moved = sum(self._load(argument, arguments) for argument in sorted(arguments))
        for argument in arguments:
            while self._reads[argument] and self._reads[argument][-1] <= time:
                self._reads[argument].pop()
            if not self._reads[argument]:
                self._held.discard(argument)
        if self._reads[number]:
            moved += self._make_room(set())
            self._held.add(number)
        return moved

    def _load(self, value: int, needed: set[int]) -> int:
        if value in self._held:
            return 0
        moved = self._make_room(needed)
        self._held.add(value)
        again = value >= self._program.inputs or value in self._seen
        self._seen.add(value)
        return moved + again

    def _make_room(self, needed: set[int]) -> int:
        if len(self._held) < self._free:
            return 0
        given_up = max(self._held - needed, key=lambda value: (self._reads[value][-1], value))
        self._held.remove(given_up)
        stored = given_up not in self._in_memory
        self._in_memory.add(given_up)
        return int(stored)


def _reads(program: Program) -> list[list[int]]:
    """Return for every value when it is read, the next time last."""
    reads: list[list[int]] = [[] for _ in range(program.inputs + len(program.nodes))]
    for time, node in reversed(list(enumerate(program.nodes))):
        for argument in set(node.args):
            reads[argument].append(time)
    return reads
