"""The Triton target: a tiled convolution, or its transforms, in one Python file that needs torch and triton alone.

In: a nested algorithm of one to three axes. Out: a module with kernels for the filter, data and inverse transform, and
in a convolution the product, the functions that launch them, and a self-test; the transforms are printed from the
programs, the rest is the same for every algorithm (the .txt files of this folder, in which NAME_ stands for the chosen
name).
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from math import prod, sqrt

from winograd.algebra.growth import kappa
from winograd.codegen.nested import AxisPass, NestedPrograms
from winograd.codegen.targets.contract import Request, Stage, Target
from winograd.codegen.targets.triton.direct_axes import DirectAxes
from winograd.codegen.targets.triton.fused import checked_fused, print_fused
from winograd.codegen.targets.triton.fused_space import fused_meta_parameters
from winograd.codegen.targets.triton.staged import print_data, print_filter, print_inverse, programs_of
from winograd.codegen.targets.triton.stages import MAGNITUDE, print_stages

_CONVOLUTION = """\
Convolution by {label} in Triton, generated: three transforms, and a product for every position of a tile.

``convolve(input, weight, bias, padding)`` does everything; `transform_filter` once and `run` often save time.\
"""

_CHANGING = """(  # what kernels are not compiled again for
    "first", "rows", "run", "size0", "size1", "size2", "shape0", "shape1", "shape2", "tiles0", "tiles1", "tiles2",
    "before0", "before1", "before2",
)"""

_DEFAULTS = """{  # meta-parameters of run
    "block_t": 128, "block_k": 128, "block_c": 32,  # most rows, outputs and channels of a block; powers of 2
    "warps": 8, "stages": 3,  # of the product
    "few_t": 64, "few_k": 128, "few_warps": 4, "few_stages": 2,  # the same where there are 2 * block_c channels at most
    "few_run": 8,  # blocks of rows that a program takes one after the other there
    "data_warps": 4, "inverse_warps": 4,
    "workspace_bytes": 2**30,  # rows are taken in as many steps as this asks for
}"""

_SPACE = """{  # values of each that are worth a try
    "block_t": (64, 128, 256), "block_k": (64, 128), "block_c": (32, 64), "warps": (4, 8), "stages": (2, 3, 4),
    "few_t": (64, 128), "few_k": (64, 128), "few_warps": (4, 8), "few_stages": (2, 3), "few_run": (1, 4, 8, 16),
    "data_warps": (2, 4), "inverse_warps": (2, 4), "workspace_bytes": (2**25, 2**27, 2**30),
}"""

_SHARED = ("geometry.txt", "arguments.txt", "convolve.txt", "convolve_selftest.txt")
"""What convolutions of all schedules end with."""

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
    convolution = _fused if request.schedule == "fused" else _staged
    print_parts = convolution if request.stage is Stage.CONV else _stages
    comments = "".join(f"# {line}".rstrip() + "\n" for line in request.header)
    prelude, *parts = print_parts(request)
    return comments + "\n\n".join([prelude, *(part.replace("NAME_", f"{request.name}_") for part in parts)])


def _staged(request: Request) -> Iterator[str]:
    """Yield the parts of a convolution in several kernels."""
    axes = DirectAxes(request.algorithm)
    programs, taps = programs_of(request, axes), axes.taps
    meta = {"SPLIT": "True  # filters for tf32x3 beforehand", "DEFAULTS": _DEFAULTS, "SPACE": _SPACE}
    yield _prelude(request, _CONVOLUTION, _constants(request, axes, programs) | meta)
    yield from print_filter(programs, axes)
    counts = {"TAPS_ALL": prod(taps), "TAPS_1": taps[1], "TAPS_2": taps[2]}
    product = _part("product.txt")
    for name, count in counts.items():
        product = product.replace(name, str(count))
    yield product
    yield from map(_part, ("few.txt", "tile.txt"))
    yield from print_data(programs, axes)
    yield from print_inverse(programs, axes)
    yield from map(_part, ("launch.txt", "filter.txt", "run.txt", "launches.txt", *_SHARED))


def _fused(request: Request) -> Iterator[str]:
    """Yield the parts of a convolution in one kernel, but for the filter transform."""
    axes = checked_fused(DirectAxes(request.algorithm))
    programs = programs_of(request, axes)
    meta = {"SPLIT": "False  # filters for tf32x3 beforehand", **fused_meta_parameters(axes)}
    yield _prelude(request, _CONVOLUTION, _constants(request, axes, programs) | meta)
    yield from print_filter(programs, axes)
    yield _part("fused_parts.txt")
    yield from print_fused(programs, axes)
    yield "INTERPRETED = not isinstance(NAME_fused_kernel, triton.JITFunction)\n"
    yield from map(_part, ("launch.txt", "filter.txt", "fused_run.txt", *_SHARED))


def _constants(request: Request, axes: DirectAxes, programs: NestedPrograms) -> dict[str, object]:
    """Return the constants of a convolution of any schedule."""
    nested = request.algorithm
    growth = prod(kappa(axis) for axis in nested.axes)
    return {
        "SCHEDULE": f'"{request.schedule}"',
        "M": nested.m,
        "R": nested.r,
        "DIRECT": f"{axes.direct}  # of three axes, which are not transformed",
        "TILE_OUTPUTS": f"{axes.m}  # of three axes",
        "POSITIONS": axes.positions,
        "TAPS": f"{prod(axes.taps)}  # of direct axes",
        "DEVIATION": f"{2.0**-24 * sqrt(growth)!r}  # that rounding every product once to float32 causes in an output",
        "STEPS": f"{_steps(programs)}  # other roundings between an input and an output",
        "DTYPES": "(torch.float32, torch.float16, torch.bfloat16)",
        "PRECISIONS": '("ieee", "tf32x3", "tf32", "float16", "bfloat16")',
        "FILTER_BYTES": "2**30  # most that the filter transform takes between its kernels",
        "CHANGING": _CHANGING,
    }


def _stages(request: Request) -> Iterator[str]:
    """Yield the parts of a file of transforms."""
    nested = request.algorithm
    sizes = {"M": nested.m, "R": nested.r, "TILE": nested.tile, "RANKS": nested.ranks}
    yield _prelude(request, _TRANSFORMS, sizes | {"MAGNITUDE": f"{MAGNITUDE}  # of the numbers in the self-test"})
    yield from print_stages(request)
    yield f"INTERPRETED = not isinstance(NAME_{request.stage.transforms[0]}_kernel_0, triton.JITFunction)\n"
    yield _part("launch.txt")
    yield _part("stages.txt")
    yield _part("stages_selftest.txt")


def _prelude(request: Request, doc: str, constants: dict[str, object]) -> str:
    named = {"NAME": f'"{request.name}"', "DTYPE": f"torch.{request.dtype}"} | constants
    return (
        _part("prelude.txt")
        .replace("DOC_", doc.format(label=request.algorithm.label))
        .replace("CONSTANTS_\n", "".join(f"{key} = {value}\n" for key, value in named.items()))
    )


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
