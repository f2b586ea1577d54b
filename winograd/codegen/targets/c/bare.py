"""Programs as they are in C, without an algorithm around them: how tests run the target on any program.

In: programs and how multiply-add rounds. Out: a C file with a function per program.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from winograd.codegen.interpret import Contraction
from winograd.codegen.program import Program
from winograd.codegen.targets.c.parts import assembled, declarations, foundation
from winograd.codegen.targets.c.printing import VECTOR, print_program


def bare_source(
    programs: Sequence[Program],
    dtype: str = "float32",
    contraction: Contraction = Contraction.SEPARATE,
    name: str = "winograd",
) -> str:
    """Return a C file with a function ``name_program_<n>(x, y, count)`` for program number n.

    Each maps ``count`` inputs side by side, x[input][count], to y[output][count]; 0 lanes are allowed.

    Parameters
    ----------
    programs : sequence of Program
    dtype : str
        float32 or float64: what x and y hold.
    contraction : Contraction
        SEPARATE rounds ``c * a + b`` twice, FUSED once where the compiler's target has it.
    name : str
        An identifier that names in the code begin with.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from winograd.codegen.program import Node, Op
    >>> source = bare_source([Program(inputs=2, nodes=(Node(Op.FMA, (0, 1), Fraction(1, 2)),), outputs=(2,))])
    >>> "const winograd_vector t0 = winograd_fma((winograd_real)0.5, x0, x1);" in source
    True
    """
    functions = [line for number, program in enumerate(programs) for line in _function(number, program)]
    header = [f"{len(programs)} programs in {dtype}."]
    body = [*foundation(dtype, contraction), "\n".join([*functions, ""])]
    return assembled(header, "", [declarations(dtype), *body], name)


def _function(number: int, program: Program) -> Iterator[str]:
    yield f"void NAME_program_{number}(const NAME_stored *x, NAME_stored *y, int64_t count)"
    yield "{"
    yield "    for (int64_t c = 0; c < count; c += NAME_WIDTH) {"
    yield "        const int64_t lanes = NAME_min(NAME_WIDTH, count - c);"
    for line in print_program(
        program,
        VECTOR,
        read=lambda number: f"NAME_read(x + {number} * count + c, lanes)",
        write=lambda number, value: f"NAME_write(y + {number} * count + c, lanes, {value});",
    ):
        yield f"        {line}"
    yield "    }"
    yield "}\n"
