"""`Machine`: the constants of the cost model, and those of the machine that plans assume.

In: nothing, or JSON. Out: measured peaks, and speeds that were fitted to measured layers. Refused: JSON with unknown or
missing fields, numbers that are not finite and above 0. See `winograd.conv.roofline` for the model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Final

from winograd.conv.machine.peaks import Peaks, check_number, checked_fields, checked_object, parsed_object

_SPEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "core_gflops": ("direct_core_gflops", "depthwise_core_gflops", "core_gflops", "filter_core_gops"),
    "own_bytes": ("own_held_bytes",),
    "shared_bytes": ("shared_held_bytes", "cache_bytes"),
    "shared_gbs": ("core_cache_gbs",),
    "memory_gbs": (
        *("stream_gbs", "plain_gbs", "output_gbs"),
        *("direct_input_gbs", "direct_output_gbs", "direct_weight_gbs", "fresh_gbs"),
    ),
}
"""Which fitted speeds grow in proportion to a peak."""

_TIMES: Final[Mapping[str, tuple[str, ...]]] = {
    "core_gflops": ("instruction_ns",),
    "own_gbs": ("own_data_ns", "own_inverse_ns"),
    "shared_gbs": ("shared_data_ns", "shared_inverse_ns"),
    "memory_gbs": ("spilled_ns",),
}
"""Which fitted times shrink in proportion to it."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Speeds of a machine; those of a core are with all its cores busy. All but the peaks are fitted.

    Parameters
    ----------
    peaks : Peaks
        Measured.
    direct_core_gflops, depthwise_core_gflops : float
        Rate of a core in direct convolution in float32, and where each channel is a group of its own.
    full_row, full_outputs : float
        Input channels of a group times the last axis' taps and stride from which direct convolution over three axes
        reaches that rate, and output channels of a group; below, it falls in proportion.
    direct_input_gbs, direct_output_gbs, direct_weight_gbs : float
        10^9 bytes per second for its input, its output, and what of its weight is more than `cache_bytes`.
    fresh_bytes : float
        Outputs above this size are fresh memory, whose pages are touched first,
    fresh_gbs : float
        at so many 10^9 bytes per second.
    core_gflops : float
        Rate of a core in the products of a Winograd convolution, filter and data in its caches.
    least_rows, lost_rows : float
        Tiles that are multiplied in the time of any fewer, and those that could be in the time that is lost for each
        group of at most 14.
    sum_channels : float
        Channels that could be added up in the time that it takes to begin and to store a sum of at most 64 of them.
    instruction_ns : float
        A vector instruction of the transforms.
    large_tile_share : float
        Share of it on top where a tile of 600 products or more leaves the innermost cache; none up to 300.
    own_data_ns, own_inverse_ns : float
        What a vector of V, of M costs on top, to write or read it in a core's own caches.
    shared_data_ns, shared_inverse_ns : float
        And on top of that where it leaves them for the cache that all cores share,
    spilled_ns : float
        and where it leaves that one for memory.
    own_held_bytes, shared_held_bytes : float
        V and M up to this size stay in a core's own caches, in the shared one.
    core_cache_gbs : float
        10^9 bytes per second at which a core reads filter and V from the shared cache.
    cache_bytes : float
        As much of the transformed filter, or of the weight of direct convolution, stays there.
    stream_gbs : float
        10^9 bytes per second at which all cores together read the rest of it from memory.
    overlap : float
        How well that hides behind the products: both together take the norm of this order of their two times.
    plain_gbs, output_gbs : float
        10^9 bytes per second for inputs, and for outputs, which includes the first touch of fresh pages.
    filter_core_gops : float
        Values of transformed filters that a core computes, rounds and packs, 10^9 per second.
    direct_call_ms, winograd_call_ms : float
        What a call costs before it computes anything.
    wait_ms : float
        What threads that share blocks wait for each other in each of them.

    Raises
    ------
    TypeError, ValueError
        If a value is no number, or not finite and above 0.
    """

    peaks: Peaks
    direct_core_gflops: float
    depthwise_core_gflops: float
    full_row: float
    full_outputs: float
    direct_input_gbs: float
    direct_output_gbs: float
    direct_weight_gbs: float
    fresh_bytes: float
    fresh_gbs: float
    core_gflops: float
    least_rows: float
    lost_rows: float
    sum_channels: float
    instruction_ns: float
    large_tile_share: float
    own_data_ns: float
    own_inverse_ns: float
    shared_data_ns: float
    shared_inverse_ns: float
    spilled_ns: float
    own_held_bytes: float
    shared_held_bytes: float
    core_cache_gbs: float
    cache_bytes: float
    stream_gbs: float
    overlap: float
    plain_gbs: float
    output_gbs: float
    filter_core_gops: float
    direct_call_ms: float
    winograd_call_ms: float
    wait_ms: float

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.name != "peaks":
                check_number(field.name, getattr(self, field.name))

    @property
    def flops_per_byte(self) -> float:
        """Operations of one core while a byte comes from memory: peak of a core over the bandwidth of all."""
        return self.peaks.core_gflops / self.peaks.memory_gbs

    def with_peaks(self, peaks: Peaks) -> Machine:
        """Return the machine with other peaks, its fitted speeds and sizes in proportion to them.

        Examples
        --------
        >>> twice = replace(NOMINAL.peaks, memory_gbs=2 * NOMINAL.peaks.memory_gbs)
        >>> NOMINAL.with_peaks(twice).stream_gbs == 2 * NOMINAL.stream_gbs
        True
        """
        changes: dict[str, float] = {}
        for peak in (field.name for field in fields(Peaks)):
            factor = getattr(peaks, peak) / getattr(self.peaks, peak)
            changes |= {name: getattr(self, name) * factor for name in _SPEEDS.get(peak, ())}
            changes |= {name: getattr(self, name) / factor for name in _TIMES.get(peak, ())}
        return replace(self, peaks=peaks, **changes)

    def with_ratio(self, flops_per_byte: float) -> Machine:
        """Return a machine that computes as fast, with memory such that `flops_per_byte` is as given.

        Examples
        --------
        >>> NOMINAL.with_ratio(2 * NOMINAL.flops_per_byte).stream_gbs == NOMINAL.stream_gbs / 2
        True
        """
        check_number("flops_per_byte", flops_per_byte)
        return self.with_peaks(replace(self.peaks, memory_gbs=self.peaks.core_gflops / flops_per_byte))

    def to_json(self) -> str:
        """Return all fields as JSON."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Machine:
        """Return the machine of a JSON object: all fields, or the peaks alone, to which `NOMINAL` is scaled.

        Raises
        ------
        TypeError, ValueError
            For anything else; one line.

        Examples
        --------
        >>> Machine.from_json(NOMINAL.to_json()) == NOMINAL
        True
        """
        found = parsed_object(text)
        if set(found) != {"peaks"}:
            checked_fields("machine", found, cls)
        peaks = Peaks(**checked_fields("peaks", checked_object("peaks", found["peaks"]), Peaks))
        return NOMINAL.with_peaks(peaks) if set(found) == {"peaks"} else cls(**{**found, "peaks": peaks})


