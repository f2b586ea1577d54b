"""`GpuStage`: one stage of a convolution on a GPU, and what kernels attain of a card's peaks.

In: milliseconds of arithmetic, traffic and launches. Out: how long the stage takes, and what limits it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Attained:
    """What kernels attain of a card's peaks.

    Parameters
    ----------
    memory : float
        Of the bandwidth of memory: a copy runs at 0.9 of it on an H100 and on an H200.
    cache : float
        Bandwidth of level 2 over that of memory.
    cache_held : float
        Share of level 2 that V and M of a batch, or U, may fill and stay there.
    library_float32, library_tensor : float
        Of the peaks without and with tensor cores, by cuDNN's direct convolution over three axes: an H200 takes about
        13 ms in float32 and 2.4 ms in TF32 for C3D's conv2 at batch 32, which is 710e9 operations.
    plain, tensor : float
        The same by emitted products.
    transforms : float
        Of the peak of float32 additions, by transforms.
    launch_us : float
        Microseconds between two launches from Python, which takes 1.6 of them in a call that was made before (measured
        without a card); the rest is the driver's, and what a card takes from one kernel to the next.
    """

    memory: float = 0.9
    cache: float = 1.8
    cache_held: float = 0.6
    library_float32: float = 0.8
    library_tensor: float = 0.6
    plain: float = 0.5
    tensor: float = 0.6
    transforms: float = 0.3
    launch_us: float = 8.0


ATTAINED: Final = Attained()


@dataclass(frozen=True, slots=True)
class GpuStage:
    """One stage of a convolution on a GPU.

    Parameters
    ----------
    name : str
    arithmetic_ms, memory_ms, cache_ms, launches_ms : float
        How long operations, traffic with memory, traffic with level 2 and launches take by themselves.
    """

    name: str
    arithmetic_ms: float
    memory_ms: float
    cache_ms: float
    launches_ms: float

    @property
    def milliseconds(self) -> float:
        """The longest of them."""
        return max(self.arithmetic_ms, self.memory_ms, self.cache_ms, self.launches_ms)

    @property
    def limit(self) -> str:
        """What limits the stage: "arithmetic", "memory", "cache" or "launches"."""
        times = {name: getattr(self, f"{name}_ms") for name in ("arithmetic", "memory", "cache", "launches")}
        return max(times, key=times.__getitem__)
