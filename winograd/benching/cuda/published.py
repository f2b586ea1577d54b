"""What others have published of layers on GPUs, to stand beside figures that are measured here.

In: the name of a layer of the suite ``lan2017``. Out: the published rates.

References
----------
Lan, Wang, Wen, Zhang, Wang: High performance implementation of 3D convolutional neural networks on a GPU. Computational
Intelligence and Neuroscience 2017, doi 10.1155/2017/8348671, tables 2 and 3 (batch 32, filters of 3x3x3, float32).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Published:
    """Published figures of a layer, on the GPU of the time.

    Parameters
    ----------
    library_tflops, winograd_tflops : float
        Effective rates: those of direct convolution in the same time; of cuDNN's matrix product, and of their Winograd.
    """

    library_tflops: float
    winograd_tflops: float

    @property
    def ratio(self) -> float:
        """By which factor theirs was faster than cuDNN."""
        return self.winograd_tflops / self.library_tflops


LAN_2017: Final[Mapping[str, Published]] = MappingProxyType(
    {
        "conv2": Published(1.21, 1.28),
        "conv3": Published(2.38, 3.31),
        "conv4": Published(2.40, 4.72),
        "conv5": Published(1.46, 2.11),
    }
)
"""By the layers of the suite ``lan2017``."""