NOMINAL: Final = Machine(
    peaks=Peaks(
        core_gflops=244.3, own_bytes=1 << 20, own_gbs=189.1, shared_bytes=32 << 20, shared_gbs=97.41, memory_gbs=59.71
    ),
    direct_core_gflops=236.0,
    depthwise_core_gflops=200.0,
    full_row=9.3,
    full_outputs=16.0,
    direct_input_gbs=55.6,
    direct_output_gbs=38.6,
    direct_weight_gbs=28.8,
    fresh_bytes=3.2e7,
    fresh_gbs=6.1,
    core_gflops=238.0,
    least_rows=3.9,
    lost_rows=0.503,
    sum_channels=7.7,
    instruction_ns=0.144,
    large_tile_share=0.299,
    own_data_ns=0.397,
    own_inverse_ns=0.409,
    shared_data_ns=9.52,
    shared_inverse_ns=0.1,
    spilled_ns=1.0,
    own_held_bytes=1.97e6,
    shared_held_bytes=1.76e7,
    core_cache_gbs=94.7,
    cache_bytes=1.15e7,
    stream_gbs=60.4,
    overlap=1.82,
    plain_gbs=42.3,
    output_gbs=15.3,
    filter_core_gops=0.3,
    direct_call_ms=0.0168,
    winograd_call_ms=0.0279,
    wait_ms=0.01,
)
"""What plans assume, so that a plan depends on the shape only: cores with AVX-512, 1 MB L2 each, 32 MB L3 together.

Two cores of an AMD EPYC (family 26 model 2), 2026-11-21. ``benchmarks/roofline_fit.py`` fits all but the peaks to times
of layers of eight networks, and tests them on layers that it did not see.
"""
