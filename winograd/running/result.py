"""What a run found: the comparison with everything that its figures are worth nothing without.

In: settings, machine and `Comparison`. Out: text, figures for JSON, and what is wrong with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any, Final

from winograd.nn.comparison import Comparison
from winograd.running.settings import RunSettings

_ROUNDOFF: Final = {"float16": 2.0**-11, "bfloat16": 2.0**-8}
"""What rounding outputs to 16 bits adds at most, relative to each; the tolerance leaves it out."""

_NO_KERNEL: Final = "no native kernel"
"""How the reason of a plan begins that lacks a compiler only."""

_NAMED: Final = 3
"""Layers that are named on a line."""


@dataclass(frozen=True, slots=True)
class NetworkRun:
    """A network that was run on clips.

    Parameters
    ----------
    settings : RunSettings
    input_shape, own_shape : tuple of int
        Channels, frames, height and width of the clips, and those that the network is made for.
    weights : str
        Where its weights are from.
    tolerance : float
        Of its conversion.
    threads : int
    machine : mapping
        As `winograd.conv.measuring.timing.measured_on`.
    comparison : Comparison
    """

    settings: RunSettings
    input_shape: tuple[int, int, int, int]
    own_shape: tuple[int, int, int, int]
    weights: str
    tolerance: float
    threads: int
    machine: Mapping[str, str | int]
    comparison: Comparison

    def as_dict(self) -> dict[str, Any]:
        """Return all figures under their names, ready for JSON."""
        asked = asdict(self.settings)
        clips = [asked.pop("clip"), asked.pop("other_clip")]
        return {
            **asked,
            "options": dict(self.settings.options),
            "clips": [clips[0], clips[1] or clips[0]],
            "input_shape": list(self.input_shape),
            "own_shape": list(self.own_shape),
            "weights": self.weights,
            "tolerance": self.tolerance,
            "threads": self.threads,
            "machine": dict(self.machine),
            **self.comparison.as_dict(),
        }

    def __str__(self) -> str:
        return f"{self.heading}\n\n{self.comparison}"

    @property
    def title(self) -> str:
        """The name of the network, with the options it was built with."""
        options = ", ".join(f"{name}={value}" for name, value in self.settings.options)
        return self.settings.network + (f" ({options})" if options else "")

    @property
    def heading(self) -> str:
        """Lines on what was run, where, and what the figures mean."""
        settings, machine = self.settings, self.machine
        shape = "x".join(map(str, (settings.batch, *self.input_shape)))
        own = "" if self.input_shape == self.own_shape else f" (its own size: {'x'.join(map(str, self.own_shape))})"
        timed = f"; medians of {settings.repeats} interleaved rounds, times in ms" if settings.repeats else ""
        return "\n".join(
            [
                f"{self.title}, {self.weights}",
                f"{settings.dtype}, clips {shape}{own}, tolerance {self.tolerance:g}",
                f"{machine['processor']}, {self.threads} threads, torch {machine['torch']}, {machine['date']}{timed}",
                "errors: relative L2 against float64 direct convolution of the layer's own input; so far: against the "
                "whole network in float64, errors of all layers before included",
                "predicted errors: for independent zero-mean inputs; activations cancel less in the sums and do better",
            ]
        )

    @property
    def warnings(self) -> list[str]:
        """One line for each reason why layers run directly that could be mended."""
        layers = self.comparison.layers
        reasons = dict.fromkeys(layer.reason for layer in layers if layer.reason.startswith(_NO_KERNEL))
        return [
            f"{_listed([layer.layer for layer in layers if layer.reason == reason])} run directly: {reason}"
            for reason in reasons
        ]

    @property
    def not_finite(self) -> str | None:
        """One line on the layers of which an error is no number, or None."""
        layers = [layer.layer for layer in self.comparison.layers if not isfinite(layer.measured_error)]
        return f"outputs of {_listed(layers)} are not finite; check the weights and the clip" if layers else None

    @property
    def excess(self) -> str | None:
        """One line on the converted layers whose measured error is above the tolerance, or None."""
        allowed = self.tolerance + _ROUNDOFF.get(self.settings.dtype, 0.0)
        converted = (layer for layer in self.comparison.layers if layer.predicted_error is not None)
        above = [layer for layer in converted if layer.measured_error > allowed]
        if not above:
            return None
        listed = _listed([f"{layer.layer} {layer.measured_error:.1e}" for layer in above])
        return f"measured errors above the tolerance {self.tolerance:.1e}: {listed}"


def _listed(layers: Sequence[str]) -> str:
    """Return the first layers and how many more there are: 200 would leave no room on a line for the reason."""
    more = len(layers) - _NAMED
    return ", ".join(layers[:_NAMED]) + (f" and {more} more" if more > 0 else "")
