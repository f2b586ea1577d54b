"""Generated kernels as orders: what `winograd.measure_error` calls to measure compiled C, or emitted NumPy code.

In: a `Kernel` for C or NumPy. Out: a function of data and filters. Every trial is a convolution of its own tile with
its own filter: trials run together as images and outputs of one convolution, of which the diagonal is kept.
Refused: other targets; data and filters of another size, count or dtype than the kernel is made for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from winograd.accuracy.measuring.compiled_kernel import compiled_kernel
from winograd.accuracy.measuring.sums import Array
from winograd.algebra.nesting import NestedAlgorithm
from winograd.codegen.kernel import Kernel
from winograd.codegen.module import python_module

Convolve = Callable[[Array, Array], Array]
"""Images (N, C, *tile) and filters (N, C, *taps) to outputs (N, N, *m)."""

_NUMPY_GROUP: Final = 8


@dataclass(frozen=True, slots=True)
class KernelOrder:
    """A kernel as a function of data (*tile, channels, trials) and filters (*taps, channels, trials).

    Parameters
    ----------
    kernel : Kernel
    convolve : function
        The kernel itself.
    group : int
        How many trials it is given at a time.
    """

    kernel: Kernel
    convolve: Convolve
    group: int

    @property
    def __name__(self) -> str:
        return f"{self.kernel.target} kernel {self.kernel.name}"

    @property
    def algorithm(self) -> NestedAlgorithm:
        """What the kernel computes: `winograd.measure_error` refuses to measure it as anything else."""
        return self.kernel.algorithm

    def __call__(self, data: Array, filters: Array) -> Array:
        """Return outputs (*m, trials)."""
        self._check(data, filters)
        images, weights = (np.ascontiguousarray(np.moveaxis(x, (-1, -2), (0, 1))) for x in (data, filters))
        parts = (slice(start, start + self.group) for start in range(0, len(images), self.group))
        outputs = [self.convolve(images[part], weights[part]) for part in parts]
        own = [np.moveaxis(np.diagonal(values), -1, 0) for values in outputs]
        return np.moveaxis(np.concatenate(own), 0, -1)

    def _check(self, data: Array, filters: Array) -> None:
        nested, name = self.algorithm, self.__name__
        for what, given, sizes in (("data", data, nested.tile), ("filters", filters, nested.r)):
            if given.shape[:-2] != sizes:
                wanted = ", ".join(map(str, (*sizes, "channels", "trials")))
                raise ValueError(f"{what} has shape {given.shape}, must be ({wanted}) for {name} of {nested.label}")
            if self.kernel.target == "c" and given.dtype != np.float32:
                raise ValueError(f"dtype is {given.dtype}, must be float32 for a compiled kernel")
        if data.shape[-2:] != filters.shape[-2:]:
            raise ValueError(f"filters has shape {filters.shape}, must end in {data.shape[-2:]} as data does")


def kernel_order(kernel: Kernel) -> KernelOrder:
    """Return the function that computes tiles with a generated kernel.

    Parameters
    ----------
    kernel : Kernel
        "c", which is compiled and computes in float32, or "numpy", which computes in the dtype of its inputs.

    Returns
    -------
    KernelOrder
        A function of data (*tile, channels, trials) and filters (*taps, channels, trials); returns outputs (*m,
        trials), and raises ValueError for other sizes, and for a dtype other than float32 with C.

    Raises
    ------
    TypeError
        For something that is no kernel.
    ValueError
        For another target.
    BuildError
        If C cannot be compiled.

    Examples
    --------
    >>> from winograd import emit, measure_error, toom_cook
    >>> axis = toom_cook(2, 3)
    >>> measure_error(axis, order=kernel_order(emit(axis, "numpy")), trials=100).order
    'numpy kernel winograd'
    """
    if not isinstance(kernel, Kernel):
        raise TypeError(f"kernel is a {type(kernel).__name__}, must be a Kernel, as winograd.emit returns")
    if kernel.target == "c":
        compiled = compiled_kernel(kernel)
        return KernelOrder(kernel, compiled, compiled.panel)
    if kernel.target == "numpy":
        return KernelOrder(kernel, python_module(kernel).convolve, _NUMPY_GROUP)
    raise ValueError(f"kernel is {kernel.target} code, must be c or numpy")
