"""What a comparison of a network with its conversion found: figures by layer and for the whole, as text and as JSON.

In: figures that were measured elsewhere. Out: tables. Errors are relative L2 errors against float64, times in ms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from winograd.nn.table import scientific, text_table

_HEADER = (
    "layer", "input", "algorithm", "predicted error", "measured error", "direct error",
    "best direct variant", "ms", "converted ms", "ratio",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class LayerComparison:
    """One convolution on its real float32 input, directly and converted.

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
    direct_variant, converted_variant : str
        The fastest variant of each.
    direct_ms, converted_ms : float
        Median milliseconds of these.
    ratio : float
        Median over the rounds of direct / converted.
    """

    layer: str
    input: tuple[int, ...]
    algorithm: str
    reason: str
    predicted_error: float | None
    measured_error: float
    direct_error: float
    direct_variant: str
    converted_variant: str
    direct_ms: float
    converted_ms: float
    ratio: float


@dataclass(frozen=True, slots=True)
class OutputComparison:
    """The outputs for one clip against those in float64.

    Parameters
    ----------
    largest_change, direct_largest_change : float
        Largest difference of any output from float64, relative to the largest output, converted and direct.
    top, direct_top, converted_top : tuple of int
        Indices of the largest outputs, five where there are as many, in float64, float32 direct and converted.
    margin : float or None
        Gap between the last of the top and the next output, as a multiple of the largest difference from float64 of the
        converted network; None where there is no next output or no difference.
    """

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
    layers : tuple of LayerComparison
    stack : tuple of str
        Names of the layers that are summed up.
    outputs : tuple of OutputComparison
        One per clip.
    clip_distance : float
        Relative L2 distance of the float64 outputs of the second clip from those of the first.
    direct_layout : str
        The memory format in which the direct network is faster.
    direct_ms, converted_ms : float
        Median milliseconds of the whole network.
    ratio : float
        Median over the rounds of direct / converted.
    """

    layers: tuple[LayerComparison, ...]
    stack: tuple[str, ...]
    outputs: tuple[OutputComparison, ...]
    clip_distance: float
    direct_layout: str
    direct_ms: float
    converted_ms: float
    ratio: float

    @property
    def stack_direct_ms(self) -> float:
        """Sum of the medians of the stack's layers, best direct variant each."""
        return math.fsum(layer.direct_ms for layer in self.layers if layer.layer in self.stack)

    @property
    def stack_converted_ms(self) -> float:
        """Sum of the medians of the stack's layers, converted."""
        return math.fsum(layer.converted_ms for layer in self.layers if layer.layer in self.stack)

    @property
    def stack_ratio(self) -> float:
        """Sum of medians over sum of medians; not a number where the stack has no layer."""
        return self.stack_direct_ms / self.stack_converted_ms if self.stack_converted_ms else math.nan

    def as_dict(self) -> dict[str, Any]:
        """Return all figures under their names, ready for JSON."""
        figures = asdict(self)
        for output, named in zip(self.outputs, figures["outputs"], strict=True):
            named["agreement"] = output.agreement
        figures["stack"] = {
            "layers": list(self.stack),
            "direct_ms": self.stack_direct_ms,
            "converted_ms": self.stack_converted_ms,
            "ratio": None if math.isnan(self.stack_ratio) else self.stack_ratio,
        }
        return figures

    def __str__(self) -> str:
        table = text_table(_HEADER, [_cells(layer) for layer in self.layers], left=3)
        return "\n".join([table, "", *self._stack_lines(), *self._network_lines()])

    def _stack_lines(self) -> list[str]:
        if math.isnan(self.stack_ratio):
            return []
        return [
            f"stack ({', '.join(self.stack)}), sums of medians: best direct {self.stack_direct_ms:.1f} ms, "
            f"converted {self.stack_converted_ms:.1f} ms, ratio {self.stack_ratio:.2f}"
        ]

    def _network_lines(self) -> list[str]:
        lines = [
            f"whole network: direct in its better layout ({self.direct_layout}) {self.direct_ms:.1f} ms, "
            f"converted {self.converted_ms:.1f} ms, ratio {self.ratio:.2f}",
            f"outputs of the two clips lie {self.clip_distance:.1%} apart (relative L2, float64)",
        ]
        for number, output in enumerate(self.outputs, start=1):
            lines.append(
                f"clip {number}: largest change of any output against float64, relative to the largest output: "
                f"{scientific(output.largest_change)} (float32 direct: {scientific(output.direct_largest_change)})"
            )
            lines.append(f"clip {number}: {_top_line(output)}")
        return lines


def _top_line(output: OutputComparison) -> str:
    count = len(output.top)
    agrees = {
        "order": "the same outputs in the same order",
        "set": "the same outputs in another order",
        "none": "OTHER OUTPUTS",
    }[output.agreement]
    margin = "" if output.margin is None else f"; the next output is {output.margin:.0f} times the largest change away"
    return f"top {count} of float64 {_listed(output.top)}, converted {_listed(output.converted_top)}: {agrees}{margin}"


def _listed(indices: Sequence[int]) -> str:
    return " ".join(map(str, indices))


def _cells(layer: LayerComparison) -> tuple[str, ...]:
    return (
        layer.layer,
        "x".join(map(str, layer.input)),
        layer.algorithm,
        scientific(layer.predicted_error),
        scientific(layer.measured_error),
        scientific(layer.direct_error),
        layer.direct_variant,
        f"{layer.direct_ms:.1f}",
        f"{layer.converted_ms:.1f}",
        f"{layer.ratio:.2f}",
    )
