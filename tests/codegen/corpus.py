"""The corpus that every emitter is held against: random programs with a seed, and algorithms of every kind."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from random import Random

from winograd.algebra.crt import crt
from winograd.algebra.nesting import NestedAlgorithm, nest
from winograd.algebra.toom_cook import toom_cook
from winograd.codegen.lower import Lowering, SumOrder
from winograd.codegen.program import Node, Op, Program

FUSED = (Op.FMA, Op.FMS)

_F2, _F4 = toom_cook(2, 3), toom_cook(4, 3)
_SEVEN = crt(4, 3, "x,x-1,x+1,x^2+1,inf")
_NINE = crt(6, 3, "x,x-2/3,x+2/3,x-3/2,x+3/2,x^2+1,inf")

ALGORITHMS: tuple[NestedAlgorithm, ...] = (
    nest(toom_cook(1, 1)),
    nest(toom_cook(3, 1)),
    nest(toom_cook(1, 4)),
    nest(_F2),
    nest(_F4),
    nest(toom_cook(4, 3, "0,1,-1,2,-2,inf")),
    nest(toom_cook(6, 3)),
    nest(toom_cook(4, 3, "0,1/3,-7/5,9/7,-5,inf")),
    nest(_SEVEN),
    nest(_NINE),
    nest(_F4, _F4),
    nest(toom_cook(3, 2), _SEVEN),
    nest(_F2, _F4, _F4),
    nest(_NINE, toom_cook(1, 1), toom_cook(2, 2)),
)
"""Minimal and superlinear, with trivial and with odd axes, from one to three of them."""

LOWERINGS = tuple(
    Lowering(order, fma, transposed) for order, fma, transposed in product(SumOrder, (False, True), (False, True))
)
"""Every way in which programs are made."""


def random_programs(count: int, seed: int = 0) -> list[Program]:
    """Return programs of every operation, a third of them without fused multiply-add."""
    random = Random(seed)
    return [_random_program(random, fused=number % 3 > 0) for number in range(count)]


def without_fma(program: Program) -> bool:
    """Say whether a program has no fused multiply-add."""
    return not any(node.op in FUSED for node in program.nodes)


def _random_program(random: Random, *, fused: bool) -> Program:
    inputs = random.randint(1, 6)
    ops = [op for op in Op if fused or op not in FUSED]
    nodes: list[Node] = []
    for number in range(inputs, inputs + random.randint(0, 24)):
        op = random.choice(ops)
        arity = {Op.ZERO: 0, Op.NEG: 1, Op.SCALE: 1}.get(op, 2)
        constant = _random_constant(random) if op in (Op.SCALE, *FUSED) else None
        nodes.append(Node(op, tuple(random.randrange(number) for _ in range(arity)), constant))
    outputs = tuple(random.randrange(inputs + len(nodes)) for _ in range(random.randint(1, 6)))
    return Program(inputs, tuple(nodes), outputs)


def _random_constant(random: Random) -> Fraction:
    # From 1/4 to 4, so that no chain of 24 leaves float32; most of them are not floating-point numbers.
    return random.choice((1, -1)) * Fraction(random.randint(50, 200), random.choice((50, 64, 111, 199)))
