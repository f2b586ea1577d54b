"""`Machine`: the constants of the cost model, and those of the machine that plans assume.

In: nothing. Out: speeds, each of which says what it was fitted to. See `winograd.conv.roofline` for the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Machine:
    """Speeds of a machine; those of a core are with all its cores busy.

    Parameters
    ----------
    direct_core_gflops : float
        Rate of a core in direct convolution in float32, an FMA counted as two.
    full_channels : int
        Input channels per group from which direct convolution reaches that rate; below, it falls in proportion.
    core_gflops : float
        Rate of a core in the products of a Winograd convolution, filter and data in its caches.
    lost_rows : float
        Rows of tiles that could be multiplied in the time that is lost for each group of at most 14 of them.
    sum_channels : float
        Channels that could be added up in the time that it takes to begin and to store a sum of at most 64 of them.
    instruction_ns : float
        A vector instruction of the transforms.
    large_tile_share : float
        Share of it on top where a tile of 600 products or more leaves the innermost cache; none up to 300.
    own_data_ns, own_inverse_ns : float
        What a vector of V, of M costs on top, to write or read it in a core's own caches (fused schedule).
    shared_data_ns, shared_inverse_ns : float
        The same in the cache that all cores share (staged schedule).
    held_bytes : int
        From as many bytes of V and M a thread of the fused schedule is in the shared cache too; below, in proportion.
    core_cache_gbs : float
        10^9 bytes per second at which a core reads the transformed filter from the shared cache.
    cache_bytes : int
        As much of the transformed filter stays there.
    stream_gbs : float
        10^9 bytes per second at which all cores together read the rest of it from memory.
    overlap : float
        How well that hides behind the products: both together take the norm of this order of their two times.
    plain_gbs : float
        10^9 bytes per second for inputs and outputs, which includes the first touch of fresh pages.
    filter_core_gops : float
        Values of transformed filters that a core computes, rounds and packs, 10^9 per second.
    direct_call_ms, winograd_call_ms : float
        What a call costs before it computes anything.
    """

    direct_core_gflops: float
    full_channels: int
    core_gflops: float
    lost_rows: float
    sum_channels: float
    instruction_ns: float
    large_tile_share: float
    own_data_ns: float
    own_inverse_ns: float
    shared_data_ns: float
    shared_inverse_ns: float
    held_bytes: int
    core_cache_gbs: float
    cache_bytes: int
    stream_gbs: float
    overlap: float
    plain_gbs: float
    filter_core_gops: float
    direct_call_ms: float
    winograd_call_ms: float


NOMINAL: Final = Machine(
    direct_core_gflops=245.0,
    full_channels=12,
    core_gflops=250.0,
    lost_rows=0.2,
    sum_channels=4.5,
    instruction_ns=0.145,
    large_tile_share=0.19,
    own_data_ns=0.5,
    own_inverse_ns=1.2,
    shared_data_ns=6.4,
    shared_inverse_ns=1.2,
    held_bytes=15 << 20,
    core_cache_gbs=92.0,
    cache_bytes=16 << 20,
    stream_gbs=49.0,
    overlap=5.5,
    plain_gbs=45.0,
    filter_core_gops=0.3,
    direct_call_ms=0.01,
    winograd_call_ms=0.07,
)
"""What plans assume, so that a plan depends on the shape only: cores with AVX-512, 1 MB L2 each and 32 MB L3 together.

Fitted on two cores of an AMD EPYC (family 26 model 2) on 2026-11-21, by least squares of the logarithms of 60 times,
each the least of some 20 calls: C3D's layers conv1 to conv5a and one of ResNet's, by 18 algorithms of 64 to 864
products, both schedules and blocks of 1 to 98 tiles. tests/conv/test_roofline.py has a third of them and holds the
model to 20 %, as it does for direct convolution of C3D's layers.
"""
