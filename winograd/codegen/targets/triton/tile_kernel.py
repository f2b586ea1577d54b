"""A transform of a whole tile in one kernel: the values of a thread stay in its registers.

In: the passes of a transform. Out: device functions, and the statements of a kernel that loads, transforms and stores.
A tile is walked depth first, so that only the results of finished slices wait for the last pass. Where these are too
many for a thread, programs share a tile: each computes a part of the first pass's outputs, and what follows from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Final

from winograd.codegen.nested import AxisPass
from winograd.codegen.passes.dead_code import drop_dead_code
from winograd.codegen.program import Op
from winograd.codegen.targets.axes import without_identities
from winograd.codegen.targets.triton.printing import FUSED, print_function, wrapped

MAX_LIVE: Final = 112
"""Most values of a tile that a thread holds at a time: it has 255 registers, and addresses and masks need some."""

TILE: Final = {op: template.replace("tl.", "lang.") for op, template in FUSED.items()} | {
    Op.ZERO: "lang.where(x0 == x0, 0.0, 0.0)"  # has the layout of x0
}
"""How an instruction is written."""

Index = tuple[int, ...]
"""A place in a tile, partly transformed or not: one number per axis."""


@dataclass(frozen=True, slots=True)
class TileKernel:
    """One transform of a tile, divided among programs.

    Parameters
    ----------
    name : str
        Of the transform; names of its device functions begin with it.
    passes : tuple of AxisPass
        In the order in which they run.
    templates : dict
        How an instruction is written.
    read : callable
        From an index in the tile to an expression.
    write : callable
        From an index in the transformed tile and a value to statements.
    decorator : str
        Of its device functions.
    """

    name: str
    passes: tuple[AxisPass, ...]
    templates: dict[Op, str]
    read: Callable[[Index], str]
    write: Callable[[Index, str], Sequence[str]]
    decorator: str = "tile_jit"

    @property
    def steps(self) -> tuple[AxisPass, ...]:
        """The passes that do something."""
        return tuple(without_identities(self.passes))

    @property
    def parts(self) -> tuple[tuple[int, ...], ...]:
        """Outputs of the first pass that a program computes, for each of the programs that share a tile."""
        outputs = range(len(self.steps[0].program.outputs))
        fitting = [size for size in outputs if live_values(self.steps, size + 1) <= MAX_LIVE]
        count = -(-len(outputs) // (max(fitting, default=0) + 1))
        size = -(-len(outputs) // count)
        return tuple(tuple(outputs[first : first + size]) for first in range(0, len(outputs), size))

    def functions(self) -> Iterator[str]:
        """Yield the device functions, each once."""
        first, *rest = self.steps
        programs = {
            self._function(1, part): drop_dead_code(
                replace(first.program, outputs=tuple(first.program.outputs[number] for number in kept))
            )
            for part, kept in enumerate(self.parts)
        }
        programs |= {self._function(done): step.program for done, step in enumerate(rest, start=2)}
        for name, program in programs.items():
            yield print_function(name, program, self.templates, self.decorator)

    def statements(self, part: int) -> list[str]:
        """Return the statements of a part, without indentation: loads, calls and stores."""
        return self._results(part, len(self.steps), (0,) * len(self.steps[0].extents))[0]

    def _results(self, part: int, done: int, fixed: Index) -> tuple[list[str], dict[Index, str]]:
        """Return statements, and the values after so many passes at fixed indices of the axes of later ones."""
        if done == 0:
            value = _variable(0, fixed)
            return [f"{value} = {self.read(fixed)}"], {fixed: value}
        step, statements, before, after = self.steps[done - 1], list[str](), dict[Index, str](), dict[Index, str]()
        for number in range(step.program.inputs):
            more, found = self._results(part, done - 1, _moved(fixed, step.axis, number))
            statements += more
            before |= found
        for index in sorted(index for index in before if index[step.axis] == 0):
            arguments = [before[_moved(index, step.axis, number)] for number in range(step.program.inputs)]
            places = [_moved(index, step.axis, number) for number in self._outputs(part, done)]
            results = {place: _variable(done, place) for place in places}
            call = f"{', '.join(results.values())} = {self._function(done, part)}("
            statements += wrapped(call, arguments, ")")
            if done == len(self.steps):
                statements += [line for place, value in results.items() for line in self.write(place, value)]
            after |= results
        return statements, after

    def _outputs(self, part: int, done: int) -> Sequence[int]:
        return self.parts[part] if done == 1 else range(len(self.steps[done - 1].program.outputs))

    def _function(self, done: int, part: int = 0) -> str:
        """Return the name of the device function of a pass; axes with equal programs share one."""
        program = self.steps[done - 1].program
        number = min(step.axis for step in self.steps if step.program == program)
        return f"_{self.name}_{number}" + (f"_part_{part}" if done == 1 and len(self.parts) > 1 else "")


def live_values(steps: Sequence[AxisPass], kept: int) -> int:
    """Return how many values wait at most if so many outputs of the first pass are computed.

    Examples
    --------
    >>> from winograd.algebra.nesting import nest
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> from winograd.codegen.nested import lower_nested
    >>> steps = lower_nested(nest(*[toom_cook(4, 3)] * 3)).data
    >>> live_values(steps, 6), live_values(steps, 3)
    (216, 111)
    """
    results = [kept, *(len(step.program.outputs) for step in steps[1:])]
    widths = [prod(results[:done]) for done in range(len(steps))]
    inputs = [step.program.inputs for step in steps]
    loading = 1 + sum((count - 1) * width for count, width in zip(inputs, widths, strict=True))
    return max(loading, inputs[-1] * widths[-1], prod(results) if len(steps) == 1 else 0)


def _moved(index: Index, axis: int, number: int) -> Index:
    return (*index[:axis], number, *index[axis + 1 :])


def _variable(done: int, index: Index) -> str:
    return "xyzv"[done] + "_".join(map(str, index))
