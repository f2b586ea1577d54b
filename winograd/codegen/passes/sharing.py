"""Sharing: a value that takes several instructions of its own is computed in one from values that others need anyway.

In: a program. Out: one with no more instructions. Multiples count as the same value (negations and powers of two among
them), and two outputs e + o and e - o share whatever is s e + c o for any c. No sum is made of parts that are more than
`LARGEST_PART` times its own size: what is saved in instructions is not paid for with cancellation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

from winograd.codegen.forms import Form, factors, forms_of
from winograd.codegen.graph import Graph
from winograd.codegen.passes.repetition import repeated
from winograd.codegen.program import Node, Op, Program

LARGEST_PART = 2
"""Largest absolute sum of a part's coefficients, as a multiple of the sum's own."""

_SIGNS = (Fraction(1), Fraction(-1))


@repeated
def share(program: Program) -> Program | None:
    """Return the program after the first replacement that saves an instruction.

    Examples
    --------
    >>> from winograd.codegen.program import ProgramBuilder
    >>> builder = ProgramBuilder(inputs=3)
    >>> first = builder.emit(Op.ADD, builder.emit(Op.ADD, 0, 1), 2)
    >>> second = builder.scaled(Fraction(2), builder.emit(Op.ADD, 1, builder.emit(Op.ADD, 0, 2)))
    >>> builder.build([first, second]).counts.instructions, share(builder.build([first, second])).counts.instructions
    (5, 4)
    """
    graph, forms = Graph.of(program), forms_of(program)
    targets = [number for number in range(program.inputs, len(forms)) if graph.is_kept(number)]
    for target in targets:
        found = _alone(graph, forms, target)
        if found is not None:
            return found
    for pair in _mirrored(forms, targets):
        found = _together(graph, forms, pair)
        if found is not None:
            return found
    return None


def _mirrored(forms: Sequence[Form], targets: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the pairs of values whose coefficients differ in signs only."""
    sizes = {number: tuple(map(abs, forms[number])) for number in targets}
    return (pair for pair in combinations(targets, 2) if sizes[pair[0]] == sizes[pair[1]])


def _alone(graph: Graph, forms: Sequence[Form], target: int) -> Program | None:
    own = graph.own((target,))
    if len(own) < 2:
        return None
    node = _Reach(forms, graph.available(own)).one_instruction(forms[target])
    return None if node is None else graph.replaced({target: node})


def _together(graph: Graph, forms: Sequence[Form], pair: tuple[int, int]) -> Program | None:
    """Look for z = s e + c o in one instruction, with a multiple of o at hand, where e and o are the pair's parts."""
    own = graph.own(pair)
    if len(own) < 4 or graph.depends(pair[0], pair[1]) or graph.depends(pair[1], pair[0]):
        return None
    first, second = forms[pair[0]], forms[pair[1]]
    half = Fraction(1, 2)
    even = tuple(half * (a + b) for a, b in zip(first, second, strict=True))
    odd = tuple(half * (a - b) for a, b in zip(first, second, strict=True))
    reach = _Reach(forms, graph.available(own))
    for along, other in ((odd, even), (even, odd)):
        middle = reach.one_instruction_along(other, along)
        if middle is None:
            continue
        node, form = middle
        number = graph.next_number
        extended = _Reach([*forms, form], [*reach.available, number])
        nodes = [extended.one_instruction(forms[target], using=number) for target in pair]
        if None not in nodes:
            return graph.replaced({number: node, **dict(zip(pair, nodes, strict=True))})  # type: ignore[arg-type]
    return None


@dataclass(frozen=True, slots=True)
class _Reach:
    """What one instruction makes of the values at hand."""

    forms: Sequence[Form]
    available: Sequence[int]

    def one_instruction(self, wanted: Form, using: int | None = None) -> Node | None:
        """Return an instruction whose value has the wanted form; one of its arguments is ``using`` if that is given."""
        for first, second, node in self._candidates(wanted, None):
            if using is None or using in (first, second):
                return node
        return None

    def one_instruction_along(self, wanted: Form, along: Form) -> tuple[Node, Form] | None:
        """Return an instruction for s * wanted + c * along, s being 1 or -1, and its form."""
        place = next((place for place, entry in enumerate(along) if entry), None)
        if place is None or not any(wanted):
            return None
        for sign in _SIGNS:
            signed = tuple(sign * entry for entry in wanted)
            for _, _, node in self._candidates(signed, (along, place)):
                form = _form(node, self.forms)
                if self._is_gentle(node, form):
                    return node, form
        return None

    def _candidates(self, wanted: Form, line: tuple[Form, int] | None) -> Iterator[tuple[int, int | None, Node]]:
        """Yield alpha a, and alpha a + b or alpha a - b, that equal what is wanted, or up to multiples of a line."""
        forms = {number: _projected(self.forms[number], line) for number in self.available}
        directions: dict[Form, tuple[int, Fraction]] = {}
        for number, form in forms.items():
            if any(form):
                direction, size = _direction(form)
                directions.setdefault(direction, (number, size))
        goal = _projected(wanted, line)
        if any(goal) and line is None:
            direction, size = _direction(goal)
            if direction in directions:
                number, unit = directions[direction]
                yield number, None, _scaled(size / unit, number)
        for number, form in forms.items():
            for sign in _SIGNS:
                rest = tuple(a - sign * b for a, b in zip(goal, form, strict=True))
                if not any(rest):
                    continue
                direction, size = _direction(rest)
                if direction in directions:
                    other, unit = directions[direction]
                    node = _combined(size / unit, other, sign, number)
                    if node is not None and (line is not None or self._is_gentle(node, wanted)):
                        yield other, number, node

    def _is_gentle(self, node: Node, form: Form) -> bool:
        """Say whether no part of the sum is much larger than the sum."""
        largest = LARGEST_PART * _size(form)
        factor = abs(node.constant) if node.constant is not None else Fraction(1)
        parts = [factor * _size(self.forms[node.args[0]]), *(_size(self.forms[number]) for number in node.args[1:])]
        return all(part <= largest for part in parts)


def _projected(form: Form, line: tuple[Form, int] | None) -> Form:
    """Return the form without its component along a line: the multiple that leaves nothing in one place."""
    if line is None:
        return form
    along, place = line
    factor = form[place] / along[place]
    return tuple(a - factor * b for a, b in zip(form, along, strict=True)) if factor else form


def _direction(form: Form) -> tuple[Form, Fraction]:
    size = next(entry for entry in form if entry)
    return tuple(entry / size for entry in form), size


def _size(form: Form) -> Fraction:
    return sum((abs(entry) for entry in form), start=Fraction(0))


def _scaled(factor: Fraction, number: int) -> Node:
    return Node(Op.NEG, (number,)) if factor == -1 else Node(Op.SCALE, (number,), factor)


def _combined(factor: Fraction, first: int, sign: Fraction, second: int) -> Node | None:
    """Return factor * first + sign * second as one instruction, or None."""
    if factor == 1:
        return Node(Op.ADD if sign == 1 else Op.SUB, (first, second))
    if factor == -1:
        return Node(Op.SUB, (second, first)) if sign == 1 else None
    return Node(Op.FMA if sign == 1 else Op.FMS, (first, second), factor)


def _form(node: Node, forms: Sequence[Form]) -> Form:
    columns = [(factor, forms[argument]) for factor, argument in factors(node)]
    return tuple(sum(factor * form[place] for factor, form in columns) for place in range(len(forms[0])))  # type: ignore[misc]
