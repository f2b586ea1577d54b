"""The Triton target: a tiled convolution, or its transforms, in one Python file that needs torch and triton alone.

In: a nested algorithm of one to three axes. Out: a module with kernels for the filter, data and inverse transform, and
in a convolution the product, the functions that launch them, and a self-test; the transforms are printed from the
programs, the rest is the same for every algorithm (the .txt files of this folder, in which NAME_ stands for the chosen
name).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib import resources
from math import prod, sqrt

from winograd.algebra.growth import kappa
from winograd.codegen.nested import AxisPass, NestedPrograms
from winograd.codegen.targets.axes import pad_axes
from winograd.codegen.targets.contract import Request, Stage, Target
from winograd.codegen.targets.triton.convolution import print_convolution
from winograd.codegen.targets.triton.stages import MAGNITUDE, print_stages

_CONVOLUTION = """\
Convolution by {label} in Triton, generated: three transforms, and a product for every position of a tile.

``convolve(input, weight, bias, padding)`` is all there is to call.\
"""

_TRANSFORMS = """\
Transforms of {label} in Triton, generated, for tensors whose first axes are the positions of a tile.

Axes behind them are free, and contiguous in memory: of a product for every position they are the two axes.\
"""


def source(request: Request) -> str:
    """Return the text of the Triton module.

    Raises
    ------
    ValueError
        If the schedule cannot do the algorithm.
    """
    if request.schedule == "fused" and request.stage is Stage.CONV:
        raise ValueError(f"schedule 'fused' is not for {request.algorithm.label}; 'staged' is for every algorithm")
    print_parts = _convolution if request.stage is Stage.CONV else _stages
    comments = "".join(f"# {line}".rstrip() + "\n" for line in request.header)
    prelude, *parts = print_parts(request)
    return comments + "\n\n".join([prelude, *(part.replace("NAME_", f"{request.name}_") for part in parts)])


def _convolution(request: Request) -> Iterator[str]:
    """Yield the parts of a convolution; missing axes are leading axes of size 1."""
    nested = request.algorithm
    whole = pad_axes(nested)
    programs = replace(request, algorithm=whole).programs
    growth = prod(kappa(axis) for axis in nested.axes)
    constants = {
        "M": nested.m,
        "R": nested.r,
        "POSITIONS": nested.rank,
        "DEVIATION": f"{2.0**-24 * sqrt(growth)!r}  # that rounding every product once to float32 causes in an output",
        "STEPS": f"{_steps(programs)}  # other roundings between an input and an output",
        "PRODUCT_BLOCK": "(64, 64, 32)  # most outputs, tiles and channels of a program of the product; powers of 2",
        "WORKSPACE_BYTES": "2**30  # tiles are taken in as many steps as this asks for",
    }
    yield _prelude(request, _CONVOLUTION, constants)
    yield _part("image.txt")
    yield from print_convolution(programs, whole)
    yield _part("product.txt")
    yield _launcher("product_kernel")
    yield _part("convolve.txt")
    yield _part("convolve_selftest.txt")


def _stages(request: Request) -> Iterator[str]:
    """Yield the parts of a file of transforms."""
    nested = request.algorithm
    sizes = {"M": nested.m, "R": nested.r, "TILE": nested.tile, "RANKS": nested.ranks}
    yield _prelude(request, _TRANSFORMS, sizes | {"MAGNITUDE": f"{MAGNITUDE}  # of the numbers in the self-test"})
    yield from print_stages(request)
    yield _launcher(f"{request.stage.transforms[0]}_kernel_0")
    yield _part("stages.txt")
    yield _part("stages_selftest.txt")


def _prelude(request: Request, doc: str, constants: dict[str, object]) -> str:
    named = {"NAME": f'"{request.name}"', "DTYPE": f"torch.{request.dtype}"} | constants
    return (
        _part("prelude.txt")
        .replace("DOC_", doc.format(label=request.algorithm.label))
        .replace("CONSTANTS_\n", "".join(f"{key} = {value}\n" for key, value in named.items()))
    )


def _launcher(kernel: str) -> str:
    return _part("launch.txt").replace("KERNEL_", f"NAME_{kernel}")


def _part(file: str) -> str:
    return (resources.files(__package__) / file).read_text(encoding="ascii")


def _steps(programs: NestedPrograms) -> int:
    """Return how many instructions of the programs lie on the way from an input to an output, at most."""
    steps: tuple[AxisPass, ...] = (*programs.data, *programs.filter, *programs.inverse)
    return sum(step.program.counts.instructions for step in steps)


TARGET = Target(
    source=source,
    comment="#",
    dtypes=("float32", "float16", "bfloat16"),
    range_dtype="float32",
    unfused=(Stage.FILTER,),
    machines=("GPU thread",),
    schedules=("staged", "fused"),
)
