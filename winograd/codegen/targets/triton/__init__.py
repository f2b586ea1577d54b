"""The Triton target: a whole tiled convolution in one Python file that needs torch and triton alone.

In: a nested algorithm of one to three axes. Out: a module with kernels for the filter, data and inverse transform and
the product, the function ``convolve`` that launches them, and a self-test; the transforms are printed from the
programs, the rest is the same for every algorithm (the .txt files of this folder, in which NAME_ stands for the chosen
name).
"""

from __future__ import annotations

from importlib import resources
from math import prod, sqrt

from winograd.algebra.growth import kappa
from winograd.algebra.nesting import NestedAlgorithm
from winograd.codegen.nested import count_passes, lower_nested
from winograd.codegen.targets.c import pad_axes
from winograd.codegen.targets.contract import Request, Stage, Target
from winograd.codegen.targets.triton.transforms import print_transforms


def source(request: Request) -> str:
    """Return the text of the Triton module. Missing axes are leading axes of size 1."""
    nested = request.algorithm
    whole = pad_axes(nested)
    parts = [
        _part("prelude.txt")
        .replace("LABEL_", nested.label)
        .replace("CONSTANTS_\n", _constants(nested, whole, request.name)),
        *print_transforms(lower_nested(whole, request.lowering), whole),
        _part("product.txt"),
        _part("convolve.txt"),
        _part("selftest.txt"),
    ]
    comments = "".join(f"# {line}".rstrip() + "\n" for line in request.header)
    return comments + "\n\n".join(parts).replace("NAME_", f"{request.name}_")


def _part(file: str) -> str:
    return (resources.files(__package__) / file).read_text(encoding="ascii")


def _constants(nested: NestedAlgorithm, whole: NestedAlgorithm, name: str) -> str:
    growth = prod(kappa(axis) for axis in nested.axes)
    values = {
        "NAME": f'"{name}"',
        "M": nested.m,
        "R": nested.r,
        "POSITIONS": nested.rank,
        "DEVIATION": f"{2.0**-24 * sqrt(growth)!r}  # that rounding every product once to float32 causes in an output",
        "STEPS": f"{_steps(whole)}  # other roundings between an input and an output",
    }
    return "".join(f"{key} = {value}\n" for key, value in values.items())


def _steps(whole: NestedAlgorithm) -> int:
    programs = lower_nested(whole)
    return sum(
        count_passes((step,)).instructions // step.runs
        for step in (*programs.data, *programs.filter, *programs.inverse)
    )


TARGET = Target(source=source, comment="#", dtypes=("float32",), range_dtype="float32", stages=(Stage.CONV,))
