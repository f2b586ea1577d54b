"""The torch target: the three transforms as plain out-of-place tensor operations.

In: an algorithm. Out: a module with ``filter_transform``, ``data_transform`` and ``inverse_transform`` on the last axes
of a tensor, for autograd, vmap, any device and any floating or complex dtype, and a self-test when it is run.
"""

from __future__ import annotations

from collections.abc import Sequence

from winograd.codegen.literals import float64_literal
from winograd.codegen.targets.contract import Request, Stage, Target
from winograd.codegen.targets.straight_line import Transform, function, transforms
from winograd.codegen.tolerance import float64_tolerance

_PRELUDE = '''\
"""Transforms of {label} for torch, generated: y = inverse_transform(filter_transform(w) * data_transform(d)).

The transforms act on the last axes, as many as R has; axes before them are free. Constants are float64 literals; with
16-bit tensors transform in float32 and round afterwards.
"""

import torch

NAME = "{name}"
M = {m}
R = {r}
TILE = {tile}
RANKS = {ranks}


def filter_transform(w: torch.Tensor) -> torch.Tensor:
    """Map filters (..., *R) to (..., *RANKS)."""
    return _transform("w", w, R, {filter})


def data_transform(d: torch.Tensor) -> torch.Tensor:
    """Map tiles of data (..., *TILE) to (..., *RANKS)."""
    return _transform("d", d, TILE, {data})


def inverse_transform(p: torch.Tensor) -> torch.Tensor:
    """Map products, summed over channels, (..., *RANKS) to outputs (..., *M)."""
    return _transform("p", p, RANKS, {inverse})


def _transform(name, x, sizes, passes):
    if tuple(x.shape[-len(sizes):]) != sizes:
        raise ValueError(f"{{name}} has shape {{tuple(x.shape)}}, its last axes must be {{sizes}}")
    if not (x.is_floating_point() or x.is_complex()):
        raise TypeError(f"{{name}} has dtype {{x.dtype}}, must be floating or complex; convert it first")
    for axis, function in passes:
        x = torch.stack(function(*x.unbind(axis)), axis)
    return x
'''

_SELF_TEST = """\
def _self_test():
    generator = torch.Generator().manual_seed(0)
    options = {{"generator": generator, "dtype": torch.float64}}
    w = torch.randint(-{magnitude}, {above}, (16, *R), **options)
    d = torch.randint(-{magnitude}, {above}, (16, *TILE), **options)
    y = inverse_transform(filter_transform(w) * data_transform(d))
    expected = torch.zeros_like(y)
    for tap in torch.cartesian_prod(*(torch.arange(r) for r in R)).reshape(-1, len(R)).tolist():
        window = (slice(None), *(slice(k, k + m) for k, m in zip(tap, M)))
        expected += w[(slice(None), *tap)].reshape(-1, *(1 for _ in M)) * d[window]
    error = float((y - expected).abs().max())
    allowed = {tolerance}  # derived from the operation counts and the magnitudes on the way
    print(f"{{NAME}}: largest error {{error:.1e}} in float64, {{allowed:.1e}} allowed")
    if not allowed < 0.5:
        print(f"{{NAME}}: undecided, float64 rounds too much in this algorithm to tell integers apart")
    return error <= allowed < 0.5


if __name__ == "__main__":
    raise SystemExit(0 if _self_test() else 1)
"""

_MAGNITUDE = 9


def source(request: Request) -> str:
    """Return the text of the torch module."""
    nested = request.algorithm
    filter_, data, inverse = all_three = transforms(request.programs)
    prelude = _PRELUDE.format(
        label=nested.label,
        name=request.name,
        m=nested.m,
        r=nested.r,
        tile=nested.tile,
        ranks=nested.ranks,
        filter=filter_.calls(),
        data=data.calls(),
        inverse=inverse.calls(),
    )
    self_test = _SELF_TEST.format(
        magnitude=_MAGNITUDE, above=_MAGNITUDE + 1, tolerance=repr(float64_tolerance(nested, _MAGNITUDE))
    )
    comments = "".join(f"# {line}\n" for line in request.header)
    return "\n\n".join([comments + prelude, *_functions(all_three), self_test])


def _functions(all_three: Sequence[Transform]) -> list[str]:
    return [
        "\n".join(function(name, program, float64_literal, "torch.zeros_like(x0)")) + "\n"
        for transform in all_three
        for name, program in transform.functions.items()
    ]


TARGET = Target(source=source, comment="#", range_dtype="float64", stages=(Stage.CONV,))
