"""Which values of a program are equal up to a sign and a power of two: they are rounded alike.

In: a `Program`. Out: for every value a key and a factor, so that values of one key are their factors times one value.
3 x and -6 x, and the sums of such, have the same relative error where nothing underflows, not independent ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from winograd.codegen.program import Node, Op, Program

Multiple = tuple[Fraction, int]
"""Plus or minus a power of two, and the key of the value that it multiplies."""


def multiples(program: Program) -> list[tuple[Multiple, Multiple]]:
    """Return for every node that of its product, and of its value; they are one where it only adds or multiplies.

    Examples
    --------
    >>> nodes = (Node(Op.SCALE, (0,), Fraction(3)), Node(Op.SCALE, (0,), Fraction(-6)))
    >>> multiples(Program(1, nodes, (1, 2)))
    [((Fraction(2, 1), 1), (Fraction(2, 1), 1)), ((Fraction(-4, 1), 1), (Fraction(-4, 1), 1))]
    """
    keys: dict[object, int] = {place: place for place in range(program.inputs)}
    values: list[Multiple] = [(Fraction(1), place) for place in range(program.inputs)]
    found = []
    for node in program.nodes:
        product, value = _of_node(node, [values[argument] for argument in node.args], keys)
        values.append(value)
        found.append((product, value))
    return found


def _of_node(node: Node, arguments: Sequence[Multiple], keys: dict[object, int]) -> tuple[Multiple, Multiple]:
    product = arguments[0] if arguments else (Fraction(1), keys.setdefault("zero", len(keys)))
    if node.constant is not None:
        product = _multiplied(node.constant, product, keys)
    if len(arguments) < 2:
        value = (-product[0], product[1]) if node.op is Op.NEG else product
        return value, value
    sign = -1 if node.op in (Op.SUB, Op.FMS) else 1
    low, high = sorted((product, (sign * arguments[1][0], arguments[1][1])), key=lambda multiple: multiple[1])
    return product, (low[0], keys.setdefault((low[1], high[0] / low[0], high[1]), len(keys)))


def _multiplied(constant: Fraction, value: Multiple, keys: dict[object, int]) -> Multiple:
    factor = leading_power(constant)
    size = constant / factor
    return factor * value[0], value[1] if size == 1 else keys.setdefault((size, value[1]), len(keys))


def leading_power(constant: Fraction) -> Fraction:
    """Return the power of two in (|c| / 2, |c|], with the sign of c, which is not 0.

    Examples
    --------
    >>> leading_power(Fraction(-5, 3)), leading_power(Fraction(1, 3))
    (Fraction(-1, 1), Fraction(1, 4))
    """
    size = abs(constant)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    power = Fraction(2) ** exponent
    if power > size:
        power /= 2
    return power if constant > 0 else -power
