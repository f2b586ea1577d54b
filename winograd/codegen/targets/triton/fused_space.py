"""The meta-parameters of a kernel that does everything: blocks whose sums and tiles fit the registers of a GPU.

In: the axes of an algorithm. Out: the default of each meta-parameter and the values worth a try, as text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from winograd.codegen.targets.triton.direct_axes import DirectAxes


@dataclass(frozen=True, slots=True)
class Space:
    """Values of each meta-parameter, the default first; every combination of them fits.

    Parameters
    ----------
    block_k, block_t, block_c : tuple of int
        Most outputs, tiles and channels of a program; powers of 2 of at least 16.
    warps, stages : tuple of int
        Of a program.
    """

    block_k: tuple[int, ...]
    block_t: tuple[int, ...]
    block_c: tuple[int, ...]
    warps: tuple[int, ...]
    stages: tuple[int, ...]


_SPACES: Final = (
    (1, Space(block_k=(128, 64), block_t=(64,), block_c=(32, 16), warps=(8,), stages=(2, 3))),
    (4, Space(block_k=(128, 64), block_t=(32,), block_c=(16,), warps=(8,), stages=(2, 3, 1))),
    (6, Space(block_k=(64,), block_t=(32, 16), block_c=(16,), warps=(8,), stages=(2, 3, 1))),
    (16, Space(block_k=(64,), block_t=(16,), block_c=(16,), warps=(8,), stages=(2, 1))),
)
"""Up to so many positions. Compiled for compute capability 9.0, no combination spills registers in any precision, and
all fit the 227 KiB of shared memory that a block may have there."""


def space_of(positions: int) -> Space:
    """Return the meta-parameters of kernels whose tiles have so many positions."""
    return next(space for most, space in _SPACES if positions <= most)


def fused_meta_parameters(axes: DirectAxes) -> dict[str, object]:
    """Return the constants of a file that say its meta-parameters."""
    space = space_of(axes.positions)
    values = {name: getattr(space, name) for name in Space.__slots__}
    return {"DEFAULTS": {name: found[0] for name, found in values.items()}, "SPACE": values}
