"""The torch target: transforms and a convolution as plain out-of-place tensor operations.

In: a request. Out: a module for any device and any floating or complex dtype, for autograd, vmap and ``torch.compile``,
with a self-test. One rounding per operation, two for a multiply-add.
"""

from __future__ import annotations

from typing import Final

from winograd.codegen.literals import float64_literal
from winograd.codegen.targets.contract import TRANSFORMS, Request, Target
from winograd.codegen.targets.python_file import Language, python_source
from winograd.codegen.targets.straight_line import Dialect

_NUMBERS: Final = """\
The transforms act on the last axes, as many as R has; axes before them are free. Constants are float64 literals,
rounded to the dtype of the tensor, and every product and every sum rounds. With 16-bit tensors transform in float32 and
round afterwards.
"""

_TRANSFORM: Final = """\
def _transform(name, x, sizes, passes):
    _check_numbers(name, x)
    _check_sizes(name, x, sizes)
    for axis, function in passes:
        x = torch.stack(function(*x.unbind(axis)), axis)
    return x


def _check_numbers(name, x):
    if not isinstance(x, torch.Tensor):
        raise TypeError(f"{name} is a {type(x).__name__}, must be a tensor")
    if not (x.is_floating_point() or x.is_complex()) or x.element_size() < 2:
        raise TypeError(f"{name} has dtype {x.dtype}, must be floating or complex, of 16 bits or more; convert it")
"""

_PARTS: Final = '''\
def _operands(input, weight, bias):
    _check_numbers("input", input)
    for name, x in (("weight", weight), ("bias", bias)):
        if x is not None or name == "weight":
            _check_numbers(name, x)
            if x.dtype != input.dtype:
                raise TypeError(f"{name} has dtype {x.dtype}, must be {input.dtype}, which input has")
    work = torch.float32 if input.dtype in (torch.float16, torch.bfloat16) else input.dtype
    return [None if x is None else x.to(work) for x in (input, weight, bias)], input.dtype


def _padded(x, below, above):
    return torch.constant_pad_nd(x, [zeros for sides in reversed(list(zip(below, above))) for zeros in sides])


def _windows(x):
    for axis, (tile, m) in enumerate(zip(TILE, M)):
        x = x.unfold(axis + 2, tile, m)
    return x


def _summed(u, v):
    """Return the products (N, K, *counts, *RANKS), summed over channels, unrounded by autocast."""
    device = v.device.type
    if torch.amp.autocast_mode.is_autocast_available(device) and torch.is_autocast_enabled(device):
        with torch.autocast(device, enabled=False):
            return _summed(u, v)
    axes = len(M)
    products = torch.einsum("kcp,nctp->nktp", u.flatten(2), v.flatten(-axes).flatten(2, -2))
    return products.reshape(v.shape[0], u.shape[0], *v.shape[2:])
'''

_AGREES: Final = """\
def _integers(seed, *shape):
    return torch.randint(-9, 10, shape, generator=torch.Generator().manual_seed(seed))


def _agrees(label, expected, limits, function, *arguments):
    y = function(*(x.double() for x in arguments))
    error, (allowed, step) = _largest_error(y.reshape(-1).tolist(), expected), limits
    print(f"{NAME}, {label}: largest error {error:.1e} in float64, {allowed:.1e} allowed")
    if not allowed < step / 2:
        print(f"{NAME}, {label}: undecided, float64 rounds too much in this algorithm to tell right from wrong")
    return error <= allowed < step / 2
"""

TORCH: Final = Language(
    title="torch",
    library="torch",
    imports="import torch",
    standard=(),
    numbers=_NUMBERS,
    convolution="the dtype of input; float16 and bfloat16 are computed in float32 and rounded once.",
    integers="int",
    permute="torch.permute",
    cast="to",
    transform=_TRANSFORM,
    parts=_PARTS,
    agrees=_AGREES,
    dialect=Dialect(float64_literal, "torch.zeros_like(x0)"),
)
"""What torch is to `python_source`."""


def source(request: Request) -> str:
    """Return the text of the torch module."""
    return python_source(request, TORCH)


TARGET = Target(source=source, comment="#", range_dtype="float64", unfused=TRANSFORMS, machines=())
