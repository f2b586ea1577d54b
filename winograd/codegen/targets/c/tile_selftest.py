"""The self-test of transforms: their matrices, the error that is allowed, and the calls.

In: transforms. Out: C text.
"""

from __future__ import annotations

import math
import sys
import textwrap
from collections.abc import Sequence
from fractions import Fraction
from typing import Final

from winograd.codegen.literals import float64_literal
from winograd.codegen.targets.c.parts import DTYPES, part
from winograd.codegen.targets.c.transform import Transform, filled
from winograd.codegen.targets.contract import Stage
from winograd.codegen.tolerance import output_sizes, transform_growth, transform_tolerance

_MAGNITUDE: Final = 4
"""Of the random integers."""


def self_test(transforms: Sequence[Transform]) -> list[str]:
    """Return the parts of the file from the random integers to `main`."""
    cases = ", ".join(f'{{"{transform.name}", NAME_check_{transform.name}}}' for transform in transforms)
    return [
        "#ifdef WINOGRAD_SELFTEST\n" + part("random.c"),
        part("selftest_matrices.c"),
        *map(_check, transforms),
        part("selftest_main.c").replace("CASES", cases) + "#endif\n",
    ]


def _check(transform: Transform) -> str:
    name = f"NAME_{transform.name}"
    steps = sorted(transform.passes, key=lambda step: step.axis)
    tables = [
        _table(f"{name}_{what}{axis}", values)
        for axis, (matrix, step) in enumerate(zip(transform.matrices, steps, strict=True))
        for what, values in (
            ("matrix", [entry for row in matrix for entry in row]),
            ("sizes", output_sizes(step.program)),
        )
    ]
    lists = [", ".join(f"{name}_{what}{axis}" for axis in range(3)) for what in ("matrix", "sizes")]
    extents = [", ".join(map(str, sizes)) for sizes in (transform.rows, transform.columns)]
    record = [
        f"static const NAME_matrices {name}_matrices = {{",
        *(f"    {{{text}}}," for text in (*extents, *lists)),
        f"    {', '.join(map(repr, _tolerance(transform)))},",
        "};\n\n",
    ]
    return "".join(tables) + "\n".join(record) + filled(part("selftest_transform.c"), transform)


def _table(name: str, values: Sequence[Fraction]) -> str:
    entries = ", ".join(map(float64_literal, values))
    listed = textwrap.fill(entries, 116, initial_indent="    ", subsequent_indent="    ")
    return f"static const double {name}[] = {{\n{listed}\n}};\n"


def _tolerance(transform: Transform) -> tuple[float, float, float, float]:
    """Return the scale of the inputs, and the error allowed: per size of an output, per output, and at least."""
    dtype, passes = transform.dtype, transform.passes
    doubles = transform.stage is Stage.FILTER
    growth = _MAGNITUDE * transform_growth(passes)
    scale = min(1.0, 2.0 ** math.floor(math.log2(dtype.largest / growth))) if transform.stores else 1.0
    relative = dtype.stored_unit * transform.stores + float(dtype.unit) * doubles
    # Beside the roundings of the programs those of the matrices in double: one per entry and per term.
    unit = DTYPES["float64"].unit if doubles else dtype.unit
    roundings = Fraction(transform_tolerance(passes, 1, unit)) / transform_growth(passes)
    roundings += (sum(transform.columns) + 3) * DTYPES["float64"].unit
    least = dtype.smallest if transform.stores else sys.float_info.min
    return scale, scale * _MAGNITUDE * float(roundings) * (1 + relative), relative, least
