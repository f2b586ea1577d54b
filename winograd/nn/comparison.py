"""What a comparison of a network with its conversion found: figures by layer and for the whole, as JSON and as text.

In: figures that were measured elsewhere. Errors are relative L2 errors against float64, times in ms.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Times:
    """A layer or a network, directly and converted, each in its fastest variant.

    Parameters
    ----------
    direct_variant, converted_variant : str
        The fastest of each.
    direct_ms, converted_ms : float
        Median milliseconds of these.
    ratio : float
        Median over the rounds of direct / converted.
    direct_range, converted_range, ratio_range : tuple of float or None
        The least and the largest of the rounds; None where they are not known.
    """

    direct_variant: str
    converted_variant: str
    direct_ms: float
    converted_ms: float
    ratio: float
    direct_range: tuple[float, float] | None = None
    converted_range: tuple[float, float] | None = None
    ratio_range: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class LayerComparison:
    """One convolution on its real input, directly and converted: by itself, and behind all layers before it.

    Parameters
    ----------
    layer : str
        Name in the network.
    input : tuple of int
        (N, C, sizes...).
    algorithm : str
        What the plan chose, such as "native F(4x4x4,3x3x3)" or "direct".
    reason : str
        Why.
    predicted_error : float or None
        Relative L2 error that the plan predicts; None for direct convolution.
    measured_error, direct_error : float
        Relative L2 error against float64 direct convolution of the same input, converted and by torch's default.
    error_so_far, direct_error_so_far : float or None
        Relative L2 distance of the layer's output in the converted and in the direct network from that in the network
        in float64: the errors of all layers before count, too. None for a layer that was compared by itself.
    times : Times or None
        None where nothing was timed.
    """

    layer: str
    input: tuple[int, ...]
    algorithm: str
    reason: str
    predicted_error: float | None
    measured_error: float
    direct_error: float
    error_so_far: float | None
    direct_error_so_far: float | None
    times: Times | None


@dataclass(frozen=True, slots=True)
class OutputComparison:
    """The outputs for one clip against those in float64.

    Parameters
    ----------
    error, direct_error : float
        Relative L2 error of all outputs, converted and direct.
    largest_change, direct_largest_change : float
        Largest difference of any output from float64, relative to the largest output, converted and direct.
    top, direct_top, converted_top : tuple of int
        Indices of the largest outputs, five where there are as many, in float64, direct and converted.
    margin : float or None
        Gap between the last of the top and the next output, as a multiple of the largest difference from float64 of the
        converted network; None where there is no next output or no difference.
    """

    error: float
    direct_error: float
    largest_change: float
    direct_largest_change: float
    top: tuple[int, ...]
    direct_top: tuple[int, ...]
    converted_top: tuple[int, ...]
    margin: float | None

    @property
    def agreement(self) -> str:
        """Whether the converted network's top agrees with float64: in "order", as a "set" only, or "none"."""
        if self.converted_top == self.top:
            return "order"
        return "set" if set(self.converted_top) == set(self.top) else "none"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A network and its conversion, layer by layer and as a whole.

    Parameters
    ----------
    dtype : str
        Of the network.
    layers : tuple of LayerComparison
        In the order in which they run.
    stack : tuple of str
        Names of the layers that are summed up.
    outputs : tuple of OutputComparison
        One per clip.
    clip_distance : float
        Least relative L2 distance of the float64 outputs of another clip from those of the first.
    times : Times or None
        Of the whole network; None where nothing was timed.
    """

    dtype: str
    layers: tuple[LayerComparison, ...]
    stack: tuple[str, ...]
    outputs: tuple[OutputComparison, ...]
    clip_distance: float
    times: Times | None

    @property
    def error(self) -> float:
        """The largest relative L2 error of the outputs of any clip, converted."""
        return max(output.error for output in self.outputs)

    @property
    def stack_direct_ms(self) -> float:
        """Sum of the medians of the stack's layers, best direct variant each."""
        return math.fsum(times.direct_ms for times in self._stack_times)

    @property
    def stack_converted_ms(self) -> float:
        """Sum of the medians of the stack's layers, converted."""
        return math.fsum(times.converted_ms for times in self._stack_times)

    @property
    def stack_ratio(self) -> float:
        """Sum of medians over sum of medians; not a number where the stack has no layer that was timed."""
        return self.stack_direct_ms / self.stack_converted_ms if self.stack_converted_ms else math.nan

    @property
    def _stack_times(self) -> list[Times]:
        return [layer.times for layer in self.layers if layer.layer in self.stack and layer.times is not None]

    def as_dict(self) -> dict[str, Any]:
        """Return all figures under their names, ready for JSON."""
        figures = asdict(self)
        for output, named in zip(self.outputs, figures["outputs"], strict=True):
            named["agreement"] = output.agreement
        figures["error"] = self.error
        figures["stack"] = {
            "layers": list(self.stack),
            "direct_ms": self.stack_direct_ms,
            "converted_ms": self.stack_converted_ms,
            "ratio": None if math.isnan(self.stack_ratio) else self.stack_ratio,
        }
        return figures

    def __str__(self) -> str:
        from winograd.nn.comparison_text import comparison_text

        return comparison_text(self)
